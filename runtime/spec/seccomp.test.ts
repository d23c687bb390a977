import { describe, expect, test } from 'vitest';
import { defaultCapabilities } from './capabilities.ts';
import { defaultSeccomp, resolveSeccomp } from './seccomp.ts';
import { parseSeccompProfile } from './seccomp-parser.ts';

const facts = { architecture: 'amd64', kernelVersion: '6.1.0-13-amd64', capabilities: defaultCapabilities };
const invalid = expect.objectContaining({ kind: 'InvalidArgument' });

function verdict(capabilities: readonly string[], syscall: string, more: Partial<typeof facts> = {}) {
  const { syscalls = [] } = defaultSeccomp({ ...facts, ...more, capabilities });
  return syscalls.filter((rule) => rule.names.includes(syscall)).map(({ names: _, ...rule }) => rule);
}

describe('the default profile', () => {
  test('denies what escapes a filter, a namespace or the node', () => {
    const denied = `io_uring_setup io_uring_enter io_uring_register userfaultfd keyctl add_key request_key mount umount2 unshare
      setns bpf perf_event_open kexec_load init_module swapon reboot open_by_handle_at pivot_root quotactl statmount`;
    const all = new Set(defaultSeccomp(facts).syscalls?.flatMap((rule) => rule.names));
    expect(denied.split(/\s+/).filter((name) => all.has(name))).toEqual([]);
  });

  test('conditions: clone without namespaces, clone3 as if unknown, no vsock, set personalities', () => {
    expect(verdict(defaultCapabilities, 'clone')).toEqual([
      {
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
    ]);
    expect(verdict(defaultCapabilities, 'clone3')).toEqual([{ action: 'SCMP_ACT_ERRNO', errnoRet: 38 }]);
    expect(verdict(defaultCapabilities, 'socket')).toEqual([
      { action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 40, op: 'SCMP_CMP_NE' }] },
    ]);
    expect(verdict(defaultCapabilities, 'personality')).toHaveLength(5);
  });

  test('opens with the capability, the kernel and the architecture', () => {
    const allowed = [{ action: 'SCMP_ACT_ALLOW' }];
    expect(verdict(['CAP_SYS_ADMIN'], 'clone3')).toEqual(allowed);
    expect(verdict(['CAP_SYS_ADMIN'], 'clone')).toEqual(allowed);
    expect(verdict(['CAP_SYS_TIME'], 'settimeofday')).toEqual(allowed);
    expect(verdict([], 'ptrace')).toEqual(allowed);
    expect(verdict([], 'ptrace', { kernelVersion: '4.4.0' })).toEqual([]);
    expect(verdict([], 'arch_prctl', { architecture: 'arm64' })).toEqual([]);
    expect(defaultSeccomp({ ...facts, architecture: 'arm64' }).architectures).toEqual([
      'SCMP_ARCH_AARCH64',
      'SCMP_ARCH_ARM',
    ]);
  });
});

describe('profiles from disk', () => {
  const rule = (more: object) => ({ names: ['mount'], action: 'SCMP_ACT_ALLOW', ...more });
  const parse = (profile: object) =>
    parseSeccompProfile(JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', ...profile }), facts, '/p.json');

  test("Docker's form becomes OCI's", () => {
    const parsed = parse({
      defaultErrnoRet: 1,
      archMap: [
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
      ],
      syscalls: [
        rule({ includes: { caps: ['CAP_KILL'], arches: ['amd64'], minKernel: '4.8' }, comment: 'x' }),
        rule({ names: ['a'], includes: { caps: ['CAP_SYS_ADMIN'] } }),
        rule({ names: ['b'], excludes: { arches: ['amd64'] } }),
        rule({ names: ['c'], includes: { minKernel: '9.0' } }),
        { name: 'personality', action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }] },
      ],
    });
    expect(parsed).toEqual({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      syscalls: [
        { names: ['mount'], action: 'SCMP_ACT_ALLOW' },
        {
          names: ['personality'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 8, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
        },
      ],
    });
  });

  test.each([
    ['an unknown action', { defaultAction: 'ALLOW' }],
    ['an unknown operator', { syscalls: [rule({ args: [{ index: 0, value: 1, op: '==' }] })] }],
    ['a sixth argument', { syscalls: [rule({ args: [{ index: 6, value: 1, op: 'SCMP_CMP_EQ' }] })] }],
    ['no names', { syscalls: [rule({ names: [] })] }],
    ['both kinds of architecture', { architectures: ['SCMP_ARCH_X86'], archMap: [{}] }],
    ['a list that is none', { syscalls: {} }],
    ['an unknown flag', { flags: ['X'] }],
    [
      'a value JSON cannot hold',
      { syscalls: [rule({ args: [{ index: 0, value: 2 ** 60, op: 'SCMP_CMP_EQ' }] })] },
    ],
  ])('%s is an invalid argument', (_, profile) => {
    expect(() => parse(profile)).toThrow(invalid);
  });

  test('what is no JSON is an invalid argument that names the file', () => {
    expect(() => parseSeccompProfile('{', facts, '/p.json')).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument', message: expect.stringContaining('/p.json') }),
    );
  });
});

describe('which filter applies', () => {
  const input = { ...facts, profile: undefined, isPrivileged: false, localhostText: undefined };
  const runtimeDefault = { type: 'runtimeDefault', localhostRef: '' } as const;

  test('absent is unconfined; privileged ignores even a profile that is missing', () => {
    expect(resolveSeccomp(input)).toBeUndefined();
    expect(resolveSeccomp({ ...input, profile: runtimeDefault })?.defaultAction).toBe('SCMP_ACT_ERRNO');
    const missing = { type: 'localhost', localhostRef: '/gone.json' } as const;
    expect(resolveSeccomp({ ...input, profile: missing, isPrivileged: true })).toBeUndefined();
    expect(() => resolveSeccomp({ ...input, profile: missing })).toThrow(invalid);
    expect(() => resolveSeccomp({ ...input, profile: { ...runtimeDefault, localhostRef: '/x' } })).toThrow(
      invalid,
    );
  });
});
