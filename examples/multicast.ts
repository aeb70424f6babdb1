// One message to many: every connection is sent the same bytes, which are in memory once.
//
//   node --import tsx examples/multicast.ts

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { EvBuffer, EventBase, memoryStatistics } from 'evnode';

const LISTENERS = 50;
const MESSAGE = Buffer.alloc(1024 * 1024, 'the same for everybody; ');
const MIB = 1024 * 1024;

const digest = (bytes: Iterable<Buffer>): string => {
  const hash = createHash('sha256');
  for (const part of bytes) hash.update(part);
  return hash.digest('hex');
};

async function main(): Promise<void> {
  const base = new EventBase();
  const message = new EvBuffer().add(MESSAGE);
  const before = memoryStatistics().allocated;

  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    // Nothing is copied, and the message stays for the next one.
    conn.output.addBufferReference(message);
    void conn.close();
  });
  const port = listener.address()?.port ?? 0;

  const connections = await Promise.all(
    Array.from({ length: LISTENERS }, () => base.connect({ port })),
  );
  // Nobody has read yet: all of it waits to be sent, to everybody.
  const grown = (memoryStatistics().allocated - before) / MIB;
  const received = await Promise.all(
    connections.map(async (conn) => {
      using all = await EvBuffer.collect(conn.chunks());
      conn.free();
      return digest(all.peek());
    }),
  );
  listener.free();
  for (const one of received) assert.equal(one, digest([MESSAGE]));
  assert.ok(grown < LISTENERS / 5, `${grown} MiB for ${LISTENERS} connections`);
  console.log(`${received.length} connections have received all of the message`);
  message.free();
}

void main();
