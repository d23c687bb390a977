/** The doctor's fault table: each fault is planted alone on a machine in good health, and must be found with what mends it. */
import { describe, expect, it } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import { areas } from './areas.ts';
import { exitStatusOf, formatDiagnoses } from './examine.ts';
import { daemonPid, PlantedMachine } from './testing/planted-machine.ts';

interface Planted {
  /** What must be found, and nothing else. */
  readonly id: string;
  readonly plant: (machine: PlantedMachine) => void;
  /** In the command or advice. */
  readonly mend: RegExp;
  /** In what is said to be wrong. */
  readonly what?: RegExp;
}

const MiB = 1024 ** 2;
const configDir = '/etc/cni/net.d';
const bridge = (more: object = {}): string =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        ipMasq: true,
        ipam: { type: 'host-local', subnet: '10.20.0.0/24' },
        ...more,
      },
    ],
  });
const installCni = (m: PlantedMachine, text = bridge()): void => {
  m.write(`${configDir}/10-pods.conflist`, text);
  for (const name of ['bridge', 'host-local']) m.program(`/opt/cni/bin/${name}`, '');
};
const mountLine = (path: string, type: string, options: string): string =>
  `99 21 8:9 / ${path} ${options} shared:9 - ${type} /dev/sdb1 rw\n`;
const addMount = (m: PlantedMachine, path: string, type: string, options = 'rw,relatime'): void =>
  m.edit('/proc/self/mountinfo', /$/, mountLine(path, type, options));
const hybrid = (m: PlantedMachine, without: readonly string[] = []): void => {
  m.edit('/proc/self/mountinfo', /^24.*\n/m, '24 23 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n');
  for (const name of ['cpu', 'memory', 'pids', 'cpuset', 'hugetlb'])
    if (!without.includes(name))
      m.edit(
        '/proc/self/mountinfo',
        /$/,
        `30 24 0:30 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}\n`,
      );
};
/** With systemd as PID 1 the drivers follow. */
const systemd = (m: PlantedMachine): void => {
  m.write('/run/systemd/system/x', '');
  m.edit('/var/lib/kubelet/config.yaml', 'cgroupDriver: cgroupfs', 'cgroupDriver: systemd');
};
const certs = '/etc/berth/certs.d';

