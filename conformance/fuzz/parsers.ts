/**
 * Changed input for the parsers of what comes from registries, CNI plugins and conmon. A parser gives a value that has the
 * promised properties, or throws a RuntimeError of the promised kinds, in bounded time.
 */
import { type ErrorKind, isRuntimeError } from '#base/errors.ts';
import { artifactFiles, fileId } from '#images/artifact.ts';
import { chainIdsOf } from '#images/digest.ts';
import { parseImageConfig } from '#images/image-config.ts';
import { chooseEntries, hostPlatform, isRunnable, parseManifest } from '#images/manifest.ts';
import { parseChallenges } from '#images/registry/auth.ts';
import { describeStatus, parseRetryAfter } from '#images/registry/errors.ts';
import { parseNetworkList } from '#network/cni/config.ts';
import { isAlreadyGone, makePluginError } from '#network/cni/errors.ts';
import { parsePluginAnswer } from '#network/cni/exec.ts';
import { listPodIps, normaliseResult, orderByPreference } from '#network/cni/result.ts';
import { AttachOutput } from '#runtime/container/attach-output.ts';
import { parseAnswer } from '#runtime/monitor/sync-pipe.ts';
import { fuzzArchives } from './archives.ts';
import { cpuMs, heldBytes } from './measure.ts';
import { mutateBytes, mutateJson, mutateText } from './mutate.ts';
import { Random } from './random.ts';
import type { Report } from './report.ts';

export interface ParserTarget {
  readonly name: string;
  run(seed: number, count: number, report: Report, only?: number): Promise<void>;
}

interface Subject {
  readonly name: string;
  readonly what: string;
  readonly kinds: readonly ErrorKind[];
  /** A changed input. */
  make(random: Random): Buffer;
  /** Parses it; throws a plain Error for a result that must not be. */
  parse(input: Buffer): void;
}

/** Longer than any input takes on a busy machine; a parser that backtracks or squares takes far longer. */
const slowestMs = 2000;
const growthBytes = 64 << 20;

/** Runs one subject over `count` inputs. */
function targetOf(subject: Subject): ParserTarget {
  return {
    name: subject.name,
    async run(seed, count, report, only) {
      let refused = 0;
      const startBytes = heldBytes();
      for (let index = only ?? 0; index < (only === undefined ? count : only + 1); index += 1) {
        const input = subject.make(new Random(seed, subject.name, index));
        const started = process.cpuUsage();
        try {
          subject.parse(input);
        } catch (error) {
          refused += 1;
          if (!isRuntimeError(error) || !subject.kinds.includes(error.kind))
            report.finding(
              `${subject.name} case ${index}: ${error instanceof Error ? (error.stack ?? error.message).slice(0, 400) : String(error)}`,
              input,
            );
        }
        const ms = cpuMs(started);
        if (ms > slowestMs) report.finding(`${subject.name} case ${index}: took ${Math.round(ms)} ms`, input);
        // Timers and the terminal get their turn.
        if (index % 1000 === 999) await new Promise(setImmediate);
      }
      const grownBytes = heldBytes() - startBytes;
      if (grownBytes > growthBytes) report.finding(`${subject.name}: keeps ${grownBytes} bytes`);
      report.note(`${subject.name}: ${only === undefined ? count : 1} inputs, ${refused} refused`);
      report.count(subject.what, only === undefined ? count : 1);
    },
  };
}

function insist(claim: boolean, words: string): asserts claim {
  if (!claim) throw new Error(`broken promise: ${words}`);
}

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const manifests: readonly object[] = [
  {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('a'), size: 700 },
    layers: [
      { mediaType: layerType, digest: digest('b'), size: 1_000_000 },
      { mediaType: layerType, digest: digest('c'), size: 32, urls: ['https://x.example/y'] },
    ],
    annotations: { a: 'b' },
  },
  {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: ['amd64', 'arm64', 'unknown'].map((architecture) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digest('d'),
      size: 500,
      platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture, variant: 'v8' },
    })),
  },
  {
    schemaVersion: 2,
    artifactType: 'application/vnd.example',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digest('e'), size: 2 },
    layers: [
      {
        mediaType: 'text/plain',
        digest: digest('f'),
        size: 3,
        annotations: { 'org.opencontainers.image.title': 'a/b' },
      },
    ],
  },
];

