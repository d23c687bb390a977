/** The kubelet's HTTPS API, as far as the scenarios use it. The types hold what they read of Kubernetes' own. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { Certificates } from './certificates.ts';

export interface StateRunning {
  readonly startedAt: string;
}
export interface StateTerminated {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly containerID?: string;
}
export interface ContainerState {
  readonly running?: StateRunning;
  readonly waiting?: { readonly reason: string; readonly message?: string };
  readonly terminated?: StateTerminated;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly started?: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
  readonly image: string;
  readonly imageID: string;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
  readonly user?: { readonly linux?: { uid: number; gid: number; supplementalGroups?: number[] } };
  readonly resources?: {
    readonly limits?: Record<string, string>;
    readonly requests?: Record<string, string>;
  };
}

export interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly status: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIP?: string;
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export class KubeletApi {
  readonly base: string;
  readonly #agent: Agent;

  constructor(address: string, port: number, certificates: Certificates) {
    this.base = `https://${address}:${port}`;
    this.#agent = new Agent({
      ca: readFileSync(certificates.authority),
      cert: readFileSync(certificates.clientCert),
      key: readFileSync(certificates.clientKey),
    });
  }

  /** Resolves with whatever the kubelet answers; rejects when it does not. */
  ask(path: string, method: 'GET' | 'POST' = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        `${this.base}${path}`,
        { agent: this.#agent, method, timeout: 60_000 },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part));
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
          );
          incoming.on('error', reject);
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${path} within 60 s`)));
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  /** The body of a 200; rejects with the body of anything else. */
  async get(path: string): Promise<string> {
    const { status, body } = await this.ask(path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.trim()}`);
    return body;
  }

  async pods(): Promise<readonly Pod[]> {
    return (JSON.parse(await this.get('/pods')) as { items: Pod[] | null }).items ?? [];
  }

  /** Calls `onText` with what a followed log brings; resolves with a function that ends it. */
  followLog(path: string, onText: (text: string) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.base}${path}`, { agent: this.#agent }, (incoming) => {
        if (incoming.statusCode !== 200) {
          incoming.resume();
          reject(new Error(`GET ${path}: ${incoming.statusCode}`));
          return;
        }
        incoming.on('data', (part: Buffer) => onText(part.toString()));
        incoming.on('error', () => {});
        resolve(() => incoming.destroy());
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
