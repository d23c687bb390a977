/**
 * No secret is told: passwords and tokens of pulls, in every way they come and with every way they fail, values of variables, words of
 * commands, and streaming URLs. The daemon logs as much as it can; its log, its errors and its metrics are searched.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Interceptor, ScriptedRegistry } from '#images/testing/scripted-registry.ts';
import { publish, testImage, testLayer } from '#images/testing/test-image.ts';
import type { AuthConfigInit } from '#proto/generated/cri.ts';
import { BehaviourBed } from './bed.ts';

/** Each is found by its own name, and in base64 as registries get it. */
const secret = (name: string) => `planted-${name}-7d1f`;
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Helpers are looked for where the system's programs are, and nowhere else. */
const helperName = `planted${process.pid}`;
const helper = `/usr/local/bin/docker-credential-${helperName}`;

let bed: BehaviourBed;
let registry: ScriptedRegistry;
let metricsPort: number;
let collector: Server;
/** Traces as the daemon sent them. */
let traces = '';
/** Everything that the daemon said to its clients. */
const told: string[] = [];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

beforeAll(async () => {
  registry = await ScriptedRegistry.start();
  for (const name of ['app', 'of-helper', 'of-file'])
    await publish(registry, name, testImage([testLayer([{ name: 'f', content: 'x' }])]), ['v1']);
  metricsPort = await freePort();
  collector = createHttpServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      traces += chunk.toString();
    });
    request.on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const tracesPort = (collector.address() as AddressInfo).port;
  bed = await BehaviourBed.start({
    config: (dir) => {
      const answer = JSON.stringify({ Username: 'h', Secret: secret('helper') });
      writeFileSync(helper, `#!/bin/sh\necho '${answer}'\necho ${secret('helper')} >&2\n`);
      chmodSync(helper, 0o755);
      const auths = { [`${registry.host}/of-file`]: { auth: base64(`f:${secret('file')}`) } };
      writeFileSync(join(dir, 'auth.json'), JSON.stringify({ auths, credsStore: helperName }));
      return {
        log: { format: 'json', level: 'trace' },
        metrics: { address: `127.0.0.1:${metricsPort}` },
        tracing: { endpoint: `http://127.0.0.1:${tracesPort}`, sampling_ratio: 1 },
        images: {
          registry_config_dirs: [join(dir, 'hosts')],
          auth_files: [join(dir, 'auth.json')],
        },
      };
    },
  });
});
afterAll(async () => {
  rmSync(helper, { force: true });
  await bed?.close();
  await registry.stop();
  collector.closeAllConnections();
  collector.close();
});

/** Fails a call, or not, and keeps what was said. */
async function tell(calling: Promise<unknown>): Promise<void> {
  await calling.then(
    (reply) =>
      told.push(JSON.stringify(reply, (_key, value) => (typeof value === 'bigint' ? String(value) : value))),
    (error: Error) => told.push(String(error)),
  );
}

/** Says back whatever it was sent, as a registry that logs into its answers would. */
const echo: Interceptor = (request, response, body) => {
  const said = `${request.headers.authorization ?? ''} ${body.toString()} ${request.url}`;
  const bare = said.replace(/^(Basic|Bearer) /, '');
  const words = `${said} ${Buffer.from(bare.split(' ')[0] ?? '', 'base64').toString()}`;
  response.writeHead(403).end(JSON.stringify({ errors: [{ code: 'DENIED', message: words }] }));
  return true;
};
const status =
  (code: number, headers: Record<string, string> = {}): Interceptor =>
  (_request, response) => {
    response.writeHead(code, headers).end('no');
    return true;
  };
const challenged =
  (challenge: string, then: Interceptor): Interceptor =>
  (request, response, body) => {
    if (request.headers.authorization || request.url!.startsWith('/token'))
      return then(request, response, body);
    response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
    return true;
  };
const grants: Interceptor = (request, response, body) => {
  if (!request.url!.startsWith('/token')) return echo(request, response, body);
  response.end(JSON.stringify({ token: secret('granted') }));
  return true;
};

