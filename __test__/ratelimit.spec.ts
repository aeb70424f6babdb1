import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EventBase,
  EventFlags,
  FilterBufferEvent,
  RateLimitGroup,
  TokenBucketConfig,
  statistics,
} from 'evnode';

import { everywhere, later } from './support/drive';
import { pair, pattern } from './support/peers';

const { READ, WRITE } = EventFlags;
const { EOF, READING } = BufferEventFlags;

/** Takes what comes until there is so much of it, and says in what portions it came. */
function portions(bev: BufferEvent, wanted: number): Promise<number[]> {
  const end = later<number[]>();
  const came: number[] = [];
  let rest = wanted;
  bev.setCallbacks({
    read(bev) {
      came.push(bev.inputLength);
      rest -= bev.read()?.length ?? 0;
      if (rest <= 0) end.resolve(came);
    },
  });
  bev.enable(READ);
  return end.promise;
}

test('a configuration says what it allows', (t) => {
  const config = new TokenBucketConfig({ readRate: 10, writeRate: 20, writeBurst: 25, tick: 50 });
  t.is(config.readRate, 10);
  t.is(config.readBurst, 20);
  t.is(config.writeRate, 20);
  t.is(config.writeBurst, 25);
  t.is(config.tick, 50);
  const open = new TokenBucketConfig({});
  t.deepEqual([open.readRate, open.readBurst, open.writeRate], [Infinity, Infinity, Infinity]);
  t.is(open.tick, 1000);
  const second = TokenBucketConfig.perSecond({ write: 1_000_000 });
  t.is(second.readRate, Infinity);
  t.is((second.writeRate * 1000) / second.tick, 1_000_000);
});

test('rates of the largest numbers limit nothing and overflow nothing', (t) => {
  const base = new EventBase({ attach: 'none' });
  const most = Number.MAX_SAFE_INTEGER;
  const [one, other] = BufferEvent.pair(base);
  one.setRateLimit(new TokenBucketConfig({ writeRate: most, writeBurst: most, tick: 86_400_000 }));
  for (let at = 0; at < 4; at++) one.decrementWriteLimit(-most).decrementReadLimit(-most);
  for (let at = 0; at < 4; at++) one.decrementWriteLimit(most);
  t.true(one.writeLimit < 0);
  for (let at = 0; at < 8; at++) one.decrementWriteLimit(-most);
  one.write(pattern(100_000));
  other.setCallbacks({ read: (bev) => void (bev.inputLength === 100_000 && base.loopBreak()) });
  other.enable(READ);
  base.dispatchSync();
  t.is(other.inputLength, 100_000);
  base.free();
});

test('a bufferevent tells what its limits are', (t) => {
  const base = new EventBase({ attach: 'none' });
  const bev = new BufferEvent(base);
  t.is(bev.rateLimit, null);
  t.is(bev.readLimit, Infinity);
  t.is(bev.maxToWrite, Infinity);
  t.is(bev.maxSingleRead, 65_536);
  t.is(bev.maxSingleWrite, Infinity);
  bev.setRateLimit(new TokenBucketConfig({ readRate: 1000, writeRate: 500, tick: 60_000 }));
  t.is(bev.rateLimit?.readBurst, 2000);
  const [read, write] = [bev.readLimit, bev.writeLimit];
  t.true(read > 0 && read <= 2000, String(read));
  bev.decrementReadLimit(3000).decrementWriteLimit(100);
  t.is(bev.readLimit, read - 3000);
  t.is(bev.writeLimit, write - 100);
  t.is(bev.maxToRead, 0);
  bev.setMaxSingleRead(100).setMaxSingleWrite(200);
  t.deepEqual([bev.maxSingleRead, bev.maxSingleWrite], [100, 200]);
  t.is(bev.maxToWrite, 200);
  bev.setRateLimit(null).setMaxSingleRead(0).setMaxSingleWrite(0);
  t.deepEqual([bev.maxSingleRead, bev.maxSingleWrite], [65_536, Infinity]);
  t.is(bev.rateLimit, null);
  base.free();
});

