import net from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EvBuffer,
  EventBase,
  EventFlags,
  EvError,
  type BufferEventCallback,
} from 'evnode';

import { attached, everywhere, later } from './support/drive';
import { netClient, pair, pattern, portOf, readAll, temporaryFolder } from './support/peers';

const { READ, WRITE } = EventFlags;
const { CONNECTED, EOF, ERROR, READING, TIMEOUT, WRITING } = BufferEventFlags;

/** The next event of a bufferevent, in place of its callbacks. */
function nextEvent(bev: BufferEvent): Promise<{ what: number; error: EvError | null }> {
  const end = later<{ what: number; error: EvError | null }>();
  const event: BufferEventCallback = (_, what, error) => end.resolve({ what, error });
  bev.setCallbacks({ read: (bev) => bev.read(), event });
  return end.promise;
}

attached('what net clients send is echoed, byte for byte', async (t, base) => {
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    conn.setCallbacks({ read: (conn) => conn.forward(conn) });
  });
  const lengths = [1, 64, 4096, 100_000, 1_000_000];
  await Promise.all(
    lengths.map(async (length) => {
      const client = await netClient(listener);
      client.end(pattern(length));
      t.deepEqual(await readAll(client), pattern(length));
    }),
  );
  listener.free();
});

everywhere('both ends of a connection can be evnode', async (t, base) => {
  const { server, client } = await pair(base);
  server.setCallbacks({ read: (bev) => bev.forward(bev) });
  const sent = pattern(300_000);
  client.write(sent);
  const received: Buffer[] = [];
  for await (const chunk of client) {
    received.push(chunk);
    if (received.reduce((sum, { length }) => sum + length, 0) === sent.length) break;
  }
  t.deepEqual(Buffer.concat(received), sent);
  client.free();
  server.free();
});

everywhere('a connection over a Unix socket works as one over TCP', async (t, base) => {
  const path = join(temporaryFolder(t), 'socket');
  const { server, client } = await pair(base, { path });
  server.write('hello\n');
  const { value } = await client.lines().next();
  t.is(value, 'hello');
  t.is(client.remoteAddress?.address, path);
  t.is(client.remoteAddress?.family, 'unix');
  server.free();
  client.free();
});

everywhere('reading takes all or a part, as bytes or as a string', async (t, base) => {
  const { server, client } = await pair(base);
  const end = later();
  server.setWatermark(READ, 12, 0);
  server.setCallbacks({ read: () => end.resolve() });
  client.write('héllo wörld');
  client.write('!');
  await end.promise;
  t.is(server.inputLength, 14);
  t.is(server.read(1)?.toString(), 'h');
  t.is(server.readString(2), 'é');
  t.is(server.readString(6, 'latin1'), 'llo wÃ');
  t.is(server.read()?.toString('latin1'), '¶rld!');
  t.is(server.read(), null);
  t.is(server.read(5), null);
  t.is(server.readString(), null);
  server.free();
  client.free();
});

everywhere(
  'one read takes more than a slab holds, and never the same memory twice',
  async (t, base) => {
    const { server, client } = await pair(base);
    const sent = pattern(200_000);
    const end = later();
    server.setWatermark(READ, sent.length, 0);
    server.setCallbacks({ read: () => end.resolve() });
    client.write(sent);
    await end.promise;
    const first = server.read(10);
    const second = server.read(20_000);
    const rest = server.read();
    t.deepEqual(Buffer.concat([first, second, rest].map((one) => one ?? Buffer.alloc(0))), sent);
    server.free();
    client.free();
  },
);

everywhere('buffers move in and out of a bufferevent', async (t, base) => {
  const { server, client } = await pair(base);
  using out = new EvBuffer();
  using into = new EvBuffer();
  const end = later();
  server.setCallbacks({
    read(bev) {
      bev.readBuffer(into);
      if (into.length === 9) end.resolve();
    },
  });
  out.add('abc');
  t.true(client.writeBuffer(out));
  t.is(out.length, 0);
  client.output.add('def');
  client.write('ghi');
  await end.promise;
  t.is(into.toString(), 'abcdefghi');
  t.is(client.output, client.output);
  server.free();
  t.throws(() => server.input.length, { code: 'ERR_EVNODE_CLOSED' });
  client.free();
});

everywhere('the end of the peer is told, and what was sent before comes first', async (t, base) => {
  const { server, client } = await pair(base);
  const order: string[] = [];
  const end = later();
  server.setCallbacks({
    read: (bev) => order.push(bev.readString() ?? ''),
    event(_, what, error) {
      order.push(`event ${what}`);
      t.is(error, null);
      end.resolve();
    },
  });
  client.write('last words');
  await client.close();
  await end.promise;
  t.deepEqual(order, ['last words', `event ${EOF | READING}`]);
  server.free();
});

