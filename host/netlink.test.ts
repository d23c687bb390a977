import { expect, test } from 'vitest';
import {
  AF_INET,
  addressHeader,
  attribute,
  byteAttribute,
  encodeMessage,
  IFF_UP,
  linkAttributes,
  linkHeader,
  messageFlags,
  messageTypes,
  numberAttribute,
  parseAcknowledgement,
  parseAddressEntry,
  parseAttributes,
  parseLink,
  routeHeader,
  splitMessages,
  textAttribute,
} from './netlink.ts';

const hex = (bytes: Buffer) => bytes.toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

test('a request has the bytes that iproute2 sends for `ip link set dev lo up`', () => {
  const parts = [linkHeader(1, IFF_UP)];
  const message = encodeMessage(messageTypes.newLink, messageFlags.request | messageFlags.ack, 7, parts);
  expect(hex(message)).toBe(
    hex(bytes('20000000 1000 0500 07000000 00000000  00000000 01000000 01000000 01000000')),
  );
});

test('attributes are padded, but their length is not', () => {
  expect(hex(textAttribute(linkAttributes.name, 'eth0'))).toBe('0900030065746830' + '00000000');
  expect(hex(byteAttribute(4, 1))).toBe('0500040001000000');
  expect(hex(numberAttribute(linkAttributes.mtu, 1500))).toBe('08000400dc050000');
  // Nested: the inner attribute with its padding counts.
  expect(hex(attribute(18, textAttribute(1, 'veth')))).toBe('10001200' + '090001007665746800000000');
});

test('headers of addresses and routes', () => {
  expect(hex(addressHeader(AF_INET, 16, 0x102))).toBe('0210000002010000');
  expect(hex(routeHeader(AF_INET, 0))).toBe('02000000fe03000100000000');
});

test('a datagram with several messages is split; what is cut off is left out', () => {
  const one = encodeMessage(16, 0, 1, [Buffer.of(1, 2, 3)]);
  const two = encodeMessage(20, 2, 2, [Buffer.of(4)]);
  const both = Buffer.concat([one, two]);
  expect(splitMessages(both)).toEqual([
    { type: 16, flags: 0, sequence: 1, body: Buffer.of(1, 2, 3) },
    { type: 20, flags: 2, sequence: 2, body: Buffer.of(4) },
  ]);
  expect(splitMessages(both.subarray(0, 36))).toHaveLength(1);
  expect(splitMessages(both.subarray(0, 10))).toEqual([]);
  // A length of zero must not be waited on for ever.
  expect(splitMessages(Buffer.alloc(32))).toEqual([]);
  expect(parseAttributes(Buffer.alloc(8)).size).toBe(0);
});

test('an answer is success, or an error with the kernel’s words, capped or with the whole request', () => {
  const echoed = encodeMessage(16, 5, 3, [linkHeader(0), textAttribute(3, 'eth0')]);
  const words = textAttribute(1, 'Device or resource busy');
  const answer = (errno: number, flags: number, ...rest: Buffer[]) => {
    const code = Buffer.alloc(4);
    code.writeInt32LE(-errno);
    return splitMessages(encodeMessage(messageTypes.error, flags, 3, [code, ...rest]))[0]!;
  };
  expect(parseAcknowledgement(answer(0, 0x100, echoed.subarray(0, 16)))).toEqual({ errno: 0, text: '' });
  expect(parseAcknowledgement(answer(17, 0x100, echoed.subarray(0, 16)))).toEqual({ errno: 17, text: '' });
  const text = 'Device or resource busy';
  expect(parseAcknowledgement(answer(16, 0x300, echoed.subarray(0, 16), words))).toEqual({ errno: 16, text });
  expect(parseAcknowledgement(answer(16, 0x200, echoed, words))).toEqual({ errno: 16, text });
});

test('links and addresses are read from the bodies that the kernel sends', () => {
  const link = Buffer.concat([
    linkHeader(12, IFF_UP, 0),
    textAttribute(linkAttributes.name, 'berth0'),
    numberAttribute(linkAttributes.mtu, 1400),
    attribute(linkAttributes.address, bytes('0abe0a580001')),
    attribute(linkAttributes.linkInfo | 0x8000, textAttribute(1, 'bridge')),
  ]);
  expect(parseLink(link)).toEqual({
    index: 12,
    name: 'berth0',
    flags: IFF_UP,
    mtu: 1400,
    mac: '0a:be:0a:58:00:01',
    kind: 'bridge',
    master: 0,
  });
  const address = Buffer.concat([addressHeader(AF_INET, 16, 12), attribute(1, Buffer.of(10, 88, 0, 1))]);
  expect(parseAddressEntry(address)).toEqual({
    family: AF_INET,
    prefix: 16,
    index: 12,
    scope: 0,
    address: Buffer.of(10, 88, 0, 1),
  });
});
