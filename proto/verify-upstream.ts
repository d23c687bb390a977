/**
 * Compares `proto/runtime/v1/api.proto` with the interface of the pinned versions of k8s.io/cri-api, item by item: with the
 * newest it must be equal; of an older one everything must be there in the form it has on the wire, for names of enum values
 * have changed since, and things were added.
 *
 *   node proto/verify-upstream.ts              against the committed dumps proto/verify/cri-api-VERSION.json
 *   node proto/verify-upstream.ts --refresh    first makes the dumps anew from the Go modules (needs Go and its proxy)
 *
 * Prints each difference and exits 1 if there is one.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

interface Dump {
  readonly module: string;
  readonly version: string;
  readonly package: string;
  readonly services: readonly {
    readonly name: string;
    readonly methods: readonly {
      readonly name: string;
      readonly request: string;
      readonly response: string;
      readonly requestStream?: boolean;
      readonly responseStream?: boolean;
    }[];
  }[];
  readonly messages: readonly {
    readonly name: string;
    readonly fields: readonly {
      readonly name: string;
      readonly number: number;
      readonly type: string;
      readonly label: string;
      readonly oneof?: string;
      readonly deprecated?: boolean;
      readonly redacted?: boolean;
    }[];
  }[];
  readonly enums: readonly {
    readonly name: string;
    readonly values: readonly { readonly name: string; readonly number: number }[];
  }[];
}

/** Every item of the interface by its path, with all that is to be equal in one line of text. */
type Items = Map<string, string>;

const verifyFolder = fileURLToPath(new URL('verify/', import.meta.url));
/** Pinned by `go.mod` and `v0.36.mod` in the folder. */
const versions = [
  { dump: 'cri-api-v0.37.json', moduleFile: 'go.mod', mustEqual: true },
  { dump: 'cri-api-v0.36.json', moduleFile: 'v0.36.mod', mustEqual: false },
] as const;
const protoPath = fileURLToPath(new URL('runtime/v1/api.proto', import.meta.url));

function streaming(request: boolean | undefined, response: boolean | undefined): string {
  return `${request ? 'stream' : 'unary'} to ${response ? 'stream' : 'unary'}`;
}

function fieldText(shape: string, flags: readonly string[]): string {
  return [shape, ...flags.filter((flag) => flag !== '')].join(' ');
}

function upstreamItems(dump: Dump): Items {
  const items: Items = new Map();
  for (const service of dump.services) {
    items.set(`service ${service.name}`, service.methods.map((method) => method.name).join(' '));
    for (const { name, request, response, requestStream, responseStream } of service.methods) {
      items.set(
        `rpc ${service.name}/${name}`,
        `${request} ${response} ${streaming(requestStream, responseStream)}`,
      );
    }
  }
  for (const message of dump.messages) {
    items.set(`message ${message.name}`, message.fields.map((field) => field.name).join(' '));
    for (const { name, number, type, label, oneof, deprecated, redacted } of message.fields) {
      const flags = [oneof ?? '', deprecated ? 'deprecated' : '', redacted ? 'redacted' : ''];
      items.set(`field ${message.name}.${name}`, fieldText(`${number} ${label} ${type}`, flags));
    }
  }
  for (const type of dump.enums) {
    items.set(`enum ${type.name}`, type.values.map(({ name, number }) => `${name}=${number}`).join(' '));
  }
  return items;
}

function fullName(object: protobuf.ReflectionObject | null): string {
  return object?.fullName.slice(1) ?? 'unresolved';
}

function ourField(field: protobuf.Field): string {
  const type = field.resolvedType === null ? field.type : fullName(field.resolvedType);
  // protobufjs calls every repeated field of proto3 packed; only numbers can be.
  const packed =
    field.packed && (field.resolvedType instanceof protobuf.Enum || field.type in protobuf.types.packed);
  const flags = [
    field.partOf?.name ?? '',
    field.options?.deprecated === true ? 'deprecated' : '',
    field.options?.debug_redact === true ? 'redacted' : '',
  ];
  const shape =
    field instanceof protobuf.MapField
      ? `map map<${field.keyType}, ${type}>`
      : `${field.repeated ? (packed ? 'packed' : 'repeated') : 'optional'} ${type}`;
  return fieldText(`${field.id} ${shape}`, flags);
}

