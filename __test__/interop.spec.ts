// Bufferevents over streams of Node's, and as streams of the web.

import { once } from 'node:events';
import net from 'node:net';
import { Duplex, PassThrough, duplexPair, type Readable } from 'node:stream';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EventBase,
  EventFlags,
  EvError,
  FilterBufferEvent,
  TokenBucketConfig,
} from 'evnode';

import { attached, later } from './support/drive';
import { pattern } from './support/peers';

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, READING } = BufferEventFlags;

/** Two streams of which each reads what the other writes. */
function streams(): [Duplex, Duplex] {
  const make = duplexPair as (() => [Duplex, Duplex]) | undefined;
  if (make !== undefined) return make();
  const [to, from] = [new PassThrough(), new PassThrough()];
  const join = (readable: PassThrough, writable: PassThrough) =>
    Duplex.from({ readable, writable }) as Duplex;
  return [join(from, to), join(to, from)];
}

async function all(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

attached('a bufferevent over a stream reads and writes through it', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  t.is(bev.partner, null);
  there.write('one\ntwo\n');
  const lines: string[] = [];
  for await (const line of bev.lines()) {
    lines.push(line);
    bev.write(`${line}!`);
    if (lines.length === 2) break;
  }
  t.deepEqual(lines, ['one', 'two']);
  const reading = all(there);
  await bev.close();
  t.is(String(await reading), 'one!two!');
  there.end();
});

attached('megabytes pass both ways, and the ends of both streams', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  const echoing = (async () => {
    for await (const chunk of bev) bev.write(chunk);
    await bev.close();
  })();
  const sent = pattern(2_000_000);
  const reading = all(there);
  there.end(sent);
  t.true((await reading).equals(sent));
  await echoing;
});

attached('neither side is filled beyond its mark', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  bev.setWatermark(READ, 0, 1000);
  bev.setCallbacks({ event() {} }).enable(READ);
  let sent = 0;
  while (there.write(Buffer.alloc(1000))) sent += 1000;
  for (let at = 0; at < 300; at++) {
    const taken = await Promise.race([
      new Promise<boolean>((resolve) => void there.once('drain', () => resolve(true))),
      new Promise<boolean>((resolve) => void setTimeout(() => resolve(false), 50)),
    ]);
    if (!taken) break;
    while (there.write(Buffer.alloc(1000))) sent += 1000;
  }
  t.true(sent < 1_000_000, `${sent} bytes were taken by nobody`);
  t.is(bev.inputLength, 1000);
  bev.write(pattern(1_000_000));
  const { value } = (await there[Symbol.asyncIterator]().next()) as { value: Buffer };
  t.true(value.length > 0);
  t.true(bev.outputLength > 500_000, String(bev.outputLength));
  bev.free();
  there.destroy();
});

attached('an error of the stream is told with its cause', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  const end = later<{ what: number; error: EvError | null }>();
  bev.setCallbacks({ event: (_, what, error) => end.resolve({ what, error }) }).enable(READ);
  const cause = Object.assign(new Error('pulled out'), { code: 'EPLUG' });
  here.destroy(cause);
  const { what, error } = await end.promise;
  t.is(what, ERROR | READING);
  t.true(error instanceof EvError);
  t.is(error?.code, 'EPLUG');
  t.is(error?.cause, cause);
  bev.free();
  there.destroy();
});

attached('a stream that closes without an end is an error', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  const end = later<string | undefined>();
  bev.setCallbacks({ event: (_, _what, error) => end.resolve(error?.code) }).enable(READ);
  here.destroy();
  t.is(await end.promise, 'ERR_STREAM_PREMATURE_CLOSE');
  bev.free();
  there.destroy();
});

attached('the end of the stream is told, and writing goes on', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  const end = later<number>();
  bev.setCallbacks({ event: (_, what) => end.resolve(what) }).enable(READ);
  const reading = all(there);
  there.end();
  t.is(await end.promise, EOF | READING);
  bev.write('still here');
  bev.flush(WRITE, 'finished');
  t.is(String(await reading), 'still here');
  bev.free();
});

attached('freeing the bufferevent ends and destroys the stream', async (t, base) => {
  const [here, there] = streams();
  const bev = BufferEvent.fromDuplex(base, here);
  const closed = once(here, 'close');
  const reading = all(there);
  bev.free();
  await closed;
  t.is((await reading).length, 0);
  t.true(here.destroyed);
  there.destroy();
});

attached('a stream of Node can be filtered and limited', async (t, base) => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  const closed = once(socket, 'close');
  const limited = BufferEvent.fromDuplex(base, socket);
  limited.setRateLimit(TokenBucketConfig.perSecond({ write: 10_000_000 }));
  const bev = FilterBufferEvent.compressed(limited, 'gzip');
  const sent = pattern(200_000);
  bev.write(sent);
  bev.flush(WRITE, 'finished');
  const chunks: Buffer[] = [];
  for await (const chunk of bev) chunks.push(chunk);
  t.true(Buffer.concat(chunks).equals(sent));
  await bev.close();
  await closed;
  server.close();
});

attached('a bufferevent can be two streams of the web', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const { readable, writable } = one.toWeb();
  const writer = writable.getWriter();
  other.setCallbacks({ read: (bev) => bev.forward(bev) }).enable(READ);
  await writer.write(Buffer.from('hello'));
  const reader = readable.getReader();
  const { value } = await reader.read();
  t.is(Buffer.from(value as Uint8Array).toString(), 'hello');
  const closing = writer.close();
  other.free();
  await closing;
  t.true((await reader.read()).done);
  t.throws(() => one.toWeb({ readableHighWaterMark: 0 }), { code: 'ERR_EVNODE_ARG_RANGE' });
  one.free();
});

test('only a stream of bytes that goes both ways will do', (t) => {
  const base = new EventBase();
  const object = new PassThrough({ objectMode: true });
  for (const bad of [undefined, null, 1, {}, new EventBase(), object]) {
    t.throws(() => BufferEvent.fromDuplex(base, bad as Duplex), { code: 'ERR_EVNODE_ARG_TYPE' });
  }
  t.throws(() => BufferEvent.fromDuplex({} as EventBase, new PassThrough()), {
    code: 'ERR_EVNODE_ARG_TYPE',
  });
  base.free();
});
