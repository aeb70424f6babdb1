import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';

import test from 'ava';

import { BufferEvent, BufferEventFlags, EventBase, EventFlags, statistics } from 'evnode';

import { attached, everywhere, later } from './support/drive';
import { pattern } from './support/peers';

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, READING, WRITING } = BufferEventFlags;

everywhere('what one end of a pair writes the other reads, and back', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const end = later();
  let rounds = 0;
  other.setCallbacks({ read: (bev) => bev.forward(bev) }).enable(READ);
  one
    .setCallbacks({
      read(bev) {
        t.is(bev.readString(), `ping ${rounds}`);
        if (++rounds === 100) return end.resolve();
        bev.write(`ping ${rounds}`);
      },
    })
    .enable(READ);
  one.write('ping 0');
  t.is(rounds, 0, 'no callback runs inside a call');
  await end.promise;
  t.is(one.fd, -1);
  t.is(one.remoteAddress, null);
  one.free();
  other.free();
});

test('the ends of a pair know each other until one is gone', (t) => {
  const base = new EventBase();
  const [one, other] = BufferEvent.pair(base);
  t.is(one.partner, other);
  t.is(other.partner, one);
  t.is(new BufferEvent(base).partner, null);
  other.free();
  t.is(one.partner, null);
  t.throws(() => other.partner, { code: 'ERR_EVNODE_CLOSED' });
  base.free();
  t.throws(() => one.partner, { code: 'ERR_EVNODE_CLOSED' });
});

everywhere('an end that is freed is the end of the stream for the other', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const end = later();
  const told: number[] = [];
  one.setCallbacks({
    read: (bev) => t.is(bev.readString(), 'last words'),
    event(bev, what, error) {
      told.push(what);
      if ((what & EOF) !== 0) {
        t.is(error, null);
        bev.write('too late');
      } else {
        t.is(error?.code, 'EPIPE');
        end.resolve();
      }
    },
  });
  one.enable(READ);
  other.write('last words');
  await other.close();
  await end.promise;
  t.deepEqual(told, [EOF | READING, ERROR | WRITING]);
  one.free();
});

everywhere('both ends can be freed in any order inside their callbacks', async (t, base) => {
  const orders = [
    (mine: BufferEvent, partner: BufferEvent) => [mine, partner],
    (mine: BufferEvent, partner: BufferEvent) => [partner, mine],
  ];
  for (const order of orders) {
    for (const when of ['read', 'write', 'event'] as const) {
      const [one, other] = BufferEvent.pair(base);
      const end = later();
      const callback = (bev: BufferEvent) => {
        for (const each of order(bev, bev === one ? other : one)) each.free();
        end.resolve();
      };
      one.setCallbacks({ [when]: callback }).enable(READ);
      other.enable(READ);
      if (when === 'read') other.write('x');
      else if (when === 'write') one.write('x');
      else other.flush(WRITE, 'finished');
      await end.promise;
      t.true(one.closed && other.closed);
    }
  }
});

everywhere('finishing an end leaves its reading side open', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const end = later<string | null>();
  other.setCallbacks({
    event(bev, what) {
      t.is(what, EOF | READING);
      t.is(bev.readString(), 'question');
      bev.write('answer');
    },
  });
  other.enable(READ);
  one.setCallbacks({ read: (bev) => end.resolve(bev.readString()) }).enable(READ);
  one.write('question');
  one.flush(WRITE, 'finished');
  t.is(await end.promise, 'answer');
  one.free();
  other.free();
});

everywhere('what an end may not read waits at the other', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const end = later();
  const sent = pattern(100_000);
  const received: Buffer[] = [];
  let most = 0;
  other.setWatermark(READ, 0, 1000);
  other.setCallbacks({
    read(bev) {
      most = Math.max(most, bev.inputLength);
      received.push(bev.read() ?? Buffer.alloc(0));
    },
  });
  one.setWatermark(WRITE, 0, 50_000);
  one.setCallbacks({
    write(bev) {
      t.is(bev.outputLength, 0);
      end.resolve();
    },
  });
  t.false(one.write(sent));
  t.is(one.outputLength, 100_000, 'nobody reads yet');
  other.enable(READ);
  await end.promise;
  one.flush(WRITE, 'finished');
  for await (const chunk of other) received.push(chunk);
  t.deepEqual(Buffer.concat(received), sent);
  t.true(most <= 1000, `${most} bytes were in the input at once`);
  one.free();
  other.free();
});

everywhere('lines come through a pair', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const lines: string[] = [];
  one.write('a\nb');
  one.write('b\nlast');
  void one.close();
  for await (const line of other.lines()) lines.push(line);
  t.deepEqual(lines, ['a', 'bb', 'last']);
  other.free();
});

attached('streams over both ends carry megabytes both ways', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const sent = pattern(3_000_000);
  const [client, server] = [one.toDuplex(), other.toDuplex()];
  const hash = createHash('sha256');
  const echoing = pipeline(server, server);
  client.on('data', (chunk: Buffer) => hash.update(chunk));
  const ended = once(client, 'end');
  client.end(sent);
  await ended;
  await echoing;
  t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  client.destroy();
  server.destroy();
});

everywhere('deferred callbacks of a pair run after the events that are active', async (t, base) => {
  const [one, other] = BufferEvent.pair(base, { deferCallbacks: true });
  const end = later<string | null>();
  other.setCallbacks({ read: (bev) => end.resolve(bev.readString()) }).enable(READ);
  one.write('hello');
  t.is(await end.promise, 'hello');
  one.free();
  other.free();
});

everywhere('a timeout of a pair is told as that of a socket', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  const end = later<number>();
  one.setTimeouts(5).setCallbacks({ event: (_, what) => end.resolve(what) });
  one.enable(READ);
  t.is(await end.promise, BufferEventFlags.TIMEOUT | READING);
  one.free();
  other.free();
});

everywhere('one end may stand still while its partner is freed and collected', async (t, base) => {
  const before = statistics().bufferevents;
  for (let at = 0; at < 1000; at++) {
    const [one, other] = BufferEvent.pair(base);
    one.write('x');
    if (at % 2 === 0) one.free();
    other.free();
    one.free();
  }
  t.true(statistics().bufferevents <= before);
});

test('a freed base ends its pairs', (t) => {
  const base = new EventBase();
  const [one, other] = BufferEvent.pair(base);
  one.write('x');
  base.free();
  t.true(one.closed && other.closed);
  t.throws(() => BufferEvent.pair(base), { code: 'ERR_EVNODE_CLOSED' });
});