function ourItems(namespace: protobuf.NamespaceBase, items: Items = new Map()): Items {
  for (const object of namespace.nestedArray) {
    const name = fullName(object);
    if (object instanceof protobuf.Service) {
      items.set(`service ${name}`, object.methodsArray.map((method) => method.name).join(' '));
      for (const method of object.methodsArray) {
        const ends = `${fullName(method.resolvedRequestType)} ${fullName(method.resolvedResponseType)}`;
        const flow = streaming(method.requestStream, method.responseStream);
        items.set(`rpc ${name}/${method.name}`, `${ends} ${flow}`);
      }
    } else if (object instanceof protobuf.Type) {
      items.set(`message ${name}`, object.fieldsArray.map((field) => field.name).join(' '));
      for (const field of object.fieldsArray) items.set(`field ${name}.${field.name}`, ourField(field));
      ourItems(object, items);
    } else if (object instanceof protobuf.Enum) {
      const values = Object.entries(object.values).map(([key, number]) => `${key}=${number}`);
      items.set(`enum ${name}`, values.join(' '));
    } else if (object instanceof protobuf.Namespace) {
      ourItems(object, items);
    }
  }
  return items;
}

/** What the wire carries of an item: enum values by number; lists of names are looked at name by name anyway. */
function wireItems(dump: Dump): Items {
  const items = upstreamItems(dump);
  for (const path of items.keys()) if (/^(service|message|enum) /.test(path)) items.delete(path);
  for (const type of dump.enums)
    for (const { number } of type.values) items.set(`value ${type.name} ${number}`, '');
  return items;
}

function withValues(items: Items): Items {
  const all = new Map(items);
  for (const [path, text] of items) {
    if (!path.startsWith('enum ')) continue;
    for (const value of text.split(' ')) all.set(`value ${path.slice(5)} ${value.split('=')[1]}`, '');
  }
  return all;
}

function missing(upstream: Items, ours: Items): string[] {
  const lines: string[] = [];
  for (const [path, expected] of upstream) {
    const actual = ours.get(path);
    if (actual === undefined) lines.push(`${path}: missing, upstream has ${expected}`);
    else if (actual !== expected) lines.push(`${path}:\n  upstream ${expected}\n  ours     ${actual}`);
  }
  return lines;
}

function added(upstream: Items, ours: Items): string[] {
  return [...ours.keys()].filter((path) => !upstream.has(path)).map((path) => `${path}: not in upstream`);
}

function refresh(dumpPath: string, moduleFile: string): void {
  const text = execFileSync('go', ['run', `-modfile=${moduleFile}`, '.'], {
    cwd: verifyFolder,
    maxBuffer: 16 * 1024 * 1024,
    encoding: 'utf8',
  });
  // One item per line, so that a change of the pinned version reads well as a diff.
  writeFileSync(
    dumpPath,
    text.replaceAll(/\},\{|\[\{/g, (join) => `${join.slice(0, -1)}\n{`),
  );
}

const { root } = protobuf.parse(readFileSync(protoPath, 'utf8'), { keepCase: true });
const ours = ourItems(root.resolveAll());
for (const { dump: name, moduleFile, mustEqual } of versions) {
  const dumpPath = `${verifyFolder}${name}`;
  if (process.argv.includes('--refresh')) refresh(dumpPath, moduleFile);
  const dump = JSON.parse(readFileSync(dumpPath, 'utf8')) as Dump;
  const upstream = mustEqual ? upstreamItems(dump) : wireItems(dump);
  const found = mustEqual
    ? [...missing(upstream, ours), ...added(upstream, ours)]
    : missing(upstream, withValues(ours));
  for (const line of found) console.error(line);
  const relation = mustEqual ? 'equals' : 'holds everything of';
  if (found.length > 0) {
    console.error(`api.proto differs from ${dump.module} ${dump.version} in ${found.length} places`);
    process.exitCode = 1;
  } else {
    console.log(`api.proto ${relation} ${dump.module} ${dump.version}: ${upstream.size} items`);
  }
}
