/** The daemon as a process: what it says when it cannot start, its signals, its socket, a crash and a restart. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CriClient } from '#cri/testing/client.ts';
import { listMounts, unmountAll } from '#host/mount.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
let dir: string;
let config: string;
const running = new Set<ChildProcess>();

interface Daemon {
  readonly process: ChildProcess;
  /** What it wrote to stderr so far. */
  log(): string;
  readonly exit: Promise<number | null>;
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berthd-'));
  config = writeConfig('info');
});

afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  // The folder of pinned namespaces is a mount of its own, which a daemon leaves for its pods.
  for (const { mountPoint } of listMounts()) if (mountPoint.startsWith(`${dir}/`)) unmountAll(mountPoint);
  rmSync(dir, { recursive: true, force: true });
});

function writeConfig(level: string, more = ''): string {
  const path = join(dir, 'config.toml');
  const text = `
[daemon]
root_dir = "${dir}/lib"
state_dir = "${dir}/run"
shutdown_grace_ms = 500
[server]
socket = "${dir}/berth.sock"
[metrics]
address = "127.0.0.1:0"
[nri]
socket_path = "${dir}/nri.sock"
[log]
level = "${level}"
[network]
cni_config_dir = "${dir}/net.d"
cni_cache_dir = "${dir}/cni"
netns_dir = "${dir}/netns"
default_network = false
${more}`;
  writeFileSync(path, text);
  return path;
}

function start(...args: string[]): Daemon {
  const child = spawn(process.execPath, [main, '--config', config, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let text = '';
  child.stderr!.on('data', (chunk) => {
    text += chunk;
  });
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  const exit = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { process: child, log: () => text, exit };
}

async function serving(daemon: Daemon): Promise<Daemon> {
  await expect.poll(daemon.log, { timeout: 20_000 }).toContain('berthd serves');
  return daemon;
}

async function runtimeName(): Promise<string> {
  const client = new CriClient(join(dir, 'berth.sock'));
  try {
    return (await client.call('Version', {}, { deadline: Date.now() + 5000 })).runtime_name;
  } finally {
    client.close();
  }
}

test('a mistake in the configuration is explained with exit status 2, and nothing is made', async () => {
  config = writeConfig('info', 'default_netwrk = true\n');
  const line = readFileSync(config, 'utf8').split('\n').indexOf('default_netwrk = true') + 1;
  const daemon = start();
  expect(await daemon.exit).toBe(2);
  expect(daemon.log()).toBe(
    `berthd: ${config}:${line}: network.default_netwrk: unknown key: did you mean default_network?\n`,
  );
  expect(existsSync(join(dir, 'lib'))).toBe(false);
  const flag = start('--log-level', 'loud');
  expect(await flag.exit).toBe(2);
  expect(flag.log()).toContain('--log-level: must be one of');
});

test('--help, --version, --check-config and --dump-config answer without starting anything', async () => {
  for (const [flag, text] of [
    ['--help', '--images-max-parallel-downloads'],
    ['--version', 'berthd 0.1.0'],
    ['--check-config', 'the configuration is good'],
    ['--dump-config', `root_dir = "${dir}/lib"`],
  ] as const) {
    const daemon = start(flag);
    expect(await daemon.exit).toBe(0);
    expect(daemon.log()).toContain(text);
  }
  expect(existsSync(join(dir, 'lib'))).toBe(false);
});

test('it serves, reports health and figures, reloads, and leaves nothing open when asked to end', async () => {
  const daemon = await serving(start());
  expect(await runtimeName()).toBe('berth');
  const address = /"metrics":"([^"]+)"/.exec(daemon.log())![1];
  const page = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      get(`http://${address}${path}`, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      }).on('error', reject);
    });
  expect(await page('/healthz')).toBe('ok\n');
  expect(await page('/metrics')).toContain('berth_rpc_results_total{rpc="Version",result="OK"} 1');

  writeConfig('debug', '[runtime]\npids_limit = 7\n');
  daemon.process.kill('SIGHUP');
  await expect.poll(daemon.log).toContain('"applied":["log.level"],"needRestart":["runtime.pids_limit"]');
  await runtimeName();
  await expect.poll(daemon.log).toContain('Version done');
  writeConfig('nonsense');
  daemon.process.kill('SIGHUP');
  await expect.poll(daemon.log).toContain('reload refused');

  daemon.process.kill('SIGTERM');
  expect(await daemon.exit).toBe(0);
  expect(existsSync(join(dir, 'berth.sock'))).toBe(false);
});

/** Writes a self-signed key pair for `name` over the files `base`.crt and `base`.key. */
function writePair(base: string, name: string): void {
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    `${base}.key`,
  ];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-out', `${base}.crt`];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject], { stdio: 'ignore' });
}

/** The name on the certificate of the streaming server, or why it lets this client in no further. */
async function askStreaming(port: number, pair: string): Promise<string> {
  const own = pair === '' ? {} : { cert: readFileSync(`${pair}.crt`), key: readFileSync(`${pair}.key`) };
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...own });
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {}); // the client that is let in no further
  socket.write('GET /exec/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  let name = '';
  socket.once('secureConnect', () => {
    name = String(socket.getPeerCertificate().subject.CN);
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return answer.startsWith('HTTP/1.1 404') ? name : 'refused';
}

test('streaming over TLS asks for a client certificate, and takes other files at a reload', async () => {
  const [server, client, other] = ['server', 'client', 'other'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  writePair(server, 'first');
  writePair(client, 'client');
  writePair(other, 'other');
  const tables = (ca: string) =>
    `[streaming]\ntls_cert = "${server}.crt"\ntls_key = "${server}.key"\ntls_client_ca = "${ca}.crt"\n`;
  writeConfig('info', tables(client));
  const daemon = await serving(start());
  const port = Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.log())![1]);
  expect(await askStreaming(port, client)).toBe('first');
  expect(await askStreaming(port, other)).toBe('refused');
  expect(await askStreaming(port, '')).toBe('refused');

  writePair(server, 'second');
  writeConfig('info', tables(other));
  daemon.process.kill('SIGHUP');
  await expect.poll(daemon.log).toContain('configuration read again');
  expect(await askStreaming(port, other)).toBe('second');
  expect(await askStreaming(port, client)).toBe('refused');

  writeFileSync(`${server}.crt`, 'nonsense');
  daemon.process.kill('SIGHUP');
  await expect.poll(daemon.log).toContain('the streaming server keeps its key pair');
  expect(await askStreaming(port, other)).toBe('second');
  writeConfig('info');
  daemon.process.kill('SIGHUP');
  await expect.poll(daemon.log).toContain('needs a restart');
  expect(await askStreaming(port, other)).toBe('second');
});

test('a second daemon on the same folders is refused, also with another socket', async () => {
  const first = await serving(start());
  const second = start('--socket', join(dir, 'other.sock'));
  expect(await second.exit).toBe(1);
  expect(second.log()).toContain(`process ${first.process.pid} holds it, stop that daemon first`);
  expect(await runtimeName()).toBe('berth');
});

test('after a kill -9 the next start takes the socket and the locks over', async () => {
  const first = await serving(start());
  first.process.kill('SIGKILL');
  await first.exit;
  expect(existsSync(join(dir, 'berth.sock'))).toBe(true);
  await serving(start());
  expect(await runtimeName()).toBe('berth');
});

test('a program that is missing is named with what to do', async () => {
  const daemon = start('--runtime-conmon-path', '/nowhere/conmon');
  expect(await daemon.exit).toBe(1);
  expect(daemon.log()).toContain('/nowhere/conmon is no program: install conmon or set runtime.conmon_path');
});
