/**
 * A place for documents to be run in that looks like a machine of one's own: with its own network, and its own /etc, /var,
 * /run and /usr/local over those of this machine. Berth has its usual paths there, and nothing of it stays.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { projectRoot } from '../cache.ts';
import { CriClient } from '../cri-client.ts';
import { pushImage, startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { loadCatalogue } from '../fixtures/store.ts';
import { containerPrompt } from './transcript.ts';

/** Where the registry of the place listens, and what images are under on Docker Hub. */
const registryHost = 'localhost:5000';
const images: Readonly<Record<string, string>> = {
  'library/busybox:latest': 'docker.io/library/busybox:latest',
  'library/busybox:1.36': 'docker.io/library/busybox:latest',
  'library/nginx:latest': 'registry.k8s.io/e2e-test-images/nginx:1.14-2',
};
const stepTimeoutMs = 60_000;

export interface Ran {
  readonly status: number;
  readonly output: string;
  readonly tookMs: number;
}

export class DocMachine {
  readonly #dir: string;
  readonly #shell: ChildProcess;
  #printed = '';
  #counter = 0;

  private constructor(dir: string) {
    this.#dir = dir;
    this.#shell = spawn(
      'unshare',
      ['--net', '--mount', '--propagation', 'private', 'bash', '--norc', '--noprofile'],
      {
        cwd: dir,
        env: {
          HOME: '/root',
          TERM: 'xterm',
          LANG: 'C.UTF-8',
          PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    this.#shell.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#printed += text;
    });
  }

  /** With a registry that has the images of Docker Hub which the documents use. */
  static async start(): Promise<DocMachine> {
    const dir = mkdtempSync(join(tmpdir(), 'bd-'));
    const data = join(dir, 'registry');
    const catalogue = await loadCatalogue();
    const registry = await startRegistry({ dataDir: data });
    for (const [name, source] of Object.entries(images))
      await pushImage(registry.host, name, catalogue.get(source)!);
    await registry.stop();
    mkdirSync(join(dir, 'home'));
    const machine = new DocMachine(dir);
    try {
      await machine.#ok(setUp(dir));
      writeMirrorHosts(machine.pathOf('/etc/berth/certs.d'), ['docker.io'], registryHost);
    } catch (error) {
      await machine.close();
      throw error;
    }
    return machine;
  }

  /** A path of the place as one of this machine. */
  pathOf(path: string): string {
    return `/proc/${this.#shell.pid}/root${path}`;
  }

  /** Puts this tree's programs into the PATH, and starts the daemon. */
  async startDaemon(): Promise<void> {
    await this.#ok(`PATH=${projectRoot}/bin:$PATH`);
    await this.#ok(`(cd /; exec berthd --log-level warn) > ${this.#dir}/berthd.log 2>&1 &`);
    await this.untilServed();
  }

  async untilServed(): Promise<void> {
    for (const deadline = Date.now() + 30_000; ; await delay(20)) {
      const client = new CriClient(this.pathOf('/run/berth/berth.sock'));
      try {
        await client.call('ListContainers', {});
        return;
      } catch (error) {
        if (Date.now() > deadline)
          throw new Error(`berthd does not answer: ${String(error)}\n${this.#log()}`);
      } finally {
        client.close();
      }
    }
  }

  /** In the one shell that all commands share. */
  async run(command: string): Promise<Ran> {
    this.#counter += 1;
    const mark = `--- done ${process.pid} ${this.#counter} `;
    const from = this.#printed.length;
    const began = performance.now();
    this.#shell.stdin!.write(`{ ${command}\n} < /dev/null 2>&1; printf '\\n${mark}%d\\n' $?\n`);
    await this.#until(() => this.#printed.slice(from).includes(mark), command);
    const tookMs = performance.now() - began;
    await this.#until(() => this.#printed.endsWith('\n'), command);
    const [output, status] = this.#printed.slice(from).split(mark);
    return { status: Number(status), output: output!.replace(/\n$/, ''), tookMs };
  }