test('pulls, however they are authorized and however they fail', async () => {
  const bearer = `Bearer realm="http://${registry.host}/token",service="s"`;
  const faults: Interceptor[] = [
    challenged('Basic realm="r"', echo),
    challenged('Basic realm="r"', status(401, { 'WWW-Authenticate': 'Basic realm="r"' })),
    challenged('Basic realm="r"', status(500)),
    challenged('Basic realm="r"', status(307, { Location: 'http://[' })),
    challenged(bearer, grants),
    challenged(bearer, echo),
    challenged(bearer, status(401)),
    challenged(bearer, (request, response, body) =>
      request.url!.startsWith('/token')
        ? status(302, { Location: `ftp://x/${body.toString()}` })(request, response, body)
        : false,
    ),
    challenged('Basic realm="r"', () => false),
    challenged(bearer, (request, response, body) =>
      request.url!.startsWith('/token') ? grants(request, response, body) : false,
    ),
  ];
  const ways: AuthConfigInit[] = [
    { username: 'u', password: secret('password') },
    { auth: base64(`u:${secret('auth')}`) },
    { identity_token: secret('identity') },
    { registry_token: secret('registry') },
    { auth: secret('no-base64') },
  ];
  for (const fault of faults) {
    registry.intercept = fault;
    for (const auth of ways)
      await tell(bed.call('PullImage', { image: { image: `${registry.host}/app:v1` }, auth }));
    for (const name of ['of-helper', 'of-file'])
      await tell(bed.call('PullImage', { image: { image: `${registry.host}/${name}:v1` } }));
    await bed.call('RemoveImage', { image: { image: `${registry.host}/app:v1` } });
  }
  // The secrets were used.
  const seen = JSON.stringify(registry.seen);
  for (const used of [
    secret('registry'),
    base64(`h:${secret('helper')}`),
    base64(`f:${secret('file')}`),
    secret('granted'),
  ])
    expect(seen).toContain(used);
  // And some came back in the registry's words, where they are covered.
  expect(told.filter((words) => /DENIED.*\*\*\*/.test(words)).length).toBeGreaterThan(5);
});

/** Files of the daemon with a secret in them that a user without any rights can read. */
function readableToNobody(): string {
  chmodSync(bed.dir, 0o755);
  try {
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const look = ['grep', '-rls', 'planted-', join(bed.dir, 'lib'), join(bed.dir, 'run')];
    expect(spawnSync(look[0]!, look.slice(1), { encoding: 'utf8' }).stdout).not.toBe('');
    return spawnSync('setpriv', [...nobody, ...look], { encoding: 'utf8' }).stdout;
  } finally {
    chmodSync(bed.dir, 0o700);
  }
}

test('containers, commands and streams', async () => {
  const pod = await bed.runPod();
  const envs = [{ key: 'PLANTED', value: Buffer.from(secret('variable')) }];
  const id = await bed.run(pod, 'planted', { envs, args: [secret('argument')] });
  await tell(bed.create(pod, 'broken', { envs, command: [`/no/${secret('program')}`] }));
  await tell(
    bed.call('ExecSync', {
      container_id: id,
      cmd: ['sh', '-c', `exit 3 # ${secret('executed')}`],
      timeout: 5n,
    }),
  );
  await tell(
    bed.call('ExecSync', { container_id: id, cmd: ['sh', '-c', `sleep 9 # ${secret('late')}`], timeout: 1n }),
  );
  const urls: string[] = [];
  const streams = { stdin: false, stdout: true, stderr: true, tty: false };
  const cmd = ['sh', '-c', `exit 1 # ${secret('streamed')}`];
  urls.push((await bed.call('Exec', { container_id: id, cmd, ...streams })).url);
  urls.push((await bed.call('Attach', { container_id: id, ...streams })).url);
  urls.push((await bed.call('PortForward', { pod_sandbox_id: pod.id, port: [80] })).url);
  // Used without an upgrade, used again, and never.
  for (const url of [urls[0]!, urls[0]!]) expect((await fetch(url)).ok).toBe(false);
  expect(readableToNobody()).toBe('');
  await bed.call('RemovePodSandbox', { pod_sandbox_id: pod.id });
  const log = readFileSync(bed.logFile, 'utf8');
  for (const url of urls) expect(log).not.toContain(new URL(url).pathname.split('/').at(-1));
  // What cannot be started is named to the one who asked, and only to him.
  expect(told.some((words) => words.includes(secret('program')))).toBe(true);
});

test('nothing of it is in the log, in errors, in metrics or in traces', async () => {
  const log = readFileSync(bed.logFile, 'utf8');
  const page = async (path: string) => (await fetch(`http://127.0.0.1:${metricsPort}${path}`)).text();
  const metrics = await page('/metrics');
  // There is something to search.
  expect(log).toMatch(/"level":20/);
  expect(log).toMatch(/access denied/);
  expect(metrics).toMatch(/berth_/);
  await expect.poll(() => traces, { timeout: 10_000 }).toMatch(/RemovePodSandbox/);
  expect(traces).toMatch(/access denied/);
  const planted = /planted-(?!program)[a-z0-9-]+-7d1f/g;
  const encoded = ['u:', 'f:', 'h:'].flatMap((user) =>
    ['password', 'auth', 'helper', 'file'].map((name) => base64(user + secret(name)).replace(/=+$/, '')),
  );
  for (const [where, text] of [
    ['log', log],
    ['errors', told.join('\n')],
    ['metrics', metrics],
    ['status page', `${await page('/')}${await page('/healthz')}`],
    // The one who asked has the program's name from the answer, and it is in the span of the call.
    ['traces', traces],
  ] as const) {
    expect([where, ...new Set(text.match(planted) ?? [])]).toEqual([where]);
    for (const word of encoded) expect([where, word, text.includes(word)]).toEqual([where, word, false]);
  }
});