const table: readonly Planted[] = [
  // Daemon
  {
    id: 'daemon/config-invalid',
    plant: (m) =>
      m.problems('/etc/berth/config.toml:3: images.pined: unknown key: did you mean images.pinned?'),
    what: /config.toml:3: images.pined/,
    mend: /berthd --check-config/,
  },
  {
    id: 'daemon/not-running',
    plant: (m) => {
      m.lock(undefined);
      m.remove(`/proc/${daemonPid}`);
      m.answer('absent');
    },
    mend: /systemctl start berthd/,
  },
  { id: 'daemon/unresponsive', plant: (m) => m.answer('silent'), mend: /systemctl restart berthd/ },
  { id: 'daemon/socket-gone', plant: (m) => m.answer('absent'), mend: /systemctl restart berthd/ },
  { id: 'daemon/socket-closed', plant: (m) => m.answer('forbidden'), mend: /socket_group/ },
  {
    id: 'daemon/socket-foreign',
    plant: (m) => {
      m.lock(undefined);
      m.remove(`/proc/${daemonPid}`);
    },
    mend: /ss -xlp/,
  },
  {
    id: 'daemon/socket-open',
    plant: (m) => m.chmod('/run/berth/berth.sock', 0o666),
    what: /mode 666/,
    mend: /chmod o-rwx \/run\/berth\/berth.sock/,
  },
  {
    id: 'daemon/lock-foreign',
    plant: (m) => {
      m.process(99, '/usr/bin/sleep', 'infinity');
      m.write('/proc/99/status', 'Uid:\t0\nCapEff:\t000001ffffffffff\n');
      m.lock(99);
      m.remove(`/proc/${daemonPid}`);
    },
    what: /sleep infinity/,
    mend: /kill 99/,
  },
  {
    id: 'daemon/stopped',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, 'S (sleeping)', 'T (stopped)'),
    mend: /kill -CONT 4711/,
  },
  {
    id: 'daemon/kill-mode',
    plant: (m) => {
      systemd(m);
      m.program('systemctl', 'LoadState=loaded\nKillMode=control-group\nDelegate=yes');
    },
    what: /KillMode=control-group/,
    mend: /KillMode=process/,
  },
  {
    id: 'daemon/not-delegated',
    plant: (m) => {
      systemd(m);
      m.program('systemctl', 'LoadState=loaded\nKillMode=process\nDelegate=no');
    },
    mend: /Delegate=yes/,
  },
  // Privileges
  {
    id: 'privileges/not-root',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, 'Uid:\t0', 'Uid:\t1000'),
    mend: /sudo/,
  },
  {
    id: 'privileges/capability-missing',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, '1ffffffffff', '1ffffffefff'),
    what: /lacks CAP_NET_ADMIN$/,
    mend: /CapabilityBoundingSet/,
  },
  {
    id: 'privileges/no-sys-resource',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, '1ffffffffff', '1fffeffffff'),
    mend: /SYS_RESOURCE/,
  },
  {
    id: 'privileges/filtered',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, 'Seccomp:\t0', 'Seccomp:\t2'),
    mend: /SystemCallFilter/,
  },
  {
    id: 'privileges/no-new-privileges',
    plant: (m) => m.edit(`/proc/${daemonPid}/status`, 'NoNewPrivs:\t0', 'NoNewPrivs:\t1'),
    mend: /NoNewPrivileges/,
  },
  // Kernel
  {
    id: 'kernel/too-old',
    plant: (m) => m.write('/proc/sys/kernel/osrelease', '4.19.0-26-amd64\n'),
    what: /4\.19/,
    mend: /linux-image/,
  },
  {
    id: 'kernel/no-recursive-readonly',
    plant: (m) => m.write('/proc/sys/kernel/osrelease', '5.10.0-28-amd64\n'),
    mend: /linux-image/,
  },
  { id: 'kernel/no-pressure', plant: (m) => m.remove('/proc/pressure'), mend: /psi=1/ },
  {
    id: 'kernel/no-user-namespaces',
    plant: (m) => m.write('/proc/sys/kernel/osrelease', '6.1.0-18-amd64\n'),
    mend: /linux-image/,
  },
  {
    id: 'kernel/no-overlay',
    plant: (m) => m.edit('/proc/filesystems', 'nodev\toverlay\n', ''),
    mend: /modprobe overlay/,
  },
  {
    id: 'kernel/overlay-demanded',
    plant: (m) => {
      m.edit('/proc/filesystems', 'nodev\toverlay\n', '');
      m.configure({ images: { snapshotter: 'overlay' } });
    },
    mend: /modprobe overlay/,
  },
  {
    id: 'kernel/namespace-missing',
    plant: (m) => m.remove('/proc/self/ns/ipc'),
    what: /no ipc namespaces/,
    mend: /CONFIG_IPC_NS/,
  },
  {
    id: 'kernel/no-seccomp',
    plant: (m) => m.remove('/proc/sys/kernel/seccomp'),
    mend: /CONFIG_SECCOMP_FILTER/,
  },
  // Control groups
  {
    id: 'cgroups/absent',
    plant: (m) => m.edit('/proc/self/mountinfo', /^24.*\n/m, ''),
    mend: /mount -t cgroup2/,
  },
  {
    id: 'cgroups/read-only',
    plant: (m) => m.edit('/proc/self/mountinfo', '/sys/fs/cgroup rw', '/sys/fs/cgroup ro'),
    mend: /remount,rw/,
  },
  {
    id: 'cgroups/controller-missing',
    plant: (m) => m.edit('/sys/fs/cgroup/cgroup.controllers', ' memory', ''),
    what: /controller memory/,
    mend: /cgroup_enable=memory/,
  },
  { id: 'cgroups/version-1', plant: (m) => hybrid(m), mend: /unified_cgroup_hierarchy=1/ },
  {
    id: 'cgroups/not-delegated',
    plant: (m) => {
      m.write('/sys/fs/cgroup/cgroup.type', 'domain\n');
      m.write('/sys/fs/cgroup/cgroup.subtree_control', '\n');
      m.write('/sys/fs/cgroup/cgroup.procs', '1\n27\n');
    },
    mend: /echo "\+cpu \+memory \+pids \+cpuset" > .*subtree_control/,
  },
  {
    id: 'cgroups/driver-without-systemd',
    plant: (m) => {
      m.configure({ runtime: { cgroupDriver: 'systemd' } });
      m.edit('/var/lib/kubelet/config.yaml', 'cgroupDriver: cgroupfs', 'cgroupDriver: systemd');
    },
    mend: /cgroup_driver = "auto"/,
  },
  {
    id: 'cgroups/driver-beside-systemd',
    plant: (m) => {
      m.write('/run/systemd/system/x', '');
      m.configure({ runtime: { cgroupDriver: 'cgroupfs' } });
    },
    mend: /cgroup_driver = "auto"/,
  },
  {
    id: 'cgroups/kubelet-driver',
    plant: (m) => m.edit('/var/lib/kubelet/config.yaml', 'cgroupDriver: cgroupfs', 'cgroupDriver: systemd'),
    mend: /cgroupDriver: cgroupfs in \/var\/lib\/kubelet\/config.yaml/,
  },
  // Programs
  { id: 'programs/runtime-missing', plant: (m) => m.remove('/usr/bin/crun'), mend: /apt-get install crun/ },
  {
    id: 'programs/handler-missing',
    plant: (m) => m.configure({ handlers: { kata: { path: '/opt/kata/bin/kata', type: 'runc' } } }),
    what: /\/opt\/kata\/bin\/kata/,
    mend: /handlers\.kata\.path/,
  },
  {
    id: 'programs/runtime-fails',
    plant: (m) => m.program('crun', 'libyajl.so.2: cannot open shared object file', 127),
    what: /libyajl\.so\.2/,
    mend: /--reinstall crun/,
  },
  {
    id: 'programs/no-user-namespaces',
    plant: (m) => m.program('crun', 'crun version 1.8.1\n+SECCOMP +CRIU'),
    mend: /backports crun/,
  },
  {
    id: 'programs/no-checkpoints',
    plant: (m) => m.program('crun', 'crun version 1.21\n+SYSTEMD +SECCOMP'),
    mend: /\+CRIU/,
  },
  {
    id: 'programs/conmon-missing',
    plant: (m) => m.remove('/usr/bin/conmon'),
    mend: /apt-get install conmon/,
  },
  {
    id: 'programs/conmon-fails',
    plant: (m) => m.program('conmon', 'libglib-2.0.so.0: cannot open shared object file', 127),
    what: /libglib/,
    mend: /--reinstall conmon/,
  },
  { id: 'programs/nft-missing', plant: (m) => m.remove('/usr/bin/nft'), mend: /apt-get install nftables/ },
  { id: 'programs/tool-missing', plant: (m) => m.chmod('/usr/bin/nsenter', 0o644), mend: /util-linux/ },
  { id: 'programs/init-missing', plant: (m) => m.remove('/usr/bin/catatonit'), mend: /install catatonit/ },
  { id: 'programs/criu-missing', plant: (m) => m.remove('/usr/bin/criu'), mend: /apt-get install criu/ },
  // CNI
  {
    id: 'cni/none-valid',
    plant: (m) => m.write(`${configDir}/10-pods.conflist`, '{"name": "pods", "plugins": ['),
    what: /10-pods\.conflist: not valid JSON/,
    mend: /correct the file/,
  },
  {
    id: 'cni/invalid',
    plant: (m) => {
      installCni(m);
      m.write(`${configDir}/05-old.conflist`, '{');
    },
    what: /05-old/,
    mend: /remove it/,
  },
  {
    id: 'cni/none',
    plant: (m) => m.configure({ network: { defaultNetwork: false } }),
    mend: /default_network = true/,
  },
  {
    id: 'cni/plugin-missing',
    plant: (m) => {
      installCni(m);
      m.remove('/opt/cni/bin/host-local');
    },
    what: /plugin host-local/,
    mend: /containernetworking-plugins/,
  },
  {
    id: 'cni/builtin-unused',
    plant: (m) => {
      installCni(m, bridge({ promiscMode: true }));
      m.configure({ network: { builtinPlugins: true } });
    },
    what: /10-pods\.conflist run: bridge has promiscMode true/,
    mend: /builtin_plugins/,
  },
  {
    id: 'cni/version-unsupported',
    plant: (m) => {
      installCni(m, bridge().replace('"1.0.0"', '"1.1.0"'));
      m.program('/opt/cni/bin/bridge', '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}');
    },
    what: /CNI 1\.1\.0, and its plugin bridge speaks 0\.4\.0, 1\.0\.0/,
    mend: /"cniVersion": "1\.0\.0"/,
  },
  {
    id: 'cni/iptables-missing',
    plant: (m) => {
      installCni(m);
      m.remove('/usr/bin/iptables');
    },
    mend: /apt-get install iptables/,
  },
  {
    id: 'cni/addresses-short',
    plant: (m) => {
      installCni(m);
      for (let host = 2; host < 245; host += 1) m.write(`/var/lib/cni/networks/pods/10.20.0.${host}`, 'x');
    },
    what: /243 of 253/,
    mend: /berth-audit/,
  },
  {
    id: 'cni/subnet-taken',
    plant: (m) => installCni(m, bridge({ ipam: { type: 'host-local', subnet: '192.168.0.0/16' } })),
    what: /192\.168\.1\.0\/24 of eth0/,
    mend: /10-pods.conflist/,
  },
  // Packet rules
  {
    id: 'packet-rules/nft-fails',
    plant: (m) => m.program('nft', 'Error: Could not process rule: Operation not supported', 1),
    what: /Operation not supported/,
    mend: /modprobe -a nf_tables/,
  },
  {
    id: 'packet-rules/forward-dropped',
    plant: (m) =>
      m.program(
        'nft',
        '{"nftables":[{"chain":{"family":"ip","table":"filter","name":"FORWARD","hook":"forward","policy":"drop"}}]}',
      ),
    mend: /nft 'add chain ip filter FORWARD \{ policy accept; \}'/,
  },
  {
    id: 'packet-rules/forward-dropped-legacy',
    plant: (m) => {
      m.write('/proc/net/ip_tables_names', 'nat\nfilter\n');
      m.program('iptables-legacy', '-P FORWARD DROP');
    },
    mend: /iptables-legacy -P FORWARD ACCEPT/,
  },
  {
    id: 'packet-rules/firewalld',
    plant: (m) => m.process(303, '/usr/bin/python3', '-s', '/usr/sbin/firewalld'),
    mend: /--add-interface=berth0/,
  },
  // Kernel switches
  {
    id: 'sysctls/no-forwarding',
    plant: (m) => {
      m.write('/sys/class/net/berth0/bridge/bridge_id', '');
      m.sysctl('net/ipv4/ip_forward', 0);
    },
    mend: /net\.ipv4\.ip_forward=1/,
  },
  {
    id: 'sysctls/no-forwarding-v6',
    plant: (m) => {
      installCni(m);
      m.sysctl('net/ipv6/conf/all/forwarding', 0);
    },
    mend: /net\.ipv6\.conf\.all\.forwarding=1/,
  },
  {
    id: 'sysctls/bridge-unfiltered',
    plant: (m) => m.remove('/proc/sys/net/bridge'),
    mend: /modprobe br_netfilter/,
  },
  { id: 'sysctls/panic-on-oom', plant: (m) => m.sysctl('vm/panic_on_oom', 1), mend: /vm\.panic_on_oom=0/ },
  {
    id: 'sysctls/strict-overcommit',
    plant: (m) => m.sysctl('vm/overcommit_memory', 2),
    mend: /vm\.overcommit_memory=1/,
  },
  {
    id: 'sysctls/low-ports-open',
    plant: (m) => m.sysctl('net/ipv4/ip_unprivileged_port_start', 0),
    mend: /port_start=1024/,
  },
  // Registries
  {
    id: 'registries/hosts-invalid',
    plant: (m) => m.write(`${certs}/registry.local_5000_/hosts.toml`, '[host."https://mirror"\n'),
    what: /registry\.local_5000_\/hosts\.toml/,
    mend: /correct .*hosts\.toml/,
  },
  {
    id: 'registries/hosts-invalid',
    plant: (m) =>
      m.write(`${certs}/registry.local/hosts.toml`, 'server = "https://registry.local"\nca = "ca.crt"\n'),
    what: /cannot read ca\.crt/,
    mend: /correct .*hosts\.toml/,
  },
  {
    id: 'registries/unverified',
    plant: (m) =>
      m.write(
        `${certs}/registry.local/hosts.toml`,
        'server = "https://registry.local"\nskip_verify = true\n',
      ),
    mend: /remove skip_verify/,
  },
  {
    id: 'registries/conf-invalid',
    plant: (m) => m.write('/etc/containers/registries.conf', 'unqualified-search-registries = "docker.io"\n'),
    what: /must be a list/,
    mend: /correct the file/,
  },
  {
    id: 'registries/blocked',
    plant: (m) =>
      m.write('/etc/containers/registries.conf', '[[registry]]\nlocation = "docker.io"\nblocked = true\n'),
    mend: /remove blocked = true/,
  },
  {
    id: 'registries/auth-readable',
    plant: (m) => {
      m.write('/root/.docker/config.json', '{"auths": {}}');
      m.chmod('/root/.docker/config.json', 0o644);
    },
    mend: /chmod 600 \/root\/\.docker\/config\.json/,
  },
  {
    id: 'registries/auth-invalid',
    plant: (m) => {
      m.write('/root/.docker/config.json', '{"auths": {"a": {"auth": "c2VjcmV0"');
      m.chmod('/root/.docker/config.json', 0o600);
    },
    what: /config\.json is not JSON$/,
    mend: /berth login/,
  },
  {
    id: 'registries/helper-missing',
    plant: (m) => {
      m.write('/root/.docker/config.json', '{"credHelpers": {"1234.dkr.ecr.eu.amazonaws.com": "ecr-login"}}');
      m.chmod('/root/.docker/config.json', 0o600);
    },
    mend: /install docker-credential-ecr-login/,
  },
  {
    id: 'registries/policy-rejects',
    plant: (m) => m.write('/etc/containers/policy.json', '{"default": [{"type": "reject"}]}'),
    mend: /transports\.docker/,
  },
  {
    id: 'registries/policy-invalid',
    plant: (m) => m.write('/etc/containers/policy.json', '{"default": [{"type": "signedBy"}]}'),
    mend: /correct \/etc\/containers\/policy\.json/,
  },
  // Disk
  {
    id: 'disk/full',
    plant: (m) => m.disk({ freeBytes: 20 * MiB }),
    what: /20 MiB left/,
    mend: /berth prune/,
  },
  { id: 'disk/space-low', plant: (m) => m.disk({ freeBytes: 9000 * MiB }), mend: /berth prune/ },
  { id: 'disk/inodes-low', plant: (m) => m.disk({ freeInodes: 1000 }), mend: /mkfs\.ext4 -i/ },
  { id: 'disk/unfit', plant: (m) => addMount(m, '/var/lib/berth', 'nfs4'), what: /nfs4/, mend: /root_dir/ },
  {
    id: 'disk/no-file-types',
    plant: (m) => {
      addMount(m, '/var/lib/berth', 'xfs');
      m.program('xfs_info', 'naming   =version 2   bsize=4096   ascii-ci=0, ftype=0');
    },
    mend: /mkfs\.xfs -n ftype=1/,
  },
  {
    id: 'disk/read-only',
    plant: (m) => addMount(m, '/var/lib/berth', 'ext4', 'ro,relatime'),
    mend: /remount,rw \/var\/lib\/berth/,
  },
  {
    id: 'disk/no-exec',
    plant: (m) => addMount(m, '/var/lib/berth', 'ext4', 'rw,noexec'),
    mend: /remount,exec \/var\/lib\/berth/,
  },
  {
    id: 'disk/restricted',
    plant: (m) => addMount(m, '/var', 'ext4', 'rw,nosuid'),
    mend: /remount,suid \/var/,
  },
  { id: 'disk/volatile', plant: (m) => addMount(m, '/var/lib/berth', 'tmpfs'), mend: /root_dir/ },
  {
    id: 'disk/lasting',
    plant: (m) => m.edit('/proc/self/mountinfo', /^25.*\n/m, ''),
    mend: /state_dir/,
  },
  {
    id: 'disk/open',
    plant: (m) => m.chmod('/var/lib/berth', 0o777),
    mend: /chmod go-w \/var\/lib\/berth/,
  },
  { id: 'disk/closed', plant: (m) => m.chmod('/var/lib/berth', 0o700), mend: /chmod o\+x \/var\/lib\/berth/ },
  // Memory
  {
    id: 'memory/swap',
    plant: (m) => m.edit('/proc/swaps', /$/, '/dev/sda2 partition 1000 0 -2\n'),
    mend: /swapoff -a/,
  },
  {
    id: 'memory/low',
    plant: (m) => m.edit('/proc/meminfo', '6000000', '60000'),
    what: /59 MiB/,
    mend: /ps -eo/,
  },
  {
    id: 'memory/unprotected',
    plant: (m) => m.write(`/proc/${daemonPid}/oom_score_adj`, '0\n'),
    mend: /OOMScoreAdjust=-999/,
  },
  // Limits
  {
    id: 'limits/sysctl-low',
    plant: (m) => m.sysctl('kernel/keys/root_maxkeys', 200),
    what: /kernel\.keys\.root_maxkeys is 200/,
    mend: /kernel\.keys\.root_maxkeys=10000/,
  },
  {
    id: 'limits/sysctl-low',
    plant: (m) => m.sysctl('fs/inotify/max_user_watches', 1024),
    what: /max_user_watches is 1024/,
    mend: /fs\.inotify\.max_user_watches=8192/,
  },
  {
    id: 'limits/sysctl-low',
    plant: (m) => m.sysctl('kernel/keys/maxkeys', 10),
    what: /kernel\.keys\.maxkeys is 10/,
    mend: /kernel\.keys\.maxkeys=100/,
  },
  {
    id: 'limits/sysctl-low',
    plant: (m) => m.sysctl('kernel/pid_max', 4096),
    what: /pid_max is 4096/,
    mend: /kernel\.pid_max=32768/,
  },
  {
    id: 'limits/sysctl-low',
    plant: (m) => m.sysctl('net/netfilter/nf_conntrack_max', 2048),
    what: /nf_conntrack_max is 2048/,
    mend: /net\.netfilter\.nf_conntrack_max=32768/,
  },
  {
    id: 'limits/namespaces-low',
    plant: (m) => m.sysctl('user/max_user_namespaces', 0),
    what: /max_user_namespaces is 0/,
    mend: /user\.max_user_namespaces=65536/,
  },
  {
    id: 'limits/keys-short',
    plant: (m) => m.edit('/proc/key-users', '9/1000000', '980000/1000000'),
    mend: /root_maxkeys=1000000/,
  },
  {
    id: 'limits/connections-short',
    plant: (m) => m.sysctl('net/netfilter/nf_conntrack_count', 262_000),
    mend: /nf_conntrack_max=1048576/,
  },
  {
    id: 'limits/files-low',
    plant: (m) => m.edit(`/proc/${daemonPid}/limits`, '1048576 ', '1024 '),
    mend: /LimitNOFILE/,
  },
  {
    id: 'limits/files-short',
    plant: (m) => m.write('/proc/sys/fs/file-nr', '99000\t0\t100000\n'),
    mend: /fs\.file-max/,
  },
  // Confinement
  {
    id: 'confinement/profile-not-loaded',
    plant: (m) => {
      m.write('/sys/module/apparmor/parameters/enabled', 'Y\n');
      m.write('/sys/kernel/security/apparmor/profiles', 'docker-default (enforce)\n');
      m.configure({ runtime: { apparmorProfile: 'site-profile' } });
    },
    mend: /apparmor_parser -r/,
  },
  {
    id: 'confinement/no-parser',
    plant: (m) => {
      m.write('/sys/module/apparmor/parameters/enabled', 'Y\n');
      m.write('/sys/kernel/security/apparmor/profiles', 'crun (unconfined)\n');
    },
    mend: /apt-get install apparmor/,
  },
  {
    id: 'confinement/apparmor-off',
    plant: (m) => m.configure({ runtime: { apparmorProfile: 'site-profile' } }),
    mend: /apparmor=1/,
  },
  {
    id: 'confinement/apparmor-unreadable',
    plant: (m) => {
      m.write('/sys/module/apparmor/parameters/enabled', 'Y\n');
      m.write('/usr/sbin/apparmor_parser', '');
    },
    mend: /mount -t securityfs/,
  },
  {
    id: 'confinement/selinux-unlabelled',
    plant: (m) => m.write('/sys/fs/selinux/enforce', '1'),
    mend: /container-selinux/,
  },
  {
    id: 'confinement/seccomp-profile-missing',
    plant: (m) => m.configure({ runtime: { seccompProfile: '/etc/berth/seccomp.json' } }),
    mend: /runtime\.seccomp_profile/,
  },
  {
    id: 'confinement/seccomp-profile-invalid',
    plant: (m) => {
      m.write('/etc/berth/seccomp.json', '{"syscalls": []}');
      m.configure({ runtime: { seccompProfile: '/etc/berth/seccomp.json' } });
    },
    mend: /runtime\.seccomp_profile/,
  },
  // Ids, names, clock
  {
    id: 'user-ranges/overlap',
    plant: (m) => m.edit('/etc/subuid', 'user:100000:30000', 'user:190000:65536'),
    mend: /\/etc\/subuid/,
  },
  {
    id: 'user-ranges/kubelet-short',
    plant: (m) => m.edit('/etc/subuid', '7208960', '65536'),
    what: /enough for 1 pods/,
    mend: /kubelet:65536:7208960/,
  },
  { id: 'user-ranges/getsubids-missing', plant: (m) => m.remove('/usr/bin/getsubids'), mend: /uidmap/ },
  { id: 'names/no-servers', plant: (m) => m.write('/etc/resolv.conf', '# none\n'), mend: /nameserver/ },
  {
    id: 'names/loopback-only',
    plant: (m) => m.write('/etc/resolv.conf', 'nameserver 127.0.0.53\n'),
    mend: /resolvConf/,
  },
  {
    id: 'names/hostname-invalid',
    plant: (m) => m.write('/proc/sys/kernel/hostname', 'my_node\n'),
    mend: /hostnamectl/,
  },
  { id: 'clock/in-the-past', plant: (m) => m.clock(0), what: /1970/, mend: /chrony/ },
  {
    id: 'clock/went-back',
    plant: (m) => {
      m.write('/var/lib/berth/boot-id', 'x');
      m.touch('/var/lib/berth/boot-id', Date.now() + 3_600_000);
    },
    what: /60 minutes in the future/,
    mend: /chronyc makestep/,
  },
  {
    id: 'clock/unsynchronised',
    plant: (m) => {
      systemd(m);
      m.program('timedatectl', 'no');
    },
    mend: /set-ntp true/,
  },
  {
    id: 'clock/slow-source',
    plant: (m) => m.write('/sys/devices/system/clocksource/clocksource0/current_clocksource', 'acpi_pm\n'),
    mend: /echo tsc >/,
  },
  // Neighbours
  {
    id: 'neighbours/kubelet-elsewhere',
    plant: (m) =>
      m.process(
        300,
        '/usr/bin/kubelet',
        '--container-runtime-endpoint=unix:///run/containerd/containerd.sock',
      ),
    what: /containerd\.sock/,
    mend: /containerRuntimeEndpoint: unix:\/\/\/run\/berth\/berth\.sock/,
  },
  {
    id: 'neighbours/crictl-elsewhere',
    plant: (m) => m.write('/etc/crictl.yaml', 'runtime-endpoint: unix:///var/run/crio/crio.sock\n'),
    mend: /crictl config --set runtime-endpoint=unix:\/\/\/run\/berth\/berth\.sock/,
  },
  {
    id: 'neighbours/second-daemon',
    plant: (m) => {
      m.process(301, '/opt/node', '/opt/berth/program/berthd.cjs', '--root-dir', '/other');
      m.symlink('/proc/301/ns/net', 'net:[1]');
    },
    mend: /kill 301/,
  },
  {
    id: 'neighbours/other-runtime',
    plant: (m) => m.process(302, '/usr/bin/containerd'),
    mend: /disable --now containerd/,
  },
  {
    id: 'neighbours/bridge-taken',
    plant: (m) => m.write('/sys/class/net/berth0/mtu', '1500'),
    mend: /ip link set berth0 name/,
  },
  {
    id: 'leftovers/missing',
    plant: (m) => {
      m.write('/var/lib/berth/state.db', '');
      m.read({
        audit: async () => [
          {
            kind: 'missing',
            what: 'namespace file',
            id: 'f00d',
            path: '/run/netns/x',
            mend: 'remove the pod',
          },
        ],
      });
    },
    what: /of f00d is missing/,
    mend: /remove the pod/,
  },
  // Leftovers
  {
    id: 'leftovers/leak',
    plant: (m) => {
      m.write('/var/lib/berth/state.db', '');
      m.read({
        audit: async () => [
          { kind: 'leak', what: 'mount', id: '', path: '/run/berth/containers/x/rootfs', mend: 'umount it' },
        ],
      });
    },
    mend: /berth-audit --fix/,
  },
  {
    id: 'leftovers/conflict',
    plant: (m) => {
      m.write('/var/lib/berth/state.db', '');
      m.read({
        audit: async () => [
          { kind: 'conflict', what: 'pod name', id: 'f00d', path: 'default/web', mend: 'remove one' },
        ],
      });
    },
    what: /default\/web/,
    mend: /remove one/,
  },
  {
    id: 'leftovers/unreadable',
    plant: (m) => {
      m.write('/var/lib/berth/state.db', 'no database');
      m.read({
        audit: async () => {
          throw new RuntimeError('DataLoss', 'file is not a database');
        },
      });
    },
    mend: /state\.db/,
  },
];

