// The filters that come with the library.

import { randomBytes } from 'node:crypto';
import { PassThrough, type Transform } from 'node:stream';
import zlib from 'node:zlib';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EventBase,
  EventFlags,
  FilterBufferEvent,
  RateLimitGroup,
  TokenBucketConfig,
  type Compression,
} from 'evnode';

import { everywhere, later } from './support/drive';
import { pair, pattern } from './support/peers';

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, READING } = BufferEventFlags;

const FORMATS: Compression[] = ['gzip', 'zlib', 'deflate', 'brotli', 'zstd'];
/** What Node has for the other side. */
const PEERS: Partial<
  Record<Compression, { compress: (bytes: Buffer) => Buffer; expand: () => Transform }>
> = {
  gzip: { compress: (bytes) => zlib.gzipSync(bytes), expand: () => zlib.createGunzip() },
  zlib: { compress: (bytes) => zlib.deflateSync(bytes), expand: () => zlib.createInflate() },
  deflate: {
    compress: (bytes) => zlib.deflateRawSync(bytes),
    expand: () => zlib.createInflateRaw(),
  },
  brotli: {
    compress: (bytes) => zlib.brotliCompressSync(bytes),
    expand: () => zlib.createBrotliDecompress(),
  },
};

async function all(bev: BufferEvent): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bev) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const format of FORMATS) {
  everywhere(`${format}: what is written leaves at once and comes as it was`, async (t, base) => {
    const [near, far] = BufferEvent.pair(base);
    const one = FilterBufferEvent.compressed(near, format, { level: 1 });
    const other = FilterBufferEvent.compressed(far, format);
    const first = later<string | null>();
    other.setCallbacks({ read: (bev) => first.resolve(bev.readString()) }).enable(READ);
    one.write('hello hello hello');
    t.is(await first.promise, 'hello hello hello');
    const sent = Buffer.concat([pattern(300_000), randomBytes(300_000)]);
    one.write(sent);
    void one.close();
    t.true((await all(other)).equals(sent));
    other.free();
  });

  const peer = PEERS[format];
  if (peer === undefined) continue;
  everywhere(`${format}: Node reads what is written, and is read`, async (t, base) => {
    const sent = pattern(500_000);
    const [near, far] = BufferEvent.pair(base);
    const compressing = FilterBufferEvent.compressed(near, format, { heldBack: true });
    compressing.write(sent);
    void compressing.close();
    const written = await all(far);
    far.free();
    t.true(written.length < sent.length / 2);
    const expanded: Buffer[] = [];
    const stream = peer.expand().on('data', (chunk: Buffer) => expanded.push(chunk));
    const ended = new Promise((resolve) => stream.on('end', resolve));
    stream.end(written);
    if (base.attachment !== 'none') {
      await ended;
      t.true(Buffer.concat(expanded).equals(sent));
    }
    const [here, there] = BufferEvent.pair(base);
    const expanding = FilterBufferEvent.compressed(here, format);
    there.write(peer.compress(sent));
    void there.close();
    t.true((await all(expanding)).equals(sent));
    expanding.free();
  });

  everywhere(
    `${format}: bytes that are not and a stream that is cut are errors`,
    async (t, base) => {
      const whole = peer.compress(pattern(10_000));
      for (const bytes of [
        Buffer.from('\xff\xfe nothing of the kind', 'latin1'),
        whole.subarray(0, -5),
      ]) {
        const [near, far] = BufferEvent.pair(base);
        const bev = FilterBufferEvent.compressed(near, format);
        const end = later<string | undefined>();
        bev.setCallbacks({
          read: (bev) => void bev.read(),
          event(_, what, error) {
            t.is(what, ERROR | READING);
            end.resolve(error?.code);
          },
        });
        bev.enable(READ);
        far.write(bytes);
        void far.close();
        t.is(await end.promise, 'ERR_EVNODE_FILTER');
        bev.free();
      }
    },
  );
}

everywhere('a little that becomes very much fills no memory', async (t, base) => {
  const [near, far] = BufferEvent.pair(base);
  const bev = FilterBufferEvent.compressed(near, 'gzip');
  bev.setWatermark(READ, 0, 10_000);
  let [came, most] = [0, 0];
  const end = later();
  bev.setCallbacks({
    read(bev) {
      most = Math.max(most, bev.inputLength);
      came += bev.read()?.length ?? 0;
    },
    event: () => end.resolve(),
  });
  bev.enable(READ);
  far.write(zlib.gzipSync(Buffer.alloc(5_000_000)));
  void far.close();
  await end.promise;
  t.is(came, 5_000_000);
  t.true(most <= 10_000, String(most));
  bev.free();
});

everywhere('messages come whole, with their lengths', async (t, base) => {
  const [near, far] = BufferEvent.pair(base);
  const bev = FilterBufferEvent.frames(near, { width: 2, maxLength: 1000 });
  const messages: string[] = [];
  const end = later<string>();
  bev.setCallbacks({
    read({ input }) {
      while (input.length > 0) {
        messages.push(input.removeString(input.remove(2).readUInt16BE()));
      }
    },
    event: (_, _what, error) => end.resolve(error?.message ?? ''),
  });
  bev.enable(READ);
  const bytes = Buffer.from('\0\x05hello\0\0\0\x05world\xff\xff', 'latin1');
  for (const byte of bytes) {
    far.write(Buffer.of(byte));
    await new Promise<void>(
      (resolve) => void base.once(-1, EventFlags.TIMEOUT, 0, () => resolve()),
    );
  }
  t.regex(await end.promise, /65535 bytes; 1000 are the most/);
  t.deepEqual(messages, ['hello', '', 'world']);
  bev.free();
  far.free();
});

