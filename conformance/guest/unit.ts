/** What the packaged systemd unit promises: containers outlive a stop, a restart and a kill of berthd, and nothing of them stays. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerState } from '#proto/generated/cri.ts';
import { runCommand } from '../command.ts';
import { CriClient } from '../cri-client.ts';

const socket = '/run/berth/berth.sock';
const image = { image: 'docker.io/library/busybox:latest' };
// As a kubelet names a burstable pod's.
const podSlice = 'kubepods-burstable-pod0f1e_2d3c.slice';
const podGroup = `/kubepods.slice/kubepods-burstable.slice/${podSlice}`;

/** Throws at the first thing that is not as it should be; `say` is told what was. */
export async function checkUnit(driver: string, say: (text: string) => void): Promise<void> {
  const parent = driver === 'systemd' ? podGroup : '/kubepods/burstable/pod0f1e-2d3c';
  let client = await connect();
  await client.call('PullImage', { image });
  const config = {
    metadata: { name: 'unit', uid: 'unit', namespace: 'unit' },
    linux: { cgroup_parent: parent },
  };
  const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
  const start = async (name: string): Promise<{ id: string; pid: number; group: string }> => {
    const { container_id: id } = await client.call('CreateContainer', {
      pod_sandbox_id,
      sandbox_config: config,
      config: {
        metadata: { name },
        image,
        command: ['sleep', '100000'],
        linux: {
          resources: {
            memory_limit_in_bytes: BigInt(64 << 20),
            // A kubelet names every size of page, whether or not the pod wants any.
            hugepage_limits: [
              { page_size: '2MB', limit: 0n },
              { page_size: '1GB', limit: 0n },
            ],
          },
        },
      },
    });
    await client.call('StartContainer', { container_id: id });
    const { info } = await client.call('ContainerStatus', { container_id: id, verbose: true });
    const { pid } = JSON.parse(info.info ?? '{}') as { pid: number };
    const group = readFileSync(`/proc/${pid}/cgroup`, 'latin1').trim().slice('0::'.length);
    expectThat(
      group.startsWith(`${parent}/`),
      `container ${name} stands in ${group} and not below ${parent}`,
    );
    return { id, pid, group };
  };
  const stays = await start('stays');
  const goes = await start('goes');
  say(`a container's cgroup: ${stays.group}`);
  const isWell = async (after: string): Promise<void> => {
    client = await connect();
    const { status } = await client.call('ContainerStatus', { container_id: stays.id });
    expectThat(status?.state === ContainerState.CONTAINER_RUNNING, `a container does not run after ${after}`);
    expectThat(existsSync(`/proc/${stays.pid}`), `the process of a container is gone after ${after}`);
    const exec = await client.call('ExecSync', {
      container_id: stays.id,
      cmd: ['echo', 'here'],
      timeout: 60n,
    });
    expectThat(exec.stdout.toString() === 'here\n', `no command can be run after ${after}`);
    say(`after ${after}: the container runs, commands work`);
  };
  await systemctl('restart', 'berthd');
  await isWell('systemctl restart berthd');
  const before = await mainPid();
  // Without `main` it kills the monitors too, and with them what would be known of later exits.
  await systemctl('kill', '-s', 'KILL', '--kill-whom=main', 'berthd');
  await until(async () => !['0', before].includes(await mainPid()), 'systemd to start berthd again');
  await isWell('a kill of berthd');
  await systemctl('stop', 'berthd');
  process.kill(goes.pid, 'SIGKILL');
  await systemctl('start', 'berthd');
  await isWell('systemctl stop berthd and a start');
  const gone = await client.call('ContainerStatus', { container_id: goes.id });
  expectThat(
    gone.status?.exit_code === 137,
    `the end of a container meanwhile is told as ${gone.status?.exit_code}`,
  );
  await client.call('RemovePodSandbox', { pod_sandbox_id });
  client.close();
  const left = globSync(`/sys/fs/cgroup/**/*${stays.id}*`);
  expectThat(left.length === 0, `left behind: ${left.join(', ')}`);
}

function expectThat(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise);
}

async function systemctl(...command: string[]): Promise<void> {
  await runCommand('systemctl', command);
}

async function mainPid(): Promise<string> {
  return (await runCommand('systemctl', ['show', '-P', 'MainPID', 'berthd'])).trim();
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 300_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await delay(200);
  }
}

/** A client of a daemon that has taken up what ran. */
async function connect(): Promise<CriClient> {
  let client: CriClient | undefined;
  await until(async () => {
    client?.close();
    client = new CriClient(socket);
    return client.call('ListContainers', {}).then(
      () => true,
      () => false, // not there yet
    );
  }, 'berthd to answer');
  if (client === undefined) throw new Error('no client');
  return client;
}
