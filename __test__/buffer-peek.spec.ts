import test from 'ava';

import { EvBuffer, EvError, enableDebugMode, globalShutdown } from 'evnode';

import { run } from './support/child';
import { attached } from './support/drive';
import { pair, pattern } from './support/peers';

/** 1000 bytes and 200,000 of the same pattern, in pieces of both sizes. */
function mixed(): { buffer: EvBuffer; bytes: Buffer } {
  const bytes = pattern(201_000);
  const buffer = new EvBuffer().add(bytes.subarray(0, 1000));
  using big = new EvBuffer();
  buffer.addBuffer(big.add(bytes.subarray(1000)));
  return { buffer, bytes };
}

test.afterEach(() => globalShutdown());

test('peek shows what is there, piece by piece, and takes nothing', (t) => {
  const { buffer, bytes } = mixed();
  t.deepEqual(
    buffer.peek().map((view) => view.length),
    buffer.segments(),
  );
  for (const from of [0, 1, 999, 1000, 70_000, 200_999, 201_000]) {
    for (const length of [0, 1, 4095, 4096, 100_000, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      const expected = bytes.subarray(from, from + length);
      t.true(Buffer.concat(buffer.peek(length, from)).equals(expected), `${from} ${length}`);
    }
  }
  t.true(buffer.equals(bytes));
  t.throws(() => buffer.peek(1, 201_001), { code: 'ERR_EVNODE_ARG_RANGE' });
  t.deepEqual(new EvBuffer().peek(), []);
  buffer.free();
});

test('views that are kept keep their bytes, whatever becomes of the buffer', (t) => {
  const { buffer, bytes } = mixed();
  const views = buffer.peek();
  const again = buffer.peek();
  buffer.drain(500).prepend('front').add(Buffer.alloc(100_000, 9)).pullup();
  buffer.remove();
  buffer.add(Buffer.alloc(300_000, 8));
  buffer.free();
  using other = new EvBuffer();
  other.add(Buffer.alloc(300_000, 7));
  t.true(Buffer.concat(views).equals(bytes));
  t.true(Buffer.concat(again).equals(bytes));
});

test('what others wrote into a buffer is not shown through their memory', (t) => {
  using buffer = new EvBuffer();
  const given = Buffer.alloc(100_000, 1);
  buffer.add(given);
  for (const view of buffer.peek()) view.fill(2);
  t.true(given.every((byte) => byte === 1));
});

test('the memory of views is let go when they are', async (t) => {
  const { code, stderr } = await run('peek-memory.ts', [], ['--expose-gc']);
  t.is(code, 0, stderr);
});

test('in debug mode views end with the next change of the buffer', (t) => {
  enableDebugMode();
  const changes: [string, (buffer: EvBuffer, other: EvBuffer) => unknown][] = [
    ['add', (buffer) => buffer.add('x')],
    ['template', (buffer) => buffer.add`x`],
    ['addPrintf', (buffer) => buffer.addPrintf('x')],
    ['addFrame', (buffer) => buffer.addFrame('x')],
    ['prepend', (buffer) => buffer.prepend('x')],
    ['remove', (buffer) => buffer.remove(1)],
    ['drain', (buffer) => buffer.drain(1)],
    ['readUInt8', (buffer) => buffer.readUInt8()],
    ['writeUInt8', (buffer) => buffer.writeUInt8(1)],
    ['chunks', (buffer) => buffer.chunks(10).next()],
    ['addBuffer', (buffer, other) => buffer.addBuffer(other)],
    ['prependBuffer', (buffer, other) => buffer.prependBuffer(other)],
    ['into another', (buffer, other) => other.addBuffer(buffer)],
    ['removeBuffer', (buffer, other) => buffer.removeBuffer(other, 10)],
    ['free', (buffer) => buffer.free()],
  ];
  for (const [name, change] of changes) {
    const { buffer, bytes } = mixed();
    using other = new EvBuffer();
    other.add('other');
    const views = buffer.peek();
    const more = buffer.peek(10);
    t.true(Buffer.concat(views).equals(bytes), name);
    change(buffer, other);
    t.true(views.length > 1 && [...views, ...more].every((view) => view.length === 0), name);
    t.is(views[0]?.[0], undefined, name);
    t.throws(() => views[0]?.readUInt8(0), { instanceOf: RangeError }, name);
    if (name !== 'free') buffer.free();
  }
});

test('in debug mode views stay while nothing changes, and end with the running code', async (t) => {
  enableDebugMode();
  const { buffer } = mixed();
  const views = buffer.peek();
  buffer.copyout();
  buffer.getUInt8();
  buffer.indexOf('x');
  t.true(views.every((view) => view.length > 0));
  await Promise.resolve();
  t.true(views.every((view) => view.length === 0));
  t.true((buffer.peek()[0]?.length ?? 0) > 0);
  buffer.free();
});

test('in debug mode a view that was written to is told of', (t) => {
  enableDebugMode();
  const { buffer, bytes } = mixed();
  const written = { instanceOf: EvError, code: 'ERR_EVNODE_VIEW_WRITTEN' };
  buffer.peek()[1]?.writeUInt8(255, 7);
  t.throws(() => buffer.drain(1), written);
  t.true(buffer.equals(bytes.subarray(1)));
  buffer.peek(5)[0]?.fill(0);
  t.throws(() => buffer.free(), written);
  t.throws(() => buffer.length, { code: 'ERR_EVNODE_CLOSED' });
});

test('in debug mode a callback goes on to be called, and views of a callback end', (t) => {
  enableDebugMode();
  const { buffer } = mixed();
  const told: number[] = [];
  buffer.setCallback((_, added) => told.push(added));
  const [view] = buffer.peek();
  buffer.add('abc');
  t.is(view?.length, 0);
  buffer.add('defg');
  const [other] = buffer.peek();
  buffer.setCallback(null).add('x');
  t.is(other?.length, 0);
  t.deepEqual(told, [3, 4]);
  buffer.free();
});

attached(
  "in debug mode the views of a connection's input end when it is taken",
  async (t, base) => {
    enableDebugMode();
    const { server, client } = await pair(base);
    const takings: ((bev: typeof server) => unknown)[] = [
      (bev) => bev.read(1),
      (bev) => bev.readString(1),
      (bev) => bev.forward(bev),
      (bev) => bev.free(),
    ];
    for (const take of takings) {
      const view = await new Promise<Buffer | undefined>((resolve) => {
        server.setCallbacks({
          read(bev) {
            const [shown] = bev.input.peek();
            t.true((shown?.length ?? 0) > 0);
            take(bev);
            resolve(shown);
          },
        });
        client.write('some bytes');
      });
      t.is(view?.length, 0);
    }
    client.free();
  },
);
