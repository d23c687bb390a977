/** The distribution project's registry, on a free port with an empty directory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../digest.ts';
import type { ImageTarget } from './test-image.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class RealRegistry implements ImageTarget {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #root: string;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(host: string, child: ChildProcess, root: string, headers: Record<string, string>) {
    this.host = host;
    this.#child = child;
    this.#root = root;
    this.#headers = headers;
  }

  /** With `htpasswd`, a line of such a file (bcrypt), only for who sends this `user:password`. */
  static async start(login?: { htpasswd: string; userPassword: string }): Promise<RealRegistry> {
    const root = mkdtempSync(join(tmpdir(), 'registry-'));
    const host = `127.0.0.1:${await freePort()}`;
    const config = join(root, 'config.yml');
    const auth =
      login === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${join(root, 'htpasswd')}}}\n`;
    if (login) writeFileSync(join(root, 'htpasswd'), `${login.htpasswd}\n`);
    const headers: Record<string, string> = login
      ? { Authorization: `Basic ${Buffer.from(login.userPassword).toString('base64')}` }
      : {};
    writeFileSync(
      config,
      `${auth}version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${root}/data}}\nhttp: {addr: "${host}"}\n`,
    );
    const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr!.on('data', (text: Buffer) => {
      words += text.toString();
    });
    const deadlineMs = Date.now() + 10_000;
    for (;;) {
      if (child.exitCode !== null || Date.now() > deadlineMs)
        throw new Error(`docker-registry does not start: ${words}`);
      const isUp = await fetch(`http://${host}/v2/`, { headers }).then(
        (response) => response.ok,
        () => false,
      );
      if (isUp) return new RealRegistry(host, child, root, headers);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async putBlob(name: string, content: Buffer): Promise<void> {
    const start = await fetch(`http://${this.host}/v2/${name}/blobs/uploads/`, {
      method: 'POST',
      headers: this.#headers,
    });
    const location = new URL(start.headers.get('location')!, `http://${this.host}`);
    location.searchParams.set('digest', digestOf(content));
    const put = await fetch(location, {
      method: 'PUT',
      body: new Uint8Array(content),
      headers: { ...this.#headers, 'Content-Type': 'application/octet-stream' },
    });
    if (put.status !== 201) throw new Error(`pushing a blob: ${put.status} ${await put.text()}`);
  }

  async putManifest(name: string, reference: string, body: Buffer, mediaType: string): Promise<void> {
    const put = await fetch(`http://${this.host}/v2/${name}/manifests/${reference}`, {
      method: 'PUT',
      body: new Uint8Array(body),
      headers: { ...this.#headers, 'Content-Type': mediaType },
    });
    if (put.status !== 201) throw new Error(`pushing a manifest: ${put.status} ${await put.text()}`);
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await exited;
    rmSync(this.#root, { recursive: true, force: true });
  }
}
