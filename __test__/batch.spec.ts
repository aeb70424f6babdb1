// Many events of one turn: what their callbacks do to each other must look the same however they are
// called, one by one or many in one go.

import test from 'ava';

import { EventFlags, type BufferEvent, type Event, type EventBase } from 'evnode';

import { run } from './support/child';
import { attached, everywhere, later } from './support/drive';
import { pair } from './support/peers';

const { READ, TIMEOUT, PERSIST } = EventFlags;
/** More than are ever called in one go. */
const MANY = 200;

/** Events that are active together and tell their number. */
function crowd(base: EventBase, callback: (index: number, event: Event, what: number) => void) {
  const events = Array.from({ length: MANY }, (_, index) =>
    base.event(-1, 0, (event, what) => callback(index, event, what)),
  );
  for (const event of events) event.active(READ);
  return events;
}

const numbers = (length: number) => Array.from({ length }, (_, index) => index);

everywhere('many active events are called once each, in order', async (t, base) => {
  const end = later();
  const order: number[] = [];
  crowd(base, (index, _event, what) => {
    t.is(what, READ);
    if (order.push(index) === MANY) end.resolve();
  });
  await end.promise;
  t.deepEqual(order, numbers(MANY));
});

everywhere('an active event that another callback deletes is not called', async (t, base) => {
  const end = later();
  const order: number[] = [];
  const events = crowd(base, (index) => {
    order.push(index);
    // Every second one lives.
    if (index % 2 === 0) events[index + 1]?.del();
    if (index === MANY - 2) end.resolve();
  });
  await end.promise;
  t.deepEqual(
    order,
    numbers(MANY).filter((index) => index % 2 === 0),
  );
});

everywhere(
  'an active event that another callback frees is not called, nor what takes its place',
  async (t, base) => {
    const end = later();
    let called = 0;
    const events = crowd(base, (index) => {
      called++;
      if (index > 0) return;
      for (const event of events.slice(1)) event.free();
      // Handles are reused once enough are free.
      for (const _ of events) base.event(-1, 0, () => t.fail());
      base.timer(() => end.resolve()).add(1);
    });
    await end.promise;
    t.is(called, 1);
  },
);

everywhere(
  'an event is active until its callback is called, and told of all that happened',
  async (t, base) => {
    const end = later();
    const events = crowd(base, (index, event, what) => {
      t.is(event.pending(), 0);
      if (index === 0) {
        t.is(events[1]?.pending(), READ);
        t.is(base.eventCount, MANY - 1);
        t.is(base.counts.active, MANY - 1);
        t.throws(() => events[1]?.assign(-1, PERSIST), { code: 'ERR_EVNODE_ARG_VALUE' });
        events[1]?.active(TIMEOUT);
      }
      if (index === 1) t.is(what, READ | TIMEOUT);
      if (index === MANY - 1) end.resolve();
    });
    await end.promise;
  },
);

everywhere(
  'a timeout that has passed starts anew when its event is added again',
  async (t, base) => {
    const end = later();
    const calls: number[] = [];
    const timers = numbers(10).map((index) =>
      base.timer(() => {
        calls.push(index);
        if (index === 0) timers[9]?.add(20);
        if (index === 9) end.resolve();
      }),
    );
    for (const timer of timers) timer.active(TIMEOUT);
    base.timer(() => calls.push(100)).add(1);
    await end.promise;
    t.deepEqual(calls, [...numbers(9), 100, 9]);
  },
);

attached('after loopBreak the others are called in the next turn', async (t, base) => {
  const order: number[] = [];
  const events = crowd(base, (index) => {
    order.push(index);
    if (index === 10) base.loopBreak();
  });
  await base.dispatch();
  t.deepEqual(order, numbers(11));
  t.is(events[11]?.pending(), READ);
  events[12]?.del();
  await base.dispatch();
  // Nobody is forgotten and nobody is called twice; those that had not been looked at yet go first.
  t.deepEqual(
    [...order].sort((a, b) => a - b),
    numbers(MANY).filter((index) => index !== 12),
  );
});

attached('loopExit lets the others be called', async (t, base) => {
  let called = 0;
  crowd(base, () => {
    called++;
    base.loopExit();
  });
  await base.dispatch();
  t.is(called, MANY);
});

attached('a base that is freed calls none of the others', async (t, base) => {
  let called = 0;
  crowd(base, () => {
    called++;
    base.free();
  });
  await base.dispatch();
  t.is(called, 1);
});

attached('priorities and limits are kept to between any two callbacks', async (t, base) => {
  const order: number[] = [];
  base.priorityInit(2);
  const urgent = base.event(-1, 0, () => order.push(-1)).setPriority(0);
  crowd(base, (index) => {
    if (index === 3) urgent.active(READ);
    order.push(index);
  });
  await base.dispatch();
  t.deepEqual(order.slice(0, 6), [0, 1, 2, 3, -1, 4]);
});

test('what one of many callbacks throws is uncaught and the others are called', async (t) => {
  for (const attach of ['uv', 'nested', 'waiter']) {
    const { code, stdout, stderr } = await run('ends.ts', ['throwAmongMany', attach]);
    t.is(code, 0, `${attach}: ${stderr}`);
    t.is(stdout, `${MANY} called, 100 thrown\n`, attach);
  }
});

everywhere(
  'many connections that have something to say in one turn are all told',
  async (t, base) => {
    const pairs = await Promise.all(numbers(100).map(() => pair(base)));
    const end = later();
    let answers = 0;
    const order: BufferEvent[] = [];
    for (const { server, client } of pairs) {
      server.setCallbacks({
        read(bev) {
          order.push(bev);
          // Less is sent for some of them, and nothing is lost.
          bev.forward(bev);
          bev.write('!');
        },
      });
      client.setCallbacks({
        read(bev) {
          if (bev.input.length < 6) return;
          t.is(bev.readString(), 'hello!');
          if (++answers === pairs.length) end.resolve();
        },
      });
      client.write('hello');
    }
    await end.promise;
    t.is(new Set(order).size, pairs.length);
    for (const { server, client } of pairs) {
      server.free();
      client.free();
    }
  },
);

everywhere(
  'a connection that another callback disables keeps what it has read',
  async (t, base) => {
    const pairs = await Promise.all(numbers(20).map(() => pair(base)));
    const end = later();
    let bytes = 0;
    const again = base.timer(() => pairs.forEach(({ server }) => server.enable(READ)));
    for (const { server, client } of pairs) {
      server.setCallbacks({
        read(bev) {
          bytes += bev.read()?.length ?? 0;
          for (const { server } of pairs) if (server !== bev) server.disable(READ);
          if (bytes === 3 * pairs.length) end.resolve();
          else again.add(1);
        },
      });
      client.write('abc');
    }
    await end.promise;
    again.free();
    t.is(bytes, 3 * pairs.length);
    for (const { server, client } of pairs) {
      server.free();
      client.free();
    }
  },
);
