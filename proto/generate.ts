/**
 * Makes TypeScript of the interfaces: `proto/generated/` from `proto/runtime/v1/api.proto`, `proto/nri/generated/` from those of
 * NRI, `proto/berth/generated/` from Berth's own.
 *
 *   node proto/generate.ts            write the files
 *   node proto/generate.ts --check    write nothing; exit 1 if a file differs from what would be written
 *
 * `cri.json` is protobufjs' own JSON form of the descriptor, read by `plan.ts`. `cri.ts` is what to import from: the
 * numbers of every enum and a table of methods per service, and with them the types of `messages.ts`: an interface per
 * message (`X` as decoded: everything present; `XInit` for encoding: everything optional). Types are apart because
 * Node would otherwise read and erase them at every start.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const here = fileURLToPath(new URL('.', import.meta.url));

/** One descriptor and the files made of it. Paths start at this folder. */
interface Interface {
  readonly source: string;
  readonly packageName: string;
  readonly folder: string;
  /** Names the files of values and of the descriptor. */
  readonly name: string;
  readonly messagesFile: string;
}

const interfaces: readonly Interface[] = [
  {
    source: 'runtime/v1/api.proto',
    packageName: 'runtime.v1',
    folder: 'generated',
    name: 'cri',
    messagesFile: 'messages.ts',
  },
  {
    source: 'nri/v1alpha1/api.proto',
    packageName: 'nri.pkg.api.v1alpha1',
    folder: 'nri/generated',
    name: 'nri',
    messagesFile: 'nri-messages.ts',
  },
  {
    source: 'nri/ttrpc/ttrpc.proto',
    packageName: 'ttrpc',
    folder: 'nri/generated',
    name: 'ttrpc',
    messagesFile: 'ttrpc-messages.ts',
  },
  {
    source: 'berth/admin/v1/admin.proto',
    packageName: 'berth.admin.v1',
    folder: 'berth/generated',
    name: 'admin',
    messagesFile: 'admin-messages.ts',
  },
];

const scalarTypes: Readonly<Record<string, string>> = {
  double: 'number',
  float: 'number',
  int32: 'number',
  uint32: 'number',
  sint32: 'number',
  fixed32: 'number',
  sfixed32: 'number',
  int64: 'bigint',
  uint64: 'bigint',
  sint64: 'bigint',
  fixed64: 'bigint',
  sfixed64: 'bigint',
  bool: 'boolean',
  string: 'string',
};

/** `SecurityProfile.ProfileType` is `SecurityProfile_ProfileType` in TypeScript; top-level names stay as they are. */
function typeScriptName(object: protobuf.ReflectionObject): string {
  return object.parent instanceof protobuf.Type
    ? `${typeScriptName(object.parent)}_${object.name}`
    : object.name;
}

interface Collected {
  readonly messages: protobuf.Type[];
  readonly enums: protobuf.Enum[];
  readonly services: protobuf.Service[];
}

function collect(namespace: protobuf.NamespaceBase, into: Collected): Collected {
  for (const object of namespace.nestedArray) {
    if (object instanceof protobuf.Type) into.messages.push(object);
    else if (object instanceof protobuf.Enum) into.enums.push(object);
    else if (object instanceof protobuf.Service) into.services.push(object);
    if (object instanceof protobuf.Type || object.constructor === protobuf.Namespace) {
      collect(object as protobuf.NamespaceBase, into);
    }
  }
  return into;
}

function valueType(field: protobuf.Field, suffix: '' | 'Init'): string {
  const resolved = field.resolvedType;
  if (resolved instanceof protobuf.Enum) return typeScriptName(resolved);
  if (resolved instanceof protobuf.Type) return typeScriptName(resolved) + suffix;
  if (field.type === 'bytes') return suffix === '' ? 'Buffer' : 'Uint8Array';
  const scalar = scalarTypes[field.type];
  if (scalar === undefined) throw new Error(`field ${field.fullName}: no TypeScript type for ${field.type}`);
  return scalar;
}

function fieldType(field: protobuf.Field, suffix: '' | 'Init'): string {
  const value = valueType(field, suffix);
  if (field instanceof protobuf.MapField) {
    if (field.keyType !== 'string' && field.keyType !== 'int32')
      throw new Error(`field ${field.fullName}: only keys of type string and int32 are supported`);
    return `{ readonly [key: ${field.keyType === 'string' ? 'string' : 'number'}]: ${value} }`;
  }
  return field.repeated ? `readonly ${value}[]` : value;
}

