/** The key pair of the streaming server and its clients' authority: read from the files of the configuration, and again on a reload. */
import { readFileSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { StreamingServer, StreamingTls } from '#cri/streaming/server.ts';
import type { Config } from './config/options.ts';

/** The files' content; undefined without TLS. Throws FailedPrecondition naming a file that cannot be read. */
export function readStreamingTls({
  tlsCert,
  tlsKey,
  tlsClientCa,
}: Config['streaming']): StreamingTls | undefined {
  if (tlsCert === '') return undefined;
  return {
    cert: read('streaming.tls_cert', tlsCert),
    key: read('streaming.tls_key', tlsKey),
    ...(tlsClientCa === '' ? {} : { clientCa: read('streaming.tls_client_ca', tlsClientCa) }),
  };
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RuntimeError('FailedPrecondition', `read the file of ${option}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Reads the files again, whether or not their names changed, for the connections from now on. What cannot be used is
 * logged, and the pair in use stays. Turning TLS or the check of clients on or off takes a restart, and says so.
 */
export function reloadStreamingTls(
  server: Pick<StreamingServer, 'setTls'>,
  atStart: Config['streaming'],
  now: Config['streaming'],
  log: Log,
): void {
  const isSwitched = (key: 'tlsCert' | 'tlsClientCa'): boolean => (atStart[key] === '') !== (now[key] === '');
  if (isSwitched('tlsCert') || isSwitched('tlsClientCa')) {
    log.warn('streaming: switching TLS or the check of its clients on or off needs a restart');
    return;
  }
  try {
    const tls = readStreamingTls(now);
    if (tls !== undefined) server.setTls(tls);
  } catch (error) {
    log.error({ err: error }, `the streaming server keeps its key pair: ${messageOf(error)}`);
  }
}