for (const direction of ['write', 'read'] as const) {
  everywhere(`a limit to ${direction} holds bytes up for as long as it says`, async (t, base) => {
    const { server, client } = await pair(base);
    const [rate, burst, tick, length] = [1000, 2000, 4, 40_000];
    const config = { [`${direction}Rate`]: rate, [`${direction}Burst`]: burst, tick };
    (direction === 'write' ? client : server).setRateLimit(new TokenBucketConfig(config));
    const start = performance.now();
    client.write(pattern(length));
    const came = await portions(server, length);
    const ticks = (performance.now() - start) / tick;
    t.true(ticks >= (length - burst) / rate - 2, `${ticks} ticks`);
    t.true(ticks < 20 * (length / rate), `${ticks} ticks`);
    if (direction === 'read') t.true(Math.max(...came) <= burst, String(came));
    t.is(
      came.reduce((sum, each) => sum + each, 0),
      length,
    );
    client.free();
    server.free();
  });
}

everywhere('a limit can be changed and lifted while bytes wait for it', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  one.setRateLimit(new TokenBucketConfig({ writeRate: 10, writeBurst: 10, tick: 3_600_000 }));
  one.write('x'.repeat(50));
  const first = await portions(other, 10);
  t.is(first[0], 10);
  t.is(one.outputLength, 40);
  one.setRateLimit(new TokenBucketConfig({ writeRate: 20, tick: 1 }));
  const second = await portions(other, 20);
  one.setRateLimit(null);
  const rest = 40 - second.reduce((sum, each) => sum + each, 0);
  if (rest > 0) await portions(other, rest);
  t.is(one.outputLength, 0);
  one.free();
  other.free();
});

everywhere('tokens that are given let bytes pass at once', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  one.setRateLimit(new TokenBucketConfig({ writeRate: 10, writeBurst: 30, tick: 3_600_000 }));
  one.decrementWriteLimit(one.writeLimit);
  one.write('x'.repeat(25));
  let turns = 0;
  await new Promise<void>((resolve) => {
    const timer = base.timer(() => {
      turns++;
      t.is(other.inputLength, 0);
      if (turns < 3) {
        timer.add(1);
        return;
      }
      timer.free();
      resolve();
    });
    timer.add(1);
    other.enable(READ);
  });
  one.decrementWriteLimit(-25);
  await portions(other, 25);
  t.is(one.writeLimit, 0);
  one.free();
  other.free();
});

everywhere('one read and one write move no more than they may', async (t, base) => {
  const { server, client } = await pair(base);
  server.setMaxSingleRead(100);
  client.setMaxSingleWrite(3000);
  client.write(pattern(9000));
  const came = await portions(server, 9000);
  t.true(
    came.every((each) => each <= 100),
    String(came),
  );
  t.true(came.length >= 90);
  client.free();
  server.free();
});

everywhere('the members of a group share its limit, and none starves', async (t, base) => {
  const group = new RateLimitGroup(
    base,
    new TokenBucketConfig({ writeRate: 3200, writeBurst: 3200, tick: 4 }),
  );
  const counts = Array.from({ length: 10 }, () => 0);
  const end = later();
  let total = 0;
  const ends = counts.map((_, at) => {
    const [one, other] = BufferEvent.pair(base);
    one.addToRateLimitGroup(group).write(pattern(200_000));
    other.setCallbacks({
      read(bev) {
        const length = bev.read()?.length ?? 0;
        counts[at] = (counts[at] ?? 0) + length;
        total += length;
        if (total >= 128_000) end.resolve();
      },
    });
    other.enable(READ);
    return [one, other];
  });
  t.is(group.members, 10);
  const start = performance.now();
  await end.promise;
  t.true((performance.now() - start) / 4 >= 128_000 / 3200 - 2);
  const { read, write } = group.totals;
  t.is(read, 0);
  t.true(write >= total);
  for (const count of counts) t.true(Math.abs(count - total / 10) < total / 40, String(counts));
  for (const bev of ends.flat()) bev.free();
  t.is(group.members, 0);
  group.resetTotals();
  t.deepEqual(group.totals, { read: 0, write: 0 });
  group.free();
});

