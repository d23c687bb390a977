/** The kubelet's serving certificate and the one client that it lets in, made anew for every run. */
import { join } from 'node:path';
import { runCommand } from '../command.ts';

export interface Certificates {
  /** PEM files. The same authority signs both pairs. */
  readonly authority: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

/** Makes an authority and two pairs under `dir`, valid for a day, with the openssl program. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const path = (name: string) => join(dir, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const request = (name: string, subject: string, more: string[]) =>
    runCommand('openssl', [
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.crt`),
      '-subj',
      subject,
      ...more,
    ]);
  await request('authority', '/CN=kubelet-e2e', []);
  const signed = ['-CA', path('authority.crt'), '-CAkey', path('authority.key')];
  const leaf = (purpose: string, name: string) => [
    ...signed,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
    '-addext',
    `extendedKeyUsage=${purpose}`,
    '-addext',
    `subjectAltName=${name}`,
  ];
  await request('server', '/CN=berth-node', leaf('serverAuth', 'IP:127.0.0.1'));
  await request('client', '/O=system:masters/CN=operator', leaf('clientAuth', 'DNS:operator'));
  return {
    authority: path('authority.crt'),
    serverCert: path('server.crt'),
    serverKey: path('server.key'),
    clientCert: path('client.crt'),
    clientKey: path('client.key'),
  };
}
