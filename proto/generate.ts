/**
 * Makes `proto/generated/` from `proto/runtime/v1/api.proto`.
 *
 *   node proto/generate.ts            write the files
 *   node proto/generate.ts --check    write nothing; exit 1 if a file differs from what would be written
 *
 * `cri.json` is protobufjs' own JSON form of the descriptor, read by `codec.ts`. `cri.ts` is what to import from: the
 * numbers of every enum and a table of methods per service, and with them the types of `messages.ts`: an interface per
 * message (`X` as decoded: everything present; `XInit` for encoding: everything optional). Types are apart because
 * Node would otherwise read and erase them at every start.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const source = fileURLToPath(new URL('runtime/v1/api.proto', import.meta.url));
const target = fileURLToPath(new URL('generated/', import.meta.url));
const packageName = 'runtime.v1';

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
  return object.fullName.slice(`.${packageName}.`.length).replaceAll('.', '_');
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
    if (field.keyType !== 'string')
      throw new Error(`field ${field.fullName}: only string keys are supported`);
    return `{ readonly [key: string]: ${value} }`;
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
      `path: '/${packageName}.${service.name}/${method.name}'`,
      `requestType: '${typeScriptName(method.resolvedRequestType!)}'`,
      `responseType: '${typeScriptName(method.resolvedResponseType!)}'`,
      `requestStream: ${method.requestStream ?? false}`,
      `responseStream: ${method.responseStream ?? false}`,
    ];
    return `  ${method.name}: { ${entries.join(', ')} },\n`;
  });
  return `export const ${service.name} = {\n${methods.join('')}} as const satisfies Record<string, Method>;\n`;
}

const origin = '// Made by `node proto/generate.ts` from proto/runtime/v1/api.proto. Do not edit.\n';

const messagesPreamble = `${origin}//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.
`;

const valuesPreamble = `${origin}
import type { MessageName } from './messages.ts';

export type * from './messages.ts';

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

function messagesText({ messages, enums }: Collected): string {
  const names = messages.map(typeScriptName);
  const table = (title: string, suffix: string): string =>
    `export interface ${title} {\n${names.map((name) => `  ${name}: ${name}${suffix};\n`).join('')}}\n`;
  return [
    messagesPreamble,
    `import type { ${enums.map(typeScriptName).join(', ')} } from './cri.ts';\n`,
    ...messages.map(messageText),
    '/** Decoded messages by name. */',
    table('Messages', ''),
    '/** Messages to encode by name. */',
    table('MessageInits', 'Init'),
    'export type MessageName = keyof Messages;\n',
  ].join('\n');
}

function valuesText({ services, enums }: Collected): string {
  return [valuesPreamble, ...services.map(serviceText), ...enums.map(enumText)].join('\n');
}

function generate(): ReadonlyMap<string, string> {
  const { root } = protobuf.parse(readFileSync(source, 'utf8'), { keepCase: true });
  root.resolveAll();
  const namespace = root.lookup(packageName);
  if (!(namespace instanceof protobuf.Namespace))
    throw new Error(`${source}: package ${packageName} not found`);
  const collected = collect(namespace, { messages: [], enums: [], services: [] });
  return new Map([
    ['cri.json', `${JSON.stringify(root.toJSON({ keepComments: false }))}\n`],
    ['cri.ts', valuesText(collected)],
    ['messages.ts', messagesText(collected)],
  ]);
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

const files = generate();
if (process.argv.includes('--check')) {
  const stale = [...files]
    .filter(([name, text]) => readOrEmpty(target + name) !== text)
    .map(([name]) => name);
  if (stale.length > 0) {
    console.error(
      `proto/generated is out of date (${stale.join(', ')}): run \`node proto/generate.ts\` and commit`,
    );
    process.exitCode = 1;
  }
} else {
  mkdirSync(target, { recursive: true });
  for (const [name, text] of files) writeFileSync(target + name, text);
}
