import { setImmediate as turn } from 'node:timers/promises';

import test from 'ava';
import * as fc from 'fast-check';

import { EvBuffer, EvError, type BufferEvent, type FramePrefix } from 'evnode';

import { attached, everywhere } from './support/drive';
import { netClient, pair, pattern } from './support/peers';

const PREFIXES: FramePrefix[] = ['u8', 'u16be', 'u16le', 'u32be', 'u32le'];
const WIDTH = { u8: 1, u16be: 2, u16le: 2, u32be: 4, u32le: 4 };
const TOO_LARGE = { instanceOf: EvError, code: 'ERR_EVNODE_FRAME_TOO_LARGE' };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const strings = (items: Iterable<Buffer>) => Array.from(items, String);

test('chunks of one size come out, and the rest stays', (t) => {
  using buffer = new EvBuffer();
  buffer.add('abcdefgh');
  t.deepEqual(strings(buffer.chunks(3)), ['abc', 'def']);
  t.is(buffer.toString(), 'gh');
  t.deepEqual(strings(buffer.chunks(1)), ['g', 'h']);
});

test('lines come out one by one, and what follows them stays', (t) => {
  using buffer = new EvBuffer();
  buffer.add('one\r\ntwo\nthree');
  t.deepEqual([...buffer.lines()], ['one', 'two']);
  t.is(buffer.toString(), 'three');
});

test('parts come out without their delimiters', (t) => {
  using buffer = new EvBuffer();
  buffer.add('a--b----c-');
  t.deepEqual(strings(buffer.split('--')), ['a', 'b', '']);
  t.is(String(buffer.readUntil('--')), 'null');
  t.is(buffer.add('-d').toString(), 'c--d');
  t.is(String(buffer.readUntil(Buffer.from('--'))), 'c');
  t.is(buffer.toString(), 'd');
});

test('a part that is too long is an error, and nothing is taken', (t) => {
  using buffer = new EvBuffer();
  t.is(String(buffer.add('1234;').readUntil(';', { maxLength: 4 })), '1234');
  t.throws(() => buffer.add('12345;').readUntil(';', { maxLength: 4 }), TOO_LARGE);
  t.is(buffer.length, 6);
  buffer.drain(6).add('1234');
  t.is(buffer.readUntil(';;', { maxLength: 4 }), null);
  t.is(buffer.add(';').readUntil(';;', { maxLength: 4 }), null);
  t.throws(() => buffer.add('x').readUntil(';;', { maxLength: 4 }), TOO_LARGE);
});

for (const prefix of PREFIXES) {
  test(`frames behind a ${prefix} come out as they went in`, (t) => {
    using buffer = new EvBuffer();
    using source = new EvBuffer();
    const frames = ['', 'x', 'hällo', 'y'.repeat(200)];
    for (const frame of frames) buffer.addFrame(frame, prefix);
    buffer.addFrame(Uint16Array.of(1, 2), prefix).addFrame(source.add('moved'), prefix);
    t.is(source.length, 0);
    const bytes = buffer.copyout();
    // The second frame, which is one byte long.
    t.is(bytes[WIDTH[prefix]], prefix.endsWith('be') ? 0 : 1);
    const expected = [...frames, '\x01\0\x02\0', 'moved'];
    t.deepEqual(strings(buffer.frames({ prefix })), expected);
    // Byte by byte, nothing comes before its time.
    const found: Buffer[] = [];
    for (const byte of bytes) {
      const frame = buffer.writeUInt8(byte).readFrame({ prefix });
      if (frame !== null) found.push(frame);
    }
    t.deepEqual(strings(found), expected);
    t.is(buffer.length, 0);
  });

  // A frame of 4 GiB is more than a test should ask for.
  if (WIDTH[prefix] === 4) continue;

  test(`a frame that a ${prefix} cannot tell of is refused whole`, (t) => {
    using buffer = new EvBuffer();
    using source = new EvBuffer();
    const most = 2 ** (8 * WIDTH[prefix]) - 1;
    source.add(Buffer.alloc(most + 1));
    const refused = { instanceOf: RangeError, code: 'ERR_EVNODE_ARG_RANGE' };
    t.throws(() => buffer.addFrame(Buffer.alloc(most + 1), prefix), refused);
    t.throws(() => buffer.addFrame(source, prefix), refused);
    t.is(buffer.length, 0);
    t.is(source.length, most + 1);
    t.is(buffer.addFrame(Buffer.alloc(most), prefix).length, most + WIDTH[prefix]);
  });
}

