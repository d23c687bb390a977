/** Whether what was read from disk has the fields that everybody counts on. */
import type { ContainerRecord, ContainerState } from './container/record.ts';
import type { SandboxRecord, SandboxState } from './sandbox/record.ts';

type Kind = 'string' | 'number' | 'boolean' | 'bigint' | 'object' | 'array';

const sandboxStates: readonly SandboxState[] = ['initializing', 'ready', 'notReady', 'unknown'];
const containerStates: readonly ContainerState[] = ['creating', 'created', 'running', 'exited', 'unknown'];

const sandboxFields: Readonly<Record<string, Kind>> = {
  config: 'object',
  runtimeHandler: 'string',
  createdAtNs: 'bigint',
  ips: 'array',
  netnsPath: 'string',
  ipcnsPath: 'string',
  utsnsPath: 'string',
  usernsPath: 'string',
  isRemoving: 'boolean',
};

const sandboxConfigFields: Readonly<Record<string, Kind>> = {
  metadata: 'object',
  hostname: 'string',
  logDirectory: 'string',
  portMappings: 'array',
  labels: 'object',
  annotations: 'object',
  cgroupParent: 'string',
  sysctls: 'object',
  security: 'object',
};

const containerFields: Readonly<Record<string, Kind>> = {
  sandboxId: 'string',
  config: 'object',
  imageName: 'string',
  imageRef: 'string',
  imageId: 'string',
  createdAtNs: 'bigint',
  startedAtNs: 'bigint',
  finishedAtNs: 'bigint',
  exitCode: 'number',
  reason: 'string',
  message: 'string',
  logPath: 'string',
  stopSignal: 'string',
  user: 'object',
  handler: 'string',
  cgroupsPath: 'string',
  isRemoving: 'boolean',
};

const containerConfigFields: Readonly<Record<string, Kind>> = {
  metadata: 'object',
  image: 'object',
  mounts: 'array',
  labels: 'object',
  annotations: 'object',
  security: 'object',
};

function has(value: unknown, fields: Readonly<Record<string, Kind>>): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(fields).every(([name, kind]) => {
    const field = (value as Record<string, unknown>)[name];
    if (kind === 'array') return Array.isArray(field);
    if (kind === 'object') return typeof field === 'object' && field !== null && !Array.isArray(field);
    return typeof field === kind;
  });
}

/** Fields that a newer version added may be missing; those that lists, status and clean-up read may not. */
export function isSandboxRecord(record: SandboxRecord): boolean {
  return (
    sandboxStates.includes(record.state) &&
    has(record, sandboxFields) &&
    has(record.config, sandboxConfigFields) &&
    has(record.config.metadata, { name: 'string', uid: 'string', namespace: 'string', attempt: 'number' }) &&
    has(record.config.security, { namespaces: 'object' })
  );
}

/** As `isSandboxRecord`. */
export function isContainerRecord(record: ContainerRecord): boolean {
  return (
    containerStates.includes(record.state) &&
    has(record, containerFields) &&
    has(record.config, containerConfigFields) &&
    has(record.config.metadata, { name: 'string', attempt: 'number' }) &&
    has(record.config.image, { image: 'string' }) &&
    has(record.config.security, { namespaces: 'object' })
  );
}
