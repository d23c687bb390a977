import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { splitWords } from './compose-text.ts';
import { loadPlan } from './load.ts';
import { PlayError, type PlayPlan, type PodFacts } from './plan.ts';
import {
  expandVariables,
  hostsText,
  type PlayFolders,
  planDigest,
  toContainerRequest,
  toSandbox,
} from './request.ts';

const folders: PlayFolders = {
  logRoot: '/l',
  pods: '/p',
  podsInMemory: '/m',
  volumes: new Map([['project_data', '/v/data']]),
};
const facts: PodFacts = {
  podIps: ['10.1.2.3'],
  hostIp: '192.0.2.1',
  nodeName: 'n',
  cpus: 4,
  memoryBytes: 8 << 20,
};

const load = (text: string, files: Record<string, string> = {}, environment = {}): PlayPlan =>
  loadPlan(text, 'f.yaml', { folder: '/project', environment, readFile: (path) => files[path] });
const problemsOf = (text: string): readonly string[] => {
  try {
    load(text);
  } catch (error) {
    if (error instanceof PlayError) return error.problems;
    throw error;
  }
  return [];
};
const requestsOf = (plan: PlayPlan, pod = 0) =>
  plan.pods[pod]!.containers.map((one) =>
    toContainerRequest(plan.pods[pod]!, one, facts, folders, undefined),
  );
const environmentOf = (plan: PlayPlan, pod = 0, container = 0) =>
  Object.fromEntries(requestsOf(plan, pod)[container]!.envs!.map(({ key, value }) => [key, String(value)]));

const examples = new URL('../../examples/', import.meta.url).pathname;
/** Those that only a kubelet or a cluster can run, and what is said of them. */
const refusedExamples: Readonly<Record<string, RegExp>> = {
  'security-context.yaml': /:39: .*runAsNonRoot forbids it$/,
  'user-namespace.yaml': /:7: .*a user namespace needs one$/,
  'network.yaml': /:33: kind: a DaemonSet is/,
};

test.each(
  ['.', 'cluster'].flatMap((folder) =>
    readdirSync(join(examples, folder))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => [name, join(examples, folder, name)] as const),
  ),
)('the example %s is played, or says why not', (name, file) => {
  const play = () =>
    loadPlan(readFileSync(file, 'utf8'), name, {
      folder: examples,
      environment: {},
      readFile: () => undefined,
    });
  const refused = refusedExamples[name];
  if (refused !== undefined) expect(play).toThrow(refused);
  else
    for (const pod of play().pods) {
      expect(toSandbox(pod, folders).metadata).toMatchObject({ name: pod.name });
      for (const container of pod.containers) toContainerRequest(pod, container, facts, folders, '/hosts');
    }
});