attached('a connection that has ended one way still works the other way', async (t, base) => {
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    conn.setCallbacks({
      read: (conn) => conn.forward(conn),
      event(conn, what) {
        if ((what & EOF) === 0) return;
        conn.write(' and more after the end');
        void conn.close();
      },
    });
  });
  const client = await netClient(listener, { allowHalfOpen: true });
  client.end('a question');
  t.is(String(await readAll(client)), 'a question and more after the end');
  listener.free();
});

attached('finishing ends the sending side and goes on reading', async (t, base) => {
  const { server, client } = await pair(base);
  server.write('bye').valueOf();
  server.flush(WRITE, 'finished');
  const read: string[] = [];
  for await (const chunk of client) read.push(String(chunk));
  t.deepEqual(read, ['bye']);
  client.write('still here\n');
  t.is((await server.lines().next()).value, 'still here');
  server.free();
  client.free();
});

everywhere('a connection without an event callback is closed at its end', async (t, base) => {
  const { server, client } = await pair(base);
  server.setCallbacks({
    read(bev) {
      bev.forward(bev);
    },
  });
  client.write('echo me');
  client.flush(WRITE, 'finished');
  const chunks: Buffer[] = [];
  for await (const chunk of client) chunks.push(chunk);
  t.is(Buffer.concat(chunks).toString(), 'echo me');
  t.true(server.closed);
  client.free();
});

everywhere('closing sends what is queued first', async (t, base) => {
  const { server, client } = await pair(base);
  const sent = pattern(3_000_000);
  client.write(sent);
  const closed = client.close();
  t.true(client.closed);
  t.throws(() => client.write('too late'), { code: 'ERR_EVNODE_CLOSED' });
  const chunks: Buffer[] = [];
  for await (const chunk of server) chunks.push(chunk);
  await closed;
  await client.close();
  t.true(Buffer.concat(chunks).equals(sent));
  server.free();
});

everywhere(
  'a close that a peer holds up is ended by free or by a write timeout',
  async (t, base) => {
    const { server, client } = await pair(base);
    client.write(Buffer.alloc(20_000_000));
    const closed = client.close();
    client.free();
    await closed;
    server.setTimeouts(null, 20);
    server.write(Buffer.alloc(20_000_000));
    await server.close();
    t.true(server.closed);
  },
);

everywhere(
  'the read callback waits for the low mark, reading stops at the high one',
  async (t, base) => {
    const { server, client } = await pair(base);
    const lengths: number[] = [];
    const full = later();
    t.deepEqual(server.watermark(READ), { low: 0, high: 0 });
    server.setWatermark(READ, 10, 1000);
    t.deepEqual(server.watermark(READ), { low: 10, high: 1000 });
    server.setCallbacks({
      read(bev) {
        lengths.push(bev.inputLength);
        if (bev.inputLength === 1000) full.resolve();
      },
    });
    client.write('12345');
    client.write('67890');
    client.write(pattern(5000));
    await full.promise;
    t.true(lengths.every((length) => length >= 10 && length <= 1000));
    const rest: Buffer[] = [];
    const end = later();
    const take = (bev: BufferEvent) => {
      const chunk = bev.read();
      if (chunk !== null) rest.push(chunk);
      if (rest.reduce((sum, { length }) => sum + length, 0) === 5010) end.resolve();
    };
    server.setWatermark(READ, 0, 1000);
    server.setCallbacks({ read: take });
    take(server);
    await end.promise;
    t.is(Buffer.concat(rest).subarray(0, 10).toString(), '1234567890');
    t.deepEqual(Buffer.concat(rest).subarray(10), pattern(5000));
    server.free();
    client.free();
  },
);

everywhere(
  'writing says when the high mark is reached, and tells when to go on',
  async (t, base) => {
    const { server, client } = await pair(base);
    client.setWatermark(WRITE, 10_000, 100_000);
    const end = later();
    client.setCallbacks({
      write(bev) {
        t.true(bev.outputLength <= 10_000);
        bev.setCallbacks({});
        end.resolve();
      },
    });
    t.true(client.write(pattern(50_000)));
    t.false(client.write(pattern(60_000)));
    t.is(client.outputLength, 110_000);
    server.setCallbacks({ read: (bev) => bev.read() });
    await end.promise;
    t.true(client.write('more'));
    server.free();
    client.free();
  },
);

