/**
 * Changed requests over the socket of a real berthd. Whatever is sent, the daemon lives and answers Version in time, every call ends
 * with a status that is no bug of ours, memory stays bounded, and after the pods are removed nothing is left.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientReadableStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { formatFinding } from '#base/finding.ts';
import { Admin } from '#proto/berth/generated/admin.ts';
import { decode, encode } from '#proto/codec.ts';
import { ImageService, type Method, RuntimeService } from '#proto/generated/cri.ts';
import { PlanTable } from '#proto/plan.ts';
import type { MethodName } from '../cri-client.ts';
import { FaultBed, imageName, otherImageName } from '../faults/bed.ts';
import { type Census, describeDescriptors, residentBytes, takeCensus } from '../faults/census.ts';
import { adminPlans, adminRequest } from './admin-requests.ts';
import { sendGarbage } from './http2-garbage.ts';
import { reviewLog } from './log-review.ts';
import { mutateMessage } from './mutate-message.ts';
import { Random } from './random.ts';
import type { Report } from './report.ts';
import { isSafe, patientCommand, type Scene, sandboxConfig, shares, validRequests } from './requests.ts';
import { Watch } from './watch.ts';

const methods: Readonly<Record<string, Method>> = { ...RuntimeService, ...ImageService };
const plans = new PlanTable(new URL('../../proto/generated/cri.json', import.meta.url), 'runtime.v1');

const parallel = 16;
/** Pods that changed requests made are removed this often, and the scene is set up again. */
const roundLength = 2000;
const callTimeoutMs = 20_000;
/** Some of these wait for what does not happen. */
const adminTimeoutMs = 1000;
/** Streams are left after this; that of events never ends. */
const streamMs = 3000;
const eventsMs = 50;
const slowestVersionMs = 10_000;
/** What the daemon may hold at any moment: several messages of 16 MiB may be on their way at once. */
const peakBytes = 768 << 20;
/** What it may hold more at the end than half-way, its garbage collected and malloc's free pieces given back. */
const growthBytes = 24 << 20;

/** Words that only a bug of ours says. */
const bugWords =
  /internal error:|TypeError|ReferenceError|RangeError|\bundefined\b|\[object |Cannot read|is not a function|is not iterable|\bNaN\b/;

const asIs = (bytes: Buffer): Buffer => bytes;

/** Calls of the admin service, of 1,000. */
const adminShare = 60;

interface Case {
  readonly name: string;
  readonly method: Pick<Method, 'path' | 'requestStream' | 'responseStream'>;
  /** Several for a stream of requests. */
  readonly bodies: readonly Buffer[];
}

/** One call: the name of its status and the server's words. */
function call(
  client: Client,
  method: Case['method'],
  bodies: readonly Buffer[],
): Promise<{ code: string; words: string }> {
  const deadline = {
    deadline: Date.now() + (method.path.includes('admin') ? adminTimeoutMs : callTimeoutMs),
  };
  return new Promise((resolve) => {
    const end = (error: ServiceError | null) =>
      resolve({ code: status[error?.code ?? 0] ?? String(error?.code), words: error?.details ?? '' });
    if (method.requestStream) {
      const sending = client.makeClientStreamRequest(method.path, asIs, asIs, deadline, end);
      for (const body of bodies) sending.write(body);
      sending.end();
      return;
    }
    const [body] = bodies as [Buffer];
    if (!method.responseStream) {
      client.makeUnaryRequest(method.path, asIs, asIs, body, deadline, end);
      return;
    }
    const stream: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
      method.path,
      asIs,
      asIs,
      body,
      deadline,
    );
    const timer = setTimeout(
      () => stream.cancel(),
      method.path.endsWith('/GetContainerEvents') ? eventsMs : streamMs,
    );
    stream.on('data', () => {});
    stream.on('error', (error: ServiceError) => {
      clearTimeout(timer);
      end(error);
    });
    stream.on('end', () => {
      clearTimeout(timer);
      end(null);
    });
  });
}

