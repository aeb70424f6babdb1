import { once } from 'node:events';
import { closeSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import test, { type ExecutionContext } from 'ava';

import {
  type BufferEvent,
  BufferEventFlags,
  EvBuffer,
  EvError,
  EventBase,
  FileSegment,
  memoryStatistics,
  poolStatistics,
  statistics,
} from 'evnode';

import { pattern, readAll, temporaryFolder } from './support/peers';

const isWindows = process.platform === 'win32';

function scratch(t: ExecutionContext, bytes: Buffer | string): string {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, bytes);
  return path;
}

/** Has a server send what `fill` puts into a connection's output; returns what a client got. */
async function serve(t: ExecutionContext, fill: (conn: BufferEvent) => void): Promise<Buffer> {
  const base = new EventBase();
  t.teardown(() => base.free());
  const listener = base.listen({ port: 0 }, (conn) => {
    fill(conn);
    conn.close();
  });
  const client = net.connect(listener.address()?.port ?? 0, '127.0.0.1');
  await once(client, 'connect');
  return readAll(client);
}

test('a file is sent between the bytes around it', async (t) => {
  const bytes = pattern(3_000_000);
  const path = scratch(t, bytes);
  for (const disableSendfile of [false, true]) {
    const received = await serve(t, (conn) => {
      conn.output.add('head ').addFile(path, { offset: 1000, disableSendfile }).add(' tail');
    });
    const expected = ['head ', bytes.subarray(1000), ' tail'].map((part) => Buffer.from(part));
    t.true(received.equals(Buffer.concat(expected)));
  }
});

test('a segment is made of a path, a URL, a descriptor or an open file', async (t) => {
  const path = scratch(t, '0123456789');
  const read = (segment: FileSegment) => {
    using buffer = new EvBuffer();
    using held = segment;
    return buffer.addFileSegment(held).toString();
  };
  t.is(read(new FileSegment(path)), '0123456789');
  t.is(read(new FileSegment(pathToFileURL(path), { offset: 7 })), '789');
  if (isWindows) return;
  const fd = openSync(path, 'r');
  t.is(read(new FileSegment(fd, { offset: 2, length: 3 })), '234');
  t.is(read(new FileSegment(fd, { closeOnFree: true })), '0123456789');
  t.throws(() => closeSync(fd), { code: 'EBADF' });
  await using handle = await open(path);
  t.is(read(new FileSegment(handle, { length: 1 })), '0');
  t.is(await handle.readFile('utf8'), '0123456789');
});

test('buffers share a segment, each its own part', (t) => {
  const path = scratch(t, '0123456789');
  const segment = new FileSegment(path, { offset: 1 });
  t.is(segment.length, 9);
  using one = new EvBuffer();
  using two = new EvBuffer();
  one.addFileSegment(segment, 0, 4).addFileSegment(segment, 8);
  two.addFileSegment(segment, 2);
  segment.free();
  t.is(one.toString(), '12349');
  t.is(two.toString(), '3456789');
  two.addBuffer(one);
  t.is(two.search('912'), 6);
  t.is(two.removeString(8), '34567891');
});

test('lines are read from a file', (t) => {
  const lines = Array.from({ length: 20_000 }, (_, number) => `line ${number}`);
  using buffer = new EvBuffer();
  buffer.addFile(scratch(t, lines.join('\n') + '\n'));
  t.deepEqual(buffer.readLines('lf'), lines);
});

