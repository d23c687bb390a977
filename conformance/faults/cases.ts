/** The faults of the sweep: which there are, and how each is said to the daemon. */
import { type StepName, stepNames } from '#base/step.ts';
import type { HangEnd } from './hang.ts';
import { modernPlugin } from './modern-network.ts';

export const phases = ['before', 'after'] as const;

/** What happens at a step, before or after its effect. A hang ends when it is lifted, or with the daemon. */
export const faults = [
  { phase: 'before', action: 'error' },
  { phase: 'before', action: 'kill' },
  { phase: 'after', action: 'error' },
  { phase: 'after', action: 'kill' },
  { phase: 'before', action: 'hang', end: 'lift' },
  { phase: 'after', action: 'hang', end: 'kill' },
] as const satisfies readonly { phase: string; action: string; end?: HangEnd }[];

export type Fault = (typeof faults)[number];

/** A fault of a named step of the daemon. */
export interface StepCase {
  readonly step: StepName;
  readonly fault: Fault;
}

export const programActions = ['error', 'garbage', 'die', 'die-after', 'kill-daemon', 'hang'] as const;

/** A program that the daemon starts and that fails; see failing-program.sh. */
export interface ProgramCase {
  readonly program: string;
  readonly operation: string;
  readonly action: (typeof programActions)[number];
}

/** What is called of each program in the lives of pods. Berth never calls `state` and `kill` of an OCI runtime: it asks the kernel. */
export const programOperations = [
  ['conmon', 'run'],
  ['crun', 'create'],
  ['crun', 'start'],
  ['crun', 'exec'],
  ['crun', 'update'],
  ['crun', 'pause'],
  ['crun', 'resume'],
  ['crun', 'delete'],
  ['crun-criu', 'pause'],
  ['crun-criu', 'checkpoint'],
  ['crun-criu', 'resume'],
  ['crun-criu', 'restore'],
  ['bridge', 'ADD'],
  ['bridge', 'DEL'],
  ['bridge', 'CHECK'],
  [modernPlugin, 'STATUS'],
  [modernPlugin, 'GC'],
  ['nft', 'publish'],
  ['nft', 'withdraw'],
] as const;

/** What failing-program.sh calls an operation, where one program has several that look the same to it. */
export function plannedOperation({ program, operation }: ProgramCase): string {
  return program === 'nft' ? 'write' : operation;
}

/** Whether a client of the daemon waits for it. */
export function isClients({ operation }: ProgramCase): boolean {
  return operation !== 'GC' && operation !== 'CHECK';
}

/** Those that come when the pod has done its work. */
export function isOfRemoval({ operation }: ProgramCase): boolean {
  return operation === 'delete' || operation === 'DEL' || operation === 'withdraw';
}

/** Programs that are not everywhere: CNI plugins, and a crun with CRIU. */
const optionalPrograms: readonly string[] = ['bridge', modernPlugin, 'crun-criu'];

/** `present` are those of the optional programs that there are. */
export function programCases(present: readonly string[]): ProgramCase[] {
  return programOperations
    .filter(([program]) => !optionalPrograms.includes(program) || present.includes(program))
    .flatMap(([program, operation]) => programActions.map((action) => ({ program, operation, action })));
}

/** What a client, for GC the log, for CHECK the audit, must have been told on the way; undefined where it need not notice. */
export function wordsOf({ program, operation, action }: ProgramCase): RegExp | undefined {
  // At a start nobody asks for it, and nobody waits for it.
  if (operation === 'GC' && (action === 'kill-daemon' || action === 'hang')) return undefined;
  // The audit asks by itself, for as long as it says.
  if (operation === 'CHECK' && action === 'kill-daemon') return undefined;
  if (operation === 'CHECK' && action === 'hang') return /no end within/;
  if (action === 'kill-daemon') return /died/;
  if (action === 'hang') return /DEADLINE_EXCEEDED/;
  // After a checkpoint it is done again at once: a container must not stand still.
  if (program === 'crun-criu' && operation === 'resume') return undefined;
  if (action === 'error') return /told to fail/;
  if (program === 'conmon') return action === 'garbage' ? /nonsense/ : undefined;
  const isAnswered = ['ADD', 'STATUS', 'GC', 'CHECK'].includes(operation);
  if (action === 'garbage') return isAnswered ? /is not JSON/ : undefined;
  if (program === 'nft') return /nft: signal 9/;
  if (operation === 'restore') return /restore of container/;
  if (operation === 'checkpoint') return /checkpoint of container/;
  if (operation === 'create') return /crun create of container/;
  if (operation === 'exec') return /crun itself was ended by signal 9/;
  // A container may be deleted or go on, and a pod be detached, by what died of it.
  return isAnswered || ['start', 'update', 'pause'].includes(operation) ? /signal 9/ : undefined;
}

