/** The kubelet's serving certificate and its clients', made anew for every run. */
import { join } from 'node:path';
import { runCommand } from '../command.ts';

/** PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** PEM files. The same authority signs both pairs. */
  readonly authority: string;
  readonly serverCert: string;
  readonly serverKey: string;
  /** An operator's, in the group `system:masters`. */
  readonly clientCert: string;
  readonly clientKey: string;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];

async function request(
  dir: string,
  name: string,
  subject: string,
  more: readonly string[],
): Promise<KeyPair> {
  const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const files = ['-keyout', key, '-out', cert, '-subj', subject];
  await runCommand('openssl', ['req', '-x509', ...newKey, ...files, ...more]);
  return { key, cert };
}

/** A pair signed by the authority of `dir`, valid for a day; `names` as in `IP:127.0.0.1` or `DNS:operator`. */
export function signPair(
  dir: string,
  name: string,
  subject: string,
  purpose: 'serverAuth' | 'clientAuth',
  names: readonly string[],
): Promise<KeyPair> {
  const authority = ['-CA', join(dir, 'authority.crt'), '-CAkey', join(dir, 'authority.key')];
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    `extendedKeyUsage=${purpose}`,
    `subjectAltName=${names.join(',')}`,
  ];
  return request(dir, name, subject, [...authority, ...extensions.flatMap((text) => ['-addext', text])]);
}

/** Makes an authority and two pairs under `dir` with the openssl program; the server's is good for each of `addresses`. */
export async function makeCertificates(dir: string, addresses: readonly string[]): Promise<Certificates> {
  const { cert: authority } = await request(dir, 'authority', '/CN=kubelet-e2e', []);
  const names = [...new Set(addresses)].map((address) => `IP:${address}`);
  const server = await signPair(dir, 'server', '/CN=berth-node', 'serverAuth', names);
  const client = await signPair(dir, 'client', '/O=system:masters/CN=operator', 'clientAuth', [
    'DNS:operator',
  ]);
  return {
    authority,
    serverCert: server.cert,
    serverKey: server.key,
    clientCert: client.cert,
    clientKey: client.key,
  };
}
