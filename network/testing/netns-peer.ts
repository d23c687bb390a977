/** Network namespaces for tests, with something that answers inside them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

export const namespacePath = (name: string): string => `/var/run/netns/${name}`;

/** Runs a program of the host and returns its output. */
export function sh(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Makes a namespace with `lo` up. */
export function addNamespace(name: string): string {
  sh('ip', 'netns', 'add', name);
  sh('ip', '-n', name, 'link', 'set', 'lo', 'up');
  return namespacePath(name);
}

/** Removes a namespace; one that is gone is fine. */
export function removeNamespace(name: string): void {
  try {
    sh('ip', 'netns', 'delete', name);
  } catch {
    // gone already
  }
}

const serverScript = `
const [port] = process.argv.slice(1).map(Number);
const plain = (address) => address.replace('::ffff:', '');
require('net').createServer((socket) => socket.end(plain(socket.remoteAddress))).listen(port, '::', () => {
  const udp = require('dgram').createSocket({ type: 'udp6' });
  udp.on('message', (message, peer) => udp.send(plain(peer.address), peer.port, peer.address));
  udp.bind(port, '::', () => console.log('ready'));
});`;

const clientScript = `
const [protocol, host, port, waitMs] = process.argv.slice(1);
const finish = (text) => { console.log(text); process.exit(0); };
setTimeout(() => finish('timeout'), Number(waitMs));
if (protocol === 'tcp') {
  const socket = require('net').connect(Number(port), host);
  let text = '';
  socket.on('data', (chunk) => { text += chunk; });
  socket.on('end', () => finish(text));
  socket.on('error', (error) => finish(error.code));
} else {
  const socket = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message) => finish(message.toString()));
  socket.on('error', (error) => finish(error.code));
  socket.connect(Number(port), host, () => socket.send('hello'));
}`;

const inNamespace = (name: string): string[] => (name === '' ? [] : ['ip', 'netns', 'exec', name]);

/** A server in a namespace on TCP and UDP that answers with the address it was asked from. */
export async function serve(name: string, port: number): Promise<ChildProcess> {
  const [program = '', ...args] = [...inNamespace(name), process.execPath, '-e', serverScript, String(port)];
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout!, 'data');
  return server;
}

/** Asks such a server from a namespace ('' is the host): the address it saw, or `timeout`, or an errno name. */
export async function ask(
  name: string,
  protocol: 'tcp' | 'udp',
  host: string,
  port: number,
  waitMs = 1500,
): Promise<string> {
  const last = ['-e', clientScript, protocol, host, String(port), String(waitMs)];
  const [program = '', ...args] = [...inNamespace(name), process.execPath, ...last];
  const client = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  client.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  await once(client, 'close');
  return text.trim();
}
