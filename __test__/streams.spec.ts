import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import test from 'ava';

import { EventBase, EventFlags, type BufferEvent } from 'evnode';

import { attached, everywhere } from './support/drive';
import { pair, pattern } from './support/peers';

const { READ, WRITE } = EventFlags;

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function free(...bevs: BufferEvent[]): void {
  for (const bev of bevs) bev.free();
}

everywhere('lines come whole, however the bytes come', async (t, base) => {
  const { server, client } = await pair(base);
  const reading = collect(server.lines());
  for (const part of ['a\nb', 'b\r', '\n', '\n', 'ü'.repeat(3), '\nlast']) client.write(part);
  await client.close();
  t.deepEqual(await reading, ['a', 'bb', '', 'üüü', 'last']);
  server.free();
});

everywhere('lines end as asked, in the encoding that was asked for', async (t, base) => {
  const { server, client } = await pair(base);
  const reading = collect(server.lines({ eol: 'nul', encoding: 'latin1' }));
  client.write(Buffer.from('ä\n\0ö\0', 'latin1'));
  await client.close();
  t.deepEqual(await reading, ['ä\n', 'ö']);
  server.free();
});

everywhere('a line that is too long is an error, whether or not its end comes', async (t, base) => {
  for (const text of ['short\n' + 'x'.repeat(11) + '\n', 'short\n' + 'x'.repeat(100_000)]) {
    const { server, client } = await pair(base);
    client.write(text);
    const lines = server.lines({ maxLength: 10 });
    t.is((await lines.next()).value, 'short');
    await t.throwsAsync(lines.next(), { code: 'ERR_EVNODE_LINE_TOO_LONG' });
    t.true((await lines.next()).done);
    free(server, client);
  }
  const { server, client } = await pair(base);
  client.write('exactly 10\r\nexactly10!');
  void client.close();
  t.deepEqual(await collect(server.lines({ maxLength: 10 })), ['exactly 10', 'exactly10!']);
  server.free();
});

everywhere('a line may be longer than what reading takes at once', async (t, base) => {
  const { server, client } = await pair(base);
  const long = 'x'.repeat(700_000);
  client.write(`${long}\n${long}\n`);
  void client.close();
  t.deepEqual(await collect(server.lines()), [long, long]);
  server.free();
});

everywhere('breaking out of a loop leaves the rest in the input', async (t, base) => {
  const { server, client } = await pair(base);
  client.write('header\n\nbody\nbody');
  for await (const line of server.lines()) if (line === '') break;
  t.is(server.enabled & READ, 0);
  client.write(' goes on');
  await client.close();
  const body = Buffer.concat(await collect(server));
  t.is(body.toString(), 'body\nbody goes on');
  server.free();
});

everywhere('what an iterator has left comes to callbacks that are set then', async (t, base) => {
  const { server, client } = await pair(base);
  client.write('first\nsecond\n');
  for await (const _ of server.lines()) break;
  await new Promise<void>((resolve) => {
    server.setCallbacks({
      read(bev) {
        t.is(bev.readString(), 'second\n');
        resolve();
      },
    });
  });
  free(server, client);
});

everywhere('several can wait for lines at once', async (t, base) => {
  const { server, client } = await pair(base);
  const lines = server.lines();
  const waiting = [lines.next(), lines.next(), lines.next()];
  client.write('1\n2\n');
  void client.close();
  t.deepEqual(await Promise.all(waiting), [
    { done: false, value: '1' },
    { done: false, value: '2' },
    { done: true, value: undefined },
  ]);
  server.free();
});

everywhere('only one reads at a time', async (t, base) => {
  const { server, client } = await pair(base);
  const lines = server.lines();
  t.throws(() => server.lines(), { code: 'ERR_EVNODE_BUSY' });
  t.throws(() => server.toDuplex(), { code: 'ERR_EVNODE_BUSY' });
  await lines.return?.();
  await server.lines().return?.();
  free(server, client);
});

everywhere(
  'a loop ends when its connection is freed, closed or given callbacks',
  async (t, base) => {
    const ends: ((bev: BufferEvent) => void)[] = [
      (bev) => bev.free(),
      (bev) => void bev.close(),
      (bev) => void bev.setCallbacks({}),
    ];
    for (const end of ends) {
      const { server, client } = await pair(base);
      const waiting = server.lines().next();
      end(server);
      t.true((await waiting).done);
      free(server, client);
    }
  },
);

everywhere('a signal ends a loop with its reason', async (t, base) => {
  const { server, client } = await pair(base);
  const controller = new AbortController();
  const waiting = collect(server.lines({ signal: controller.signal }));
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  await t.throwsAsync(collect(server.chunks({ signal: controller.signal })), { message: 'enough' });
  free(server, client);
});

everywhere(
  'errors and timeouts are thrown into a loop, after what came before',
  async (t, base) => {
    const { server, client } = await pair(base);
    client.write('line\n');
    const lines = server.lines();
    t.is((await lines.next()).value, 'line');
    server.setTimeouts(5);
    await t.throwsAsync(lines.next(), { code: 'ERR_EVNODE_TIMEOUT' });
    free(server, client);
  },
);

