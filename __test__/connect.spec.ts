import { closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EventBase,
  EventFlags,
  FilterBufferEvent,
  util,
} from 'evnode';

import { attached, everywhere, isWindows, later } from './support/drive';
import { netClient, portOf, readAll } from './support/peers';

const LOCAL = { port: 0, host: '127.0.0.1' };

attached('a connect is given up while its name is looked up', async (t, base) => {
  const listener = base.listen(LOCAL, (conn) => conn.free());
  const controller = new AbortController();
  const to = { port: portOf(listener), host: 'localhost', signal: controller.signal };
  let given = false;
  const failing = base.connect(to).catch((error: Error) => {
    given = true;
    return error.message;
  });
  controller.abort(new Error('enough'));
  await new Promise<void>((resolve) => {
    queueMicrotask(() => process.nextTick(resolve));
  });
  // No lookup ends so soon.
  t.true(given);
  t.is(await failing, 'enough');
  listener.free();
});

attached('a name without addresses is an error of the lookup', async (t, base) => {
  const connecting = base.connect({ port: 1, host: 'no such name' });
  const error = await t.throwsAsync<NodeJS.ErrnoException>(connecting);
  t.regex(error?.code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
  t.is(error?.syscall, 'getaddrinfo');
});

attached('a bufferevent connects by name, under a filter too', async (t, base) => {
  for (const filtered of [false, true]) {
    const listener = base.listen(LOCAL, (conn) => {
      conn.write('hello');
      void conn.close();
    });
    const below = new BufferEvent(base);
    const bev = filtered ? new FilterBufferEvent(below) : below;
    const end = later<string | null>();
    const told: number[] = [];
    const event = (bev: BufferEvent, what: number) => {
      told.push(what);
      if ((what & BufferEventFlags.EOF) !== 0) end.resolve(bev.readString());
    };
    bev.setCallbacks({ event });
    t.deepEqual(bev.callbacks, { read: null, write: null, event });
    bev.enable(EventFlags.READ).connectHostname('localhost', portOf(listener), { family: 'IPv4' });
    t.throws(() => bev.connectHostname('localhost', 1), { code: 'ERR_EVNODE_ARG_VALUE' });
    t.is(await end.promise, 'hello');
    t.is(told[0], BufferEventFlags.CONNECTED);
    t.is(bev.dnsError, null);
    bev.free();
    listener.free();
  }
});

attached('a bufferevent tells why a name has no address', async (t, base) => {
  const bev = new BufferEvent(base);
  const end = later<{ what: number; code: string | undefined }>();
  bev.setCallbacks({ event: (_, what, error) => end.resolve({ what, code: error?.code }) });
  bev.connectHostname('no such name', 1);
  const { what, code } = await end.promise;
  t.is(what & BufferEventFlags.ERROR, BufferEventFlags.ERROR);
  t.regex(code ?? '', /^EAI_(NONAME|AGAIN|FAIL)$/);
  t.is(bev.dnsError?.code, code);
  bev.free();
});

if (!isWindows) {
  attached('a bufferevent goes on over another socket', async (t, base) => {
    const [a, b] = util.socketpair();
    const [c, d] = util.socketpair();
    const bev = new BufferEvent(base, { fd: a });
    const [first, second] = [new BufferEvent(base, { fd: b }), new BufferEvent(base, { fd: d })];
    t.is(bev.setFd(c), a);
    bev.write('here');
    const lines = second.chunks();
    t.is(String((await lines.next()).value), 'here');
    t.is(bev.setFd(-1), c);
    t.is(bev.fd, -1);
    closeSync(a);
    closeSync(c);
    for (const each of [bev, first, second]) each.free();
  });
}

everywhere('closing what never had a socket ends, with bytes queued too', async (t, base) => {
  for (const text of ['', 'nobody will read this']) {
    const bev = new BufferEvent(base);
    bev.write(text);
    await bev.close();
    t.true(bev.closed);
  }
  t.is(base.eventCount, 0);
});

attached('an acceptor may return anything', async (t, base) => {
  const answers: unknown[] = [null, 0, 'text', []];
  const listener = base.listen(LOCAL, ((conn) => {
    conn.write('served');
    void conn.close();
    return answers.shift();
  }) as (conn: BufferEvent) => void);
  for (let left = answers.length; left > 0; left--) {
    t.is(String(await readAll(await netClient(listener))), 'served');
  }
  listener.free();
});

if (!isWindows) {
  test('a path that is too long for a socket is an error that says so', async (t) => {
    const base = new EventBase();
    const path = join(tmpdir(), 'x'.repeat(200));
    const expected = { instanceOf: RangeError, message: /too long/ };
    t.throws(() => base.listen({ path }), expected);
    await t.throwsAsync(base.connect({ path }), expected);
    base.free();
  });
}