/** The calls in the shares that they are sent in. */
function pickMethod(random: Random, names: readonly MethodName[]): MethodName {
  let ticket = random.below(1000);
  for (const [name, share] of Object.entries(shares)) {
    ticket -= share;
    if (ticket < 0) return name as MethodName;
  }
  return random.pick(names.filter((name) => !(name in shares)));
}

function makeAdminCase(random: Random, scene: Scene): Case {
  const name = random.pick(Object.keys(Admin) as (keyof typeof Admin)[]);
  const { path, requestType, requestStream, responseStream } = Admin[name];
  const bodies = Array.from({ length: requestStream ? 1 + random.below(4) : 1 }, () => {
    const request = adminRequest(requestType, scene, random);
    return random.chance(0.8) ? mutateMessage(random, request, adminPlans.get(requestType)) : request;
  });
  return { name: `Admin.${name}`, method: { path, requestStream, responseStream }, bodies };
}

/** Case `index` of the run: the call and its bytes, the same for the same seed but for the ids of the scene. */
function makeCase(seed: number, index: number, scene: Scene): Case {
  const random = new Random(seed, 'socket', index);
  if (random.below(1000) < adminShare) return makeAdminCase(random, scene);
  const requests = validRequests(scene, index);
  const name = pickMethod(random, Object.keys(requests) as MethodName[]);
  const method = methods[name]!;
  const valid = encode(method.requestType, requests[name] as never);
  for (;;) {
    const body = mutateMessage(random, valid, plans.get(method.requestType));
    try {
      if (isSafe(scene, decode(method.requestType, body))) return { name, method, bodies: [body] };
    } catch {
      return { name, method, bodies: [body] }; // no message any more: the daemon has to see that, too
    }
  }
}

