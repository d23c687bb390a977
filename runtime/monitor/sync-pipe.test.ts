import { writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { close, pipe } from '#host/libc.ts';
import { parseAnswer, readAnswer } from './sync-pipe.ts';

describe('an answer', () => {
  it.each([
    ['a process', '{"pid":12}\n', { pid: 12, message: '' }],
    ['an older form', '{"data":7}', { pid: 7, message: '' }],
    ['words with raw tabs', '{"pid":-1,"message":"a\tb"}\n', { pid: -1, message: 'a b' }],
    ['no JSON', 'panic: x\nmore', { pid: -1, message: 'panic: x' }],
    ['JSON of another kind', 'null\n', { pid: -1, message: 'null' }],
    ['a process that no kernel has', '{"pid":1e300}\n', { pid: -1, message: '' }],
    ['a process by a list', '{"pid":[[5]]}\n', { pid: -1, message: '' }],
  ])('is understood: %s', (_what, text, answer) => expect(parseAnswer(text)).toEqual(answer));

  it('may be missing', () => expect(parseAnswer(' \n{"pid":1}')).toBeUndefined());

  it('is read to its first line, whatever pieces it comes in, and not without end', async () => {
    const [reading, writing] = pipe();
    const answer = readAnswer(reading);
    const bytes = Buffer.from('{"message":"ü"}\n');
    writeSync(writing, bytes.subarray(0, 13));
    await new Promise(setImmediate);
    writeSync(writing, bytes.subarray(13));
    expect(await answer).toBe('{"message":"ü"}\n');
    close(writing);

    const [endless, filling] = pipe();
    const flood = readAnswer(endless);
    const write = (): void => {
      try {
        writeSync(filling, Buffer.alloc(4096, 'x'));
        setImmediate(write);
      } catch {
        close(filling); // EPIPE: nobody reads on
      }
    };
    write();
    expect((await flood).length).toBeLessThan(2 << 20);
  });
});