const manifestSubject: Subject = {
  name: 'manifests',
  what: 'manifests and indexes',
  kinds: ['Unknown'],
  make: (random) => mutateJson(random, random.pick(manifests)),
  parse(input) {
    const parsed = parseManifest(input, 'application/json', 'manifest');
    if (parsed.type === 'index') {
      const chosen = chooseEntries(parsed, hostPlatform('x64'), 'index');
      insist(chosen.length > 0, 'an entry is chosen');
      return;
    }
    for (const { sizeBytes } of [parsed.config, ...parsed.layers])
      insist(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `size ${sizeBytes}`);
    for (const file of artifactFiles(parsed.layers, 'artifact')) {
      insist(!file.name.startsWith('/') && !file.name.split('/').includes('..'), `name ${file.name}`);
      insist(!file.name.includes('\0'), `name ${file.name}`);
      fileId(file);
    }
  },
};

const imageConfig = {
  os: 'linux',
  architecture: 'amd64',
  created: '2024-01-01T00:00:00Z',
  config: {
    User: '0:0',
    Env: ['PATH=/bin', 'A=b'],
    Entrypoint: ['/bin/sh'],
    Cmd: ['-c', 'true'],
    WorkingDir: '/',
    Volumes: { '/data': {} },
    ExposedPorts: { '80/tcp': {} },
    Labels: { a: 'b' },
    StopSignal: 'SIGTERM',
  },
  rootfs: { type: 'layers', diff_ids: [digest('1'), digest('2')] },
  history: [{ created_by: 'x', empty_layer: true }],
};

const configSubject: Subject = {
  name: 'configs',
  what: 'image configs',
  kinds: ['Unknown'],
  make: (random) => mutateJson(random, imageConfig),
  parse(input) {
    const { config, diffIds, platform } = parseImageConfig(input, 'config');
    const chain = chainIdsOf(diffIds);
    insist(chain.length === diffIds.length, 'a chain ID for each layer');
    for (const text of [
      ...config.env,
      ...config.command,
      ...config.entrypoint,
      config.user,
      config.stopSignal,
    ])
      insist(typeof text === 'string', 'texts are texts');
    isRunnable(hostPlatform('x64'), platform);
  },
};

const answers = [
  'Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull"',
  'Basic realm="r", Bearer realm="x"',
  '{"errors":[{"code":"DENIED","message":"no","detail":{}}]}',
  'Wed, 21 Oct 2026 07:28:00 GMT',
  '120',
];

const headerSubject: Subject = {
  name: 'registry-headers',
  what: 'registry headers and error bodies',
  kinds: [],
  make(random) {
    const text = random.pick(answers);
    return random.chance(0.5)
      ? mutateBytes(random, Buffer.from(text))
      : Buffer.from(mutateText(random, text));
  },
  parse(input) {
    const text = input.toString('latin1');
    for (const { scheme } of parseChallenges(text)) insist(scheme.length > 0, 'a scheme');
    const ms = parseRetryAfter(text, 0);
    insist(ms === undefined || ms >= 0, `waits ${ms} ms`);
    insist(describeStatus(403, text).length < 1000, 'short words');
  },
};

