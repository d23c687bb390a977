/** A node with a bit of everything, some of it named with malice. */
import type { NodeInsight } from '../../insight.ts';
import { SlowSpans } from '../../slow-spans.ts';

export const hostile = `<img src=x onerror="document.title='taken'">`;
export const secret = 'hunter2-the-secret';

const atNs = BigInt(Date.now() - 3_725_000) * 1_000_000n;

/** Only what the page looks at, and beside it what it must not show. */
function container(id: string, name: string, more: object): object {
  return {
    id,
    sandboxId: 'a'.repeat(64),
    state: 'running',
    config: {
      metadata: { name, attempt: 0 },
      envs: [{ key: 'PASSWORD', value: secret }],
      command: ['run', `--token=${secret}`],
      labels: { note: secret },
      annotations: { note: secret },
    },
    imageName: 'docker.io/library/nginx:1.27',
    createdAtNs: atNs,
    startedAtNs: atNs,
    finishedAtNs: 0n,
    exitCode: 0,
    reason: '',
    ...more,
  };
}

export function sampleNode(more: Partial<NodeInsight> = {}): { insight: NodeInsight; slow: SlowSpans } {
  const pod = (id: string, name: string, state: string): object => ({
    id: id.repeat(64),
    config: { metadata: { name, namespace: 'shop', uid: 'u', attempt: 0 }, labels: { note: secret } },
    state,
    runtimeHandler: '',
    ips: ['10.88.0.7', 'fd00::7'],
    createdAtNs: atNs,
  });
  const insight = {
    rootDir: '/',
    stateDir: '/tmp',
    lifecycle: { subscribe: () => () => {} },
    listSandboxes: () => [pod('a', 'web-1', 'ready'), pod('b', hostile, 'notReady')],
    listContainers: () => [
      container('c'.repeat(64), 'nginx', {}),
      container('d'.repeat(64), 'migrate', {
        state: 'exited',
        reason: 'OOMKilled',
        exitCode: 137,
        finishedAtNs: atNs,
        config: { metadata: { name: 'migrate', attempt: 3 }, envs: [{ key: 'K', value: secret }] },
      }),
    ],
    findContainer: () => undefined,
    listImages: () => [
      {
        id: `sha256:${'e'.repeat(64)}`,
        repoTags: ['docker.io/library/nginx:1.27'],
        repoDigests: [],
        sizeBytes: 72_000_000,
        config: { env: [`PASSWORD=${secret}`] },
        rawConfig: secret,
      },
    ],
    listPulls: () => [
      {
        reference: 'quay.io/big/model:latest',
        startedAtMs: Date.now() - 42_000,
        layers: [
          { digest: `sha256:${'f'.repeat(64)}`, sizeBytes: 1_073_741_824, receivedBytes: 268_435_456 },
          { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 4096, receivedBytes: 4096 },
        ],
      },
    ],
    pulledBytes: () => 268_439_552,
    snapshots: () => ({ layers: 6, layerBytes: 190_000_000, active: 2 }),
    streamingSessions: () => 1,
    networkStatus: async () => ({ isReady: true, reason: '', message: '' }),
    isReady: () => true,
    ...more,
  } as unknown as NodeInsight;
  const slow = new SlowSpans();
  slow.note({
    kind: 'step',
    name: 'run-sandbox/attach-network',
    durationMs: 2340,
    endedAtMs: Date.now() - 90_000,
    hasFailed: true,
  });
  slow.note({
    kind: 'oci-runtime',
    name: 'crun start',
    durationMs: 180,
    endedAtMs: Date.now() - 5000,
    hasFailed: false,
  });
  return { insight, slow };
}
