// Callbacks may do anything: free what they are called for, change other things, throw, or run the
// loop. Each has one defined result.

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EventBase,
  EventFlags,
  EvError,
  LoopExit,
  statistics,
  type Event,
} from 'evnode';

import { run } from './support/child';
import { everywhere, later, outside } from './support/drive';
import { pair, portOf } from './support/peers';

const { READ, PERSIST } = EventFlags;

everywhere('an event may free itself in its callback', async (t, base) => {
  const end = later();
  let fired = 0;
  const event = base.event(-1, PERSIST, (event) => {
    fired++;
    event.free();
    t.throws(() => event.add(1), { code: 'ERR_EVNODE_CLOSED' });
    base.timer(() => end.resolve()).add(5);
  });
  event.add(1);
  await end.promise;
  t.is(fired, 1);
  t.false(event.initialized);
});

everywhere('a callback may free other events that are active', async (t, base) => {
  const end = later();
  const events: Event[] = [];
  let fired = 0;
  for (let i = 0; i < 10; i++) {
    events.push(
      base.event(-1, 0, () => {
        fired++;
        for (const other of events) other.free();
        base.timer(() => end.resolve()).add(1);
      }),
    );
  }
  for (const event of events) event.active(READ);
  await end.promise;
  t.is(fired, 1);
});

everywhere('a callback may add and delete other events', async (t, base) => {
  const end = later();
  const order: string[] = [];
  const deleted = base.timer(() => order.push('deleted')).add(8);
  const kept = base.timer(() => {
    order.push('kept');
    end.resolve();
  });
  base
    .timer(() => {
      order.push('first');
      deleted.del();
      kept.add(1);
      base.timer(() => order.push('new')).add(0);
    })
    .add(1);
  await end.promise;
  t.deepEqual(order, ['first', 'new', 'kept']);
});

for (const when of ['read', 'write', 'event'] as const) {
  everywhere(`a bufferevent may free itself in its ${when} callback`, async (t, base) => {
    const { server, client } = await pair(base);
    const end = later();
    let calls = 0;
    const die = (bev: BufferEvent) => {
      calls++;
      bev.free();
      t.throws(() => bev.write('x'), { code: 'ERR_EVNODE_CLOSED' });
      end.resolve();
    };
    server.setCallbacks({ [when]: die, read: when === 'read' ? die : (bev) => bev.read() });
    if (when === 'write') server.write('x');
    client.write('hello');
    void client.close();
    await end.promise;
    t.is(calls, 1);
    t.true(server.closed);
  });
}

everywhere('a bufferevent may be closed in its callback', async (t, base) => {
  const { server, client } = await pair(base);
  server.setCallbacks({
    read(bev) {
      bev.forward(bev);
      void bev.close();
    },
  });
  client.write('last');
  const chunks: Buffer[] = [];
  for await (const chunk of client) chunks.push(chunk);
  t.is(Buffer.concat(chunks).toString(), 'last');
  client.free();
});

everywhere('a callback may free the peer and all other connections', async (t, base) => {
  const pairs = [await pair(base), await pair(base), await pair(base)];
  const end = later();
  let calls = 0;
  for (const { server } of pairs) {
    server.setCallbacks({
      read() {
        calls++;
        for (const { server, client } of pairs) {
          server.free();
          client.free();
        }
        end.resolve();
      },
    });
  }
  for (const { client } of pairs) client.write('go');
  await end.promise;
  t.is(calls, 1);
});

everywhere('a bufferevent may be given other callbacks in its callback', async (t, base) => {
  const { server, client } = await pair(base);
  const end = later<string>();
  server.setCallbacks({
    read(bev) {
      bev.read();
      bev.setCallbacks({ read: (bev) => end.resolve(bev.readString() ?? '') });
      client.write('second');
    },
  });
  client.write('first');
  t.is(await end.promise, 'second');
  server.free();
  client.free();
});

everywhere('a listener may be freed in its callback', async (t, base) => {
  const end = later<BufferEvent>();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn, listener) => {
    listener.free();
    t.throws(() => listener.enable(), { code: 'ERR_EVNODE_CLOSED' });
    end.resolve(conn);
  });
  const client = await base.connect({ port: portOf(listener) });
  const conn = await end.promise;
  conn.write('alive\n');
  t.is((await client.lines().next()).value, 'alive');
  conn.free();
  client.free();
});

everywhere('a connection may be freed where it is accepted', async (t, base) => {
  let count = 0;
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    conn.free();
    if (++count === 3) listener.free();
  });
  const port = portOf(listener);
  const clients = await Promise.all([1, 2, 3].map(() => base.connect({ port })));
  for (const client of clients) {
    t.true((await client.lines().next()).done);
    client.free();
  }
});

