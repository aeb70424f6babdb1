// Events that become others, and the last that is called of them.

import test from 'ava';

import { EventBase, EventFlags, LoopExit } from 'evnode';

import { everywhere, later } from './support/drive';

const { READ, SIGNAL, TIMEOUT, WRITE } = EventFlags;

everywhere('an assigned event is another one', async (t, base) => {
  const end = later<number>();
  const event = base.timer(() => t.fail());
  event.assign(-1, 0, (_, what) => end.resolve(what));
  event.add(1);
  t.is(await end.promise, TIMEOUT);
});

test('an event keeps its callback when it is assigned without one', (t) => {
  using base = new EventBase({ attach: 'none', priorities: 3 });
  const fired: number[] = [];
  const event = base.event(-1, 0, (_, what) => fired.push(what)).setPriority(0);
  event.assign(-1, EventFlags.PERSIST);
  t.is(event.flags, EventFlags.PERSIST);
  t.is(event.priority, 1);
  event.active(WRITE);
  base.dispatchSync();
  t.deepEqual(fired, [WRITE]);
});

test('an event is not assigned while it is pending or active', (t) => {
  using base = new EventBase({ attach: 'none' });
  const event = base.timer(() => {}).add(60_000);
  t.throws(() => event.assign(-1, 0), { instanceOf: RangeError, code: 'ERR_EVNODE_ARG_VALUE' });
  event.del().active(READ);
  t.throws(() => event.assign(-1, 0), { code: 'ERR_EVNODE_ARG_VALUE' });
});

test('the callback of a signal runs as often as active says', (t) => {
  using base = new EventBase({ attach: 'none' });
  let calls = 0;
  const event = base.event(15, SIGNAL, () => calls++);
  event.active(SIGNAL, 3);
  base.dispatchSync();
  t.is(calls, 3);
});

test('an active event keeps its priority', (t) => {
  using base = new EventBase({ attach: 'none', priorities: 2 });
  const event = base.event(-1, 0, () => {}).active(READ);
  t.throws(() => event.setPriority(0), { instanceOf: RangeError, code: 'ERR_EVNODE_ARG_VALUE' });
  event.del().setPriority(0);
  t.is(event.priority, 0);
});

test('an event tells how long its timeout is away', (t) => {
  using base = new EventBase({ attach: 'none' });
  const event = base.timer(() => {});
  t.is(event.remaining, null);
  event.add(60_000);
  const { remaining } = event;
  t.true(remaining !== null && remaining > 59_000 && remaining <= 60_000);
});

everywhere('a finalizer runs when no callback will any more', async (t, base) => {
  const end = later();
  const event = base.timer(() => t.fail()).add(1);
  event.finalize((it) => {
    t.is(it, event);
    end.resolve();
  });
  t.is(event.pending(TIMEOUT), 0);
  t.throws(() => event.add(1), { code: 'ERR_EVNODE_ARG_VALUE' });
  t.throws(() => event.finalize(() => {}), { code: 'ERR_EVNODE_ARG_VALUE' });
  await end.promise;
  t.true(event.initialized);
  const again = later();
  event.assign(-1, 0, () => again.resolve());
  event.add(1);
  if (base.attachment === 'none') return;
  await again.promise;
});

everywhere(
  'an event that is freed while it waits for its finalizer is freed by it',
  async (t, base) => {
    const end = later();
    let finalized = 0;
    const event = base.timer(() => t.fail());
    event.finalize(() => {
      finalized++;
      t.true(event.initialized);
      base.timer(() => end.resolve()).add(1);
    });
    event.free();
    event.free();
    await end.promise;
    t.is(finalized, 1);
    t.false(event.initialized);
  },
);

everywhere('freeFinalize frees the event for good', async (t, base) => {
  const end = later();
  const event = base.timer(() => t.fail());
  event.freeFinalize(() => base.timer(() => end.resolve()).add(1));
  await end.promise;
  t.false(event.initialized);
});

test('an event finalizes itself in its callback, which ends first', (t) => {
  using base = new EventBase({ attach: 'none' });
  const order: string[] = [];
  base
    .timer((event) => {
      event.freeFinalize(() => order.push('finalizer'));
      order.push('callback');
    })
    .add(1);
  t.is(base.dispatchSync(), LoopExit.NO_EVENTS);
  t.deepEqual(order, ['callback', 'finalizer']);
});

test('finalizers that wait run when the base is freed, all of them', (t) => {
  const base = new EventBase({ attach: 'none' });
  const ran: number[] = [];
  for (let i = 0; i < 3; i++) {
    base
      .timer(() => t.fail())
      .finalize(() => {
        ran.push(i);
        if (i === 1) throw new Error('from a finalizer');
      });
  }
  t.throws(() => base.free(), { message: 'from a finalizer' });
  t.deepEqual(ran, [0, 1, 2]);
  t.true(base.closed);
});
