/** A file's text as a plan, whichever of the languages it is in. */
import { isCompose, planCompose } from './compose.ts';
import type { ComposeSurroundings } from './compose-project.ts';
import { isManifest, planManifests } from './kubernetes.ts';
import { PlayError, type PlayPlan } from './plan.ts';
import { Findings, readDocuments } from './source.ts';

/** Pure but for `around.readFile`. Throws PlayError with every mistake and its line. */
export function loadPlan(text: string, file: string, around: ComposeSurroundings): PlayPlan {
  const findings = new Findings(file);
  const sources = readDocuments(text, findings);
  if (findings.problems.length > 0) throw new PlayError(findings.problems);
  const [first] = sources;
  let plan: PlayPlan | undefined;
  if (first === undefined) findings.problem(1, 'there is nothing in it');
  else if (isManifest(first.value)) plan = planManifests(sources, around.folder, findings);
  else if (isCompose(first.value)) {
    if (sources.length > 1) findings.problem(sources[1]!.lineOf([]), 'a Compose file has one document');
    plan = planCompose(first, around, findings);
  } else
    findings.problem(
      1,
      'it is neither a Kubernetes manifest (apiVersion, kind) nor a Compose file (services)',
    );
  if (plan === undefined || findings.problems.length > 0) throw new PlayError(findings.problems);
  return { ...plan, notes: findings.notes };
}