everywhere('an echo to a peer that does not read stops at the high mark', async (t, base) => {
  const { server, client } = await pair(base);
  server.setWatermark(WRITE, 0, 64 * 1024);
  server.setCallbacks({ read: (bev) => bev.forward(bev) });
  // More than the sockets' own buffers hold on both ways.
  const sent = pattern(32 * 1024 * 1024);
  client.write(sent);
  // The server goes on until it has nothing to do but wait for the client.
  await quiet(base, () => client.outputLength + server.inputLength + server.outputLength);
  t.true(client.outputLength > 0);
  t.true(server.outputLength <= 64 * 1024);
  t.true(server.inputLength <= 128 * 1024);
  let received = 0;
  for await (const chunk of client) {
    if (!chunk.equals(sent.subarray(received, received + chunk.length))) break;
    received += chunk.length;
    if (received === sent.length) break;
  }
  t.is(received, sent.length);
  server.free();
  client.free();
});

/** Waits until a number has stopped changing for as long as many turns of a loop. */
function quiet(base: EventBase, measure: () => number): Promise<void> {
  const end = later();
  let last = -1;
  let same = 0;
  base
    .event(-1, EventFlags.PERSIST, (event) => {
      const now = measure();
      same = now === last ? same + 1 : 0;
      last = now;
      if (same < 50) return;
      event.free();
      end.resolve();
    })
    .add(1);
  return end.promise;
}

everywhere('silence is told as a timeout and disables reading', async (t, base) => {
  const { server, client } = await pair(base);
  server.setTimeouts(15);
  const { what } = await nextEvent(server);
  t.is(what, TIMEOUT | READING);
  t.is(server.enabled & READ, 0);
  server.free();
  client.free();
});

everywhere('a peer that takes nothing is told as a timeout of writing', async (t, base) => {
  const { server, client } = await pair(base);
  server.setTimeouts(null, 15);
  server.write(Buffer.alloc(20_000_000));
  const { what } = await nextEvent(server);
  t.is(what, TIMEOUT | WRITING);
  server.free();
  client.free();
});

everywhere('a bufferevent connects by itself and tells', async (t, base) => {
  const listener = base.listen({ port: 0, host: '127.0.0.1' });
  const bev = new BufferEvent(base);
  t.is(bev.fd, -1);
  t.is(bev.remoteAddress, null);
  const connected = nextEvent(bev);
  bev.connect({ host: '127.0.0.1', port: portOf(listener) });
  t.deepEqual(await connected, { what: CONNECTED, error: null });
  t.true(bev.fd >= 0);
  t.is(bev.remoteAddress?.port, portOf(listener));
  t.is(bev.localAddress?.family, 'IPv4');
  bev.free();
  listener.free();
});

everywhere('a connection that is refused is an error with all its parts', async (t, base) => {
  const listener = base.listen({ port: 0, host: '127.0.0.1' });
  const port = portOf(listener);
  listener.free();
  const error = await t.throwsAsync(base.connect({ port, host: '127.0.0.1' }), {
    instanceOf: EvError,
    code: 'ECONNREFUSED',
  });
  t.like(error, { syscall: 'connect', address: '127.0.0.1', port });
  t.true(((error as EvError).errno ?? 0) < 0);
  t.regex(error?.message ?? '', /^connect ECONNREFUSED 127\.0\.0\.1:\d+/);

  const bev = new BufferEvent(base);
  const failed = nextEvent(bev);
  bev.connect({ port });
  const { what, error: told } = await failed;
  t.is(what & ERROR, ERROR);
  t.is(told?.code, 'ECONNREFUSED');
  bev.free();
});

everywhere('a connect to a missing Unix socket fails with its path', async (t, base) => {
  const path = join(temporaryFolder(t), 'nobody');
  const error = await t.throwsAsync(base.connect({ path }), { code: 'ENOENT' });
  t.like(error, { address: path });
});

everywhere('a connect is given up by its signal or its timeout', async (t, base) => {
  // A backlog that is full leaves a connect waiting.
  const listener = base.listen({ port: 0, host: '127.0.0.1', backlog: 0, disabled: true });
  const port = portOf(listener);
  const controller = new AbortController();
  const waiting = Array.from({ length: 8 }, () =>
    base.connect({ port, timeout: 30, signal: controller.signal }).then(
      (bev) => bev.free(),
      (error: EvError) => error.code,
    ),
  );
  const aborted = base.connect({ port, signal: controller.signal });
  const codes = await Promise.all(waiting);
  t.true(codes.includes('ERR_EVNODE_TIMEOUT'));
  controller.abort(new Error('enough'));
  await t.throwsAsync(aborted, { message: 'enough' });
  await t.throwsAsync(base.connect({ port, signal: controller.signal }), { message: 'enough' });
  listener.free();
});

