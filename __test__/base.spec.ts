import test from 'ava';

import {
  EventBase,
  EventFlags,
  EvError,
  Features,
  LoopExit,
  LoopFlags,
  statistics,
  version,
} from 'evnode';

import { attached, everywhere, later, outside } from './support/drive';

everywhere('a base without events ends at once and says so', async (t, base) => {
  if (base.attachment === 'none') t.is(base.dispatchSync(), LoopExit.NO_EVENTS);
  else t.is(await base.dispatch(), LoopExit.NO_EVENTS);
  t.false(base.gotExit);
  t.false(base.gotBreak);
});

attached('dispatch resolves when the last event is done', async (t, base) => {
  let fired = 0;
  base.timer(() => fired++).add(1);
  base.timer(() => fired++).add(3);
  t.is(await base.dispatch(), LoopExit.NO_EVENTS);
  t.is(fired, 2);
});

attached(
  'dispatch called twice waits for the same end, and works again afterwards',
  async (t, base) => {
    base.timer(() => {}).add(1);
    t.deepEqual(await Promise.all([base.dispatch(), base.dispatch()]), [0, 0]);
    base.timer(() => base.loopBreak()).add(1);
    t.is(await base.dispatch(), LoopExit.BREAK);
  },
);

test('dispatch on a base that is not attached is refused', async (t) => {
  using base = new EventBase({ attach: 'none' });
  await t.throwsAsync(base.dispatch(), { instanceOf: EvError, code: 'ERR_EVNODE_UNSUPPORTED' });
});

test('loopExit ends the loop after the active events, loopBreak after the running one', (t) => {
  using base = new EventBase({ attach: 'none' });
  const order: string[] = [];
  const first = base.event(-1, 0, () => {
    order.push('first');
    base.loopExit();
  });
  const second = base.event(-1, 0, () => order.push('second'));
  first.active(EventFlags.READ);
  second.active(EventFlags.READ);
  t.is(base.dispatchSync(), LoopExit.EXIT);
  t.deepEqual(order, ['first', 'second']);
  t.true(base.gotExit);

  order.length = 0;
  const breaker = base.event(-1, 0, () => {
    order.push('breaker');
    base.loopBreak();
  });
  breaker.active(EventFlags.READ);
  second.active(EventFlags.READ);
  t.is(base.dispatchSync(), LoopExit.BREAK);
  t.deepEqual(order, ['breaker']);
  t.true(base.gotBreak);
  t.is(base.dispatchSync(), LoopExit.NO_EVENTS);
  t.deepEqual(order, ['breaker', 'second']);
});

everywhere('loopExit with a time ends the loop after it', async (t, base) => {
  const start = performance.now();
  const endless = base.event(-1, EventFlags.PERSIST, () => {}).add(2);
  base.loopExit(20);
  if (base.attachment === 'none') t.is(base.dispatchSync(), LoopExit.EXIT);
  else t.is(await base.dispatch(), LoopExit.EXIT);
  endless.free();
  t.true(performance.now() - start >= 20);
});

test('loopContinue looks for more urgent events before the rest of a priority runs', (t) => {
  using base = new EventBase({ attach: 'none', priorities: 2 });
  const order: string[] = [];
  const urgent = base.event(-1, 0, () => order.push('urgent')).setPriority(0);
  const waker = base.event(-1, 0, () => {
    order.push('waker');
    urgent.active(EventFlags.READ);
    base.loopContinue();
  });
  const rest = base.event(-1, 0, () => order.push('rest'));
  for (const event of [waker, rest]) event.setPriority(1).active(EventFlags.READ);
  base.dispatchSync();
  t.deepEqual(order, ['waker', 'urgent', 'rest']);
});

everywhere('more urgent events run before less urgent ones', async (t, base) => {
  const order: number[] = [];
  t.is(base.priorityInit(3).priorities, 3);
  for (const priority of [2, 0, 1]) {
    const event = base.event(-1, 0, () => order.push(priority));
    t.is(event.setPriority(priority).priority, priority);
    event.active(EventFlags.READ);
  }
  if (base.attachment === 'none') base.dispatchSync();
  else await base.dispatch();
  t.deepEqual(order, [0, 1, 2]);
});

test('a loop with NONBLOCK does not wait, one with ONCE waits for one round', (t) => {
  using base = new EventBase({ attach: 'none' });
  let fired = 0;
  base.event(-1, EventFlags.PERSIST, () => fired++).add(5);
  t.is(base.loop(LoopFlags.NONBLOCK), LoopExit.DONE);
  t.is(fired, 0);
  t.is(base.loop(LoopFlags.ONCE), LoopExit.DONE);
  t.is(fired, 1);
});