everywhere('lines come whole, and one that is too long is an error', async (t, base) => {
  const [near, far] = BufferEvent.pair(base);
  const bev = FilterBufferEvent.wholeLines(near, { maxLength: 10 });
  const portions: (string | null)[] = [];
  const end = later<string | undefined>();
  bev.setCallbacks({
    read: (bev) => portions.push(bev.readString()),
    event: (_, _what, error) => end.resolve(error?.code),
  });
  bev.enable(READ);
  for (const part of ['a', 'b\nc', 'd\nx', 'x'.repeat(20)]) {
    far.write(part);
    await new Promise<void>(
      (resolve) => void base.once(-1, EventFlags.TIMEOUT, 1, () => resolve()),
    );
  }
  t.is(await end.promise, 'ERR_EVNODE_FILTER');
  t.deepEqual(portions, ['ab\n', 'cd\n']);
  bev.free();
  far.free();
});

everywhere('a tee shows what passes', async (t, base) => {
  const [near, far] = BufferEvent.pair(base);
  const seen: string[] = [];
  const bev = FilterBufferEvent.tee(near, (way, bytes) => void seen.push(`${way} ${bytes}`));
  far.setCallbacks({ read: (far) => far.write(`${far.readString()}!`) }).enable(READ);
  const end = later<string | null>();
  bev.setCallbacks({ read: (bev) => end.resolve(bev.readString()) }).enable(READ);
  bev.write('hello');
  t.is(await end.promise, 'hello!');
  t.deepEqual(seen, ['out hello', 'in hello!']);
  bev.free();
  far.free();
});

everywhere('all of it at once: gzip over functions over a limit over a socket', async (t, base) => {
  const { server, client } = await pair(base);
  const group = new RateLimitGroup(base, TokenBucketConfig.perSecond({ write: 20_000_000 }));
  client
    .addToRateLimitGroup(group)
    .setRateLimit(TokenBucketConfig.perSecond({ write: 40_000_000 }));
  const flip = (source: { remove(): Buffer }, destination: { add(bytes: Buffer): void }) => {
    destination.add(source.remove().map((byte) => byte ^ 0xff) as Buffer);
  };
  const layer = (bev: BufferEvent) =>
    FilterBufferEvent.compressed(
      new FilterBufferEvent(bev, { input: flip, output: flip }),
      'gzip',
      {
        level: 1,
      },
    );
  const [sending, receiving] = [layer(client), layer(server)];
  const sent = randomBytes(500_000);
  sending.write(sent);
  const closing = sending.close();
  t.true((await all(receiving)).equals(sent));
  await closing;
  t.true(client.closed);
  t.true(group.totals.write > sent.length);
  receiving.free();
});

test('shipped filters say what is wrong with their arguments', (t) => {
  const base = new EventBase();
  const bev = new BufferEvent(base);
  const bad: [call: () => unknown, code: string][] = [
    [() => FilterBufferEvent.compressed(bev, 'rar' as 'gzip'), 'RANGE'],
    [() => FilterBufferEvent.compressed(bev, undefined as unknown as 'gzip'), 'TYPE'],
    [() => FilterBufferEvent.compressed(bev, 'gzip', { level: 10 }), 'RANGE'],
    [() => FilterBufferEvent.compressed(bev, 'zstd', { level: -8 }), 'RANGE'],
    [() => FilterBufferEvent.compressed(bev, 'gzip', { heldBack: 1 as unknown as true }), 'TYPE'],
    [
      () => FilterBufferEvent.compressed(new PassThrough() as unknown as BufferEvent, 'gzip'),
      'TYPE',
    ],
    [() => FilterBufferEvent.frames(bev, { width: 3 as 4 }), 'RANGE'],
    [() => FilterBufferEvent.frames(bev, { maxLength: -1 }), 'RANGE'],
    [() => FilterBufferEvent.frames(bev, { maxLength: 2 ** 24 }), 'RANGE'],
    [() => FilterBufferEvent.wholeLines(bev, { maxLength: 0 }), 'RANGE'],
    [() => FilterBufferEvent.wholeLines(bev, null as unknown as object), 'TYPE'],
    [() => FilterBufferEvent.tee(bev, 1 as unknown as () => void), 'TYPE'],
    [() => FilterBufferEvent.tee(bev, () => {}, { closeOnFree: 1 as unknown as true }), 'TYPE'],
  ];
  for (const [call, code] of bad) t.throws(call, { code: `ERR_EVNODE_ARG_${code}` }, String(call));
  const closed = FilterBufferEvent.compressed(bev, 'gzip');
  closed.free();
  t.throws(() => FilterBufferEvent.compressed(bev, 'gzip'), { code: 'ERR_EVNODE_CLOSED' });
  t.is(EOF | WRITE, 0x14);
  base.free();
});
