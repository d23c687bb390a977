/** What Berth offers to plugins that ask for it by a capability (CNI CONVENTIONS, section Dynamic Plugin specific fields). */
import { RuntimeError } from '#base/errors.ts';
import type { PodNetworkRequest } from '../pod-network.ts';
import type { NetworkList } from './config.ts';

/** Decimal and binary suffixes of a Kubernetes quantity. */
const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const lowestRate = 1e3;
const highestRate = 1e15;
/** No limit worth the name: what the bandwidth plugin takes for "as large as can be". */
const unlimitedBurst = 2 ** 32 - 1;

/**
 * A rate in bits per second from a Kubernetes quantity (`10M`, `1.5Gi`, `2e6`), rounded up to a whole bit.
 * Throws InvalidArgument if it is none or lies outside 1k and 1P.
 */
export function parseBitRate(quantity: string, annotation: string): number {
  const match = /^([+]?\d+(?:\.\d*)?|[+]?\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(
    quantity,
  );
  const scale = match && (match[2] === undefined ? suffixes[match[3] ?? ''] : 10 ** Number(match[2]));
  if (!match || scale === undefined || scale === null) {
    throw new RuntimeError(
      'InvalidArgument',
      `annotation ${annotation}: ${JSON.stringify(quantity)} is not a quantity`,
    );
  }
  const rate = Math.ceil(Number(match[1]) * scale);
  if (rate < lowestRate || rate > highestRate) {
    throw new RuntimeError(
      'InvalidArgument',
      `annotation ${annotation}: ${quantity} is not between 1k and 1P`,
    );
  }
  return rate;
}

const ingressAnnotation = 'kubernetes.io/ingress-bandwidth';
const egressAnnotation = 'kubernetes.io/egress-bandwidth';

function bandwidthOf(annotations: Readonly<Record<string, string>>): Record<string, number> | undefined {
  const ingress = annotations[ingressAnnotation];
  const egress = annotations[egressAnnotation];
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress !== undefined && {
      ingressRate: parseBitRate(ingress, ingressAnnotation),
      ingressBurst: unlimitedBurst,
    }),
    ...(egress !== undefined && {
      egressRate: parseBitRate(egress, egressAnnotation),
      egressBurst: unlimitedBurst,
    }),
  };
}

/** Whether any plugin of the list asks for `capability`. */
export function hasCapability(list: NetworkList, capability: string): boolean {
  return list.plugins.some((plugin) => plugin.capabilities.has(capability));
}

/**
 * The capability arguments of a request that some plugin of the list asks for; empty ones are left out.
 * `podCidrs` are the node's pod prefixes, one per family. Throws InvalidArgument for bandwidth annotations out of form,
 * whether or not a plugin would use them.
 */
export function capabilityArgsOf(
  request: PodNetworkRequest,
  list: NetworkList,
  podCidrs: readonly string[],
): Record<string, unknown> {
  const published = request.portMappings.filter((mapping) => mapping.hostPort > 0);
  const offered: Record<string, unknown> = {
    portMappings:
      published.length === 0
        ? undefined
        : published.map(({ hostPort, containerPort, protocol, hostIp }) => ({
            hostPort,
            containerPort,
            protocol,
            hostIP: hostIp,
          })),
    bandwidth: bandwidthOf(request.annotations),
    dns: request.dns,
    cgroupPath: request.cgroupParent === '' ? undefined : request.cgroupParent,
    ipRanges: podCidrs.length === 0 ? undefined : podCidrs.map((subnet) => [{ subnet }]),
    'io.kubernetes.cri.pod-annotations': request.annotations,
  };
  return Object.fromEntries(
    Object.entries(offered).filter(([name, value]) => value !== undefined && hasCapability(list, name)),
  );
}

/** CNI_ARGS of a pod, in the form that Kubernetes plugins know. */
export function cniArgsOf(request: PodNetworkRequest): [string, string][] {
  // CNI_ARGS has no way to write a semicolon: one in a name would begin an argument of the pod's own choice.
  for (const value of [request.namespace, request.name, request.uid])
    if (/[;\0]/.test(value))
      throw new RuntimeError(
        'InvalidArgument',
        `attaching sandbox ${request.sandboxId}: CNI plugins cannot be told the name ${JSON.stringify(value)}`,
      );
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', request.namespace],
    ['K8S_POD_NAME', request.name],
    ['K8S_POD_INFRA_CONTAINER_ID', request.sandboxId],
    ['K8S_POD_UID', request.uid],
  ];
}
