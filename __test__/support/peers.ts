// Peers made of Node's own `net`, and pairs of evnode's.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ExecutionContext } from 'ava';

import type { BufferEvent, ConnListener, EventBase, ListenOptions } from 'evnode';

/** The port of a listener. */
export function portOf(listener: ConnListener): number {
  const port = listener.address()?.port;
  if (port === undefined) throw new Error('the listener has no port');
  return port;
}

/** A `net` client that is connected to a listener. */
export async function netClient(
  listener: ConnListener,
  options: Partial<net.TcpNetConnectOpts> = {},
): Promise<net.Socket> {
  const socket = net.connect({ ...options, port: portOf(listener), host: '127.0.0.1' });
  await once(socket, 'connect');
  return socket;
}

/** All that a socket receives until its peer ends. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Both ends of a connection on one base. The listener is gone when this is fulfilled. */
export async function pair(
  base: EventBase,
  options: ListenOptions = { port: 0, host: '127.0.0.1' },
): Promise<{ server: BufferEvent; client: BufferEvent }> {
  const listener = base.listen(options);
  const accepted = listener[Symbol.asyncIterator]().next();
  const client = await base.connect(
    options.path === undefined ? { port: portOf(listener) } : { path: options.path },
  );
  const { value: server } = await accepted;
  listener.free();
  if (server === undefined) throw new Error('nothing was accepted');
  return { server, client };
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'evnode-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes that are easily told apart. */
export function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
}
