/**
 * The layer process: the daemon starts it for a pull and lets it end after. It fetches, decompresses, verifies and unpacks
 * layers with synchronous file system calls, the fastest there are, and takes its memory with it when it goes.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import { setNiceness, syncFileSystem } from '#host/file-metadata.ts';
import { dieWithParent } from '#host/parent-death.ts';
import type { RegistryClient } from '../registry/client.ts';
import { openClient, openPushClient } from '../registry/open.ts';
import { mergeTree } from '../snapshots/merge-tree.ts';
import { fetchLayer } from '../unpack/fetch-layer.ts';
import { inheritMetadata } from '../unpack/inherit.ts';
import { compressBlob, fetchBlobFile, hashBlob, packBlob, writeChanges } from './blob-tasks.ts';
import { LineReader, type Reply, type Request, type Task, toPlain } from './protocol.ts';

/** Containers and the daemon itself come first. */
const niceness = 5;
const progressEveryMs = 250;

const clients = new Map<string, { client: RegistryClient; users: number }>();
const running = new Map<number, AbortController>();

function send(reply: Reply): void {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

async function withClient<T>(
  task: Task & { type: 'layer' },
  work: (client: RegistryClient | undefined) => Promise<T>,
): Promise<T> {
  if (!task.source) return work(undefined);
  const shared = clients.get(task.pullId) ?? { client: openClient(task.source), users: 0 };
  clients.set(task.pullId, shared);
  shared.users += 1;
  try {
    return await work(shared.client);
  } finally {
    shared.users -= 1;
    if (shared.users === 0) {
      clients.delete(task.pullId);
      shared.client.close();
    }
  }
}

/**
 * Tells of progress now and then: each report costs the daemon a moment. The last count is told too, so that a download that
 * stands still is seen where it stands.
 */
function reporter(id: number): (received: number) => void {
  let latest = 0;
  let told = 0;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    timer = undefined;
    if (told === latest || !running.has(id)) return;
    told = latest;
    send({ type: 'bytes', id, received: latest });
    timer = setTimeout(tell, progressEveryMs);
  };
  return (received) => {
    latest = received;
    if (timer === undefined) tell();
  };
}

async function perform(id: number, task: Task, signal: AbortSignal): Promise<unknown> {
  switch (task.type) {
    case 'layer':
      return withClient(task, (client) => fetchLayer(client, task.layer, reporter(id), signal));
    case 'inherit':
      inheritMetadata(task.directory, task.impliedPath, task.lowerDirs);
      return undefined;
    case 'merge':
      return mergeTree(task.parent, task.layer, task.target);
    case 'pack':
      return packBlob(task.tree, task.targetPath, signal);
    case 'compress':
      return compressBlob(task.path, task.targetPath, signal);
    case 'hash':
      return hashBlob(task.path, task.algorithm, signal);
    case 'changes':
      return writeChanges(task.tree, task.targetPath, signal);
    case 'fetch': {
      const client = openClient(task.source);
      try {
        await fetchBlobFile(client, task.blob, task.targetPath, reporter(id), signal);
      } finally {
        client.close();
      }
      return undefined;
    }
    case 'upload': {
      const client = openPushClient(task.source);
      try {
        await client.upload(task, reporter(id), signal);
      } finally {
        client.close();
      }
      return undefined;
    }
    case 'remove':
      for (const directory of task.directories) rmSync(directory, { recursive: true, force: true });
      return undefined;
    case 'sync': {
      const fd = openSync(task.directory, 'r');
      try {
        syncFileSystem(fd);
      } finally {
        closeSync(fd);
      }
      return undefined;
    }
  }
}

function take(request: Request): void {
  const { id } = request;
  if (request.type === 'cancel') {
    running.get(id)?.abort();
    return;
  }
  const cancel = new AbortController();
  running.set(id, cancel);
  perform(id, request.task, cancel.signal)
    .then(
      (result) => send({ type: 'done', id, result }),
      (error: unknown) => send({ type: 'failed', id, error: toPlain(error) }),
    )
    .finally(() => running.delete(id));
}

// A daemon that starts anew must not meet its predecessor's half-done work still going on.
if (process.argv[2] !== undefined) dieWithParent(Number(process.argv[2]));
process.title = 'berthd: layers';
try {
  setNiceness(niceness);
} catch {
  // Not allowed to yield: then it competes.
}
const reader = new LineReader<Request>(take);
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text: string) => reader.write(text));
// The daemon is done with this process, or is gone: either way nobody wants the rest.
process.stdin.on('end', () => process.exit(0));