attached('names are looked up', async (t, base) => {
  const listener = base.listen({ port: 0 }, (conn) => {
    conn.write('found');
    void conn.close();
  });
  const client = await base.connect({ host: 'localhost', port: portOf(listener) });
  const { value } = await client[Symbol.asyncIterator]().next();
  t.is(String(value), 'found');
  client.free();
  listener.free();
});

attached('a connection that is reset is an error', async (t, base) => {
  const accepted = later<BufferEvent>();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, accepted.resolve);
  const client = await netClient(listener);
  const server = await accepted.promise;
  const failed = nextEvent(server);
  client.resetAndDestroy();
  const { what, error } = await failed;
  t.is(what, ERROR | READING);
  t.is(error?.code, 'ECONNRESET');
  t.is(error?.syscall, 'read');
  server.free();
  listener.free();
});

everywhere('callbacks can be triggered', async (t, base) => {
  const { server, client } = await pair(base);
  const told: string[] = [];
  const end = later();
  server.setCallbacks({
    read: () => told.push('read'),
    write: () => told.push('write'),
    event(_, what) {
      told.push(`event ${what}`);
      end.resolve();
    },
  });
  server.trigger(READ | WRITE).triggerEvent(TIMEOUT | READING);
  t.deepEqual(told, []);
  await end.promise;
  t.deepEqual(told.sort(), [`event ${TIMEOUT | READING}`, 'read', 'write']);
  server.free();
  client.free();
});

everywhere('deferred callbacks are told the same', async (t, base) => {
  const { server, client } = await pair(base, {
    port: 0,
    host: '127.0.0.1',
    deferCallbacks: true,
  });
  const order: string[] = [];
  const end = later();
  server.setCallbacks({
    read: (bev) => order.push(bev.readString() ?? ''),
    event: () => end.resolve(),
  });
  client.write('abc');
  void client.close();
  await end.promise;
  t.is(order.join(''), 'abc');
  server.free();
});

everywhere(
  'a more urgent connection is served first',
  async (t, base) => {
    const { server, client } = await pair(base);
    const other = await pair(base);
    const order: string[] = [];
    const end = later();
    const serve = (name: string) => (bev: BufferEvent) => {
      bev.read();
      if (order.push(name) === 2) end.resolve();
    };
    t.is(server.setPriority(1).priority, 1);
    other.server.setPriority(0);
    server.setCallbacks({ read: serve('calm') });
    other.server.setCallbacks({ read: serve('urgent') });
    // Both are ready before the loop looks.
    const hurry = base.event(-1, 0, () => {
      server.trigger(READ);
      other.server.trigger(READ);
    });
    hurry.setPriority(0).active(READ);
    await end.promise;
    t.deepEqual(order, ['urgent', 'calm']);
    for (const bev of [server, client, other.server, other.client]) bev.free();
  },
  { priorities: 2 },
);

everywhere('disabling holds bytes back both ways', async (t, base) => {
  const { server, client } = await pair(base);
  server.setCallbacks({ read: () => t.fail() }).disable(READ);
  t.is(server.enabled, WRITE);
  client.disable(WRITE);
  client.write('held');
  await quiet(base, () => client.outputLength);
  t.is(client.outputLength, 4);
  const end = later();
  server.setCallbacks({ read: () => end.resolve() }).enable(READ);
  client.enable(WRITE);
  await end.promise;
  t.is(server.readString(), 'held');
  server.free();
  client.free();
});

attached('a bufferevent takes a connected socket over', async (t, base) => {
  const server = net.createServer((socket) => socket.end('from net'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const accepted = later<number>();
  const listener = base.listen({
    port: 0,
    host: '127.0.0.1',
    onSocket: (fd, listener) => {
      t.is(listener.lastPeer?.address, '127.0.0.1');
      accepted.resolve(fd);
    },
  });
  const client = await netClient(listener);
  const bev = new BufferEvent(base, { fd: await accepted.promise });
  t.is(bev.enabled, WRITE);
  bev.write('taken over');
  await bev.close();
  t.is(String(await readAll(client)), 'taken over');
  listener.free();
  server.close();
});

test('a bufferevent tells its base', (t) => {
  using base = new EventBase();
  using bev = new BufferEvent(base);
  t.is(bev.base, base);
  t.is(bev.enabled, WRITE);
});