test('mistakes are told with their lines and the nearest name, all at once', () => {
  const text = `apiVersion: v1
kind: Pod
metadata: { name: Web }
spec:
  contaners: []
  volumes: [{ name: data, emptyDir: {} }]
  containers:
    - name: a
      imag: x
      ports: [{ containerPort: "80" }]
      env: [{ name: N, value: 1 }]
      livenessProb: {}
`;
  expect(problemsOf(text)).toEqual([
    'f.yaml:3: metadata.name: "Web" is no name: small letters, digits, dots and dashes',
    'f.yaml:5: spec.contaners: there is no such field, did you mean containers?',
    'f.yaml:8: spec.containers[0]: image is missing',
    'f.yaml:9: spec.containers[0].imag: there is no such field, did you mean image?',
    'f.yaml:10: spec.containers[0].ports[0].containerPort: "80" is not a whole number from 1 to 65535',
    'f.yaml:11: spec.containers[0].env[0].value: 1 is not text (put it in quotes)',
    'f.yaml:12: spec.containers[0].livenessProb: there is no such field, did you mean livenessProbe?',
  ]);
  const pod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n${spec}`;
  expect(
    problemsOf(
      pod(
        '  volumes: [{ name: data, emptyDir: {} }]\n  containers:\n  - name: a\n    image: x\n    volumeMounts: [{ name: dat, mountPath: /d }]\n',
      ),
    ),
  ).toEqual([
    'f.yaml:9: spec.containers[0].volumeMounts[0].name: the pod has no volume dat, did you mean data?',
  ]);
  expect(
    problemsOf(
      pod(
        '  containers:\n  - { name: a, image: x, env: [{ name: A, valueFrom: { secretKeyRef: { name: s, key: k } } }] }\n',
      ),
    )[0],
  ).toMatch(/^f\.yaml:6: .*there is no Secret s in the file/);
  expect(problemsOf('a: [1')[0]).toMatch(/^f\.yaml:1: /);
  expect(problemsOf('kind: Pot\napiVersion: v1\n')[0]).toMatch(
    /f\.yaml:1: kind: Pot cannot be played, did you mean Pod/,
  );
  expect(problemsOf('hello: 1')[0]).toContain('neither a Kubernetes manifest');
});

test('what is a kubelet’s work is said once', () => {
  const container = (name: string) =>
    `{ name: ${name}, image: x, livenessProbe: { tcpSocket: { port: 1 } }, lifecycle: {} }`;
  const { notes } = load(
    `apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  restartPolicy: Never\n  containers:\n  - ${container('a')}\n  - ${container('b')}\n`,
  );
  expect(notes).toHaveLength(3);
  expect(notes[0]).toMatch(/^line 5: restartPolicy: a kubelet restarts/);
  expect(notes[1]).toMatch(/^line 7: probes: /);
});

test('a Deployment with its ConfigMap and Secret, in a List: replicas, variables, files', () => {
  const plan = load(`
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: c }, data: { A: "1", page: hello } }
  - { apiVersion: v1, kind: Secret, metadata: { name: s }, data: { key: c2VjcmV0 } }
  - apiVersion: apps/v1
    kind: Deployment
    metadata: { name: web }
    spec:
      replicas: 2
      selector: {}
      template:
        metadata: { labels: { app: web } }
        spec:
          volumes:
            - { name: conf, projected: { defaultMode: 0640, sources: [{ configMap: { name: c, items: [{ key: page, path: www/index.html }] } }, { secret: { name: s } }] } }
          containers:
            - name: main
              image: x
              args: [$(A), $$(A), $(NONE)]
              envFrom: [{ configMapRef: { name: c }, prefix: C_ }]
              env:
                - { name: A, valueFrom: { configMapKeyRef: { name: c, key: A } } }
                - { name: S, valueFrom: { secretKeyRef: { name: s, key: key } } }
                - { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
                - { name: LABEL, valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }
                - { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
                - { name: MEM, valueFrom: { resourceFieldRef: { resource: limits.memory, divisor: 1Mi } } }
                - { name: BOTH, value: "$(A)-$(S)" }
              resources: { limits: { memory: 64Mi, cpu: 1500m }, requests: { cpu: 500m } }
              volumeMounts: [{ name: conf, mountPath: /conf }]
`);
  expect(plan.pods.map(({ name }) => name)).toEqual(['web-0', 'web-1']);
  expect(plan.owners).toEqual(['Deployment default/web']);
  expect(environmentOf(plan, 1)).toEqual({
    C_A: '1',
    C_page: 'hello',
    A: '1',
    S: 'secret',
    NAME: 'web-1',
    LABEL: 'web',
    IP: '10.1.2.3',
    MEM: '64',
    BOTH: '1-secret',
  });
  const [request] = requestsOf(plan);
  expect(request).toMatchObject({
    args: ['1', '$(A)', '$(NONE)'],
    linux: { resources: { memory_limit_in_bytes: 64n << 20n, cpu_quota: 150_000n, cpu_shares: 512n } },
    mounts: [
      {
        container_path: '/conf',
        readonly: true,
        host_path: expect.stringMatching(/^\/m\/.*\/volumes\/conf$/),
      },
    ],
  });
  const volume = plan.pods[0]!.volumes.conf!;
  expect(
    volume.kind === 'files' &&
      volume.files.map(({ path, mode, content }) => [path, mode, String(content(facts))]),
  ).toEqual([
    ['www/index.html', 0o640, 'hello'],
    ['key', 0o640, 'secret'],
  ]);
  expect(planDigest(plan.pods[0]!)).toBe(planDigest(plan.pods[0]!));
  expect(planDigest(plan.pods[0]!)).not.toBe(planDigest(plan.pods[1]!));
});

const compose = `
services:
  web:
    image: \${REGISTRY:-docker.io}/web
    command: sh -c "echo 'a b' && httpd"
    depends_on: [db]
    ports: ["8080:80", "127.0.0.1:5000-5001:50-51/udp", "90"]
    environment: { A: "1", PASSED: }
    env_file: web.env
    volumes: ["./src:/src:ro", "data:/data", "/anonymous"]
    user: "1000:1001"
    mem_limit: 64m
    cpus: 0.5
    cap_add: [NET_ADMIN]
    read_only: true
    restart: always
    healthcheck: { test: [CMD, "true"] }
  db:
    image: db
    entrypoint: [/start]
    extra_hosts: ["other:192.0.2.7"]
volumes: { data: }
`;

test('a Compose file: order, names, ports, variables, limits, and what is left out', () => {
  const plan = load(compose, { '/project/web.env': '# c\nA=0\nB="two words"\n' }, { PASSED: 'on' });
  expect(plan.pods.map(({ name }) => name)).toEqual(['project-db', 'project-web']);
  const web = plan.pods[1]!;
  expect(web.siblingNames).toEqual(['web', 'project-web']);
  expect(
    web.ports.map(({ host_ip, host_port, container_port }) => [host_ip, host_port, container_port]),
  ).toEqual([
    ['', 8080, 80],
    ['127.0.0.1', 5000, 50],
    ['127.0.0.1', 5001, 51],
  ]);
  expect(environmentOf(plan, 1)).toEqual({ A: '1', B: 'two words', PASSED: 'on' });
  expect(requestsOf(plan, 1)[0]).toMatchObject({
    image: { image: 'docker.io/web' },
    command: [],
    args: ['sh', '-c', "echo 'a b' && httpd"],
    mounts: [
      { container_path: '/src', host_path: '/project/src', readonly: true },
      { container_path: '/data', host_path: '/v/data' },
      { container_path: '/anonymous' },
    ],
    linux: {
      resources: { memory_limit_in_bytes: 64n << 20n, cpu_quota: 50_000n },
      security_context: {
        run_as_user: { value: 1000n },
        run_as_group: { value: 1001n },
        readonly_rootfs: true,
      },
    },
  });
  expect(requestsOf(plan, 0)[0]).toMatchObject({ command: ['/start'], args: [] });
  expect(plan.notes.join('\n')).toMatch(/restart: .*\n(.*\n)*.*healthcheck: /);
  expect(hostsText(plan.pods[0]!, ['10.0.0.2'], [{ ip: '10.0.0.3', names: ['web'] }])).toContain(
    '10.0.0.2\tdb\n192.0.2.7\tother\n10.0.0.3\tweb\n',
  );
});

test('mistakes of a Compose file', () => {
  const of = (service: string) => problemsOf(`services:\n  a:\n    image: x\n    ${service}\n`);
  expect(of('comand: x')).toEqual([
    'f.yaml:4: services.a.comand: there is no such field, did you mean command?',
  ]);
  expect(of('ports: ["x:80"]')[0]).toMatch(/^f\.yaml:4: services\.a\.ports: "x:80" is not/);
  expect(of('depends_on: [b]')[0]).toMatch(/there is no service b/);
  expect(of('depends_on: [a]')[0]).toMatch(/a needs a: none of them can start first/);
  expect(of('volumes: ["nmae:/x"]')[0]).toContain('the volume nmae is not under volumes');
  expect(of('env_file: gone')[0]).toContain('gone cannot be read');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose's own placeholder
  expect(of('environment: { A: "${NEEDED:?say it}" }')[0]).toContain('NEEDED is not set: say it');
  expect(problemsOf('services: { a: { build: . } }')[0]).toContain('image is missing');
});

test('words and variables', () => {
  expect(splitWords(`a 'b c' "d \\" e" f\\ g ''`)).toEqual(['a', 'b c', 'd " e', 'f g', '']);
  expect(splitWords('a "b')).toBeUndefined();
  expect(expandVariables('$(A) $$(A) $(B) $', new Map([['A', '1']]))).toBe('1 $(A) $(B) $');
});
