import { expect, test } from 'vitest';
import { defaultPath, processArgs, processCwd, processEnv } from './process.ts';

const image = { entrypoint: ['/entry'], command: ['cmd'] };

test.each([
  ['a command hides the image', { command: ['/bin/a'], args: ['b'] }, image, ['/bin/a', 'b']],
  ['arguments hide the image command', { command: [], args: ['b'] }, image, ['/entry', 'b']],
  ['nothing asked', { command: [], args: [] }, image, ['/entry', 'cmd']],
  ['an empty entrypoint is none', { command: [], args: [] }, { entrypoint: [''], command: ['sh'] }, ['sh']],
])('%s', (_, config, from, expected) => {
  expect(processArgs(config, from)).toEqual(expected);
});

test('nothing to run is an invalid argument', () => {
  expect(() => processArgs({ command: [], args: [] }, { entrypoint: [], command: [] })).toThrow(
    expect.objectContaining({ kind: 'InvalidArgument' }),
  );
});

test('later variables replace earlier ones in their place', () => {
  const env = processEnv({
    hostname: 'h',
    hasTty: true,
    home: '/root',
    imageEnv: ['A=1', 'TERM=vt100', 'broken', 'B=x=y'],
    envs: [
      { key: 'A', value: '2' },
      { key: 'C', value: '' },
    ],
  });
  expect(env).toEqual([
    `PATH=${defaultPath}`,
    'HOSTNAME=h',
    'HOME=/root',
    'TERM=vt100',
    'A=2',
    'B=x=y',
    'C=',
  ]);
});

test('the working directory is absolute', () => {
  expect([processCwd('', ''), processCwd('', 'app'), processCwd('/w', '/srv')]).toEqual(['/', '/app', '/w']);
});
