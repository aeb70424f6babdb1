import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ReadableStream, TransformStream } from 'node:stream/web';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';

import test from 'ava';

import { EvBuffer, EvError, statistics } from 'evnode';

import { attached } from './support/drive';
import { pair, pattern } from './support/peers';

test('a buffer collects what a stream, a web stream or an iterable gives', async (t) => {
  const parts = () => ['text ', Buffer.from('bytes '), new Uint16Array([0x2121])];
  async function* generate() {
    for (const part of parts()) {
      await turn();
      yield part;
    }
  }
  const sources = [
    parts(),
    generate(),
    Readable.from(parts()),
    Readable.from(Buffer.from('text bytes !!')),
    new ReadableStream({
      start(controller) {
        for (const part of ['text ', 'bytes !!']) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    }),
  ];
  for (const source of sources) {
    using buffer = await EvBuffer.collect(source as Readable);
    t.is(buffer.toString(), 'text bytes !!');
  }
  using empty = await EvBuffer.collect([]);
  t.is(empty.length, 0);
});

attached('a buffer collects a connection', async (t, base) => {
  const { server, client } = await pair(base);
  const bytes = pattern(300_000);
  client.write(bytes);
  void client.close();
  using buffer = await EvBuffer.collect(server.chunks());
  t.true(buffer.equals(bytes));
  server.free();
});

test('what is no source, or gives no bytes, is refused', async (t) => {
  const before = statistics().buffers;
  for (const source of [undefined, null, 1, 'text', {}, Buffer.from('x'), new ArrayBuffer(1)]) {
    await t.throwsAsync(EvBuffer.collect(source as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  }
  await t.throwsAsync(EvBuffer.collect([1 as never]), { code: 'ERR_EVNODE_ARG_TYPE' });
  await t.throwsAsync(EvBuffer.collect([], null as never), { code: 'ERR_EVNODE_ARG_TYPE' });
  await t.throwsAsync(EvBuffer.collect([], { maxLength: -1 }), { code: 'ERR_EVNODE_ARG_RANGE' });
  await t.throwsAsync(EvBuffer.collect([], { signal: 1 as never }), {
    code: 'ERR_EVNODE_ARG_TYPE',
  });
  t.is(statistics().buffers, before);
});

test('a source that gives too much, fails or is given up is destroyed', async (t) => {
  const before = statistics().buffers;
  const endless = () => new Readable({ read: (size) => void size });
  const many = new Readable({
    read() {
      this.push(Buffer.alloc(1000));
    },
  });
  const tooLarge = { instanceOf: EvError, code: 'ERR_EVNODE_FRAME_TOO_LARGE' };
  await t.throwsAsync(EvBuffer.collect(many, { maxLength: 4999 }), tooLarge);
  t.true(many.destroyed);

  const failing = endless();
  const collecting = EvBuffer.collect(failing);
  failing.destroy(new Error('the source fails'));
  await t.throwsAsync(collecting, { message: 'the source fails' });

  const silent = endless();
  const abort = new AbortController();
  const waiting = EvBuffer.collect(silent, { signal: abort.signal });
  abort.abort();
  await t.throwsAsync(waiting, { name: 'AbortError' });
  t.true(silent.destroyed);

  let cancelled = false;
  const web = new ReadableStream<Uint8Array>({
    cancel() {
      cancelled = true;
    },
  });
  const again = new AbortController();
  const collectingWeb = EvBuffer.collect(web, { signal: again.signal });
  await turn();
  again.abort();
  await t.throwsAsync(collectingWeb, { name: 'AbortError' });
  await turn();
  t.true(cancelled);
  t.is(statistics().buffers, before);
});

test('a buffer is read as a stream until it is empty, no faster than is asked for', async (t) => {
  using buffer = new EvBuffer();
  const bytes = pattern(1_000_000);
  buffer.add(bytes);
  const chunks: Buffer[] = [];
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      // What is neither here nor in the streams' own 64 KiB is in the buffer still.
      const taken = chunks.reduce((sum, { length }) => sum + length, 0);
      t.true(bytes.length - taken - buffer.length <= 2 * 64 * 1024);
      setImmediate(done);
    },
  });
  await pipeline(buffer.toReadable(), slow);
  t.true(Buffer.concat(chunks).equals(bytes));
  t.is(buffer.length, 0);
});

test('a stream that is destroyed leaves the rest in the buffer', async (t) => {
  using buffer = new EvBuffer();
  buffer.add(pattern(500_000));
  for await (const chunk of buffer.toReadable()) {
    t.true((chunk as Buffer).length > 0);
    break;
  }
  t.true(buffer.length > 300_000);
  const reader = buffer.toWeb().getReader();
  await reader.read();
  await reader.cancel();
  t.true(buffer.length > 200_000);
});