describe('berth doctor', () => {
  it('finds nothing on a machine in good health', async () => {
    using machine = new PlantedMachine();
    const found = await machine.examine();
    expect(found).toEqual([]);
    expect(exitStatusOf(found)).toBe(0);
  });

  it('finds nothing where a CNI network serves', async () => {
    using machine = new PlantedMachine();
    installCni(machine);
    expect(await machine.examine()).toEqual([]);
  });

  it('finds nothing where built-in plugins serve, and looks for no program of theirs', async () => {
    using machine = new PlantedMachine();
    machine.write(`${configDir}/10-pods.conflist`, bridge());
    machine.remove('/usr/bin/iptables');
    machine.configure({ network: { builtinPlugins: true } });
    expect(await machine.examine()).toEqual([]);
  });

  it.each(table)('finds $id', async ({ id, plant, mend, what }) => {
    using machine = new PlantedMachine();
    plant(machine);
    const found = await machine.examine();
    expect(found.map((diagnosis) => diagnosis.id)).toEqual([id]);
    const [diagnosis] = found;
    expect(diagnosis!.mend).toMatch(mend);
    if (what) expect(diagnosis!.what).toMatch(what);
    // Every word in braces was filled, and no path of this test shows.
    const text = formatDiagnoses(found, false);
    expect(text).not.toMatch(/\{\w+\}/);
    expect(text).not.toContain(machine.root);
    expect(exitStatusOf(found)).toBe({ error: 20, warning: 10, note: 0 }[diagnosis!.severity]);
  });

  it('finds a stray hugetlb and a controller that is not mounted, on a hybrid layout', async () => {
    using machine = new PlantedMachine();
    hybrid(machine, ['cpuset', 'hugetlb']);
    machine.write('/sys/fs/cgroup/unified/cgroup.controllers', 'hugetlb\n');
    const found = await machine.examine();
    expect(found.map(({ id }) => id)).toEqual([
      'cgroups/stray-controller',
      'cgroups/controller-not-mounted',
      'cgroups/version-1',
    ]);
    expect(found[0]!.mend).toContain('mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb');
    expect(found[1]!.mend).toContain('mount -t cgroup -o cpuset');
  });

  it('finds another runtime, and that it holds the NRI socket', async () => {
    using machine = new PlantedMachine();
    machine.lock(undefined);
    machine.remove(`/proc/${daemonPid}`);
    machine.answer('absent');
    machine.process(302, '/usr/bin/containerd');
    machine.edit('/proc/net/unix', /$/, '0000: 00000002 00000000 00010000 0001 01 4242 /run/nri/nri.sock\n');
    const found = await machine.examine();
    expect(found.map(({ id }) => id)).toEqual([
      'daemon/not-running',
      'neighbours/nri-taken',
      'neighbours/other-runtime',
    ]);
    expect(found[1]!.mend).toContain('nri.socket_path');
  });

  it('is shown every fault that it knows', () => {
    const together = ['cgroups/stray-controller', 'cgroups/controller-not-mounted', 'neighbours/nri-taken'];
    const planted = new Set([...table.map(({ id }) => id), ...together]);
    const known = areas.flatMap(({ name, faults }) => Object.keys(faults).map((key) => `${name}/${key}`));
    expect(known.filter((id) => !planted.has(id))).toEqual([]);
  });
});
