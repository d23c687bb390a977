/**
 * Berth's own seccomp profile ("runtime default") as data: what is not named here fails with EPERM. It follows the
 * consensus of container runtimes: what ordinary programs use is allowed, what reaches the kernel's administration only
 * with the capability that the kernel asks for it anyway. Left out on purpose: io_uring (its operations pass no filter),
 * userfaultfd, keyrings, kexec, swap, and namespaces without CAP_SYS_ADMIN.
 */
import type { ProfileRule } from './seccomp-rule.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** The namespace flags of clone(2): NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const namespaceFlags = 0x7e020000;
const addressFamilyVsock = 40;
const functionNotImplemented = 38;

const filesAndDirectories = words(`
  access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
  fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
  ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr listxattrat llistxattr _llseek lremovexattr lseek
  lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat
  removexattr removexattrat rename renameat renameat2 rmdir setxattr setxattrat stat stat64 statfs statfs64 statx symlink
  symlinkat sync sync_file_range syncfs truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes
`);

const readingAndWaiting = words(`
  cachestat epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
  eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect pipe
  pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead
  readv select sendfile sendfile64 splice tee vmsplice write writev
`);

const memory = words(`
  brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect
  mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
`);

const processesAndSignals = words(`
  capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
  getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid
  getpriority getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid
  getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pause
  pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
  rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity
  sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
  sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
  setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32
  setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid set_thread_area
  set_tid_address setuid setuid32 sigaltstack signalfd signalfd4 sigprocmask sigreturn tgkill tkill ugetrlimit uretprobe
  vfork wait4 waitid waitpid
`);

const socketsAndMessages = words(`
  accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd recv
  recvfrom recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto
  setsockopt shmat shmctl shmdt shmget shutdown socketcall socketpair
`);

const timeAndSystem = words(`
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer getrandom gettimeofday nanosleep setitimer sysinfo time timer_create
  timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64 times uname
`);

/** PER_LINUX, PER_LINUX32, UNAME26, both, and the query of the current one. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const administration: readonly [capability: string, syscalls: string][] = [
  ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
  [
    'CAP_SYS_ADMIN',
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount mount_setattr move_mount
     open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns statmount syslog umount umount2
     unshare`,
  ],
  ['CAP_SYS_BOOT', 'reboot'],
  ['CAP_SYS_CHROOT', 'chroot'],
  ['CAP_SYS_MODULE', 'delete_module finit_module init_module'],
  ['CAP_SYS_PACCT', 'acct'],
  ['CAP_SYS_PTRACE', 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace'],
  ['CAP_SYS_RAWIO', 'ioperm iopl'],
  ['CAP_SYS_TIME', 'clock_settime clock_settime64 settimeofday stime'],
  ['CAP_SYS_TTY_CONFIG', 'vhangup'],
  ['CAP_SYS_NICE', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  ['CAP_SYSLOG', 'syslog'],
  ['CAP_BPF', 'bpf'],
  ['CAP_PERFMON', 'perf_event_open'],
];

const allow = 'SCMP_ACT_ALLOW';
const s390 = ['s390', 's390x'];
const withoutNamespaces = (index: number) => [
  { index, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
];

/** The rules, each with the conditions under which it holds. */
export const defaultRules: readonly ProfileRule[] = [
  {
    names: [
      ...filesAndDirectories,
      ...readingAndWaiting,
      ...memory,
      ...processesAndSignals,
      ...socketsAndMessages,
      ...timeAndSystem,
    ],
    action: allow,
  },
  // Before 4.8 a tracer could step around the filter (seccomp(2)).
  {
    names: words('process_vm_readv process_vm_writev ptrace'),
    action: allow,
    includes: { minKernel: '4.8' },
  },
  // vsock reaches the hypervisor past every network namespace.
  { names: ['socket'], action: allow, args: [{ index: 0, value: addressFamilyVsock, op: 'SCMP_CMP_NE' }] },
  ...personalities.map(
    (value): ProfileRule => ({
      names: ['personality'],
      action: allow,
      args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
    }),
  ),
  { names: words('arch_prctl modify_ldt'), action: allow, includes: { arches: ['amd64', 'x32'] } },
  { names: ['modify_ldt'], action: allow, includes: { arches: ['386', 'x86'] } },
  {
    names: words('arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2'),
    action: allow,
    includes: { arches: ['arm', 'arm64'] },
  },
  { names: words('swapcontext sync_file_range2'), action: allow, includes: { arches: ['ppc64le'] } },
  { names: ['riscv_flush_icache'], action: allow, includes: { arches: ['riscv64'] } },
  {
    names: words('s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'),
    action: allow,
    includes: { arches: s390 },
  },
  ...administration.map(
    ([capability, syscalls]): ProfileRule => ({
      names: words(syscalls),
      action: allow,
      includes: { caps: [capability] },
    }),
  ),
  {
    names: ['clone'],
    action: allow,
    args: withoutNamespaces(0),
    excludes: { caps: ['CAP_SYS_ADMIN'], arches: s390 },
  },
  // The order of clone's arguments differs there.
  {
    names: ['clone'],
    action: allow,
    args: withoutNamespaces(1),
    includes: { arches: s390 },
    excludes: { caps: ['CAP_SYS_ADMIN'] },
  },
  // Its flags are in memory, where no filter can look; with ENOSYS the C library falls back to clone.
  {
    names: ['clone3'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: functionNotImplemented,
    excludes: { caps: ['CAP_SYS_ADMIN'] },
  },
];
