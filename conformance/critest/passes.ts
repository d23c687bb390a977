/**
 * Some specs need a runtime handler that can do more than the default one, for instance where the OCI runtime that the
 * machine installs is old. They run in a pass of their own, on a handler that says in Status that it can.
 */
import { runCommand } from '../command.ts';
import { type GinkgoReport, nameOf } from './report.ts';

/** What Status says of a runtime handler; the one named '' is the default. */
export interface Handler {
  readonly name: string;
  readonly hasUserNamespaces: boolean;
}

/** One start of the suite. */
export interface Pass {
  readonly label: string;
  readonly handler: string;
  /** Whether a spec is this pass's to run; each spec has exactly one pass. */
  isOwnSpec(name: string): boolean;
}

/** The specs that fail or skip themselves on a handler without user namespaces. */
const needsUserNamespaces = / UserNamespaces /;

/** Asks a server for its handlers by `crictl info`. */
export async function readHandlers(crictl: string, endpoint: string): Promise<Handler[]> {
  const text = await runCommand(crictl, ['-r', endpoint, 'info', '--output', 'json']);
  const { runtimeHandlers } = JSON.parse(text) as {
    runtimeHandlers?: readonly { name?: string; features?: { user_namespaces?: boolean } }[] | null;
  };
  return (runtimeHandlers ?? []).map(({ name, features }) => ({
    name: name ?? '',
    hasUserNamespaces: features?.user_namespaces ?? false,
  }));
}

/**
 * One pass with the wanted handler ('' for the default one); a second for the specs that it cannot run, if another
 * handler can. Where none can, the one pass has them all, and they count as not passed.
 */
export function planPasses(handlers: readonly Handler[], wanted: string): Pass[] {
  const whole: Pass = { label: 'critest', handler: wanted, isOwnSpec: () => true };
  const able = handlers.filter(({ hasUserNamespaces }) => hasUserNamespaces);
  const other = able.find(({ name }) => name !== '');
  if (other === undefined || able.some(({ name }) => name === wanted)) return [whole];
  return [
    { ...whole, isOwnSpec: (name) => !needsUserNamespaces.test(name) },
    {
      label: 'critest-user-namespaces',
      handler: other.name,
      isOwnSpec: (name) => needsUserNamespaces.test(name),
    },
  ];
}

/** The pattern of ginkgo that finds exactly this spec. */
export function patternOf(name: string): string {
  return `${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
}

/** The part of a pass's report that is about its own specs, and about the suite as a whole. */
export function ownReports(pass: Pass, reports: readonly GinkgoReport[]): GinkgoReport[] {
  return reports.map((report) => ({
    ...report,
    SpecReports: (report.SpecReports ?? []).filter(
      (spec) => spec.LeafNodeType !== 'It' || pass.isOwnSpec(nameOf(spec)),
    ),
  }));
}
