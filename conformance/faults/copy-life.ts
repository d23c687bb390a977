/** Files go into and out of the container of an operator's pod, while it runs and after its end. */
import { listMounts } from '#host/mount.ts';
import { writeTar } from '../fixtures/tar.ts';
import type { OperatedPod } from './operator-life.ts';

const largeBytes = 200_000;
const pieceBytes = 65_536;

export async function copyThroughRunning(pod: OperatedPod): Promise<void> {
  await copyInAndOut(pod, 'early');
  await pod.walk.hear('wc -c </work/early/large; cat /work/early/small', `${largeBytes}\nsmall early\n`);
}

/** What is copied into an exited container, its next life has. */
export async function copyFromExited(pod: OperatedPod): Promise<void> {
  await copyInAndOut(pod, 'late');
  const left = listMounts().filter(({ mountPoint }) => mountPoint.includes(pod.walk.containerId));
  if (left.length > 0) throw new Error(`${left[0]!.mountPoint} is still mounted`);
}

async function copyInAndOut({ walk, ask }: OperatedPod, name: string): Promise<void> {
  const container_id = walk.containerId;
  const small = `small ${name}\n`;
  const large = Buffer.alloc(largeBytes, name);
  const archive = writeTar([
    { path: name, type: 'directory' },
    { path: `${name}/small`, type: 'file', content: small },
    { path: `${name}/large`, type: 'file', content: large },
  ]);
  const pieces = [];
  for (let at = 0; at < archive.length; at += pieceBytes) pieces.push(archive.subarray(at, at + pieceBytes));
  const [first, ...others] = pieces.map((data) => ({ data }));
  await ask('CopyToContainer', { container_id, path: '/work', ...first }, ...others);
  const [stat] = await ask('StatPath', { container_id, path: `/work/${name}/large` });
  const { type, size_bytes } = stat as { type: string; size_bytes: bigint };
  if (type !== 'file' || size_bytes !== BigInt(largeBytes))
    throw new Error(`what was copied is ${type === '' ? 'not there' : `a ${type} of ${size_bytes} bytes`}`);
  const replies = await ask('CopyFromContainer', { container_id, path: `/work/${name}` });
  const copied = Buffer.concat(replies.map((reply) => (reply as { data: Buffer }).data));
  if (!copied.includes(small) || !copied.includes(large))
    throw new Error(`what was copied back are ${copied.length} other bytes`);
}
