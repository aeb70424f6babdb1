import net from 'node:net';
import { once } from 'node:events';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  EvBuffer,
  EventBase,
  EventFlags,
  EvError,
  FilterBufferEvent,
  statistics,
  type FilterFunction,
  type FilterOptions,
} from 'evnode';

import { ATTACHED, attached, everywhere, later, outside } from './support/drive';
import { netClient, pair, pattern, readAll } from './support/peers';

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, READING, WRITING } = BufferEventFlags;

const rot13: FilterFunction = (source, destination) => {
  const bytes = source.remove();
  for (const [at, byte] of bytes.entries()) {
    const letter = byte & ~0x20;
    if (letter >= 65 && letter <= 90) bytes[at] = byte + (letter < 78 ? 13 : -13);
  }
  destination.add(bytes);
};

/** Whole lines only, in capitals. */
const shoutedLines: FilterFunction = (source, destination, _limit, mode) => {
  for (let line = source.readln(); line !== null; line = source.readln()) {
    destination.add(`${line.toUpperCase()}\n`);
  }
  if (mode === 'finished') destination.add(source.removeString().toUpperCase());
  return source.length === 0 ? 'ok' : 'need-more';
};

/** What is told of a bufferevent first, with all that came before it. */
function outcome(bev: BufferEvent): Promise<{ what: number; error: EvError | null; text: string }> {
  const end = later<{ what: number; error: EvError | null; text: string }>();
  let text = '';
  bev.setCallbacks({
    read: (bev) => void (text += bev.readString()),
    event: (_, what, error) => end.resolve({ what, error, text }),
  });
  bev.enable(READ);
  return end.promise;
}

/** A pair, with a filter over its first end. */
function filtered(base: EventBase, filter: FilterOptions) {
  const [near, far] = BufferEvent.pair(base);
  return { near, far, bev: new FilterBufferEvent(near, filter) };
}

everywhere('a filter converts both ways', async (t, base) => {
  const { bev, far } = filtered(base, { input: rot13, output: rot13 });
  const end = later<string | null>();
  far.setCallbacks({ read: (far) => far.write(`Naq onpx: ${far.readString()}`) }).enable(READ);
  bev.setCallbacks({ read: (bev) => end.resolve(bev.readString()) }).enable(READ);
  bev.write('Hello, World!');
  t.is(await end.promise, 'And back: Hello, World!');
  bev.free();
  far.free();
});

everywhere('without functions bytes are passed on as they are', async (t, base) => {
  const { bev, far } = filtered(base, {});
  const sent = pattern(300_000);
  const received: Buffer[] = [];
  far.setCallbacks({ read: (far) => far.forward(far) }).enable(READ);
  bev.write(sent);
  bev.flush(WRITE, 'finished');
  for await (const chunk of bev) {
    received.push(chunk);
    if (received.reduce((sum, { length }) => sum + length, 0) === sent.length) break;
  }
  t.deepEqual(Buffer.concat(received), sent);
  bev.free();
  far.free();
});

everywhere('a filter that needs more is asked again when there is more', async (t, base) => {
  const { bev, far } = filtered(base, { input: shoutedLines });
  const reading = outcome(bev);
  for (const part of ['one\ntw', 'o', '\nthr', 'ee']) {
    far.write(part);
    // Each part comes by itself.
    await new Promise<void>(
      (resolve) => void base.once(-1, EventFlags.TIMEOUT, 0, () => resolve()),
    );
  }
  void far.close();
  t.deepEqual(await reading, { what: EOF | READING, error: null, text: 'ONE\nTWO\nTHREE' });
  bev.free();
});

everywhere('a stream that ends within what a filter waits for is an error', async (t, base) => {
  const { bev, far } = filtered(base, {
    input: (source) => (source.length < 10 ? 'need-more' : 'ok'),
  });
  far.write('short');
  void far.close();
  const { what, error } = await outcome(bev);
  t.is(what, ERROR | READING);
  t.is(error?.code, 'ERR_EVNODE_FILTER');
  t.regex(error?.message ?? '', /last 5 bytes/);
  bev.free();
});

everywhere('filters stand on each other', async (t, base) => {
  const [near, far] = BufferEvent.pair(base);
  let top: BufferEvent = near;
  for (let layer = 0; layer < 40; layer++) {
    const output: FilterFunction = (source, destination) => {
      destination.addBuffer(source).add(` ${layer}`);
    };
    top = new FilterBufferEvent(top, { input: rot13, output });
  }
  far.setCallbacks({ read: (far) => far.forward(far) }).enable(READ);
  const end = later<string | null>();
  top.setCallbacks({ read: (bev) => end.resolve(bev.readString()) }).enable(READ);
  top.write('0');
  const layers = Array.from({ length: 40 }, (_, at) => ` ${39 - at}`).join('');
  t.is(await end.promise, `0${layers}`);
  top.free();
  t.true(near.closed);
  far.free();
});

