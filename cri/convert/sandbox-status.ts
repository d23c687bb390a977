/** Records of sandboxes to the CRI's PodSandbox and PodSandboxStatus. */
import { encode } from '#proto/codec.ts';
import {
  type PodSandboxMetadataInit,
  PodSandboxState,
  type PodSandboxStatusInit,
} from '#proto/generated/cri.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { fromNamespaceOptions } from './namespace-options.ts';

/** The CRI knows only ready and not ready. */
export function sandboxState(record: SandboxRecord): number {
  return record.state === 'ready' ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
}

export function fromPodMetadata({ config }: Pick<SandboxRecord, 'config'>): PodSandboxMetadataInit {
  const { name, uid, namespace, attempt } = config.metadata;
  return { name, uid, namespace, attempt };
}

const listed = new WeakMap<SandboxRecord, Buffer>();

/** The encoded PodSandbox; kept as long as the record, whose every change is a new object. */
export function encodedSandbox(record: SandboxRecord): Buffer {
  let bytes = listed.get(record);
  if (bytes === undefined) {
    bytes = encode('PodSandbox', {
      id: record.id,
      metadata: fromPodMetadata(record),
      state: sandboxState(record),
      created_at: record.createdAtNs,
      labels: record.config.labels,
      annotations: record.config.annotations,
      runtime_handler: record.runtimeHandler,
    });
    listed.set(record, bytes);
  }
  return bytes;
}

/** A sandbox that is not ready has no addresses any more: its network is gone, or may be. */
export function toSandboxStatus(record: SandboxRecord): PodSandboxStatusInit {
  const [ip = '', ...others] = record.state === 'ready' ? record.ips : [];
  return {
    id: record.id,
    metadata: fromPodMetadata(record),
    state: sandboxState(record),
    created_at: record.createdAtNs,
    network: { ip, additional_ips: others.map((other) => ({ ip: other })) },
    linux: { namespaces: { options: fromNamespaceOptions(record.config.security.namespaces) } },
    labels: record.config.labels,
    annotations: record.config.annotations,
    runtime_handler: record.runtimeHandler,
  };
}

const statuses = new WeakMap<SandboxRecord, Buffer>();

/** The encoded PodSandboxStatus; kept as long as the record. */
export function encodedSandboxStatus(record: SandboxRecord): Buffer {
  let bytes = statuses.get(record);
  if (bytes === undefined) {
    bytes = encode('PodSandboxStatus', toSandboxStatus(record));
    statuses.set(record, bytes);
  }
  return bytes;
}

/**
 * The `info` of verbose status, under keys that tools look for: crictl prints it, and scripts read the path of the
 * network namespace out of runtimeSpec.
 */
export function describeSandbox(record: SandboxRecord): Record<string, unknown> {
  const namespaces = [
    { type: 'network', path: record.netnsPath },
    { type: 'ipc', path: record.ipcnsPath },
    { type: 'uts', path: record.utsnsPath },
    { type: 'user', path: record.usernsPath },
  ].filter(({ path }) => path !== '');
  return {
    pid: record.init?.pid ?? 0,
    processStatus: record.init === undefined ? 'none' : 'running',
    state: record.state,
    netNamespaceClosed: record.state !== 'ready' && record.netnsPath !== '',
    runtimeHandler: record.runtimeHandler,
    config: record.config,
    runtimeSpec: { linux: { namespaces, sysctl: record.config.sysctls } },
    cniResult: record.cniResult,
  };
}
