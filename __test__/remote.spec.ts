// Bases as workers know them.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import test, { type ExecutionContext } from 'ava';

import { BaseHandle, EvError, EventBase, EventFlags, LoopExit } from 'evnode';

import { attached, later } from './support/drive';

const { READ, TIMEOUT } = EventFlags;

/** A worker that runs `program` with `handle`, the handle of a base, and `data`. */
function work(t: ExecutionContext, base: EventBase, program: string, data: unknown = null): Worker {
  const prelude = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { BaseHandle, EventBase } = require('evnode');
    const { data } = workerData;
    const handle = new BaseHandle(workerData.token);
  `;
  const workerData = { token: base.handle().token, data };
  const worker = new Worker(prelude + program, { eval: true, execArgv: [], workerData });
  t.teardown(() => worker.terminate());
  return worker;
}

attached('a worker makes an event active that nobody else holds', async (t, base) => {
  const end = later<number>();
  const { id } = base.event(-1, 0, (_, what) => end.resolve(what));
  // What is to come from a worker keeps nothing alive by itself.
  using _hold = base.hold();
  work(t, base, `handle.activate(data, ${READ})`, id);
  t.is(await end.promise, READ);
});

attached('messages of a worker come whole and in order', async (t, base) => {
  const end = later();
  const came: unknown[] = [];
  base.onMessage((message) => {
    came.push(message);
    if (came.length === 1000) end.resolve();
  });
  work(t, base, 'for (let i = 0; i < 1000; i++) handle.post({ i, map: new Map([[i, 1n]]) })');
  await end.promise;
  t.deepEqual(
    came,
    Array.from({ length: 1000 }, (_, i) => ({ i, map: new Map([[i, 1n]]) })),
  );
});

attached('a worker ends the loop', async (t, base) => {
  const timer = base.timer(() => t.fail()).add(60_000);
  for (const [call, exit] of [
    ['loopBreak', LoopExit.BREAK],
    ['loopExit', LoopExit.EXIT],
  ] as const) {
    const ended = base.dispatch();
    work(t, base, `handle.${call}()`);
    t.is(await ended, exit, call);
  }
  timer.free();
});

test('a worker wakes a loop that blocks', (t) => {
  using base = new EventBase({ attach: 'none' });
  base.timer(() => t.fail()).add(60_000);
  let messages = 0;
  base.onMessage((message) => {
    t.is(message, 'hello');
    messages++;
  });
  work(t, base, "handle.post('hello').loopExit()");
  t.is(base.dispatchSync(), LoopExit.EXIT);
  t.is(messages, 1);
});

test('a handle works in the thread of its base as well', (t) => {
  using base = new EventBase({ attach: 'none' });
  const handle = base.handle();
  t.is(base.handle().token, handle.token);
  const order: unknown[] = [];
  base.onMessage((message) => order.push(message));
  const event = base.event(-1, 0, () => order.push('event'));
  base.timer(() => {}).add(60_000);
  handle.post(1).activate(event.id, TIMEOUT).post(2).wake().loopExit();
  t.deepEqual(order, []);
  base.dispatchSync();
  t.deepEqual(order, [1, 2, 'event']);
});

test('an event that was freed in the meantime is passed over', (t) => {
  using base = new EventBase({ attach: 'none' });
  const event = base.event(-1, 0, () => t.fail());
  const { id } = event;
  event.free();
  base.handle().activate(id, READ).activate(12_345, READ).loopExit();
  base.timer(() => t.fail()).add(60_000);
  t.is(base.dispatchSync(), LoopExit.EXIT);
});

test('a handle outlives its base, and says so', (t) => {
  const base = new EventBase({ attach: 'none' });
  const handle = base.handle();
  base.free();
  const calls = [
    () => handle.post(1),
    () => handle.activate(1, READ),
    () => handle.loopBreak(),
    () => handle.loopExit(),
    () => handle.wake(),
    () => new BaseHandle('no token').wake(),
  ];
  for (const call of calls) t.throws(call, { instanceOf: EvError, code: 'ERR_EVNODE_CLOSED' });
});

test('a handle on the base of a thread that has ended says that it is closed', async (t) => {
  using base = new EventBase({ attach: 'none' });
  const worker = work(t, base, 'parentPort.postMessage(new EventBase().handle().token)');
  const [token] = (await once(worker, 'message')) as [string];
  await worker.terminate();
  t.throws(() => new BaseHandle(token).wake(), { code: 'ERR_EVNODE_CLOSED' });
});

test('a handle takes no wrong arguments', (t) => {
  using base = new EventBase({ attach: 'none' });
  const handle = base.handle();
  t.throws(() => new BaseHandle(1 as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  t.throws(() => handle.activate('1' as never, READ), { code: 'ERR_EVNODE_ARG_TYPE' });
  t.throws(() => handle.activate(1, 0x10), { code: 'ERR_EVNODE_ARG_RANGE' });
  t.throws(() => handle.post(() => {}), { code: 'ERR_EVNODE_DATA_CLONE' });
});
