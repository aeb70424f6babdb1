// What is set up for the whole process.

import { closeSync } from 'node:fs';

import test from 'ava';

import {
  EvBuffer,
  EventBase,
  EventFlags,
  Severity,
  enableDebugLogging,
  enableDebugMode,
  globalShutdown,
  memoryStatistics,
  setFatalCallback,
  setLogCallback,
  setMemoryLimit,
  util,
  version,
  versionNumber,
} from 'evnode';

import { isWindows, later } from './support/drive';

test('the version is told as text and as a number', (t) => {
  const [major, minor, patch] = version.split('.').map(Number);
  t.deepEqual(
    [major, minor, patch],
    [24, 16, 8].map((shift) => (versionNumber >> shift) & 255),
  );
});

test('debug messages come to the log callback, in order, until they are switched off', async (t) => {
  using base = new EventBase({ attach: 'none' });
  const said: string[] = [];
  const end = later();
  setLogCallback((severity, message) => {
    t.is(severity, Severity.DEBUG);
    said.push(message);
    if (said.length === 2) end.resolve();
  });
  enableDebugLogging();
  const event = base.timer(() => {});
  event.add(60_000);
  event.del();
  enableDebugLogging(false);
  event.add(60_000);
  // Something that the loop waits for, as messages do not keep it alive.
  const alive = setInterval(() => {}, 1000);
  await end.promise;
  clearInterval(alive);
  setLogCallback(null);
  t.is(said.length, 2);
  t.regex(said[0] ?? '', /Event::add: event \d+/);
  t.regex(said[1] ?? '', /Event::del: event \d+/);
});

if (!isWindows) {
  test('debug mode finds a descriptor that is closed too early, and calls the fatal callback', async (t) => {
    enableDebugMode();
    using base = new EventBase({ attach: 'none' });
    const logged = later<[number, string]>();
    const fatal = later<string>();
    setLogCallback((severity, message) => logged.resolve([severity, message]));
    setFatalCallback(fatal.resolve);
    const [left, right] = util.socketpair();
    const event = base.event(left, EventFlags.READ, () => {}).add();
    closeSync(left);
    t.throws(() => event.del(), { code: 'ERR_EVNODE_ARG_VALUE' });
    const alive = setInterval(() => {}, 1000);
    const [severity, message] = await logged.promise;
    t.is(severity, Severity.ERROR);
    t.is(await fatal.promise, message);
    clearInterval(alive);
    closeSync(right);
    globalShutdown();
  });
}

test.serial('buffers cannot grow beyond the limit of memory', (t) => {
  t.teardown(() => setMemoryLimit(null));
  const buffer = new EvBuffer().add('kept');
  const { allocated, refused } = memoryStatistics();
  t.true(allocated > 0);
  setMemoryLimit(allocated + 100_000);
  t.is(memoryStatistics().limit, allocated + 100_000);
  t.throws(() => buffer.add(Buffer.alloc(1_000_000)), { code: 'ERR_EVNODE_NO_MEMORY' });
  t.true(memoryStatistics().refused > refused);
  setMemoryLimit(null);
  t.is(memoryStatistics().limit, undefined);
  buffer.add(Buffer.alloc(1_000_000));
  t.true(memoryStatistics().peak >= 1_000_000);
  buffer.free();
});

test('what is set up takes no wrong arguments', (t) => {
  for (const value of [1, 'callback', {}]) {
    t.throws(() => setLogCallback(value as never), { code: 'ERR_EVNODE_ARG_TYPE' });
    t.throws(() => setFatalCallback(value as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  }
  t.throws(() => enableDebugLogging(1 as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  t.throws(() => setMemoryLimit('1' as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  t.throws(() => setMemoryLimit(-1), { code: 'ERR_EVNODE_ARG_RANGE' });
});

test('after the global shutdown everything can be used on', (t) => {
  globalShutdown();
  using base = new EventBase({ attach: 'none' });
  let fired = 0;
  base.timer(() => fired++).add(0);
  base.dispatchSync();
  t.is(fired, 1);
});