test('ranges outside the file are refused', (t) => {
  const path = scratch(t, '0123456789');
  const code = 'ERR_EVNODE_ARG_VALUE';
  t.throws(() => new FileSegment(path, { offset: 11 }), { instanceOf: RangeError, code });
  t.throws(() => new FileSegment(path, { length: 11 }), { instanceOf: RangeError, code });
  t.throws(() => new FileSegment(path, { offset: 5, length: 6 }), { instanceOf: RangeError, code });
  using segment = new FileSegment(path);
  using buffer = new EvBuffer();
  for (const bad of [11, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    t.throws(() => buffer.addFileSegment(segment, bad), { instanceOf: RangeError });
    t.throws(() => buffer.addFileSegment(segment, 0, bad), { instanceOf: RangeError });
    t.throws(() => new FileSegment(path, { offset: bad }), { instanceOf: RangeError });
  }
  for (const bad of [-1, NaN, 0.5, Infinity, -(2 ** 31)]) {
    t.throws(() => buffer.addFileSegment(segment, bad), { instanceOf: RangeError });
    t.throws(() => buffer.addFileSegment(segment, 0, bad), { instanceOf: RangeError });
    t.throws(() => new FileSegment(path, { offset: bad }), { instanceOf: RangeError });
    t.throws(() => new FileSegment(path, { length: bad }), { instanceOf: RangeError });
    t.throws(() => (buffer.maxLength = bad === Infinity ? -2 : bad), { instanceOf: RangeError });
  }
  t.is(buffer.length, 0);
});

test('what is no file or no segment is refused', (t) => {
  const before = statistics();
  t.throws(() => new FileSegment(temporaryFolder(t)), { instanceOf: RangeError });
  t.throws(() => new FileSegment(join(temporaryFolder(t), 'none')), {
    instanceOf: EvError,
    code: 'ENOENT',
  });
  t.throws(() => new FileSegment('a\0b'), { instanceOf: TypeError });
  t.throws(() => new FileSegment({} as never), { instanceOf: TypeError });
  t.throws(() => new FileSegment(null as never), { instanceOf: TypeError });
  if (!isWindows) t.throws(() => new FileSegment(1_000_000), { code: 'EBADF' });
  using buffer = new EvBuffer();
  t.throws(() => buffer.addFileSegment({} as never), { instanceOf: TypeError });
  t.throws(() => buffer.addBufferReference({} as never), { instanceOf: TypeError });
  const segment = new FileSegment(scratch(t, 'x'));
  segment.free();
  segment.free();
  t.throws(() => segment.length, { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => buffer.addFileSegment(segment), { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => segment.onCleanup(() => undefined), { code: 'ERR_EVNODE_CLOSED' });
  t.is(statistics().fileSegments, before.fileSegments);
});

test('a file that becomes shorter throws and ends nothing', async (t) => {
  const path = scratch(t, pattern(200_000));
  using buffer = new EvBuffer();
  buffer.addFile(path).add('behind');
  truncateSync(path, 100_000);
  t.throws(() => buffer.readFiles(), { code: 'ERR_EVNODE_IO' });
  t.throws(() => buffer.pullup(), { code: 'ERR_EVNODE_IO' });
  t.throws(() => buffer.remove(150_000), { code: 'ERR_EVNODE_IO' });
  t.is(buffer.search('behind'), -1);
  t.is(buffer.length, 200_006);
  t.is(buffer.drain(200_000).toString(), 'behind');

  const base = new EventBase();
  t.teardown(() => base.free());
  const failed = new Promise<[number, Error | null]>((resolve) => {
    const listener = base.listen({ port: 0 }, (conn) => {
      conn.setCallbacks({ event: (_, what, error) => resolve([what, error ?? null]) });
      truncateSync(path, 100_000);
      conn.output.addFile(path);
      truncateSync(path, 50_000);
    });
    const client = net.connect(listener.address()?.port ?? 0, '127.0.0.1');
    client.on('error', () => undefined).resume();
    t.teardown(() => client.destroy());
  });
  const [what, error] = await failed;
  t.is(what, BufferEventFlags.WRITING | BufferEventFlags.ERROR);
  t.true(error instanceof EvError);
});

test('clean-up comes when the file is closed', async (t) => {
  const path = scratch(t, '0123456789');
  const told: string[] = [];
  const segment = new FileSegment(path);
  segment.onCleanup(() => told.push('one')).onCleanup(() => told.push('two'));
  const buffer = new EvBuffer();
  buffer.addFileSegment(segment, 0, 5);
  segment.free();
  t.deepEqual(told, []);
  buffer.drain(5);
  t.deepEqual(told, ['one', 'two']);
  buffer.free();

  await serve(t, (conn) => {
    const sent = new FileSegment(path).onCleanup(() => told.push('sent'));
    conn.output.addFileSegment(sent);
    sent.free();
  });
  while (told.length < 3) await turn();
  t.deepEqual(told, ['one', 'two', 'sent']);
});

test('a huge file in a buffer weighs nothing until it is read', (t) => {
  const path = scratch(t, '');
  truncateSync(path, 2 ** 33);
  const { external } = process.memoryUsage();
  const { allocated } = memoryStatistics();
  using buffer = new EvBuffer();
  buffer.addFile(path);
  t.is(buffer.length, 2 ** 33);
  t.deepEqual(buffer.copyout(3, 2 ** 32), Buffer.alloc(3));
  t.true(process.memoryUsage().external - external < 2 ** 24);
  t.true(memoryStatistics().allocated - allocated < 2 ** 20);
});

test('one buffer is added to many and stays', (t) => {
  using page = new EvBuffer();
  page.add('<html>').add(pattern(100_000));
  const expected = page.copyout();
  const copies = [new EvBuffer(), new EvBuffer(), new EvBuffer()];
  for (const copy of copies) copy.add('head ').addBufferReference(page);
  t.true(page.copyout().equals(expected));
  page.drain(50_000).add('more');
  for (const copy of copies) {
    t.is(copy.removeString(5), 'head ');
    t.true(copy.copyout().equals(expected));
    copy.free();
  }
  t.throws(() => page.addBufferReference(page), {
    instanceOf: RangeError,
    code: 'ERR_EVNODE_ARG_VALUE',
  });
  using empty = new EvBuffer();
  t.is(page.addBufferReference(empty).length, 50_010);
});

test('a greatest length makes an add fail and change nothing', (t) => {
  using buffer = new EvBuffer();
  t.is(buffer.maxLength, Infinity);
  buffer.maxLength = 8;
  t.is(buffer.maxLength, 8);
  buffer.add('12345678');
  for (const add of [
    () => buffer.add('9'),
    () => buffer.prepend('0'),
    () => buffer.addBuffer(new EvBuffer().add('9')),
    () => buffer.addBufferReference(new EvBuffer().add('9')),
    () => buffer.expand(1),
  ]) {
    t.throws(add, { instanceOf: RangeError, code: 'ERR_EVNODE_ARG_RANGE' });
  }
  t.is(buffer.toString(), '12345678');
  buffer.maxLength = Infinity;
  t.is(buffer.add('9').length, 9);
});

test('a callback is passed over while it is disabled', (t) => {
  using buffer = new EvBuffer();
  const told: number[] = [];
  buffer.setCallback((_, added) => told.push(added));
  buffer.add('1').enableCallback(false).add('22').enableCallback(true).add('333');
  t.deepEqual(told, [1, 3]);
});

test('a deferred callback is told of all changes at once, from a turn of the base', async (t) => {
  const base = new EventBase();
  using buffer = new EvBuffer();
  const told: [number, number][] = [];
  buffer.setCallback((_, added, removed) => told.push([added, removed])).deferCallbacks(base);
  buffer.add('12345').drain(2).add('6');
  t.deepEqual(told, []);
  await base.dispatch();
  t.deepEqual(told, [[6, 2]]);
  buffer.add('7').deferCallbacks(null);
  buffer.drain(1);
  t.deepEqual(told.pop(), [0, 1]);
  await base.dispatch();
  t.deepEqual(told, [[6, 2]]);
  buffer.deferCallbacks(base);
  base.free();
  buffer.add('8');
  await turn();
  t.deepEqual(told, [[6, 2]]);
});

test('the pool keeps blocks within its limits', (t) => {
  const buffers = Array.from({ length: 100 }, () => new EvBuffer().add(pattern(1000)));
  for (const buffer of buffers) buffer.free();
  const pool = poolStatistics();
  t.is(pool[0]?.blockSize, 1024);
  t.is(pool[0]?.idle, pool[0]?.limit);
  t.true(pool.every(({ idle, limit }) => idle <= limit));
  t.true(pool.reduce((sum, { idle, blockSize }) => sum + idle * blockSize, 0) < 3 * 2 ** 20);
});