  /** On a terminal: each line is typed when the container's prompt is there. */
  async onTerminal(command: string, typed: readonly string[]): Promise<Ran> {
    const began = performance.now();
    const child = spawn(
      'nsenter',
      [
        '-t',
        String(this.#shell.pid),
        '-n',
        '-m',
        'script',
        '--quiet',
        '--flush',
        '--return',
        '--command',
        command,
        '/dev/null',
      ],
      {
        cwd: this.#dir,
        env: { ...process.env, TERM: 'dumb', PATH: `${projectRoot}/bin:${process.env.PATH}` },
        stdio: 'pipe',
      },
    );
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    const ended = once(child, 'close');
    for (const [index, line] of typed.entries()) {
      await this.#until(
        () => shown.split(containerPrompt).length > index + 1 || child.exitCode !== null,
        `${command}: ${line}\n${shown}`,
      );
      child.stdin.write(`${line}\n`);
    }
    const [status] = await ended;
    const output = shown.replaceAll(/\u001b\[[0-9;?]*[a-zA-Z]/g, '').replaceAll('\r', '');
    return { status, output, tookMs: performance.now() - began };
  }

  /** Removes pods that a broken document left, and says which; ends everything. Idempotent. */
  async close(): Promise<string[]> {
    const left = await this.#removePods();
    for (const pid of this.#processes()) process.kill(pid, 'SIGTERM');
    this.#shell.stdin!.end();
    for (const deadline = Date.now() + 15_000; this.#processes().length > 0; await delay(20))
      if (Date.now() > deadline) for (const pid of this.#processes()) process.kill(pid, 'SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
    return left;
  }

  async #removePods(): Promise<string[]> {
    const socket = this.pathOf('/run/berth/berth.sock');
    if (!existsSync(socket)) return [];
    const client = new CriClient(socket);
    try {
      const { items } = await client.call('ListPodSandbox', {});
      for (const { id } of items) await client.call('RemovePodSandbox', { pod_sandbox_id: id });
      return items.map(({ metadata }) => `pod ${metadata?.name}`);
    } catch {
      return []; // no daemon: it made none, or has been ended by the document
    } finally {
      client.close();
    }
  }

  /** All with the mounts of the place, but for its shell. */
  #processes(): number[] {
    const own = namespaceOf(this.#shell.pid!);
    if (own === undefined) return [];
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && pid !== this.#shell.pid && namespaceOf(pid) === own);
  }

  async #ok(command: string): Promise<void> {
    const { status, output } = await this.run(command);
    if (status !== 0) throw new Error(`${command}: exit status ${status}\n${output}`);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    for (const deadline = Date.now() + stepTimeoutMs; !isSo(); await delay(5))
      if (Date.now() > deadline || this.#shell.exitCode !== null)
        throw new Error(
          `${what}: not within ${stepTimeoutMs} ms; so far:\n${this.#printed.slice(-2000)}\n${this.#log()}`,
        );
  }

  #log(): string {
    const file = join(this.#dir, 'berthd.log');
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-2000) : '';
  }
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined; // it ended
  }
}

function setUp(dir: string): string {
  const over = ['/etc', '/var', '/run', '/usr/local'].map((path, at) => {
    const [upper, work] = [`${dir}/up${at}`, `${dir}/work${at}`];
    return `mkdir -p ${upper} ${work} && mount -t overlay overlay -o lowerdir=${path},upperdir=${upper},workdir=${work} ${path}`;
  });
  return [
    'ip link set lo up',
    ...over,
    // Layers cannot be mounted over an overlay again: images and containers need folders of a plain file system.
    `mkdir -p ${dir}/lib ${dir}/run /var/lib/berth /run/berth /etc/berth/certs.d /var/cache/berth /etc/cni/net.d`,
    `mount --bind ${dir}/lib /var/lib/berth && mount --bind ${dir}/run /run/berth`,
    `mount -t tmpfs none /etc/cni/net.d`,
    `printf 'version: 0.1\\nlog: { level: error }\\nstorage: { filesystem: { rootdirectory: ${dir}/registry } }\\nhttp: { addr: "127.0.0.1:5000" }\\n' > ${dir}/registry.yml`,
    `(docker-registry serve ${dir}/registry.yml > ${dir}/registry.log 2>&1 &)`,
    `cd ${dir}/home`,
    'until curl -s -o /dev/null http://localhost:5000/v2/; do sleep 0.05; done',
  ].join('\n');
}
