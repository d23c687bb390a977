/** Requests of the admin service, made from its description: fields by what their names say, so that new calls are met too. */
import { encodeMessage } from '#proto/message-codec.ts';
import { type FieldPlan, type MessagePlan, PlanTable } from '#proto/plan.ts';
import { makeArchive } from './archives.ts';
import type { Random } from './random.ts';
import type { Scene } from './requests.ts';

export const adminPlans = new PlanTable(
  new URL('../../proto/berth/generated/admin.json', import.meta.url),
  'berth.admin.v1',
);

const deepest = 4;

function textFor(name: string, scene: Scene): string {
  if (name.startsWith('container')) return scene.runningId;
  if (name.startsWith('pod')) return scene.sandboxId;
  if (/image|reference|name|tag|source|target/.test(name)) return scene.otherImage;
  if (/path|dir/.test(name)) return '/tmp';
  if (name === 'signal') return 'SIGCONT';
  if (name === 'cmd') return 'true';
  return 'x';
}

function guess(field: FieldPlan, scene: Scene, random: Random, depth: number): unknown {
  switch (field.kind) {
    case 'string':
      return textFor(field.name, scene);
    case 'bytes':
      return makeArchive(random);
    case 'bool':
      return random.chance(0.5);
    case 'int64':
    case 'uint64':
      return 1n;
    case 'message':
      return depth > deepest ? {} : valid(field.message, scene, random, depth + 1);
    case 'map':
    case 'entries':
      return {};
    default:
      return field.kind === 'enum' ? 0 : 1;
  }
}

function valid(plan: MessagePlan, scene: Scene, random: Random, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    plan.fields.map((field) => {
      const value = guess(field, scene, random, depth);
      return [field.name, field.repeated && field.kind !== 'map' ? [value] : value];
    }),
  );
}

/** The bytes of a valid request. */
export function adminRequest(requestType: string, scene: Scene, random: Random): Buffer {
  const plan = adminPlans.get(requestType);
  return encodeMessage(plan, valid(plan, scene, random) as never);
}
