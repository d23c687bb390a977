import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { decode, decodeEnvelope, encode, encodeEnvelope } from './codec.ts';
import { Field, Plugin } from './generated/nri.ts';

/** The reference: protobufjs' reflection over the proto itself. */
const reference = protobuf
  .parse(readFileSync(new URL('v1alpha1/api.proto', import.meta.url), 'utf8'), { keepCase: true })
  .root.resolveAll();

function readByReference(name: string, bytes: Uint8Array): unknown {
  const type = reference.lookupType(`nri.pkg.api.v1alpha1.${name}`);
  return type.toObject(type.decode(bytes), { longs: String });
}

describe('messages of NRI', () => {
  it('keeps maps of messages and maps by number', () => {
    const owners = {
      c1: {
        simple: { [Field.MemLimit]: '10-a', [Field.CPUShares]: '20-b' },
        compound: { [Field.Env]: { owners: { PATH: '-10-a' } } },
      },
    };
    const bytes = encode('OwningPlugins', { owners });
    expect(readByReference('OwningPlugins', bytes)).toStrictEqual({ owners });
    const read = decode('OwningPlugins', bytes).owners.c1;
    expect(read?.simple[Field.MemLimit]).toBe('10-a');
    expect(read?.compound[Field.Env]?.owners.PATH).toBe('-10-a');
  });

  it('tells an absent number from zero', () => {
    const bytes = encode('LinuxCPU', { quota: { value: -1n }, shares: { value: 0n } });
    expect(readByReference('LinuxCPU', bytes)).toStrictEqual({ quota: { value: '-1' }, shares: {} });
    expect(decode('LinuxCPU', bytes)).toMatchObject({
      quota: { value: -1n },
      shares: { value: 0n },
      period: undefined,
    });
  });

  it('takes a map entry without a value', () => {
    // Go writes so the network device that a plugin wants removed: linux (6) { net_devices (9) { key: "-eth1" } }.
    const entry = Buffer.concat([Buffer.from([0x0a, 5]), Buffer.from('-eth1')]);
    const linux = Buffer.concat([Buffer.from([0x4a, entry.length]), entry]);
    const adjust = decode('ContainerAdjustment', Buffer.concat([Buffer.from([0x32, linux.length]), linux]));
    expect({ ...adjust.linux?.net_devices }).toStrictEqual({ '-eth1': { name: '' } });
  });

  it('has the paths that plugins answer under', () => {
    expect(Plugin.CreateContainer.path).toBe('/nri.pkg.api.v1alpha1.Plugin/CreateContainer');
  });
});

it('keeps the payload of an envelope', () => {
  const payload = Buffer.from([1, 0, 255]);
  const bytes = encodeEnvelope('Request', {
    service: 's',
    method: 'm',
    payload,
    timeout_nano: 2_000_000_000n,
  });
  expect(decodeEnvelope('Request', bytes)).toMatchObject({
    method: 'm',
    payload,
    timeout_nano: 2_000_000_000n,
  });
});