const results: readonly object[] = [
  {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'br0', mac: '00:11:22:33:44:55' },
      { name: 'veth1', mac: '00:11:22:33:44:56' },
      { name: 'eth0', mac: '00:11:22:33:44:57', sandbox: '/run/netns/x' },
    ],
    ips: [
      { address: '10.1.0.5/16', gateway: '10.1.0.1', interface: 2 },
      { address: 'fd00::5/64', gateway: 'fd00::1', interface: 2 },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
    dns: { nameservers: ['10.1.0.1'] },
  },
  {
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.0.5/16', gateway: '10.1.0.1', routes: [] },
    ip6: { ip: 'fd00::5/64' },
  },
  {
    ips: [{ address: '10.1.0.5/33' }, { address: 'fd00::5/129' }, { address: `10.1.0.6/${'9'.repeat(400)}` }],
  },
  {
    interfaces: [{ name: '../../x', sandbox: '/proc/1/ns/net' }],
    ips: [{ address: '10.1.0.5/16', interface: 0 }],
  },
  { cniVersion: '1.0.0', code: 11, msg: 'try again later', details: 'no such device' },
];
const networkList = {
  cniVersion: '1.0.0',
  name: 'net',
  plugins: [
    { type: 'bridge', bridge: 'br0', capabilities: { portMappings: true }, ipam: { type: 'host-local' } },
  ],
};
const wrongList = { ...networkList, plugins: [{ type: '..' }, { type: '.' }, { type: 'a\0b' }] };

const cniSubject: Subject = {
  name: 'cni',
  what: 'CNI results',
  kinds: ['Internal', 'InvalidArgument'],
  make: (random) => mutateJson(random, random.pick([...results, networkList, wrongList])),
  parse(input) {
    const stdout = input.toString('utf8');
    const failure = { plugin: 'p', command: 'ADD', status: { type: 'exited', code: 1 }, stderr: '' } as const;
    const error = makePluginError({ ...failure, stdout });
    isAlreadyGone(error, true);
    insist(error.message.length < 3000, 'a plugin’s words are cut');
    if (stdout.includes('"plugins"')) {
      for (const { type } of parseNetworkList(stdout, 'fuzz').plugins)
        insist(type !== '.' && type !== '..' && !/[/\0]/.test(type), `program ${JSON.stringify(type)}`);
      return;
    }
    const raw = parsePluginAnswer(stdout, 'CNI plugin p ADD');
    JSON.stringify(raw); // it is kept for the DEL
    for (const ip of orderByPreference(listPodIps(normaliseResult(raw), 'eth0'), 'ipv6'))
      insist(ip.prefix >= 0 && ip.prefix <= (ip.family === 4 ? 32 : 128), `prefix ${ip.prefix}`);
  },
};

const monitorAnswers: readonly object[] = [
  { pid: 1234 },
  { pid: -1, message: 'exec: "x": executable file not found in $PATH' },
  { data: 5, message: '' },
];
const packets = [Buffer.from([2, ...Buffer.from('out\n')]), Buffer.from([3, ...Buffer.from('err\n')])];

const monitorSubject: Subject = {
  name: 'conmon',
  what: 'conmon messages',
  kinds: [],
  make(random) {
    if (random.chance(0.5)) {
      const line = Buffer.concat([mutateJson(random, random.pick(monitorAnswers)), Buffer.from('\n')]);
      return Buffer.concat([Buffer.from([0]), line]);
    }
    const packet = random.chance(0.9)
      ? mutateBytes(random, random.pick(packets))
      : random.bytes(random.below(9000));
    return Buffer.concat([Buffer.from([1]), packet]);
  },
  parse(input) {
    const content = input.subarray(1);
    if (input[0] === 0) {
      const answer = parseAnswer(content.toString('utf8'));
      if (!answer) return;
      insist(Number.isSafeInteger(answer.pid), `pid ${answer.pid}`);
      insist(answer.pid < 2 ** 31, `pid ${answer.pid}`);
      insist(typeof answer.message === 'string', 'a message is a text');
      return;
    }
    const output = new AttachOutput({ stdout: true, stderr: true });
    const isKept = output.take(content);
    insist(isKept || content.length > 1 << 20, 'a small packet is taken');
    const taken = (output.stdout?.readableLength ?? 0) + (output.stderr?.readableLength ?? 0);
    insist(taken === Math.max(0, content.length - 1), `${taken} of ${content.length} bytes`);
    output.end();
  },
};

export const parserTargets: readonly ParserTarget[] = [
  targetOf(manifestSubject),
  targetOf(configSubject),
  targetOf(headerSubject),
  { name: 'archives', run: fuzzArchives },
  targetOf(cniSubject),
  targetOf(monitorSubject),
];
