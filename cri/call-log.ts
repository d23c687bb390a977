/** What the log says about a call: which RPC on what, how long, and how it ended. Never a request's content. */
import { type ErrorKind, isRuntimeError, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';

/** Kinds that say something about the request rather than about us. */
const clientKinds: ReadonlySet<ErrorKind> = new Set([
  'InvalidArgument',
  'NotFound',
  'FailedPrecondition',
  'AlreadyExists',
  'Canceled',
  'Unimplemented',
] satisfies ErrorKind[]);

/** Logs the end of a call. `request` and `reply` are looked at for ids only. */
export function logCall(
  log: Log,
  { name: rpc, isChange }: { readonly name: string; readonly isChange: boolean },
  call: { request: unknown; reply: unknown; startedMs: number; error: unknown },
): void {
  const level = levelOf(isChange, call.error);
  if (!log.isLevelEnabled(level)) return;
  const fields: Record<string, unknown> = {
    rpc,
    ...subjectOf(call.request),
    ...subjectOf(call.reply),
    ms: Math.round((performance.now() - call.startedMs) * 10) / 10,
  };
  if (call.error === undefined) {
    log[level](fields, `${rpc} done`);
    return;
  }
  fields.kind = isRuntimeError(call.error) ? call.error.kind : 'Internal';
  // A stack helps with our own bugs only.
  if (level === 'error') fields.err = call.error;
  else if (isRuntimeError(call.error) && Object.keys(call.error.details).length > 0)
    fields.details = call.error.details;
  log[level](fields, `${rpc} failed: ${messageOf(call.error)}`);
}

function levelOf(isChange: boolean, error: unknown): 'debug' | 'info' | 'warn' | 'error' {
  if (error === undefined) return isChange ? 'info' : 'debug';
  if (!isRuntimeError(error) || error.kind === 'Internal' || error.kind === 'DataLoss') return 'error';
  if (clientKinds.has(error.kind)) return isChange ? 'info' : 'debug';
  return 'warn';
}

/** Ids and names in a request or reply, under the names that logs use everywhere. */
function subjectOf(message: unknown): Record<string, unknown> {
  if (typeof message !== 'object' || message === null || Buffer.isBuffer(message)) return {};
  const { pod_sandbox_id, container_id, image, image_ref, config } = message as Record<string, unknown>;
  const subject: Record<string, unknown> = {};
  if (typeof pod_sandbox_id === 'string' && pod_sandbox_id !== '') subject.sandboxId = pod_sandbox_id;
  if (typeof container_id === 'string' && container_id !== '') subject.containerId = container_id;
  if (typeof image_ref === 'string') subject.imageId = image_ref;
  const reference = (image as { image?: unknown } | undefined)?.image;
  if (typeof reference === 'string') subject.image = reference;
  const metadata = (config as { metadata?: Record<string, unknown> } | undefined)?.metadata;
  if (metadata) {
    const { namespace, name, attempt } = metadata;
    subject[namespace === undefined ? 'container' : 'pod'] =
      namespace === undefined ? name : `${namespace}/${name}`;
    subject.attempt = attempt;
  }
  return subject;
}
