import { expect, test } from 'vitest';
import { applyChanges } from './change-instructions.ts';

test('instructions change what they name and nothing else', () => {
  const config = {
    Env: ['PATH=/bin', 'A=1'],
    Cmd: ['old'],
    Labels: { a: '1' },
    WorkingDir: '/srv',
    Kept: true,
  };
  const lines = [
    'ENV A=2 B="two words" C=\'x\'',
    'ENV D all of this',
    'CMD ["sh", "-c", "true"]',
    'entrypoint run this',
    'LABEL b=2',
    'EXPOSE 80 53/udp',
    'VOLUME ["/data", "/more"]',
    'USER 1000:1000',
    'WORKDIR sub',
    'STOPSIGNAL SIGINT',
  ];
  expect(applyChanges(config, lines)).toEqual({
    Env: ['PATH=/bin', 'A=2', 'B=two words', 'C=x', 'D=all of this'],
    Cmd: ['sh', '-c', 'true'],
    Entrypoint: ['/bin/sh', '-c', 'run this'],
    Labels: { a: '1', b: '2' },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Volumes: { '/data': {}, '/more': {} },
    User: '1000:1000',
    WorkingDir: '/srv/sub',
    StopSignal: 'SIGINT',
    Kept: true,
  });
  for (const line of ['RUN x', 'ENV', 'ENV x', 'CMD ["a"', 'EXPOSE many', ''])
    expect(() => applyChanges(config, [line])).toThrow(/change "/);
});