test('a loop with NO_EXIT_ON_EMPTY goes on until it is told to stop', (t) => {
  using base = new EventBase({ attach: 'none' });
  base.loopExit(10);
  t.is(base.loop(LoopFlags.NO_EXIT_ON_EMPTY), LoopExit.EXIT);
});

everywhere('once calls once, for a time and for nothing more', async (t, base) => {
  const fired: number[] = [];
  base.once(-1, EventFlags.TIMEOUT, 2, (what) => fired.push(what));
  if (base.attachment === 'none') base.dispatchSync();
  else await base.dispatch();
  t.deepEqual(fired, [EventFlags.TIMEOUT]);
});

test('promises and ticks run between the callbacks of a blocking loop', async (t) => {
  using base = new EventBase({ attach: 'none' });
  const order: string[] = [];
  const first = base.event(-1, 0, () => {
    order.push('first');
    process.nextTick(() => order.push('tick'));
    void Promise.resolve().then(() => order.push('promise'));
  });
  const second = base.event(-1, 0, () => order.push('second'));
  first.active(EventFlags.READ);
  second.active(EventFlags.READ);
  await outside(() => base.dispatchSync());
  t.deepEqual(order, ['first', 'tick', 'promise', 'second']);
});

attached('an attached base runs beside the timers of Node', async (t, base) => {
  const both = later();
  const ticks = { ours: 0, nodes: 0 };
  const look = () => {
    if (ticks.ours >= 3 && ticks.nodes >= 3) both.resolve();
  };
  const event = base.event(-1, EventFlags.PERSIST, () => {
    ticks.ours++;
    look();
  });
  event.add(1);
  const interval = setInterval(() => {
    ticks.nodes++;
    look();
  }, 1);
  await both.promise;
  clearInterval(interval);
  event.free();
  t.pass();
});

attached('an attached base can be run here and now', (t, base) => {
  let fired = false;
  base.timer(() => (fired = true)).add(2);
  t.is(base.dispatchSync(), LoopExit.NO_EVENTS);
  t.true(fired);
});

test('a base says how it runs', (t) => {
  const methods = EventBase.supportedMethods();
  t.true(methods.includes('poll'));
  t.is(EventBase.methodFeatures('no such method'), undefined);
  for (const method of methods) {
    using base = new EventBase({ attach: 'none', method });
    t.is(base.method, method);
    t.is(base.features, EventBase.methodFeatures(method) ?? -1);
  }
  using attached = new EventBase();
  t.is(attached.attachment, 'uv');
  t.is(attached.method, 'uv');
  t.is(attached.priorities, 1);
  t.regex(version, /^\d+\.\d+\.\d+/);
});

test('a base that needs what libuv lacks is nested', (t) => {
  using edge = new EventBase({ requireFeatures: Features.ET });
  t.is(edge.attachment, 'nested');
  t.not(edge.features & Features.ET, 0);
  using named = new EventBase({ method: 'poll' });
  t.not(named.attachment, 'uv');
  t.is(named.method, 'poll');
});

test('a method that nothing fits is refused', (t) => {
  t.throws(() => new EventBase({ method: 'no such method' }), {
    instanceOf: EvError,
    code: 'ERR_EVNODE_UNSUPPORTED',
  });
  t.throws(() => new EventBase({ avoid: EventBase.supportedMethods(), attach: 'none' }), {
    code: 'ERR_EVNODE_UNSUPPORTED',
  });
});

test('the cached time is the clock', (t) => {
  using base = new EventBase();
  base.updateCacheTime();
  t.true(Math.abs(base.cachedTime - Date.now()) < 1000);
});

test('a base counts its events and tells whether it keeps the process alive', (t) => {
  using base = new EventBase();
  t.is(base.eventCount, 0);
  const event = base.timer(() => {}).add(60_000);
  t.is(base.eventCount, 1);
  event.free();
  t.is(base.eventCount, 0);
  t.true(base.hasRef());
  t.false(base.unref().hasRef());
  t.true(base.ref().hasRef());
});

attached('whoever awaits a base that is freed is told BREAK', async (t, base) => {
  base.timer(() => {}).add(60_000);
  const end = base.dispatch();
  base.free();
  t.is(await end, LoopExit.BREAK);
  t.true(base.closed);
  base.free();
});

test('freeing a base frees what is on it', async (t) => {
  const before = statistics();
  const base = new EventBase();
  const event = base.timer(() => {}).add(60_000);
  const idle = base.timer(() => {});
  const listener = base.listen({ port: 0, host: '127.0.0.1' });
  base.free();
  t.false(event.initialized);
  t.false(idle.initialized);
  t.true(listener.closed);
  t.throws(() => idle.add(1), { code: 'ERR_EVNODE_CLOSED' });
  idle.free();
  t.is(statistics().bases, before.bases);
});
