// Looking at a loop, setting its events off, and code that runs around its waits.

import test from 'ava';

import { EventBase, EventFlags, LoopExit, LoopFlags, type EventOwner, type Watcher } from 'evnode';

import { everywhere, isWindows, later } from './support/drive';
import { pair } from './support/peers';

const { READ, SIGNAL, TIMEOUT, WRITE, PERSIST } = EventFlags;

test('events are counted by what they do, and the most that there were is kept', (t) => {
  using base = new EventBase({ attach: 'none' });
  t.deepEqual(base.counts, { active: 0, added: 0, virtual: 0 });
  const timers = [1, 2, 3].map(() => base.timer(() => {}).add(60_000));
  const user = base.event(-1, 0, () => {}).active(WRITE);
  t.deepEqual(base.counts, { active: 1, added: 3, virtual: 0 });
  for (const event of [...timers, user]) event.del();
  t.deepEqual(base.counts, { active: 0, added: 0, virtual: 0 });
  t.deepEqual(base.maxCounts(true), { active: 1, added: 3, virtual: 0 });
  t.deepEqual(base.maxCounts(), { active: 0, added: 0, virtual: 0 });
});

test('foreach visits pending and active events of its own base until it is told to stop', (t) => {
  using base = new EventBase({ attach: 'none' });
  using other = new EventBase({ attach: 'none' });
  other.timer(() => {}).add(60_000);
  const pending = base.timer(() => {}).add(60_000);
  const active = base.event(-1, 0, () => {}).active(READ);
  base.timer(() => {});
  const seen = new Set<EventOwner>();
  t.is(
    base.foreach((event) => {
      seen.add(event);
      base.timer(() => {}).add(60_000);
    }),
    undefined,
  );
  t.deepEqual(seen, new Set([pending, active]));
  t.is(
    base.foreach((event) => (event === active ? 'found' : undefined)),
    'found',
  );
});

everywhere('foreach visits bufferevents and listeners that are enabled', async (t, base) => {
  const { server, client } = await pair(base);
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, () => {});
  const visited = () => {
    const names: string[] = [];
    base.foreach((owner) => {
      names.push(owner === server ? 'server' : owner === client ? 'client' : 'listener');
    });
    return names.sort().join(' ');
  };
  t.is(visited(), 'client listener server');
  client.disable(READ | WRITE);
  listener.disable();
  t.is(visited(), 'server');
  t.is(
    base.foreach((owner) => {
      server.free();
      return owner === server ? 'found' : undefined;
    }),
    'found',
  );
  t.is(visited(), '');
  client.free();
  listener.free();
});

test('foreach leaves out what its visitor frees', (t) => {
  using base = new EventBase({ attach: 'none' });
  const events = [1, 2, 3].map(() => base.timer(() => {}).add(60_000));
  let visits = 0;
  base.foreach(() => {
    visits++;
    for (const event of events) event.free();
  });
  t.is(visits, 1);
});

test('dump has a line for every event that is pending or active', (t) => {
  using base = new EventBase({ attach: 'none', priorities: 3 });
  base.timer(() => {}).add(60_000);
  base
    .event(-1, 0, () => {})
    .setPriority(2)
    .active(WRITE);
  const lines = base.dump().trim().split('\n');
  t.is(lines.length, 4);
  t.regex(lines[1] ?? '', /priority 1, timeout in 59\.\d+ s/);
  t.regex(lines[3] ?? '', /WRITE, priority 2/);
});

everywhere('the running event is known in its callback only', async (t, base) => {
  const end = later();
  t.is(base.runningEvent, null);
  const timer = base.timer((event) => {
    t.is(base.runningEvent, event);
    setImmediate(end.resolve);
    if (base.attachment === 'none') end.resolve();
  });
  timer.add(1);
  await end.promise;
  if (base.attachment !== 'none') t.is(base.runningEvent, null);
});

everywhere('a bufferevent or listener is running in its callbacks', async (t, base) => {
  const running: (EventOwner | null)[] = [];
  const end = later();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    running.push(base.runningEvent);
    conn.setCallbacks({
      read: () => {
        running.push(base.runningEvent);
        t.true(running.length === 2 && running[0] === listener && running[1] === conn);
        end.resolve();
        conn.free();
      },
    });
    conn.enable(READ);
  });
  const client = await base.connect({ port: listener.address()?.port ?? 0 });
  client.write('hello');
  await end.promise;
  client.free();
  listener.free();
});