attached('a file of 8 MiB goes through two streams and comes back the same', async (t, base) => {
  const { server, client } = await pair(base);
  const sent = randomBytes(8 * 1024 * 1024);
  const echo = server.toDuplex();
  const echoing = pipeline(echo, new PassThrough(), echo);
  const hash = createHash('sha256');
  const duplex = client.toDuplex();
  await Promise.all([
    pipeline(Readable.from([sent]), duplex),
    pipeline(duplex, async function (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) hash.update(chunk);
    }),
  ]);
  await echoing;
  t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  t.true(server.closed);
  t.true(client.closed);
});

attached('a slow reader holds up a fast writer', async (t, base) => {
  const { server, client } = await pair(base);
  const out = client.toDuplex({ writableHighWaterMark: 32 * 1024 });
  const into = server.toDuplex({ readableHighWaterMark: 16 * 1024 });
  let produced = 0;
  const source = new Readable({
    read() {
      produced += 16 * 1024;
      this.push(produced > 64 * 1024 * 1024 ? null : Buffer.alloc(16 * 1024, produced / 16_384));
    },
  });
  const writing = pipeline(source, out);
  // Nobody reads: the source must come to rest long before its end.
  let last = -1;
  for (let same = 0; same < 50; await new Promise((resolve) => setTimeout(resolve, 1))) {
    same = produced === last ? same + 1 : 0;
    last = produced;
  }
  t.true(produced < 32 * 1024 * 1024, `${produced} bytes were taken`);
  t.true(client.outputLength <= 128 * 1024);
  t.true(into.readableLength + server.inputLength <= 128 * 1024);
  let received = 0;
  const reading = pipeline(
    into,
    new Writable({
      write(chunk: Buffer, _, done) {
        received += chunk.length;
        setImmediate(done);
      },
    }),
  );
  into.end();
  out.resume();
  await Promise.all([writing, reading]);
  t.is(received, 64 * 1024 * 1024);
});

attached('a stream whose peer has ended can still be written', async (t, base) => {
  const { server, client } = await pair(base);
  const question = client.toDuplex();
  const answer = server.toDuplex();
  question.end('question');
  // By itself a loop destroys its stream at the end.
  const asking: AsyncIterable<Buffer> = answer.iterator({ destroyOnReturn: false });
  const asked = Buffer.concat(await collect(asking)).toString();
  answer.end(`answer to ${asked}`);
  t.is(Buffer.concat(await collect<Buffer>(question)).toString(), 'answer to question');
  if (!answer.closed) await once(answer, 'close');
  t.true(server.closed);
});

attached('a stream without half-open ends with its peer', async (t, base) => {
  const { server, client } = await pair(base);
  const duplex = server.toDuplex({ allowHalfOpen: false });
  void client.close();
  duplex.resume();
  await once(duplex, 'close');
  t.true(duplex.writableEnded);
  t.true(server.closed);
});

attached('transforms work in the middle', async (t, base) => {
  const { server, client } = await pair(base);
  const shout = new Transform({
    transform(chunk: Buffer, _, done) {
      done(null, chunk.toString().toUpperCase());
    },
  });
  const stream = server.toDuplex();
  const serving = pipeline(stream, shout, stream);
  client.write('quiet words');
  client.flush(WRITE, 'finished');
  t.is(Buffer.concat(await collect(client)).toString(), 'QUIET WORDS');
  await serving;
  client.free();
});

attached('destroying a stream frees its connection, and the other way round', async (t, base) => {
  const first = await pair(base);
  const stream = first.server.toDuplex();
  stream.destroy();
  await once(stream, 'close');
  t.true(first.server.closed);
  const second = await pair(base);
  const other = second.server.toDuplex();
  second.server.free();
  await once(other, 'close');
  t.true(other.destroyed);
  free(first.client, second.client);
});

attached('whoever waits for a write is told that its stream was destroyed', async (t, base) => {
  const { server, client } = await pair(base);
  const stream = client.toDuplex();
  const codes: (string | undefined)[] = [];
  const told = (error?: Error | null) => codes.push((error as NodeJS.ErrnoException)?.code);
  stream.write(pattern(8_000_000), told);
  stream.write('later', told);
  stream.end(told);
  stream.destroy();
  await once(stream, 'close');
  t.deepEqual(
    codes,
    Array.from({ length: 3 }, () => 'ERR_EVNODE_CLOSED'),
  );
  server.free();
});

attached('an error of the connection destroys its stream', async (t, base) => {
  const { server, client } = await pair(base);
  server.setTimeouts(10);
  const stream = server.toDuplex();
  stream.resume();
  const [error] = (await once(stream, 'error')) as [Error & { code: string }];
  t.is(error.code, 'ERR_EVNODE_TIMEOUT');
  t.true(server.closed);
  client.free();
});

test('freeing the base ends every loop and stream', async (t) => {
  const base = new EventBase();
  const { server, client } = await pair(base);
  const waiting = server.lines().next();
  const stream = client.toDuplex();
  const closed = once(stream, 'close');
  base.free();
  t.true((await waiting).done);
  await closed;
  t.true(server.closed);
});

everywhere('await using closes a connection and sends what is queued', async (t, base) => {
  const { server, client } = await pair(base);
  const sent = pattern(500_000);
  const receiving = collect(server);
  {
    await using conn = client;
    conn.write(sent);
  }
  t.true(client.closed);
  t.true(Buffer.concat(await receiving).equals(sent));
  server.free();
});
