/**
 * etcd (Debian's), API server, controller manager and scheduler on this machine, with certificates of the run's own authority
 * and everything they keep in one folder of memory.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { type Certificates, type KeyPair, signPair } from '../kubelet/certificates.ts';
import { ServiceProcess, tail } from '../kubelet/service-process.ts';
import { Hopeless, until } from '../kubelet/wait.ts';
import type { ControlPlaneBinaries } from './build.ts';

export interface ControlPlaneOptions {
  readonly binaries: ControlPlaneBinaries;
  /** Certificates, keys and kubeconfigs; the authority is there already. */
  readonly pkiDir: string;
  /** What etcd and kubectl keep. */
  readonly dataDir: string;
  readonly outDir: string;
  readonly certificates: Certificates;
  readonly nodeName: string;
  /** The node's own; the API server does not announce a loopback address. */
  readonly address: string;
  readonly ports: { readonly etcd: number; readonly peer: number; readonly api: number };
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #services: ServiceProcess[] = [];

  private constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  /** Resolves once the API server is ready and has the default service account. Writes `node.kubeconfig` for the kubelet. */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const plane = new ControlPlane(options);
    try {
      await plane.#start();
    } catch (error) {
      await plane.stop();
      throw error;
    }
    return plane;
  }

  get kubeconfig(): string {
    return join(this.#options.pkiDir, 'operator.kubeconfig');
  }

  /** The environment that kubectl runs in: nothing of this machine's user is read or written. */
  get environment(): NodeJS.ProcessEnv {
    const { dataDir } = this.#options;
    return {
      PATH: process.env.PATH,
      HOME: dataDir,
      KUBECONFIG: this.kubeconfig,
      KUBECACHEDIR: join(dataDir, 'kubectl'),
    };
  }

  kubectl(...args: string[]): Promise<string> {
    return runCommand(this.#options.binaries.kubectl, args, { env: this.environment });
  }

  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.stop();
  }

  async #start(): Promise<void> {
    const { binaries, pkiDir, dataDir, certificates, nodeName } = this.#options;
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const operator = { cert: certificates.clientCert, key: certificates.clientKey };
    this.#writeKubeconfig('operator', operator);
    const users = {
      node: `/O=system:nodes/CN=system:node:${nodeName}`,
      'controller-manager': '/CN=system:kube-controller-manager',
      scheduler: '/CN=system:kube-scheduler',
    };
    for (const [name, subject] of Object.entries(users))
      this.#writeKubeconfig(name, await signPair(pkiDir, name, subject, 'clientAuth', [`DNS:${name}`]));
    const accountKey = join(pkiDir, 'service-accounts.key');
    await runCommand('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', accountKey]);

    const etcd = this.#run('etcd', 'etcd', this.#etcdFlags());
    const api = this.#run('apiserver', binaries.apiserver, this.#apiFlags(accountKey));
    await until('the API server is ready', 120_000, async () => {
      for (const one of [etcd, api]) this.#assertRuns(one);
      await this.kubectl('get', '--raw', '/readyz');
    });
    const common = (name: string) => [
      `--kubeconfig=${join(pkiDir, `${name}.kubeconfig`)}`,
      '--leader-elect=false',
      '--secure-port=0',
      '--v=1',
    ];
    this.#run('controller-manager', binaries.controllerManager, [
      ...common('controller-manager'),
      '--use-service-account-credentials=true',
      `--service-account-private-key-file=${accountKey}`,
      `--root-ca-file=${certificates.authority}`,
    ]);
    this.#run('scheduler', binaries.scheduler, common('scheduler'));
    await until('there is a default service account', 60_000, () =>
      this.kubectl('get', 'serviceaccount', 'default'),
    );
  }

  #etcdFlags(): string[] {
    const { dataDir, ports } = this.#options;
    const [clients, peers] = [`http://127.0.0.1:${ports.etcd}`, `http://127.0.0.1:${ports.peer}`];
    return [
      `--data-dir=${join(dataDir, 'etcd')}`,
      `--listen-client-urls=${clients}`,
      `--advertise-client-urls=${clients}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=default=${peers}`,
      '--log-level=warn',
    ];
  }

  #apiFlags(accountKey: string): string[] {
    const { certificates, address, ports } = this.#options;
    return [
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      '--bind-address=127.0.0.1',
      `--advertise-address=${address}`,
      `--secure-port=${ports.api}`,
      `--tls-cert-file=${certificates.serverCert}`,
      `--tls-private-key-file=${certificates.serverKey}`,
      `--client-ca-file=${certificates.authority}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${accountKey}`,
      `--service-account-signing-key-file=${accountKey}`,
      '--service-cluster-ip-range=198.18.0.0/24',
      // Nobody in the pods reaches the API server by its service: there is no kube-proxy.
      '--endpoint-reconciler-type=none',
      '--authorization-mode=Node,RBAC',
      // A list that is streamed ends with the news of etcd's progress, which Debian's 3.4 has only once a minute.
      '--feature-gates=WatchList=false',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-certificate-authority=${certificates.authority}`,
      `--kubelet-client-certificate=${certificates.clientCert}`,
      `--kubelet-client-key=${certificates.clientKey}`,
      '--v=1',
    ];
  }

  #run(name: string, file: string, flags: readonly string[]): ServiceProcess {
    const service = new ServiceProcess(file, flags, join(this.#options.outDir, `${name}.log`));
    service.start();
    this.#services.push(service);
    return service;
  }

  #assertRuns(service: ServiceProcess): void {
    if (service.isRunning()) return;
    throw new Hopeless(`it ended; its log: ${tail(service.logFile)}`);
  }

  #writeKubeconfig(name: string, pair: KeyPair): void {
    const { pkiDir, certificates, ports } = this.#options;
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'e2e',
          cluster: {
            server: `https://127.0.0.1:${ports.api}`,
            'certificate-authority': certificates.authority,
          },
        },
      ],
      users: [{ name, user: { 'client-certificate': pair.cert, 'client-key': pair.key } }],
      contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: name } }],
      'current-context': 'e2e',
    });
    writeFileSync(join(pkiDir, `${name}.kubeconfig`), text, { mode: 0o600 });
  }
}