everywhere('a base may be freed in a callback of a timer', async (t, base) => {
  const end = later();
  base
    .timer(() => {
      base.free();
      t.true(base.closed);
      t.throws(() => base.timer(() => {}), { code: 'ERR_EVNODE_CLOSED' });
      end.resolve();
    })
    .add(1);
  base.timer(() => t.fail()).add(2);
  await end.promise;
});

everywhere('a base may be freed in a callback of a bufferevent', async (t, base) => {
  const { server, client } = await pair(base);
  const end = later();
  server.setCallbacks({
    read(bev) {
      base.free();
      t.true(bev.closed);
      t.true(client.closed);
      t.throws(() => bev.read(), { code: 'ERR_EVNODE_CLOSED' });
      end.resolve();
    },
  });
  client.write('x');
  await end.promise;
});

everywhere('a base may be freed where a connection is accepted', async (t, base) => {
  const end = later();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    base.free();
    t.true(conn.closed);
    t.true(listener.closed);
    end.resolve();
  });
  const connecting = base.connect({ port: portOf(listener) });
  const client = await connecting.catch((error: EvError) => error.code);
  await end.promise;
  t.true(client === 'ERR_EVNODE_CLOSED' || (client as BufferEvent).closed);
});

everywhere('a loop within a loop is refused', async (t, base) => {
  const end = later();
  base
    .timer(() => {
      t.true(base.isRunning);
      t.throws(() => base.loop(), { instanceOf: EvError, code: 'ERR_EVNODE_LOOP_RUNNING' });
      t.throws(() => base.dispatchSync(), { code: 'ERR_EVNODE_LOOP_RUNNING' });
      end.resolve();
    })
    .add(1);
  await end.promise;
});

everywhere('the loop of another base may run within a callback', async (t, base) => {
  const end = later();
  base
    .timer(() => {
      using inner = new EventBase({ attach: 'none' });
      let fired = false;
      inner.timer(() => (fired = true)).add(1);
      t.is(inner.dispatchSync(), LoopExit.NO_EVENTS);
      t.true(fired);
      end.resolve();
    })
    .add(1);
  await end.promise;
});

test('what a callback throws comes out of a blocking loop, which can go on afterwards', (t) => {
  using base = new EventBase({ attach: 'none' });
  const order: string[] = [];
  const first = base.event(-1, 0, () => {
    throw new RangeError('from the callback');
  });
  const second = base.event(-1, 0, () => order.push('second'));
  first.active(READ);
  second.active(READ);
  t.throws(() => base.dispatchSync(), { instanceOf: RangeError, message: 'from the callback' });
  t.deepEqual(order, []);
  t.is(base.dispatchSync(), LoopExit.NO_EVENTS);
  t.deepEqual(order, ['second']);
});

test('values that are no errors are thrown as they are', (t) => {
  using base = new EventBase({ attach: 'none' });
  for (const value of [undefined, null, 0, 'text', Symbol.iterator]) {
    base
      .event(-1, 0, () => {
        throw value;
      })
      .active(READ);
    let thrown: unknown = 'nothing';
    try {
      base.dispatchSync();
    } catch (error) {
      thrown = error;
    }
    t.is(thrown, value);
  }
});

test('a bufferevent whose callback throws stays usable', async (t) => {
  using base = new EventBase({ attach: 'none' });
  const scene = pair(base).then(({ server, client }) => {
    server.setCallbacks({
      read() {
        throw new Error('once');
      },
    });
    client.write('abc');
    return { server, client };
  });
  await t.throwsAsync(
    outside(() => base.dispatchSync()),
    { message: 'once' },
  );
  const { server, client } = await scene;
  t.is(server.readString(), 'abc');
  server.setCallbacks({ read: () => base.loopExit() });
  client.write('def');
  t.is(base.dispatchSync(), LoopExit.EXIT);
  t.is(server.readString(), 'def');
});

test.serial('an accept callback that throws has its connection freed', (t) => {
  const before = statistics().bufferevents;
  using base = new EventBase({ attach: 'none' });
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, () => {
    throw new Error('not this one');
  });
  const peer = new BufferEvent(base);
  const events: number[] = [];
  peer.setCallbacks({
    event(_, what) {
      events.push(what);
      if ((what & BufferEventFlags.EOF) !== 0) base.loopExit();
    },
  });
  peer.enable(READ).connect({ port: portOf(listener) });
  t.throws(() => base.dispatchSync(), { message: 'not this one' });
  t.is(base.dispatchSync(), LoopExit.EXIT);
  t.true(events.includes(BufferEventFlags.EOF | BufferEventFlags.READING));
  t.is(statistics().bufferevents, before + 1);
});

test('what callbacks throw in an attached base is uncaught, and the loop goes on', async (t) => {
  for (const attach of ['uv', 'nested', 'waiter']) {
    const { code, stdout, stderr } = await run('ends.ts', ['throwHandled', attach]);
    t.is(code, 0, `${attach}: ${stderr}`);
    t.is(stdout, 'timer, read, accept, event\n', attach);
  }
});