test('a buffer is read as a web stream, also into memory that is given', async (t) => {
  using buffer = new EvBuffer();
  const bytes = pattern(300_000);
  buffer.add(bytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of buffer.toWeb().pipeThrough(new TransformStream())) {
    chunks.push(chunk as Uint8Array);
  }
  t.true(Buffer.concat(chunks).equals(bytes));

  buffer.add('0123456789');
  const reader = buffer.toWeb().getReader({ mode: 'byob' } as never) as unknown as {
    read(view: Uint8Array): Promise<{ done: boolean; value?: Uint8Array }>;
  };
  t.is(Buffer.from((await reader.read(new Uint8Array(4))).value ?? []).toString(), '0123');
  t.is(Buffer.from((await reader.read(new Uint8Array(100))).value ?? []).toString(), '456789');
  t.true((await reader.read(new Uint8Array(4))).done);
});

test('a buffer that is freed while it is read fails the stream', async (t) => {
  const make = () => new EvBuffer().add(pattern(500_000));
  const closed = { instanceOf: EvError, code: 'ERR_EVNODE_CLOSED' };
  const one = make();
  const stream = one.toReadable();
  stream.read();
  one.free();
  await t.throwsAsync(async () => {
    for await (const chunk of stream) t.true((chunk as Buffer).length > 0);
  }, closed);
  const other = make();
  const reader = other.toWeb().getReader();
  await reader.read();
  other.free();
  await t.throwsAsync(reader.read(), closed);
});

test('a template goes in with its values, bytes as they are', (t) => {
  using buffer = new EvBuffer();
  const bytes = Buffer.from([0xff, 0]);
  t.is(buffer.add`GET ${'/ä'} ${1}${bytes}\r\n${bytes.buffer.slice(0, 0)}${null}`, buffer);
  const expected = [Buffer.from('GET /ä 1'), bytes, Buffer.from('\r\nnull')];
  t.true(buffer.equals(Buffer.concat(expected)));
  t.is(buffer.drain(100).add``, buffer);
  t.is(buffer.length, 0);
  t.throws(() => buffer.add`\u`, { code: 'ERR_EVNODE_ARG_TYPE' });
});

test('a format goes in as util.format makes it', (t) => {
  using buffer = new EvBuffer();
  buffer.addPrintf('%s: %d%%\r\n', 'load', 12.5).addPrintf('plain');
  t.is(buffer.toString(), 'load: 12.5%\r\nplain');
});

test('a buffer is found in, compared and copied as a Buffer is', (t) => {
  using buffer = new EvBuffer();
  using same = new EvBuffer();
  buffer.add('hello, hello');
  const plain = buffer.copyout();
  for (const what of ['hello', 'l', '', 'xyz', Buffer.from('lo'), 0x6f, 0]) {
    for (const from of [0, 1, 7, 8, 11, 12, 13, -1, -5, -12, -100]) {
      const told = `${String(what)} from ${from}`;
      t.is(buffer.indexOf(what, from), plain.indexOf(what, from), told);
      t.is(buffer.includes(what, from), plain.includes(what, from), told);
    }
  }
  for (let at = -13; at <= 13; at++) t.is(buffer.at(at), plain.at(at));
  for (const start of [undefined, 0, 1, 12, 13, -1, -12, -13]) {
    for (const end of [undefined, 0, 1, 12, 13, -1, -12, -13]) {
      t.deepEqual(buffer.slice(start, end), Buffer.from(plain.subarray(start, end)));
    }
  }
  t.true(buffer.equals('hello, hello') && buffer.equals(plain) && buffer.equals(buffer));
  t.true(buffer.equals(same.add('hello, ').add('hello')));
  t.false(buffer.equals('hello') || buffer.equals(same.add('!')) || buffer.equals(''));
  t.is(buffer.length, 12);
});

test('a buffer shows its length and its segments, and what it holds as JSON', (t) => {
  const buffer = new EvBuffer().add('abc');
  t.is(inspect(buffer), 'EvBuffer { length: 3, segments: [ 3 ] }');
  t.is(inspect({ buffer }, { depth: 3 }), '{ buffer: EvBuffer { length: 3, segments: [ 3 ] } }');
  t.deepEqual(Buffer.from(JSON.parse(JSON.stringify(buffer))), Buffer.from('abc'));
  buffer.free();
  t.is(inspect(buffer), 'EvBuffer {}');
});
