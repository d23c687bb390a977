/** What manifests may say (Kubernetes API v1.36, core/v1 and apps/v1), and what of it is a cluster's or a kubelet's work. */
import {
  any,
  choice,
  flag,
  integer,
  left,
  list,
  map,
  mode,
  object,
  port,
  quantity,
  refused,
  type Shape,
  silent,
  text,
} from './shape.ts';

const probes = left('probes', 'a kubelet watches containers by them; without one nobody does');
const scheduling = left('scheduling', 'there is one machine to run on');
const token = left('service accounts', 'there is no API server, so pods get no token');
const hooks = left('lifecycle hooks', 'a kubelet runs them');

const keyRef = (name = 'name') => object({ [`${name}!`]: text, 'key!': text, optional: flag });
const fieldRef = object({ apiVersion: silent, 'fieldPath!': text });
const resourceFieldRef = object({ containerName: text, 'resource!': text, divisor: quantity });
const seccompProfile = object({
  'type!': choice('RuntimeDefault', 'Unconfined', 'Localhost'),
  localhostProfile: text,
});
const seLinuxOptions = object({ user: text, role: text, type: text, level: text });

const environmentEntry = object({
  'name!': text,
  value: text,
  valueFrom: object({
    fieldRef,
    resourceFieldRef,
    configMapKeyRef: keyRef(),
    secretKeyRef: keyRef(),
    fileKeyRef: refused('variables from files of a volume need a kubelet'),
  }),
});

const container: Shape = object({
  'name!': text,
  'image!': text,
  imagePullPolicy: choice('Always', 'IfNotPresent', 'Never'),
  command: list(text),
  args: list(text),
  workingDir: text,
  env: list(environmentEntry),
  envFrom: list(
    object({
      prefix: text,
      configMapRef: object({ 'name!': text, optional: flag }),
      secretRef: object({ 'name!': text, optional: flag }),
    }),
  ),
  ports: list(
    object({
      name: text,
      'containerPort!': port,
      hostPort: port,
      hostIP: text,
      protocol: choice('TCP', 'UDP', 'SCTP'),
    }),
  ),
  resources: object({
    limits: map(quantity),
    requests: map(quantity),
    claims: refused('devices by claim need a cluster'),
  }),
  resizePolicy: silent,
  restartPolicyRules: left('restartPolicy', 'a kubelet restarts containers; here one that ended stays ended'),
  volumeMounts: list(
    object({
      'name!': text,
      'mountPath!': text,
      readOnly: flag,
      recursiveReadOnly: choice('Disabled', 'IfPossible', 'Enabled'),
      subPath: text,
      subPathExpr: text,
      mountPropagation: choice('None', 'HostToContainer', 'Bidirectional'),
    }),
  ),
  volumeDevices: refused('block devices of a cluster need a kubelet'),
  livenessProbe: probes,
  readinessProbe: probes,
  startupProbe: probes,
  lifecycle: hooks,
  terminationMessagePath: left('termination messages', 'a kubelet reads them; the log has what was written'),
  terminationMessagePolicy: left(
    'termination messages',
    'a kubelet reads them; the log has what was written',
  ),
  securityContext: object({
    runAsUser: integer(0),
    runAsGroup: integer(0),
    runAsNonRoot: flag,
    readOnlyRootFilesystem: flag,
    allowPrivilegeEscalation: flag,
    privileged: flag,
    capabilities: object({ add: list(text), drop: list(text) }),
    seccompProfile,
    appArmorProfile: seccompProfile,
    seLinuxOptions,
    procMount: choice('Default', 'Unmasked'),
    windowsOptions: silent,
  }),
  stdin: flag,
  stdinOnce: flag,
  tty: flag,
  // Of init containers: Always makes one a sidecar.
  restartPolicy: choice('Always', 'Never', 'OnFailure'),
});

const items = list(object({ 'key!': text, 'path!': text, mode }));
const configMapSource = { name: text, items, optional: flag };
const downwardItems = list(object({ 'path!': text, fieldRef, resourceFieldRef, mode }));
const elsewhere = refused('this kind of volume comes from a cluster: it needs a kubelet');

const volume = object({
  'name!': text,
  emptyDir: object({ medium: text, sizeLimit: quantity }),
  hostPath: object({
    'path!': text,
    type: choice(
      '',
      'DirectoryOrCreate',
      'Directory',
      'FileOrCreate',
      'File',
      'Socket',
      'CharDevice',
      'BlockDevice',
    ),
  }),
  configMap: object({ ...configMapSource, 'name!': text, defaultMode: mode }),
  secret: object({ 'secretName!': text, items, optional: flag, defaultMode: mode }),
  downwardAPI: object({ items: downwardItems, defaultMode: mode }),
  projected: object({
    sources: list(
      object({
        configMap: object(configMapSource),
        secret: object(configMapSource),
        downwardAPI: object({ items: downwardItems }),
        serviceAccountToken: token,
        clusterTrustBundle: elsewhere,
        podCertificate: elsewhere,
      }),
    ),
    defaultMode: mode,
  }),
  image: object({ 'reference!': text, pullPolicy: choice('Always', 'IfNotPresent', 'Never') }),
  persistentVolumeClaim: object({ 'claimName!': text, readOnly: flag }),
  ...Object.fromEntries(
    'awsElasticBlockStore azureDisk azureFile cephfs cinder csi ephemeral fc flexVolume flocker gcePersistentDisk gitRepo glusterfs iscsi nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume'
      .split(' ')
      .map((kind) => [kind, elsewhere]),
  ),
});

