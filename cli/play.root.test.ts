/** `berth play` against a real daemon: a Pod, a Deployment, a Compose file, and what is left when they are gone. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed, until } from '#conformance/behaviour/bed.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(() => bed.close());

function fileOf(name: string, text: string): string {
  const folder = join(bed.dir, 'files');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}

const podNames = async () =>
  (JSON.parse(await berth.ok('pods', '--json')) as { name: string }[]).map(({ name }) => name).toSorted();
const fetched = (port: number) => fetch(`http://127.0.0.1:${port}/`).then((reply) => reply.text());

test('a Pod of two containers after its init container: volumes, variables, a port, and nothing twice', async () => {
  const port = await freePort();
  const pod = `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { greeting: hello }
---
apiVersion: v1
kind: Secret
metadata: { name: key }
stringData: { token: abc }
---
apiVersion: v1
kind: Pod
metadata: { name: site, labels: { app: site } }
spec:
  terminationGracePeriodSeconds: 1
  securityContext: { fsGroup: 2000 }
  volumes:
    - { name: www, emptyDir: {} }
    - { name: fast, emptyDir: { medium: Memory } }
    - { name: settings, configMap: { name: settings } }
    - { name: key, secret: { secretName: key, defaultMode: 0400 } }
    - { name: host, hostPath: { path: ${bed.dir}/host, type: DirectoryOrCreate } }
  initContainers:
    - name: page
      image: busybox
      command: [sh, -c, 'mkdir /www/sub; echo "$GREETING from $POD at $IP" > /www/sub/index.html; touch /host/seen']
      env:
        - { name: GREETING, valueFrom: { configMapKeyRef: { name: settings, key: greeting } } }
        - { name: POD, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
      volumeMounts: [{ name: www, mountPath: /www }, { name: host, mountPath: /host }]
  containers:
    - name: server
      image: busybox
      command: [httpd, -f, -p, "8080", -h, /www]
      ports: [{ containerPort: 8080, hostPort: ${port} }]
      livenessProbe: { httpGet: { path: /, port: 8080 } }
      volumeMounts: [{ name: www, mountPath: /www, subPath: sub }]
    - name: other
      image: busybox
      command: [sleep, "1000"]
      securityContext: { runAsUser: 1000 }
      volumeMounts:
        - { name: www, mountPath: /www }
        - { name: fast, mountPath: /fast }
        - { name: settings, mountPath: /settings }
        - { name: key, mountPath: /key }
`;
  const file = fileOf('pod.yaml', pod);
  const { status, stdout, stderr } = await berth.run(['play', file]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/site +made +10\.\S+ +page, server, other +0\.0\.0\.0:/);
  expect(stderr).toMatch(/^line \d+: probes: a kubelet watches/m);
  expect(await until(() => fetched(port).catch(() => undefined), 5000, 'the page')).toMatch(
    /^hello from site at 10\./,
  );
  const inside = (script: string) => berth.ok('exec', 'site/other', 'sh', '-c', script);
  expect(
    await inside(
      'cat /settings/greeting; echo; cat /key/token; echo; id -G; touch /fast/x /www/x && stat -c %g /www/x',
    ),
  ).toBe('hello\nabc\n0 2000\n2000\n');
  expect(await inside('wget -q -O - http://localhost:8080/; grep site /etc/hosts')).toMatch(
    /^hello .*\n10\.\S+\tsite\n$/,
  );

  expect((await berth.run(['play', file])).stdout).toMatch(/site +unchanged/);
  const changed = fileOf('pod.yaml', pod.replace('greeting: hello', 'greeting: welcome'));
  expect(await berth.run(['play', changed])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--replace'),
  });
  expect((await berth.run(['play', '--replace', changed])).stdout).toMatch(/site +replaced/);
  expect(await until(() => fetched(port).catch(() => undefined), 5000, 'the new page')).toMatch(/^welcome/);

  // Removed by somebody else: what was written for it goes with the next.
  const [there] = JSON.parse(await berth.ok('pods', '--json')) as [{ id: string }];
  await bed.call('RemovePodSandbox', { pod_sandbox_id: there.id });
  expect((await berth.run(['play', changed])).stdout).toMatch(/site +made/);
  expect(await berth.ok('play', '--down', changed)).toBe('removed pod site\n');
  expect(await berth.run(['play', '--down', changed])).toMatchObject({ status: 0, stdout: '' });
  expect(await podNames()).toEqual([]);
  expect(existsSync(join(bed.dir, 'host/seen'))).toBe(true);
  expect(readdir('lib/play/pods')).toEqual([]);
  expect(readdir('run/play')).toEqual([]);
});

test('a Deployment of two, fewer afterwards, and a failure half-way that leaves nothing', async () => {
  const deployment = (replicas: number, more = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: main, image: busybox, command: [sleep, "1000"] }]
${more}`;
  const file = fileOf('deployment.yaml', deployment(2));
  await berth.ok('play', file);
  expect(await podNames()).toEqual(['web-0', 'web-1']);
  expect(await berth.ok('ps', '--filter', 'label=app=web', '-q')).toMatch(/^\S+\n\S+\n$/);
  // What the file made once goes too.
  expect(await berth.ok('play', '--down', fileOf('deployment.yaml', deployment(1)))).toMatch(
    /web-1\n.*web-0/,
  );

  const broken = fileOf(
    'broken.yaml',
    deployment(
      1,
      `---
apiVersion: v1
kind: Pod
metadata: { name: bad }
spec:
  volumes: [{ name: work, emptyDir: {} }]
  initContainers: [{ name: fails, image: busybox, command: [sh, -c, "echo no way; exit 3"] }]
  containers: [{ name: main, image: busybox }]
`,
    ),
  );
  const { status, stderr } = await berth.run(['play', broken]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/init container bad\/fails ended with exit status 3:\n {2}no way/);
  expect(await podNames()).toEqual([]);
  expect(readdir('lib/play/pods')).toEqual([]);
  const misspelt = fileOf('misspelt.yaml', deployment(1).replace('command:', 'comand:'));
  expect((await berth.run(['play', misspelt])).stderr).toContain('misspelt.yaml:12: ');
  expect(await podNames()).toEqual([]);
});

test('a Compose file: services find each other by name, a port of the host, a volume that stays', async () => {
  const port = await freePort();
  const file = fileOf(
    'compose.yaml',
    `name: shop
services:
  front:
    image: busybox
    command: ["sh", "-c", "until wget -q -O /index.html http://store:8080/item; do sleep 0.1; done; exec httpd -f -p 80 -h /"]
    depends_on: [store]
    ports: ["${port}:80"]
    stop_grace_period: 0s
  store:
    image: busybox
    command: sh -c 'test -f /data/item || echo "$$ITEM for $$(hostname)" > /data/item; exec httpd -f -p 8080 -h /data'
    environment: { ITEM: apples }
    volumes: ["data:/data"]
    mem_limit: 32m
    restart: always
    ulimits: { nofile: { soft: 100, hard: 200 } }
    shm_size: 8m
    init: true
    stop_grace_period: 0s
volumes: { data: }
`,
  );
  const { stdout, stderr } = await berth.run(['play', file]);
  expect(stdout).toMatch(/shop-store +made.*\n.*shop-front +made/);
  expect(stderr).toMatch(/restart: starting again/);
  expect(await until(() => fetched(port).catch(() => undefined), 10_000, 'the page')).toBe(
    'apples for store\n',
  );
  expect(
    await berth.ok('exec', 'shop-store', 'sh', '-c', 'ping -c 1 -W 2 front > /dev/null && echo reached'),
  ).toBe('reached\n');
  expect(
    await berth.ok(
      'exec',
      'shop-store',
      'sh',
      '-c',
      'grep files /proc/1/limits; df -k /dev/shm | tail -n 1; ps',
    ),
  ).toMatch(/Max open files +100 +200 [\s\S]* 8192 [\s\S]*httpd/);
  await berth.ok('play', '--down', file);
  expect(await podNames()).toEqual([]);
  const [volume] = JSON.parse(await berth.ok('volume', 'inspect', 'shop_data')) as [{ path: string }];
  expect(readFileSync(join(volume.path, 'item'), 'utf8')).toBe('apples for store\n');
  expect(await berth.run(['play', '--down', '--volumes', file])).toMatchObject({ status: 2 });
  await berth.ok('play', '--down', '--volumes', '--yes', file);
  expect(existsSync(volume.path)).toBe(false);
});

function readdir(path: string): string[] {
  const folder = join(bed.dir, path);
  return existsSync(folder) ? readdirSync(folder) : [];
}