everywhere('a limit of its own and that of its group both count', async (t, base) => {
  const tick = 4;
  const limit = (writeRate: number) =>
    new TokenBucketConfig({ writeRate, writeBurst: writeRate, tick });
  const group = new RateLimitGroup(base, limit(1000));
  const ends = [BufferEvent.pair(base), BufferEvent.pair(base)] as const;
  const [[slow, slowPeer], [fast, fastPeer]] = ends;
  slow.setRateLimit(limit(100));
  const start = performance.now();
  for (const [one] of ends) one.addToRateLimitGroup(group).write(pattern(100_000));
  t.is(slow.rateLimitGroup, group);
  slowPeer.enable(READ);
  await portions(fastPeer, 30_000);
  const ticks = (performance.now() - start) / tick;
  const [slowSent, fastSent] = [100_000 - slow.outputLength, 100_000 - fast.outputLength];
  t.true(slowSent > 0 && slowSent <= 100 * (ticks + 2), `${slowSent} bytes in ${ticks} ticks`);
  t.true(slowSent + fastSent <= 1000 * (ticks + 2), `${fastSent} bytes in ${ticks} ticks`);
  t.is(group.totals.write, slowSent + fastSent);
  fast.removeFromRateLimitGroup();
  t.is(fast.rateLimitGroup, null);
  await portions(fastPeer, fast.outputLength + fastPeer.inputLength);
  t.true(group.totals.write < 100_000, 'what one writes that has left does not count');
  for (const bev of ends.flat()) bev.free();
});

everywhere('members may leave or be freed in their callbacks', async (t, base) => {
  const group = new RateLimitGroup(base, new TokenBucketConfig({ readRate: 64, tick: 1 }));
  group.setMinShare(1);
  const leave: ((bev: BufferEvent) => void)[] = [
    (bev) => bev.free(),
    (bev) => void bev.close(),
    (bev) => void bev.removeFromRateLimitGroup(),
    (bev) => void bev.setRateLimit(null).removeFromRateLimitGroup().free(),
    () => group.free(),
  ];
  for (const each of leave) {
    const [one, other] = BufferEvent.pair(base);
    const end = later();
    one.addToRateLimitGroup(group).setCallbacks({
      read(bev) {
        each(bev);
        end.resolve();
      },
    });
    one.enable(READ);
    other.write('x'.repeat(1000));
    await end.promise;
    one.free();
    other.free();
  }
  t.throws(() => group.members, { code: 'ERR_EVNODE_CLOSED' });
});

test('what is known of a group can be changed', (t) => {
  const base = new EventBase({ attach: 'none' });
  const group = new RateLimitGroup(base, new TokenBucketConfig({ readRate: 10, tick: 60_000 }));
  t.is(group.minShare, 64);
  t.is(group.setMinShare(8).minShare, 8);
  t.is(group.config.readRate, 10);
  t.is(group.writeLimit, Infinity);
  const before = group.readLimit;
  t.is(group.decrementRead(7).readLimit, before - 7);
  t.deepEqual(group.totals, { read: 0, write: 0 });
  group.setConfig(
    new TokenBucketConfig({ readRate: 10, writeRate: 5, writeBurst: 5, tick: 60_000 }),
  );
  t.true(group.writeLimit <= 5);
  t.is(group.decrementWrite(1000).writeLimit < 0, true);
  const { rateLimitGroups } = statistics();
  group.free();
  t.is(statistics().rateLimitGroups, rateLimitGroups - 1);
  base.free();
});

everywhere('a filter over a limited bufferevent loses nothing', async (t, base) => {
  const { server, client } = await pair(base);
  const filter = new FilterBufferEvent(client, {
    output: (source, destination) => void destination.addBuffer(source),
  });
  client.setRateLimit(new TokenBucketConfig({ writeRate: 5000, tick: 1 }));
  const sent = pattern(60_000);
  filter.write(sent);
  const received: Buffer[] = [];
  const closing = filter.close();
  for await (const chunk of server) received.push(chunk);
  await closing;
  t.deepEqual(Buffer.concat(received), sent);
  server.free();
});

everywhere('a limit does not hold up the end of a stream', async (t, base) => {
  const [one, other] = BufferEvent.pair(base);
  other.setRateLimit(new TokenBucketConfig({ readRate: 10, tick: 1 }));
  const end = later<number>();
  other.setCallbacks({ event: (_, what) => end.resolve(what) }).enable(READ);
  one.write('x'.repeat(200));
  one.flush(WRITE, 'finished');
  t.is(await end.promise, EOF | READING);
  t.is(other.inputLength, 200);
  one.free();
  other.free();
});
