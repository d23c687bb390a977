/**
 * A root file system of one static busybox, a pod's pinned namespaces, and an OCI runtime to run specs on them, for the
 * privileged tests. Everything is made below one temporary directory and undone by dispose().
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { knownCapabilities } from '../capabilities.ts';
import type { ContainerSpecInput, HostFacts, SandboxPaths } from '../inputs.ts';
import type { OciResources, OciSpec } from '../oci-spec.ts';
import { type SampleVariation, sampleHostFacts, sampleInput } from './sample-input.ts';

const cgroupRoot = '/sys/fs/cgroup';

export interface Output {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LiveBundle extends Disposable {
  readonly directory: string;
  readonly rootfs: string;
  readonly host: HostFacts;
  /** A request whose command is `sh -c SCRIPT`, with the pod's real paths. */
  input(script: string, variation?: SampleVariation): ContainerSpecInput;
  /** Runs a spec to its end with the OCI runtime `program`. */
  run(program: string, spec: OciSpec): Output;
  /** Starts a spec, whose process must not exec another, in the background. dispose() kills it. */
  start(program: string, spec: OciSpec): { pid: number; id: string };
  /** The `--root` of `program` here. */
  stateDirectory(program: string): string;
  /** Changes the limits of what start() began. */
  update(program: string, id: string, resources: OciResources): void;
  /** A second pod whose namespaces belong to a user namespace that maps 65536 ids from `hostId`, with a root file system of its root. */
  pinUserPod(hostId: number): { rootfs: string; paths: Partial<SandboxPaths> };
  /** Runs a program of the host, and throws when it fails. */
  host$(program: string, ...args: string[]): string;
  /** Runs a shell script in the pod's network, IPC and UTS namespaces. */
  inPod(script: string): string;
}