test('a frame that is longer than allowed is an error as soon as its length is there', (t) => {
  using buffer = new EvBuffer();
  buffer.writeUInt32BE(11);
  t.is(buffer.readFrame({ maxLength: 11 }), null);
  t.throws(() => buffer.readFrame({ maxLength: 10 }), TOO_LARGE);
  t.throws(() => [...buffer.frames({ maxLength: 10 })], TOO_LARGE);
  t.is(buffer.length, 4);
  buffer.drain(4).writeUInt32BE(2 ** 32 - 1);
  t.throws(() => buffer.readFrame({ maxLength: 2 ** 31 - 1 }), TOO_LARGE);
});

test('a frame out of a buffer is moved whole or not at all', (t) => {
  using buffer = new EvBuffer();
  using source = new EvBuffer();
  source.add('bytes');
  buffer.freeze('back');
  t.throws(() => buffer.addFrame(source), { code: 'ERR_EVNODE_FROZEN' });
  t.is(source.toString(), 'bytes');
  buffer.unfreeze('back');
  source.freeze('front');
  t.throws(() => buffer.addFrame(source), { code: 'ERR_EVNODE_FROZEN' });
  t.is(source.toString() + buffer.toString(), 'bytes');
  source.unfreeze('front');
  t.throws(() => source.addFrame(source), { code: 'ERR_EVNODE_ARG_TYPE' });
  const freed = new EvBuffer();
  freed.free();
  t.throws(() => buffer.addFrame(freed), { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => freed.addFrame(source), { code: 'ERR_EVNODE_CLOSED' });
  t.is(source.toString(), 'bytes');
});

test('any messages come out again, however they are cut', (t) => {
  const message = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 50 })), (messages, cuts) => {
      using whole = new EvBuffer();
      using framed = new EvBuffer();
      using delimited = new EvBuffer();
      for (const bytes of messages) {
        whole.addFrame(bytes, 'u16le');
        delimited.add(Buffer.from(bytes).toString('hex')).add(';');
      }
      const frames: Buffer[] = [];
      for (let at = 0; whole.length > 0; at++) {
        whole.removeBuffer(framed, cuts[at % cuts.length] ?? 7);
        frames.push(...framed.frames({ prefix: 'u16le' }));
      }
      const parts = Array.from(delimited.split(';'), (part) => Buffer.from(String(part), 'hex'));
      const same = (all: Buffer[]) =>
        all.length === messages.length && messages.every((one, at) => all[at]?.equals(one));
      return same(frames) && same(parts) && framed.length + delimited.length === 0;
    }),
    { numRuns: 100 },
  );
  t.pass();
});

everywhere('frames come whole from a connection, however the bytes come', async (t, base) => {
  for (const prefix of PREFIXES) {
    const { server, client } = await pair(base);
    const reading = collect(server.frames({ prefix }));
    using framed = new EvBuffer();
    for (const text of ['one', '', 'x'.repeat(200)]) framed.addFrame(text, prefix);
    for (const chunk of framed.chunks(2)) client.write(chunk);
    client.writeBuffer(framed);
    await client.close();
    t.deepEqual(strings(await reading), ['one', '', 'x'.repeat(200)]);
    server.free();
  }
});

everywhere('parts come from a connection, the last without its delimiter', async (t, base) => {
  const { server, client } = await pair(base);
  const reading = collect(server.split(Buffer.from('\0\0')));
  for (const part of ['a\0', '\0b', 'b\0\0', '\0\0last']) client.write(part);
  await client.close();
  t.deepEqual(strings(await reading), ['a', 'bb', '', 'last']);
  server.free();
});

everywhere('chunks of one size come from a connection, the last may be less', async (t, base) => {
  const { server, client } = await pair(base);
  const bytes = pattern(200_001);
  const reading = collect(server.chunks(100_000));
  client.write(bytes);
  await client.close();
  const chunks = await reading;
  t.deepEqual(
    chunks.map((chunk) => chunk.length),
    [100_000, 100_000, 1],
  );
  t.true(Buffer.concat(chunks).equals(bytes));
  server.free();
});

