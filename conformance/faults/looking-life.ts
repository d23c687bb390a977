/**
 * Calls of the rest of both services: those that look, and those that do with images what others do in named steps. In the account
 * they show that they change nothing else.
 */
import type { OperatedPod } from './operator-life.ts';

const credentials = { username: 'somebody', password: 'something' };

/** What the container has written, among it the file that tells that it is ready. */
export async function listChanges({ walk, ask }: OperatedPod): Promise<void> {
  const replies = await ask('DiffContainer', { container_id: walk.containerId });
  const changes = replies.flatMap(
    (reply) => (reply as { changes: { kind: string; path: Buffer }[] }).changes,
  );
  if (!changes.some(({ kind, path }) => kind === 'A' && path.toString() === '/ready'))
    throw new Error(`/ready is not among the ${changes.length} changes`);
}

/** While the container runs. */
export async function lookAtRunning({ bed, walk, ask }: OperatedPod): Promise<void> {
  const { containerId, sandboxId } = walk;
  await ask('Info', {});
  await ask('DiskUsage', { images_only: false });
  await ask('ListVolumes', { measure: true });
  await ask('ListContainerDetails', {});
  await ask('ListProcesses', { container_id: containerId });
  await ask('ChoosePorts', { wishes: [{ protocol: 'tcp', host_ip: '', host_port: 0 }] });
  await ask('VerifyLogin', { registry: bed.registryHost, credentials });
  for (const pod_cidr of ['10.213.0.0/16', ''])
    await bed.call('UpdateRuntimeConfig', { runtime_config: { network_config: { pod_cidr } } });
  await bed.call('ContainerStatus', { container_id: containerId, verbose: true });
  await bed.call('PodSandboxStatus', { pod_sandbox_id: sandboxId, verbose: true });
  await bed.call('Status', { verbose: true });
  await bed.call('ListContainerStats', {});
  await bed.call('ListPodSandboxStats', {});
  await bed.call('ListPodSandboxMetrics', {});
  const { url } = await bed.call('PortForward', { pod_sandbox_id: sandboxId, port: [80] });
  await expectRefusal(url);
}

/** After its end: two images are made of it, of which the first loses its name to the second. */
export async function lookAtExited(pod: OperatedPod): Promise<void> {
  const { walk, ask } = pod;
  await listChanges(pod);
  const container_id = walk.containerId;
  const reference = 'docker.io/library/ended:latest';
  await ask('WaitContainer', { container_id });
  await ask('CommitContainer', { container_id, reference, message: 'first' });
  await ask('CommitContainer', { container_id, reference, message: 'second' });
  await ask('DescribeImage', { image: reference });
  const [reply] = await ask('PruneImages', { dry_run: false, all: false });
  const { images } = reply as { images: unknown[] };
  if (images.length !== 1) throw new Error(`${images.length} images were pruned, not one`);
  await ask('DropImage', { image: reference, force: true });
}

/** Nothing listens in the pod, which its client is told over the channel for that. */
function expectRefusal(url: string): Promise<void> {
  const socket = new WebSocket(url, ['v4.channel.k8s.io']);
  socket.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const message = Buffer.from(data as ArrayBuffer);
      if (message[0] !== 1 || !message.includes('ECONNREFUSED')) return;
      socket.close();
      resolve();
    };
    socket.onclose = () => reject(new Error('the forwarded connection was not refused'));
    socket.onerror = () => {}; // `onclose` follows
  });
}
