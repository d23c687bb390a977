/** The configuration of the kubelet under test. docs/kubelet.md explains the part of it that a node needs, too. */
import type { Certificates } from './certificates.ts';

export interface KubeletSettings {
  /** Everything of the kubelet's own goes below this folder. */
  readonly dir: string;
  readonly runtimeEndpoint: string;
  readonly address: string;
  readonly port: number;
  readonly cgroupRoot: string;
  readonly certificates: Certificates;
  readonly resolvConf: string;
  readonly featureGates: Readonly<Record<string, boolean>>;
  /** Further fields, or other values for these. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

export interface KubeletPaths {
  readonly staticPods: string;
  readonly logs: string;
  readonly root: string;
}

export function kubeletPaths(dir: string): KubeletPaths {
  return { staticPods: `${dir}/manifests`, logs: `${dir}/pod-logs`, root: `${dir}/root` };
}

/** A KubeletConfiguration (kubelet.config.k8s.io/v1beta1) as JSON, which the kubelet reads as YAML. */
export function kubeletConfiguration(settings: KubeletSettings): string {
  const paths = kubeletPaths(settings.dir);
  const { certificates } = settings;
  return JSON.stringify(
    {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      containerRuntimeEndpoint: settings.runtimeEndpoint,
      staticPodPath: paths.staticPods,
      podLogsDir: paths.logs,
      volumePluginDir: `${settings.dir}/volume-plugins`,
      resolvConf: settings.resolvConf,
      // Only the holder of the client certificate is let in; an API server has it, too.
      address: settings.address,
      port: settings.port,
      readOnlyPort: 0,
      healthzPort: 0,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: false },
        x509: { clientCAFile: certificates.authority },
      },
      authorization: { mode: 'AlwaysAllow' },
      tlsCertFile: certificates.serverCert,
      tlsPrivateKeyFile: certificates.serverKey,
      cgroupDriver: 'cgroupfs',
      cgroupRoot: settings.cgroupRoot,
      // Test machines may have swap, cgroup v1, little disk and fewer privileges than a node.
      failSwapOn: false,
      failCgroupV1: false,
      oomScoreAdj: 0,
      maxOpenFiles: 4096,
      makeIPTablesUtilChains: false,
      evictionHard: {
        'memory.available': '20Mi',
        'nodefs.available': '1%',
        'imagefs.available': '1%',
        'nodefs.inodesFree': '1%',
        'imagefs.inodesFree': '1%',
      },
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      // So that a run does not wait where a node would.
      fileCheckFrequency: '1s',
      syncFrequency: '5s',
      containerLogMaxSize: '128Ki',
      containerLogMaxFiles: 3,
      containerLogMonitorInterval: '3s',
      crashLoopBackOff: { maxContainerRestartPeriod: '6s' },
      registryPullQPS: 0,
      eventRecordQPS: 0,
      serializeImagePulls: false,
      maxParallelImagePulls: 4,
      allowedUnsafeSysctls: ['net.core.somaxconn'],
      featureGates: settings.featureGates,
      ...settings.overrides,
    },
    null,
    2,
  );
}