function messageText(type: protobuf.Type): string {
  if (type.oneofsArray.length > 0)
    throw new Error(`message ${type.name}: oneof is not supported by the generator`);
  const name = typeScriptName(type);
  if (type.fieldsArray.length === 0) {
    return `export type ${name} = Record<never, never>;\nexport type ${name}Init = Record<never, never>;\n`;
  }
  const decoded = type.fieldsArray.map((field) => {
    const absent = field.resolvedType instanceof protobuf.Type && !field.repeated && !field.map;
    return `  ${field.name}: ${fieldType(field, '')}${absent ? ' | undefined' : ''};\n`;
  });
  const init = type.fieldsArray.map(
    (field) => `  ${field.name}?: ${fieldType(field, 'Init')} | undefined;\n`,
  );
  return `export interface ${name} {\n${decoded.join('')}}\nexport interface ${name}Init {\n${init.join('')}}\n`;
}

function enumText(type: protobuf.Enum): string {
  const name = typeScriptName(type);
  const values = Object.entries(type.values).map(([key, number]) => `  ${key}: ${number},\n`);
  return `export const ${name} = {\n${values.join('')}} as const;\nexport type ${name} = number;\n`;
}

function serviceText(service: protobuf.Service): string {
  const methods = service.methodsArray.map((method) => {
    const entries = [
      `name: '${method.name}'`,
      `path: '/${service.fullName.slice(1)}/${method.name}'`,
      `requestType: '${typeScriptName(method.resolvedRequestType!)}'`,
      `responseType: '${typeScriptName(method.resolvedResponseType!)}'`,
      `requestStream: ${method.requestStream ?? false}`,
      `responseStream: ${method.responseStream ?? false}`,
    ];
    return `  ${method.name}: { ${entries.join(', ')} },\n`;
  });
  return `export const ${service.name} = {\n${methods.join('')}} as const satisfies Record<string, Method>;\n`;
}

const origin = ({ source }: Interface): string =>
  `// Made by \`node proto/generate.ts\` from proto/${source}. Do not edit.\n`;

const messagesPreamble = `//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.
`;

const valuesPreamble = ({ messagesFile }: Interface): string => `
import type { MessageName } from './${messagesFile}';

export type * from './${messagesFile}';

/** One RPC: its path in HTTP/2 and the names of its messages, as codec.ts takes them. */
export interface Method {
  readonly name: string;
  readonly path: string;
  readonly requestType: MessageName;
  readonly responseType: MessageName;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}
`;

function messagesText(made: Interface, { messages, enums }: Collected): string {
  const names = messages.map(typeScriptName);
  const table = (title: string, suffix: string): string =>
    `export interface ${title} {\n${names.map((name) => `  ${name}: ${name}${suffix};\n`).join('')}}\n`;
  return [
    origin(made) + messagesPreamble,
    ...(enums.length === 0
      ? []
      : [`import type { ${enums.map(typeScriptName).join(', ')} } from './${made.name}.ts';\n`]),
    ...messages.map(messageText),
    '/** Decoded messages by name. */',
    table('Messages', ''),
    '/** Messages to encode by name. */',
    table('MessageInits', 'Init'),
    'export type MessageName = keyof Messages;\n',
  ].join('\n');
}

function valuesText(made: Interface, { services, enums }: Collected): string {
  return [origin(made) + valuesPreamble(made), ...services.map(serviceText), ...enums.map(enumText)].join(
    '\n',
  );
}

/** The files of one interface, by path. */
function generate(made: Interface): [string, string][] {
  const { root } = protobuf.parse(readFileSync(here + made.source, 'utf8'), { keepCase: true });
  root.resolveAll();
  const namespace = root.lookup(made.packageName);
  if (!(namespace instanceof protobuf.Namespace))
    throw new Error(`${made.source}: package ${made.packageName} not found`);
  const collected = collect(namespace, { messages: [], enums: [], services: [] });
  const folder = `${here}${made.folder}/`;
  return [
    [`${folder}${made.name}.json`, `${JSON.stringify(root.toJSON({ keepComments: false }))}\n`],
    [`${folder}${made.name}.ts`, valuesText(made, collected)],
    [folder + made.messagesFile, messagesText(made, collected)],
  ];
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // A file that does not exist yet differs from what would be written: that is all --check needs to know.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const files = interfaces.flatMap(generate);
if (process.argv.includes('--check')) {
  const stale = files
    .filter(([path, text]) => readOrEmpty(path) !== text)
    .map(([path]) => path.slice(here.length));
  if (stale.length > 0) {
    console.error(
      `generated files are out of date (${stale.join(', ')}): run \`node proto/generate.ts\` and commit`,
    );
    process.exitCode = 1;
  }
} else {
  for (const [path, text] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