/** Removes every pod and image but the scene's image. */
async function clear(bed: FaultBed): Promise<void> {
  const { items } = await bed.call('ListPodSandbox', {});
  const queue = items.map(({ id }) => id);
  const worker = async () => {
    for (let id = queue.pop(); id !== undefined; id = queue.pop())
      await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

function place(bed: FaultBed): Pick<Scene, 'image' | 'otherImage' | 'dir' | 'cgroupParent'> {
  return { image: imageName, otherImage: otherImageName, dir: bed.dir, cgroupParent: bed.cgroupParent };
}

async function setScene(bed: FaultBed): Promise<Scene> {
  for (const image of [imageName, otherImageName]) await bed.call('PullImage', { image: { image } });
  const config = sandboxConfig(place(bed), 'scene');
  const { pod_sandbox_id: sandboxId } = await bed.call('RunPodSandbox', { config });
  const create = async (name: string) => {
    const reply = await bed.call('CreateContainer', {
      pod_sandbox_id: sandboxId,
      sandbox_config: config,
      config: {
        metadata: { name },
        image: { image: imageName },
        command: patientCommand,
        log_path: `${name}.log`,
      },
    });
    return reply.container_id;
  };
  const runningId = await create('running');
  await bed.call('StartContainer', { container_id: runningId });
  return { ...place(bed), sandboxId, runningId, createdId: await create('created') };
}

/** The daemon puts some work off for a second, and opens what it needs for it then. */
const restMs = 2000;

/** What there is when nothing has changed for a while. */
async function restingCensus(bed: FaultBed): Promise<Census> {
  for (let round = 0; ; round += 1) {
    const census = takeCensus(bed);
    await new Promise((resolve) => setTimeout(resolve, restMs));
    if (round === 10 || JSON.stringify(takeCensus(bed)) === JSON.stringify(census)) return census;
  }
}

/** What there is as soon as it is as expected, or after ten seconds. */
async function settledCensus(bed: FaultBed, expected: Census): Promise<Census> {
  let census = takeCensus(bed);
  for (let round = 0; round < 100 && JSON.stringify(census) !== JSON.stringify(expected); round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    census = takeCensus(bed);
  }
  return census;
}

/** `only` sends that one case. */
export async function fuzzSocket(
  seed: number,
  count: number,
  report: Report,
  only?: number,
  keep = false,
): Promise<void> {
  const bed = await FaultBed.prepare('native');
  const codes = new Map<string, number>();
  let sent = 0;
  let watch: Watch | undefined;
  try {
    mkdirSync(join(bed.dir, 'volume'), { recursive: true });
    bed.watchesPulse = true;
    await bed.start();
    const pid = bed.pid;
    const client = new Client(`unix://${bed.config.server.socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
    await setScene(bed);
    await clear(bed);
    const before = await restingCensus(bed);
    const openBefore = describeDescriptors(bed);
    const covered = validRequests({ ...place(bed), sandboxId: '', runningId: '', createdId: '' }, 0);
    for (const name of Object.keys(methods))
      if (!(name in covered)) report.finding(`${name} is called by no request`);
    watch = new Watch(bed, seed);
    let early = 0;
    const first = only ?? 0;
    const last = only === undefined ? count : only + 1;
    for (let start = first; start < last; start += roundLength) {
      const scene = await setScene(bed);
      const end = Math.min(start + roundLength, last);
      let next = start;
      const worker = async () => {
        while (next < end && bed.pid === pid) {
          const index = next;
          next += 1;
          const { name, method, bodies } = makeCase(seed, index, scene);
          const startedMs = performance.now();
          const { code, words } = await call(client, method, bodies);
          sent += 1;
          codes.set(code, (codes.get(code) ?? 0) + 1);
          const isAllowed = code !== 'UNKNOWN' || name === 'CreateContainer' || /Image|Login/.test(name);
          const isLate = code === 'DEADLINE_EXCEEDED' && performance.now() - startedMs > callTimeoutMs;
          if (
            bugWords.test(words) ||
            !isAllowed ||
            (isLate && name !== 'StopContainer' && name !== 'ExecSync')
          )
            report.finding(
              `socket case ${index}: ${name} answered ${code}: ${words.slice(0, 300)}`,
              bodies[0],
            );
        }
      };
      await Promise.all(Array.from({ length: parallel }, worker));
      if (bed.pid !== pid) {
        report.finding(`the daemon ended:\n${bed.logTail(20)}`);
        break;
      }
      await sendGarbage(
        bed.config.server.socket,
        new Random(seed, 'http2', start),
        Math.ceil((end - start) / 50),
      );
      await clear(bed);
      if (start === first || end <= count / 2) early = await watch.aside(() => residentBytes(bed));
    }
    await watch.stop();
    for (const { ms, verdict, words } of watch.stalls)
      if (ms > slowestVersionMs && verdict.whose === 'daemon') report.finding(words);
      else report.note(words);
    if (bed.pid === pid) {
      client.close();
      const late = await residentBytes(bed);
      const after = await settledCensus(bed, before);
      for (const [what, number] of Object.entries(before))
        if (after[what as keyof Census] > number)
          report.finding(`left: ${what} ${number} -> ${after[what as keyof Census]}`);
      if (after.descriptors > before.descriptors)
        report.note(
          `open before: ${openBefore.join(' ')}\nopen after: ${describeDescriptors(bed).join(' ')}`,
        );
      for (const found of await bed.audit()) report.finding(`audit: ${formatFinding(found)}`);
      if (late > early + growthBytes) report.finding(`memory grew from ${early} to ${late} bytes`);
      if (watch.peakBytes > peakBytes) report.finding(`memory reached ${watch.peakBytes} bytes`);
      if (watch.silence !== '') report.finding(watch.silence);
      for (const words of reviewLog(bed.logFile)) report.finding(`log: ${words}`);
      const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
      report.note(
        `socket: resident ${mebibytes(early)} MiB half-way, ${mebibytes(late)} MiB at the end, peak ${mebibytes(watch.peakBytes)} MiB; slowest of ${watch.probes} Version calls ${Math.round(watch.slowestMs)} ms`,
      );
    }
    report.note(
      `socket: ${[...codes]
        .toSorted(([, a], [, b]) => b - a)
        .map(([code, number]) => `${number} ${code}`)
        .join(', ')}`,
    );
    report.count('requests over the socket', sent);
    if (keep) writeFileSync(join(bed.dir, 'kept'), '');
  } finally {
    await watch?.stop();
    await bed.close(keep);
  }
}
