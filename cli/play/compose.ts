/**
 * A Compose file as a plan: each service a pod of one container, all in one network, finding each other by name. Files that
 * services name are read through `around`; nothing else is.
 */
import { posix } from 'node:path';
import { nearestName } from '#daemon/config/nearest-name.ts';
import type { ComposeSurroundings, Project, Service } from './compose-project.ts';
import { ServiceReader } from './compose-service.ts';
import { composeShape } from './compose-shape.ts';
import { interpolate } from './interpolation.ts';
import type { PlayPlan } from './plan.ts';
import { check, isRecord } from './shape.ts';
import type { Findings, Path, Source } from './source.ts';

export function isCompose(value: unknown): boolean {
  return isRecord(value) && value.services !== undefined;
}

/** Problems and notes go to the source's findings. */
export function planCompose(source: Source, around: ComposeSurroundings, findings: Findings): PlayPlan {
  const value = interpolate(source.value, around.environment, (path, message) =>
    source.problem(path, message),
  );
  check(composeShape, value, [], source);
  const nothing = { pods: [], owners: [], notes: findings.notes };
  if (findings.problems.length > 0) return nothing;
  const project = value as Project;
  const name = projectName(around.projectName ?? project.name ?? posix.basename(around.folder));
  const owner = `compose ${name}`;
  const wanted = Object.entries(project.services).filter(([service, { profiles }]) => {
    if (profiles === undefined) return true;
    source.note('profiles', ['services', service, 'profiles'], `${service} has one and is left out`);
    return false;
  });
  const names = wanted.map(([service]) => service);
  const pods = new Map(
    wanted.map(([service, text]) => [
      service,
      new ServiceReader(service, text, project, { source, around, name, owner }).toPod(),
    ]),
  );
  const order = startOrder(wanted, names, source);
  return {
    pods: order.map((service) => pods.get(service)!),
    owners: [owner],
    notes: findings.notes,
  };
}

/** As Compose makes one of a folder's name. */
function projectName(text: string): string {
  return (
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9_-]/g, '')
      .replace(/^[_-]+/, '') || 'compose'
  );
}

/** Those that others depend on first; else as in the file. */
function startOrder(
  services: readonly (readonly [string, Service])[],
  names: readonly string[],
  source: Source,
): string[] {
  const order: string[] = [];
  const onTheWay = new Set<string>();
  const table = new Map(services);
  const visit = (name: string, path: Path): void => {
    if (order.includes(name)) return;
    if (onTheWay.has(name)) {
      source.problem(path, `${[...onTheWay, name].join(' needs ')}: none of them can start first`);
      return;
    }
    onTheWay.add(name);
    const { depends_on: needs = [] } = table.get(name)!;
    const entries = Array.isArray(needs) ? needs.map((need) => [need, null] as const) : Object.entries(needs);
    for (const [need, how] of entries) {
      const at = ['services', name, 'depends_on', need];
      if (how?.condition !== undefined && how.condition !== 'service_started')
        source.note(
          'depends_on conditions',
          at,
          'services start one after the other; nobody waits for their health or end',
        );
      if (names.includes(need)) visit(need, at);
      else if (how?.required !== false) {
        const near = nearestName(need, names);
        source.problem(
          at,
          `there is no service ${need}${near === undefined ? '' : `, did you mean ${near}?`}`,
        );
      }
    }
    onTheWay.delete(name);
    order.push(name);
  };
  for (const name of names) visit(name, ['services', name]);
  return order;
}