everywhere('a loop that is held does not end for want of events', async (t, base) => {
  const hold = base.hold();
  const other = base.hold();
  t.is(base.counts.virtual, 2);
  t.is(base.eventCount, 2);
  other.free();
  other.free();
  t.is(base.counts.virtual, 1);
  if (base.attachment === 'none') {
    const flags = LoopFlags.NONBLOCK | LoopFlags.ONCE;
    base.loopExit();
    await new Promise((resolve) => setImmediate(resolve));
    t.is(base.loop(flags), LoopExit.DONE);
    hold.free();
    t.is(base.loop(flags), LoopExit.NO_EVENTS);
    return;
  }
  let ended = false;
  const end = base.dispatch().then((exit) => {
    ended = true;
    return exit;
  });
  const fired = later();
  base.timer(() => fired.resolve()).add(1);
  await fired.promise;
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.false(ended);
  hold.free();
  t.is(await end, LoopExit.NO_EVENTS);
});

test('a hold outlives its base without a complaint', (t) => {
  const base = new EventBase({ attach: 'none' });
  const hold = base.hold();
  base.free();
  t.notThrows(() => hold.free());
  t.throws(() => base.hold(), { code: 'ERR_EVNODE_CLOSED' });
});

test('no event is running once a callback has thrown', (t) => {
  using base = new EventBase({ attach: 'none' });
  base
    .timer(() => {
      throw new Error('from the callback');
    })
    .add(1);
  t.throws(() => base.dispatchSync(), { message: 'from the callback' });
  t.is(base.runningEvent, null);
});

everywhere('the events of a descriptor are set off by its number', async (t, base) => {
  const { server, client } = await pair(base);
  const end = later<number>();
  const event = base.event(server.fd, READ | PERSIST, (_, what) => end.resolve(what)).add();
  base.activeByFd(server.fd, READ);
  t.is(await end.promise, READ);
  event.free();
  server.free();
  client.free();
});

if (!isWindows) {
  everywhere('the events of a signal are set off without the signal', async (t, base) => {
    const end = later<number>();
    const event = base.signal('SIGUSR2', (_, what) => end.resolve(what)).add();
    base.activeBySignal('SIGUSR2');
    t.is(await end.promise, SIGNAL);
    event.free();
  });
}

everywhere('events with a common timeout fire in the order of their adding', async (t, base) => {
  const timeout = base.initCommonTimeout(5);
  t.is(timeout.milliseconds, 5);
  const order: number[] = [];
  const end = later();
  const start = performance.now();
  for (let i = 0; i < 100; i++) {
    base
      .timer((_, what) => {
        order.push(i);
        t.is(what, TIMEOUT);
        if (i === 99) end.resolve();
      })
      .addCommon(timeout);
  }
  await end.promise;
  t.true(performance.now() - start >= 5);
  t.deepEqual(
    order,
    Array.from({ length: 100 }, (_, i) => i),
  );
});

test('a common timeout is good for its own base only', (t) => {
  using base = new EventBase({ attach: 'none' });
  using other = new EventBase({ attach: 'none' });
  const timeout = base.initCommonTimeout(5);
  t.throws(() => other.timer(() => {}).addCommon(timeout), { code: 'ERR_EVNODE_ARG_TYPE' });
  for (let i = 1; i < 256; i++) base.initCommonTimeout(100 + i);
  base.initCommonTimeout(5);
  t.throws(() => base.initCommonTimeout(1), { code: 'ERR_EVNODE_ARG_VALUE' });
});

everywhere('watchers run before and after the wait of each turn', async (t, base) => {
  const order: string[] = [];
  const end = later();
  const before = base.prepare((watcher, wait) => {
    t.is(watcher, before);
    if (base.attachment !== 'none') t.is(wait, 0);
    order.push('prepare');
  });
  const after = base.check((watcher) => {
    t.is(watcher, after);
    order.push('check');
  });
  base
    .timer(() => {
      t.deepEqual(order.slice(-2), ['prepare', 'check']);
      before.free();
      after.free();
      order.length = 0;
      base.timer(() => end.resolve()).add(1);
    })
    .add(1);
  await end.promise;
  t.deepEqual(order, []);
  t.true(before.closed);
});

test('a prepare watcher knows how long the loop may wait, and may end it', (t) => {
  using base = new EventBase({ attach: 'none' });
  base.timer(() => t.fail()).add(60_000);
  let waits = 0;
  base.prepare((_, wait) => {
    t.true(wait !== null && wait > 59_000 && wait <= 60_000);
    waits++;
    base.loopBreak();
  });
  base.dispatchSync();
  t.is(waits, 1);
  t.true(base.gotBreak);
});

test('a watcher ends itself in its callback, and all end with their base', (t) => {
  const base = new EventBase({ attach: 'none' });
  let calls = 0;
  base.check((watcher: Watcher) => {
    calls++;
    watcher.free();
    watcher.free();
  });
  const other = base.prepare((_, wait) => t.is(wait, 0));
  t.is(other.base, base);
  const once = LoopFlags.NONBLOCK | LoopFlags.NO_EXIT_ON_EMPTY;
  base.loop(once | LoopFlags.ONCE);
  base.loop(once | LoopFlags.ONCE);
  t.is(calls, 1);
  base.free();
  t.true(other.closed);
});