const podSpec = object({
  'containers!': list(container, 1),
  initContainers: list(container),
  ephemeralContainers: refused('they are added to pods that run'),
  volumes: list(volume),
  restartPolicy: left('restartPolicy', 'a kubelet restarts containers; here one that ended stays ended'),
  terminationGracePeriodSeconds: integer(0),
  activeDeadlineSeconds: left('activeDeadlineSeconds', 'a kubelet ends pods that take longer'),
  dnsPolicy: choice('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'),
  dnsConfig: object({
    nameservers: list(text),
    searches: list(text),
    options: list(object({ name: text, value: text })),
  }),
  hostname: text,
  hostnameOverride: text,
  subdomain: text,
  setHostnameAsFQDN: flag,
  hostAliases: list(object({ 'ip!': text, hostnames: list(text) })),
  hostNetwork: flag,
  hostPID: flag,
  hostIPC: flag,
  hostUsers: flag,
  shareProcessNamespace: flag,
  runtimeClassName: text,
  securityContext: object({
    runAsUser: integer(0),
    runAsGroup: integer(0),
    runAsNonRoot: flag,
    fsGroup: integer(0),
    fsGroupChangePolicy: silent,
    supplementalGroups: list(integer(0)),
    supplementalGroupsPolicy: choice('Merge', 'Strict'),
    sysctls: list(object({ 'name!': text, 'value!': text })),
    seccompProfile,
    appArmorProfile: seccompProfile,
    seLinuxOptions,
    seLinuxChangePolicy: silent,
    windowsOptions: silent,
  }),
  imagePullSecrets: left('imagePullSecrets', "the daemon's own credentials of registries are used"),
  serviceAccountName: token,
  serviceAccount: token,
  automountServiceAccountToken: silent,
  enableServiceLinks: silent,
  nodeName: scheduling,
  nodeSelector: scheduling,
  affinity: scheduling,
  tolerations: scheduling,
  topologySpreadConstraints: scheduling,
  schedulerName: scheduling,
  schedulingGates: scheduling,
  priority: scheduling,
  priorityClassName: scheduling,
  preemptionPolicy: scheduling,
  readinessGates: probes,
  overhead: silent,
  os: silent,
  resources: left("a pod's own resources", 'those of its containers count'),
  resourceClaims: refused('devices by claim need a cluster'),
});

/** As the API server fills it in; a manifest written by hand has the first five. */
const metadata = object({
  name: text,
  namespace: text,
  labels: map(text),
  annotations: map(text),
  uid: text,
  generateName: text,
  creationTimestamp: any,
  resourceVersion: text,
  generation: any,
  ownerReferences: any,
  finalizers: any,
  managedFields: any,
  selfLink: any,
});

const head = { 'apiVersion!': text, 'kind!': text, 'metadata!': metadata, status: silent };
const template = object({ metadata, 'spec!': podSpec });
const noCluster = (what: string): Shape => left(what, 'it is the work of a cluster');

/** By kind; a kind that is not here cannot be played. */
export const kinds: Readonly<Record<string, Shape>> = {
  Pod: object({ ...head, 'spec!': podSpec }),
  Deployment: object({
    ...head,
    'spec!': object({
      replicas: integer(0, 1000),
      'selector!': any,
      'template!': template,
      strategy: silent,
      minReadySeconds: silent,
      revisionHistoryLimit: silent,
      progressDeadlineSeconds: silent,
      paused: silent,
    }),
  }),
  ConfigMap: object({ ...head, data: map(text), binaryData: map(text), immutable: silent }),
  Secret: object({ ...head, data: map(text), stringData: map(text), type: text, immutable: silent }),
  PersistentVolumeClaim: object({ ...head, spec: any }),
  RuntimeClass: object({ ...head, 'handler!': text, overhead: silent, scheduling: silent }),
  Service: noCluster('Service'),
  Ingress: noCluster('Ingress'),
  NetworkPolicy: noCluster('NetworkPolicy'),
  Namespace: noCluster('Namespace'),
  ServiceAccount: noCluster('ServiceAccount'),
  HorizontalPodAutoscaler: noCluster('HorizontalPodAutoscaler'),
  PodDisruptionBudget: noCluster('PodDisruptionBudget'),
};

export const refusedKinds: Readonly<Record<string, string>> = {
  DaemonSet: 'a DaemonSet is one pod for each node of a cluster; its template as a Pod can be played',
  StatefulSet: 'a StatefulSet needs a cluster; its template as a Pod or Deployment can be played',
  ReplicaSet: 'say it as a Deployment',
  Job: 'a Job counts ends and tries again; its template as a Pod can be played',
  CronJob: 'a CronJob needs a cluster; a timer of the system with `berth run` does the same',
};
