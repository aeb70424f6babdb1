import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';

import test from 'ava';

import { ConnListener, EvError, EventBase, type BufferEvent } from 'evnode';

import { attached, everywhere, isWindows, later } from './support/drive';
import { netClient, pair, portOf, readAll, temporaryFolder } from './support/peers';

const LOCAL = { port: 0, host: '127.0.0.1' };

test('a listener tells where it listens', (t) => {
  using base = new EventBase({ attach: 'none' });
  using listener = base.listen(LOCAL);
  t.like(listener.address(), { address: '127.0.0.1', family: 'IPv4' });
  t.true(portOf(listener) > 0);
  t.is(listener.base, base);
  t.true(listener.fd > 2);
  t.false(listener.closed);
  using everywhere = base.listen({ port: 0 });
  t.true(['::', '0.0.0.0'].includes(everywhere.address()?.address ?? ''));
});

test('an address that is taken is refused with the code of the system', (t) => {
  using base = new EventBase({ attach: 'none' });
  using first = base.listen(LOCAL);
  const port = portOf(first);
  const error = t.throws(() => base.listen({ port, host: '127.0.0.1' }), {
    instanceOf: EvError,
    code: 'EADDRINUSE',
  });
  t.true(((error as EvError).errno ?? 0) < 0);
  t.like(error, { address: '127.0.0.1', port });
  t.regex(error?.message ?? '', /EADDRINUSE.*127\.0\.0\.1/);
});

if (!isWindows) {
  test('what the system does not have is refused with its code', (t) => {
    using base = new EventBase({ attach: 'none' });
    t.throws(() => base.listen({ port: 0, host: '203.0.113.1' }), { code: 'EADDRNOTAVAIL' });
    const folder = temporaryFolder(t);
    t.throws(() => base.listen({ path: join(folder, 'no', 'such', 'folder') }), { code: 'ENOENT' });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    t.throws(() => base.listen({ path: file }), { code: 'EADDRINUSE' });
    t.throws(() => base.listen({ path: 'x'.repeat(1000) }));
    t.throws(() => base.listen({ fd: 987_654 }), { code: 'EBADF' });
  });
}

if (!isWindows) {
  test('ports can be shared when that is asked for', (t) => {
    using base = new EventBase({ attach: 'none' });
    using first = base.listen({ ...LOCAL, reusePort: true });
    using second = base.listen({ port: portOf(first), host: '127.0.0.1', reusePort: true });
    t.is(portOf(second), portOf(first));
  });
}

if (!isWindows) {
  test('a Unix socket is gone when its listener is freed', (t) => {
    using base = new EventBase({ attach: 'none' });
    const path = join(temporaryFolder(t), 'socket');
    const listener = base.listen({ path });
    t.true(existsSync(path));
    t.deepEqual({ ...listener.address() }, { family: 'unix', address: path });
    listener.close();
    t.true(listener.closed);
    t.false(existsSync(path));
  });
}

attached('connections are accepted while the listener is enabled', async (t, base) => {
  let accepted = 0;
  const listener = base.listen({ ...LOCAL, disabled: true }, (conn, itself) => {
    accepted++;
    t.is(itself, listener);
    void conn.close();
  });
  t.false(listener.enabled);
  // The kernel connects it all the same.
  const client = await netClient(listener);
  t.is(accepted, 0);
  t.true(listener.enable().enabled);
  await readAll(client);
  t.is(accepted, 1);
  t.false(listener.disable().enabled);
  listener.free();
});

everywhere('connections can be iterated, and the loop ends with the listener', async (t, base) => {
  const listener = base.listen(LOCAL);
  const clients = [1, 2, 3].map(() => base.connect({ port: portOf(listener) }));
  const served: BufferEvent[] = [];
  for await (const conn of listener) {
    served.push(conn);
    if (served.length === 3) listener.free();
  }
  t.is(served.length, 3);
  for (const client of await Promise.all(clients)) client.free();
  for (const conn of served) conn.free();
});

attached('many connections at once wait for whoever iterates', async (t, base) => {
  const listener = base.listen(LOCAL);
  const clients = await Promise.all(Array.from({ length: 200 }, () => netClient(listener)));
  let count = 0;
  for await (const conn of listener) {
    conn.write(String(++count));
    void conn.close();
    if (count === 200) break;
  }
  const answers = await Promise.all(clients.map(readAll));
  t.is(new Set(answers.map(String)).size, 200);
  listener.free();
});

test('a listener with a callback cannot be iterated', async (t) => {
  using base = new EventBase();
  using listener = base.listen(LOCAL, () => {});
  await t.throwsAsync(listener[Symbol.asyncIterator]().next(), { code: 'ERR_EVNODE_BUSY' });
});

everywhere('the callback can be replaced', async (t, base) => {
  const end = later();
  const listener = base.listen(LOCAL, (conn) => {
    conn.free();
    listener.setCallback((conn) => {
      conn.free();
      listener.free();
      end.resolve();
    });
  });
  const clients = [await base.connect({ port: portOf(listener) })];
  clients.push(await base.connect({ port: portOf(listener) }));
  await end.promise;
  for (const client of clients) client.free();
  t.true(listener.closed);
});

everywhere('a signal frees the listener', async (t, base) => {
  const controller = new AbortController();
  const listener = base.listen({ ...LOCAL, signal: controller.signal }, () => {});
  controller.abort(new Error('enough'));
  t.true(listener.closed);
  t.throws(() => base.listen({ ...LOCAL, signal: controller.signal }), { message: 'enough' });
});

attached('an async handler owns its connection', async (t, base) => {
  const conns: BufferEvent[] = [];
  const listener = base.listen(LOCAL, async (conn) => {
    conns.push(conn);
    for await (const line of conn.lines()) conn.write(`${line}!\n`);
    conn.write('bye\n');
  });
  const client = await netClient(listener, { allowHalfOpen: true });
  client.end('one\ntwo\n');
  t.is(String(await readAll(client)), 'one!\ntwo!\nbye\n');
  t.true(conns[0]?.closed);
  listener.free();
});

attached('connections that are given out go on when the listener is freed', async (t, base) => {
  const { server, client } = await pair(base);
  server.write('still here\n');
  t.is((await client.lines().next()).value, 'still here');
  server.free();
  client.free();
});

attached('a bound socket can be taken over', async (t, base) => {
  const first = base.listen({ ...LOCAL, closeOnFree: false }, () => {});
  const { fd } = first;
  const port = portOf(first);
  first.free();
  const listener = new ConnListener(base, { fd }, (conn) => {
    conn.write('taken over');
    void conn.close();
  });
  t.is(portOf(listener), port);
  t.is(String(await readAll(await netClient(listener))), 'taken over');
  listener.free();
  const late = net.connect(port, '127.0.0.1');
  const [error] = await once(late, 'error');
  t.is((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
});