/** What must go wrong first for a step to be reached at all. */
const preludes: Partial<Record<StepName, string>> = {
  'remove-container/delete-from-runtime': 'stop-container/release:before=error',
  'recover/images': 'pull-image/commit-layer:before=kill',
  'recover/end-strays': 'run-sandbox/record-init:before=kill',
  'recover/undo-sandbox': 'run-sandbox/record-ready:before=kill',
  'recover/undo-revival': 'create-container/make-bundle:before=kill@2',
  'recover/undo-pod-revival': 'run-sandbox/record-ready:before=kill@2',
  'recover/release-exited': 'stop-container/release:before=kill',
  'recover/undo-container': 'create-container/record-created:before=kill',
  'recover/record-started': 'start-container/record-running:before=kill',
  'recover/end-commands': 'exec-sync/remove-process:before=kill',
  'recover/thaw': 'commit-container/pause:after=kill',
  'recover/record-paused': 'pause-container/oci-pause:before=kill',
  'recover/record-restored': 'restore-container/record:before=kill',
  'recover/remove-pod': 'restore-pod/record:before=kill',
  'recover/remove-capture': 'checkpoint-container/make-folder:after=kill',
};

/** What goes wrong before this step; '' for nothing. */
export function preludeOf(step: StepName): string {
  return preludes[step] ?? '';
}

/** The step at which something goes wrong first, if there is one for this step. */
export function stepBefore(step: StepName): StepName | undefined {
  return stepNames.find((name) => preludes[step]?.startsWith(`${name}:`));
}

/** Hangs that no client waits for: what it asked for has happened by then. */
const unnoticed: readonly StepName[] = ['stop-container/kill', 'stop-container/record-exit'];

/** Whether the step is part of a start of the daemon, and whether clients are heard while it is. */
export function startOf(step: StepName): 'none' | 'deaf' | 'hearing' {
  if (step.startsWith('start/')) return 'deaf';
  return step.startsWith('recover/') ? 'hearing' : 'none';
}

/** A client that wants a terminal of another size is told nothing, and asks again. */
const unanswered: readonly StepName[] = ['attach/resize'];

/** Whether a client's deadline passes while this hang lasts. */
export function meetsDeadline({ step, fault }: StepCase): boolean {
  if (unanswered.includes(step)) return false;
  return fault.phase === 'before' || !unnoticed.includes(step);
}

/** The steps that can be reached here: not those of checkpoints where CRIU does not work. */
export function reachableSteps(hasCriu: boolean): StepName[] {
  const isOfCriu = (step: StepName | undefined) => /^(checkpoint|restore)-/.test(step ?? '');
  return stepNames.filter((step) => hasCriu || !(isOfCriu(step) || isOfCriu(stepBefore(step))));
}

export function stepCases(hasCriu: boolean): StepCase[] {
  return reachableSteps(hasCriu).flatMap((step) => faults.map((fault) => ({ step, fault })));
}

export function planOf({ step, fault }: StepCase): string {
  const text = `${step}:${fault.phase}=${fault.action}`;
  return preludes[step] === undefined ? text : `${preludes[step]},${text}`;
}

export function faultName(fault: Fault): string {
  return `${fault.phase} ${fault.action}${fault.action === 'hang' ? `, ${fault.end}` : ''}`;
}
