// What a loop tells of itself.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';

import test from 'ava';

import {
  EventBase,
  EventFlags,
  SLOW_CALLBACK_CHANNEL,
  TURN_CHANNEL,
  type SlowCallback,
  type Turn,
} from 'evnode';

import { drive, everywhere, later, MODES } from './support/drive';
import { pair } from './support/peers';

/** Keeps the thread for so many milliseconds. */
function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

everywhere(
  'turns, events and times are counted',
  async (t, base) => {
    const end = later();
    const second = base.timer(() => end.resolve());
    base
      .timer(() => {
        busy(2);
        second.add(1);
      })
      .add(1);
    await end.promise;
    // The last callback is counted once it has returned.
    await new Promise((resolve) => setImmediate(resolve));
    const { turns, events, eventsPerTurn, callbackTime, timerLateness } = base.metrics(true);
    t.true(turns >= 2);
    t.is(events, 2);
    t.is(eventsPerTurn.count, turns);
    t.is(callbackTime.count, 2);
    t.true((callbackTime.quantile(1) ?? 0) >= 2_000_000);
    t.is(timerLateness.count, 2);
    t.is(base.metrics().events, 0);
    t.is(base.metrics().callbackTime.quantile(0.5), undefined);
  },
  { metrics: true },
);

everywhere(
  'a slow callback is told on the channel, with its event',
  async (t, base) => {
    const told = later<SlowCallback>();
    const tell = (message: unknown) => {
      if ((message as SlowCallback).base === base) told.resolve(message as SlowCallback);
    };
    subscribe(SLOW_CALLBACK_CHANNEL, tell);
    const slow = base.timer(function dawdle() {
      busy(20);
    });
    slow.add(1);
    const message = await told.promise;
    unsubscribe(SLOW_CALLBACK_CHANNEL, tell);
    t.is(message.event, slow);
    t.is(message.name, 'timer dawdle');
    t.is(message.fd, -1);
    t.true(message.milliseconds >= 20 && message.milliseconds < 5000);
  },
  { slowCallback: 20 },
);

everywhere('a slow callback of a bufferevent is told with the bufferevent', async (t, base) => {
  const told = later<SlowCallback>();
  const tell = (message: unknown) => {
    if ((message as SlowCallback).base === base) told.resolve(message as SlowCallback);
  };
  subscribe(SLOW_CALLBACK_CHANNEL, tell);
  const { server, client } = await pair(base);
  server.setCallbacks({ read: () => busy(25) });
  server.enable(EventFlags.READ);
  base.tellSlowCallbacks(25);
  client.write('hello');
  const message = await told.promise;
  unsubscribe(SLOW_CALLBACK_CHANNEL, tell);
  t.is(message.event, server);
  t.is(message.name, `bufferevent ${server.fd}`);
  server.free();
  client.free();
});

test('a slow callback is a warning of the process when nobody listens', async (t) => {
  using base = new EventBase({ attach: 'none' });
  base.tellSlowCallbacks(5);
  base
    .timer(function dawdle() {
      busy(6);
    })
    .add(0);
  const warned = once(process, 'warning');
  base.dispatchSync();
  const [warning] = (await warned) as [Error & { code: string }];
  t.is(warning.code, 'EVNODE_SLOW_CALLBACK');
  t.regex(warning.message, /^the callback of timer dawdle kept the loop for \d+\.\d ms$/);
  base.tellSlowCallbacks(null);
});

for (const attach of MODES) {
  test(`turns are told on the channel while somebody listens (${attach})`, async (t) => {
    const turns: Turn[] = [];
    const tell = (message: unknown) => turns.push(message as Turn);
    const unheard = new EventBase({ attach });
    subscribe(TURN_CHANNEL, tell);
    const base = new EventBase({ attach });
    t.teardown(() => {
      unsubscribe(TURN_CHANNEL, tell);
      base.free();
      unheard.free();
    });
    const two = (base: EventBase) =>
      drive(base, async () => {
        const end = later();
        base.event(-1, 0, () => busy(2)).active(EventFlags.READ);
        base.event(-1, 0, () => end.resolve()).active(EventFlags.READ);
        await end.promise;
      });
    // A turn is told when the last of its callbacks has returned.
    const afterwards = () => new Promise((resolve) => setImmediate(resolve));

    await two(base);
    await two(unheard);
    await afterwards();
    t.true(turns.every((turn) => turn.base === base));
    const busiest = turns.find(({ events }) => events === 2);
    t.true((busiest?.milliseconds ?? 0) >= 2);
    t.is(turns.length, base.metrics().turns);

    turns.length = 0;
    base.tellTurns(false);
    unheard.tellTurns();
    await two(base);
    await two(unheard);
    await afterwards();
    t.true(turns.length > 0 && turns.every((turn) => turn.base === unheard));

    turns.length = 0;
    unsubscribe(TURN_CHANNEL, tell);
    await two(unheard);
    await afterwards();
    t.deepEqual(turns, []);
  });
}