everywhere('lines, streams and connecting work over a filter on a socket', async (t, base) => {
  const { server, client } = await pair(base);
  const below = new FilterBufferEvent(server, { input: rot13, output: rot13 });
  const above = new FilterBufferEvent(client, { input: rot13, output: rot13 });
  t.is(above.fd, client.fd);
  t.is(above.remoteAddress?.port, below.localAddress?.port);
  above.write('first\nsecond\n');
  const lines: string[] = [];
  for await (const line of below.lines()) {
    lines.push(line);
    if (lines.length === 2) break;
  }
  t.deepEqual(lines, ['first', 'second']);
  above.free();
  below.free();
});

attached('a filter over an accepted connection acts in its place', async (t, base) => {
  const gone = later();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, async (conn) => {
    const bev = new FilterBufferEvent(conn, { input: rot13, output: rot13 });
    for await (const chunk of bev) bev.write(chunk);
    await bev.close();
    t.true(conn.closed);
    gone.resolve();
  });
  const client = await netClient(listener);
  client.end('hello');
  t.is((await readAll(client)).toString(), 'hello');
  await gone.promise;
  listener.free();
});

attached('a connection can be made through a filter', async (t, base) => {
  const server = net.createServer((socket) => socket.end('uryyb')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const bev = new FilterBufferEvent(new BufferEvent(base), { input: rot13 });
  const told: number[] = [];
  const end = later<string | null>();
  bev.setCallbacks({
    event(bev, what) {
      told.push(what);
      if ((what & EOF) !== 0) end.resolve(bev.readString());
    },
  });
  bev.enable(READ).connect({ port });
  t.is(await end.promise, 'hello');
  t.deepEqual(told, [BufferEventFlags.CONNECTED, EOF | READING]);
  bev.free();
  server.close();
});

everywhere('what a function throws is the cause of an error', async (t, base) => {
  const thrown = new Error('not that');
  const fail = () => {
    throw thrown;
  };
  const reading = filtered(base, { input: fail });
  reading.far.write('x');
  const read = await outcome(reading.bev);
  t.is(read.what, ERROR | READING);
  t.true(read.error instanceof EvError);
  t.is(read.error?.code, 'ERR_EVNODE_FILTER');
  t.is(read.error?.cause, thrown);
  const writing = filtered(base, { output: fail });
  writing.bev.write('x');
  const written = await outcome(writing.bev);
  t.is(written.what, ERROR | WRITING);
  t.is(written.error?.cause, thrown);
  for (const each of [reading, writing]) {
    each.bev.free();
    each.far.free();
  }
});

everywhere('what a filter below throws is told at the top', async (t, base) => {
  const thrown = new Error('deep down');
  const [near, far] = BufferEvent.pair(base);
  const middle = new FilterBufferEvent(near, {
    input() {
      throw thrown;
    },
  });
  const top = new FilterBufferEvent(middle);
  far.write('x');
  const { error } = await outcome(top);
  t.is(error?.cause, thrown);
  top.free();
  far.free();
});

everywhere('a filter that misbehaves is stopped with an error', async (t, base) => {
  const misbehaving: [why: RegExp, filter: FilterFunction][] = [
    [/neither took nor gave/, () => 'ok'],
    [/neither took nor gave/, () => {}],
    [/failed/, () => 'maybe' as 'ok'],
    [/failed/, (async () => {}) as unknown as FilterFunction],
    [/failed/, () => 0 as unknown as 'ok'],
    [
      /gave \d+ bytes where \d+ fit/,
      (source, destination) => {
        source.drain(1);
        destination.add(Buffer.alloc(2_000_000));
      },
    ],
    [/stalled/, () => 'need-more'],
  ];
  for (const [why, input] of misbehaving) {
    const { bev, near, far } = filtered(base, { input });
    near.setWatermark(READ, 0, 100);
    bev.setWatermark(READ, 0, 1000);
    far.write('x'.repeat(200));
    const { what, error } = await outcome(bev);
    t.is(what, ERROR | READING, String(why));
    t.is(error?.code, 'ERR_EVNODE_FILTER');
    t.regex(error?.message ?? '', why);
    bev.free();
    far.free();
  }
});

everywhere('a filter may end the stream itself', async (t, base) => {
  const { bev, far } = filtered(base, {
    input(source, destination) {
      const end = source.search('.');
      if (end < 0) return void destination.addBuffer(source);
      source.removeBuffer(destination, end);
      return 'end';
    },
  });
  far.write('all. and more');
  t.deepEqual(await outcome(bev), { what: EOF | READING, error: null, text: 'all' });
  bev.free();
  far.free();
});

everywhere(
  'a filter that gives no more than there is room for is called again',
  async (t, base) => {
    const limits: number[] = [];
    const { bev, far } = filtered(base, {
      input(source, destination, limit) {
        limits.push(limit);
        source.removeBuffer(destination, Math.min(limit, 30));
        return 'ok';
      },
    });
    const sent = pattern(5000);
    bev.setWatermark(READ, 0, 100);
    far.write(sent);
    void far.close();
    const received: Buffer[] = [];
    const end = later();
    bev.setCallbacks({
      read(bev) {
        t.true(bev.inputLength <= 100);
        received.push(bev.read() ?? Buffer.alloc(0));
      },
      event: () => end.resolve(),
    });
    bev.enable(READ);
    await end.promise;
    t.deepEqual(Buffer.concat(received), sent);
    t.true(limits.length >= 50);
    t.true(limits.every((limit) => limit > 0 && limit <= 100));
    bev.free();
  },
);

everywhere('functions are told how to flush', async (t, base) => {
  const modes: string[] = [];
  const held = new EvBuffer();
  const { bev, far } = filtered(base, {
    output(source, destination, _limit, mode) {
      modes.push(mode);
      held.addBuffer(source);
      if (mode !== 'normal') destination.addBuffer(held);
      return 'need-more';
    },
  });
  const reading = outcome(far);
  const step = () =>
    new Promise<void>((resolve) => void base.once(-1, EventFlags.TIMEOUT, 1, () => resolve()));
  bev.write('a');
  await step();
  t.is(far.inputLength, 0);
  bev.flush(WRITE, 'flush');
  await step();
  bev.write('b');
  bev.flush(WRITE, 'finished');
  t.deepEqual(await reading, { what: EOF | READING, error: null, text: 'ab' });
  t.deepEqual(
    modes.filter((mode, at) => mode !== modes[at - 1]),
    ['normal', 'flush', 'normal', 'finished'],
  );
  held.free();
  bev.free();
  far.free();
});

everywhere('closing has the last bytes converted, and closes what is below', async (t, base) => {
  const modes: string[] = [];
  const { bev, near, far } = filtered(base, {
    output(source, destination, _limit, mode) {
      modes.push(mode);
      destination.addBuffer(source);
      if (mode === 'finished') destination.add('!');
    },
  });
  const reading = outcome(far);
  bev.write('bye');
  const closing = bev.close();
  t.true(bev.closed && near.closed);
  await Promise.all([closing, near.close()]);
  t.deepEqual(await reading, { what: EOF | READING, error: null, text: 'bye!' });
  t.is(modes.filter((mode) => mode === 'finished').length, 1);
  far.free();
});

everywhere('closing what is below closes the filter first', async (t, base) => {
  for (const closeOnFree of [true, false]) {
    const { bev, near, far } = filtered(base, { output: rot13, closeOnFree });
    const reading = outcome(far);
    bev.write('olr');
    await near.close();
    t.true(bev.closed && near.closed);
    t.is((await reading).text, 'bye');
    far.free();
  }
});

everywhere('one that is given back has its callbacks again', async (t, base) => {
  const { bev, near, far } = filtered(base, { input: rot13, closeOnFree: false });
  let text = '';
  const end = later();
  t.throws(() => near.lines(), { code: 'ERR_EVNODE_BUSY' });
  t.throws(() => new FilterBufferEvent(near), { code: 'ERR_EVNODE_BUSY' });
  near.setCallbacks({
    read(near) {
      text += near.readString();
      end.resolve();
    },
  });
  far.write('uryyb');
  const first = later<string | null>();
  bev.setCallbacks({ read: (bev) => first.resolve(bev.readString()) }).enable(READ);
  t.is(await first.promise, 'hello');
  t.is(bev.underlying, near);
  bev.free();
  t.false(near.closed);
  near.enable(READ);
  far.write('plain');
  await end.promise;
  t.is(text, 'plain');
  const again = new FilterBufferEvent(near);
  again.free();
  far.free();
});

everywhere('a bufferevent that is freed under its filter is an error', async (t, base) => {
  const { bev, near, far } = filtered(base, { input: rot13 });
  const told = outcome(bev);
  near.free();
  const { what, error } = await told;
  t.is(what & ERROR, ERROR);
  t.is(error?.code, 'ENOTCONN');
  bev.free();
  far.free();
});

for (const who of ['filter', 'underlying', 'both', 'partner', 'base'] as const) {
  everywhere(`a function may free: ${who}`, async (t, base) => {
    for (const direction of ['input', 'output'] as const) {
      const own = who === 'base' ? new EventBase({ attach: base.attachment }) : base;
      const end = later();
      const free = () => {
        if (who === 'base') return own.free();
        if (who !== 'partner' && who !== 'filter') near.free();
        if (who === 'filter' || who === 'both') bev.free();
        if (who === 'partner') far.free();
      };
      const { bev, near, far }: ReturnType<typeof filtered> = filtered(own, {
        [direction](source: EvBuffer, destination: EvBuffer) {
          source.drain(1);
          destination.add('before');
          free();
          end.resolve();
          if (bev.closed) t.throws(() => source.length, { code: 'ERR_EVNODE_CLOSED' });
          else t.true(source.length < 3);
        },
      });
      bev.setCallbacks({ read() {}, event() {} }).enable(READ);
      far.enable(READ);
      if (direction === 'input') far.write('xyz');
      else bev.write('xyz');
      if (own !== base && own.attachment === 'none') own.dispatchSync();
      await end.promise;
      for (const each of [bev, near, far]) each.free();
      if (own !== base) own.free();
    }
    t.pass();
  });
}

everywhere('buffers that are kept beyond a call hold nothing and harm nothing', async (t, base) => {
  const kept: EvBuffer[] = [];
  const { bev, far } = filtered(base, {
    input(source, destination) {
      kept.push(source, destination);
      destination.addBuffer(source);
      destination.freeze('back').freeze('front');
      source.freeze('front');
    },
  });
  const end = later<string>();
  let text = '';
  bev.setCallbacks({
    read(bev) {
      text += bev.readString();
      const [source, destination] = kept;
      t.is(source?.length, 0);
      t.is(destination?.length, 0);
      t.throws(() => source?.free(), { code: 'ERR_EVNODE_ARG_TYPE' });
      destination?.unfreeze('back').add('stray');
      source?.unfreeze('back').add('stray');
      if (text.length === 2) return end.resolve(text);
      far.write('b');
    },
  });
  bev.enable(READ);
  far.write('a');
  t.is(await end.promise, 'ab');
  bev.free();
  for (const each of kept) t.throws(() => each.length, { code: 'ERR_EVNODE_CLOSED' });
  far.free();
});

test('in a blocking loop a filter loses nothing when a callback throws', async (t) => {
  const base = new EventBase({ attach: 'none' });
  const modes: string[] = [];
  const { bev, far } = filtered(base, {
    input(source, destination, _limit, mode) {
      modes.push(mode);
      destination.addBuffer(source);
      if (mode === 'finished') destination.add('.');
    },
  });
  let text = '';
  bev.setCallbacks({
    read(bev) {
      text += bev.readString();
      throw new Error(`after ${text}`);
    },
    event: (_, what) => t.is(what, EOF | READING),
  });
  bev.enable(READ);
  far.write('one');
  void far.close();
  await outside(() => {
    t.throws(() => base.dispatchSync(), { message: 'after one' });
    t.throws(() => base.dispatchSync(), { message: 'after one.' });
    base.dispatchSync();
  });
  t.is(modes.at(-1), 'finished');
  t.is(modes.filter((mode) => mode === 'finished').length, 1);
  base.free();
});

test('in a blocking loop promises go on after a function', async (t) => {
  const base = new EventBase({ attach: 'none' });
  const order: string[] = [];
  const { bev, far } = filtered(base, {
    input(source) {
      order.push('function');
      queueMicrotask(() => order.push('microtask'));
      return source.length < 3 ? 'need-more' : 'end';
    },
  });
  bev.setCallbacks({ event: () => order.push('end') }).enable(READ);
  far.write('xyz');
  await outside(() => base.dispatchSync());
  t.deepEqual(order, ['function', 'microtask', 'end']);
  base.free();
});

test('nothing is left of filters that were freed', (t) => {
  const before = statistics();
  const base = new EventBase({ attach: ATTACHED[0] });
  for (let at = 0; at < 500; at++) {
    const { bev, near, far } = filtered(base, { input: rot13, closeOnFree: at % 2 === 0 });
    bev.free();
    near.free();
    far.free();
  }
  base.free();
  t.deepEqual({ ...statistics(), hostHandles: 0 }, { ...before, hostHandles: 0 });
});

test('a filter stands on a bufferevent that is open', (t) => {
  const base = new EventBase();
  const bev = new BufferEvent(base);
  bev.free();
  t.throws(() => new FilterBufferEvent(bev), { code: 'ERR_EVNODE_CLOSED' });
  base.free();
});