everywhere('a connection that ends within a frame is an error', async (t, base) => {
  for (const cut of [1, 5]) {
    const { server, client } = await pair(base);
    using framed = new EvBuffer();
    client.write(
      framed
        .addFrame('whole')
        .addFrame('cut off')
        .remove(9 + cut),
    );
    void client.close();
    const frames = server.frames();
    t.is(String((await frames.next()).value), 'whole');
    await t.throwsAsync(frames.next(), { instanceOf: EvError, code: 'ERR_EVNODE_TRUNCATED' });
    t.true((await frames.next()).done);
    server.free();
  }
});

everywhere('messages that are too long end the loop with an error', async (t, base) => {
  for (const read of ['frames', 'split'] as const) {
    const { server, client } = await pair(base);
    const options = { maxLength: 70_000 };
    client.write(Buffer.alloc(80_000, 1));
    const messages = read === 'frames' ? server.frames(options) : server.split(';', options);
    await t.throwsAsync(messages.next(), TOO_LARGE);
    t.true((await messages.next()).done);
    t.true(server.inputLength > 0);
    server.free();
    client.free();
  }
});

attached('a message may be as long as is allowed, which is all that is held', async (t, base) => {
  for (const read of ['frames', 'split', 'chunks'] as const) {
    const { server, client } = await pair(base);
    const longest = pattern(3_000_000).fill(1, 0, 4);
    using message = new EvBuffer();
    if (read === 'frames') message.addFrame(longest);
    else message.add(longest.fill(1)).add(read === 'split' ? ';' : '');
    client.writeBuffer(message);
    client.write(Buffer.alloc(3_000_000, 1));
    const options = { maxLength: longest.length };
    const messages =
      read === 'frames'
        ? server.frames(options)
        : read === 'split'
          ? server.split(';', options)
          : server.chunks(longest.length);
    const { value } = await messages.next();
    t.true(value?.equals(longest), read);
    // What nobody asks for is not read.
    for (let turns = 0; turns < 50; turns++) await turn();
    t.true(server.inputLength <= longest.length + 4, read);
    server.free();
    client.free();
  }
});

attached('a signal ends the wait for a message', async (t, base) => {
  const { server, client } = await pair(base);
  const reason = new Error('enough');
  const abort = new AbortController();
  const waiting = collect(server.frames({ signal: abort.signal }));
  abort.abort(reason);
  t.is(await t.throwsAsync(waiting), reason);
  await t.throwsAsync(collect(server.split(';', { signal: abort.signal })), { is: reason });
  await t.throwsAsync(collect(server.chunks(4, { signal: abort.signal })), { is: reason });
  client.write('ok;');
  t.is(String((await server.split(';').next()).value), 'ok');
  server.free();
  client.free();
});

attached('a broken connection is an error of the loop', async (t, base) => {
  const listener = base.listen({ port: 0, host: '127.0.0.1' });
  const accepted = listener[Symbol.asyncIterator]().next();
  const socket = await netClient(listener);
  const server = (await accepted).value as BufferEvent;
  const waiting = collect(server.frames());
  socket.write(Buffer.from([0, 0, 0, 9, 1]));
  await turn();
  socket.resetAndDestroy();
  await t.throwsAsync(waiting, { code: 'ECONNRESET' });
  server.free();
  listener.free();
});

attached('what a loop leaves is there for the next, of whatever kind', async (t, base) => {
  const { server, client } = await pair(base);
  using framed = new EvBuffer();
  client.write(framed.addFrame('one').addFrame('two').add('three;four\n12345').remove());
  void client.close();
  for await (const frame of server.frames()) {
    if (String(frame) === 'two') break;
  }
  for await (const part of server.split(';')) {
    t.is(String(part), 'three');
    break;
  }
  for await (const line of server.lines()) {
    t.is(line, 'four');
    break;
  }
  t.deepEqual(strings(await collect(server.chunks(2))), ['12', '34', '5']);
  server.free();
});