/** Makes all that the tests need. Needs root, busybox-static and util-linux. */
export function makeLiveBundle(): LiveBundle {
  const directory = mkdtempSync(join(tmpdir(), 'berth-spec-'));
  const name = directory.slice(directory.lastIndexOf('/') + 1);
  const rootfs = join(directory, 'rootfs');
  const pins = ['net', 'ipc', 'uts'].map((kind) => join(directory, kind));
  const background: { program: string; id: string }[] = [];
  let count = 0;

  const host$ = (program: string, ...args: string[]): string => {
    const result = spawnSync(program, args, { encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  const inPod = (script: string): string =>
    host$('nsenter', `--net=${pins[0]}`, `--ipc=${pins[1]}`, `--uts=${pins[2]}`, 'sh', '-ec', script);
  const stateDirectory = (program: string) => join(directory, `state-${program}`);
  const makeBundle = (spec: OciSpec): { bundle: string; id: string } => {
    count += 1;
    const bundle = join(directory, `bundle-${count}`);
    mkdirSync(bundle);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    return { bundle, id: `${name}-${count}` };
  };

  makeRootfs(rootfs);
  mkdirSync(join(directory, 'shm'));
  for (const [file, text] of Object.entries({
    'resolv.conf': 'nameserver 192.0.2.1\n',
    hostname: 'pod-host\n',
  })) {
    writeFileSync(join(directory, file), text);
  }
  writeFileSync(join(directory, 'hosts'), '127.0.0.1 localhost\n');
  for (const pin of pins) writeFileSync(pin, '');
  host$('unshare', `--net=${pins[0]}`, `--ipc=${pins[1]}`, `--uts=${pins[2]}`, 'hostname', 'pod-host');
  const host = liveHostFacts();

  return {
    directory,
    rootfs,
    host,
    host$,
    inPod,
    stateDirectory,
    input(script, variation = {}) {
      return sampleInput({
        ...variation,
        config: { command: ['sh', '-c', script], workingDir: '/', ...variation.config },
        host: { ...host, ...variation.host },
        sandbox: { cgroupParent: `/${name}`, ...variation.sandbox },
        input: {
          containerId: `c${count}`,
          rootfsPath: rootfs,
          hostname: 'pod-host',
          paths: {
            netnsPath: pins[0] ?? '',
            ipcnsPath: pins[1] ?? '',
            utsnsPath: pins[2] ?? '',
            usernsPath: '',
            pidnsPath: '',
            shmPath: join(directory, 'shm'),
            resolvConfPath: join(directory, 'resolv.conf'),
            hostnamePath: join(directory, 'hostname'),
            hostsPath: join(directory, 'hosts'),
          },
          ...variation.input,
        },
      });
    },
    run(program, spec) {
      const { bundle, id } = makeBundle(spec);
      const result = spawnSync(program, ['--root', stateDirectory(program), 'run', '--bundle', bundle, id], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      // runc 1.1.15 warns of a user namespace given by path and by mappings; 1.1.5 refuses to go without either.
      const stderr = result.stderr.replaceAll(/^time=.* level=warning .*userns path to join.*\n/gm, '');
      return { exitCode: result.status ?? -1, stdout: result.stdout, stderr };
    },
    start(program, spec) {
      const { bundle, id } = makeBundle(spec);
      background.push({ program, id });
      const pidFile = join(bundle, 'pid');
      const arguments_ = [
        '--root',
        stateDirectory(program),
        'run',
        '--detach',
        '--bundle',
        bundle,
        '--pid-file',
        pidFile,
        id,
      ];
      // No pipes: the detached process would hold them open.
      const result = spawnSync(program, arguments_, { stdio: 'ignore' });
      if (result.status !== 0) throw new Error(`${program} could not start ${id}`);
      const pid = Number(readFileSync(pidFile, 'utf8'));
      waitForExec(pid, spec.process.args);
      return { pid, id };
    },
    update(program, id, resources) {
      const file = join(directory, 'resources.json');
      writeFileSync(file, JSON.stringify(resources));
      host$(program, '--root', stateDirectory(program), 'update', '--resources', file, id);
    },
    pinUserPod(hostId) {
      count += 1;
      const userRootfs = join(directory, `user-rootfs-${count}`);
      host$('cp', '-a', rootfs, userRootfs);
      host$('chown', '-R', '-h', `${hostId}:${hostId}`, userRootfs);
      chmodSync(directory, 0o755);
      const [user = '', net = '', ipc = '', uts = ''] = ['user', 'net', 'ipc', 'uts'].map((kind) => {
        const pin = join(directory, `${kind}-${count}`);
        writeFileSync(pin, '');
        pins.push(pin);
        return pin;
      });
      // Not --map-users: that runs newuidmap, which wants an entry in /etc/subuid even of root.
      const script = `mkfifo ready; unshare -U -n -i -u sh -c 'echo > ready; exec sleep 60' & child=$!; read line < ready
        rm ready; echo "0 ${hostId} 65536" | tee /proc/$child/uid_map > /proc/$child/gid_map
        for kind in user net ipc uts; do mount --bind /proc/$child/ns/$kind $kind-${count}; done; kill $child`;
      host$('sh', '-ec', `cd ${directory}; ${script}`);
      return {
        rootfs: userRootfs,
        paths: { usernsPath: user, netnsPath: net, ipcnsPath: ipc, utsnsPath: uts },
      };
    },
    [Symbol.dispose]() {
      for (const { program, id } of background) {
        spawnSync(program, ['--root', stateDirectory(program), 'delete', '--force', id]);
      }
      for (const pin of pins) spawnSync('umount', ['-l', pin]);
      removeCgroups(name);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function makeRootfs(rootfs: string): void {
  for (const path of ['bin', 'etc', 'tmp', 'data', 'host'])
    mkdirSync(join(rootfs, path), { recursive: true });
  chmodSync(join(rootfs, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  chmodSync(join(rootfs, 'bin/busybox'), 0o755);
  const applets =
    'sh cat grep id ls mount unshare touch pwd mkdir mknod hostname head echo env sleep stat umount wc';
  for (const applet of applets.split(' ')) symlinkSync('busybox', join(rootfs, 'bin', applet));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
}

/** Waits until the OCI runtime's last process has become the container's: `start` returns before that. */
function waitForExec(pid: number, args: readonly string[]): void {
  const commandLine = args.map((arg) => `${arg}\0`).join('');
  const deadline = performance.now() + 10_000;
  while (readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== commandLine) {
    if (performance.now() > deadline) throw new Error(`process ${pid} did not become the container's`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function removeCgroups(name: string): void {
  for (const controller of ['.', ...readdirSync(cgroupRoot)]) {
    const path = join(cgroupRoot, controller, name);
    if (existsSync(path)) rmdirSync(path);
  }
}

/** The facts of this machine, as the daemon would gather them. */
function liveHostFacts(): HostFacts {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`);
  const granted = knownCapabilities.filter((_, number) => ((bounding >> BigInt(number)) & 1n) === 1n);
  const cgroupVersion = existsSync(join(cgroupRoot, 'cgroup.controllers')) ? 2 : 1;
  return sampleHostFacts({
    cgroupVersion,
    hasSwapController:
      cgroupVersion === 2 || existsSync(join(cgroupRoot, 'memory/memory.memsw.limit_in_bytes')),
    boundingCapabilities: granted,
    ownOomScoreAdj: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    canLowerOomScore: granted.includes('CAP_SYS_RESOURCE'),
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    kernelVersion: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
  });
}
