// Lengths and positions that no honest caller has, buffers that are given to themselves, and memory
// that is gone or changes its size.

import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

import { EvBuffer, setMemoryLimit, type EvError } from 'evnode';

import { temporaryFolder } from './support/peers';

const HOSTILE = [
  0,
  1,
  5,
  10,
  11,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  -0,
  -1,
  -5,
  -10,
  -11,
  -(2 ** 31),
  -(2 ** 32),
  -(2 ** 53),
  Number.NaN,
  Infinity,
  -Infinity,
  0.5,
  1.5,
  -0.5,
];

const TEXT = '0123456789';
/** Lengths that are taken although they are longer than what there is. */
const clamped = (length: number) => Number.isSafeInteger(length) && length >= 0;
/** Positions that are taken. */
const within = (at: number) => clamped(at) && at <= TEXT.length;

type Call = (buffer: EvBuffer, length: number) => unknown;

/** Each call, which lengths it takes, and what it then returns if that is to be said. */
const CALLS: [name: string, call: Call, takes: (length: number) => boolean, gives?: Call][] = [
  ['remove', (b, n) => String(b.remove(n)), clamped, (_, n) => TEXT.slice(0, n)],
  ['removeString', (b, n) => b.removeString(n), clamped, (_, n) => TEXT.slice(0, n)],
  ['drain', (b, n) => b.drain(n).toString(), clamped, (_, n) => TEXT.slice(n)],
  ['copyout', (b, n) => String(b.copyout(n)), clamped, (_, n) => TEXT.slice(0, n)],
  ['copyout from', (b, n) => String(b.copyout(3, n)), clamped, (_, n) => TEXT.slice(n, n + 3)],
  ['peek', (b, n) => b.peek(n).join(''), clamped, (_, n) => TEXT.slice(0, n)],
  ['peek from', (b, n) => b.peek(3, n).join(''), within, (_, n) => TEXT.slice(n, n + 3)],
  ['pullup', (b, n) => b.pullup(n).toString(), within, () => TEXT],
  ['removeBuffer', (b, n) => moved(b, n), clamped, (_, n) => TEXT.slice(0, n)],
  ['search from', (b, n) => b.search('5', n), within, (_, n) => TEXT.indexOf('5', n)],
  ['search to', (b, n) => b.search('5', 0, n), within, (_, n) => (n > 5 ? 5 : -1)],
  ['indexOf', (b, n) => b.indexOf('5', n), Number.isSafeInteger, (_, n) => indexOf(n)],
  ['includes', (b, n) => b.includes('5', n), Number.isSafeInteger, (_, n) => indexOf(n) >= 0],
  ['at', (b, n) => b.at(n), Number.isSafeInteger, (_, n) => Buffer.from(TEXT).at(n)],
  ['slice', (b, n) => String(b.slice(n)), Number.isSafeInteger, (_, n) => TEXT.slice(n)],
  ['slice to', (b, n) => String(b.slice(1, n)), Number.isSafeInteger, (_, n) => TEXT.slice(1, n)],
  ['getUInt8', (b, n) => b.getUInt8(n), (n) => within(n) && n < 10],
  ['getUInt16LE', (b, n) => b.getUInt16LE(n), (n) => within(n) && n < 9],
  ['getBigUInt64BE', (b, n) => b.getBigUInt64BE(n), (n) => within(n) && n < 3],
  ['readLines', (b, n) => b.readLines('lf', 'utf8', n), (n) => clamped(n) && n < 2 ** 31],
  ['readLineInto', (b, n) => b.readLineInto(Buffer.alloc(5), n), (n) => within(n) && n <= 5],
  ['chunks', (b, n) => [...b.chunks(n)].length, (n) => clamped(n) && n > 0 && n < 2 ** 31],
  ['expand', (b, n) => b.expand(n).toString(), (n) => clamped(n) && n < 2 ** 20, () => TEXT],
];

/** As `Buffer.indexOf` counts, but for what it makes of numbers that are no positions. */
const indexOf = (from: number) => (from > 10 ? -1 : Buffer.from(TEXT).indexOf('5', from));

function moved(buffer: EvBuffer, length: number): string {
  using other = new EvBuffer();
  buffer.removeBuffer(other, length);
  return other.toString();
}

for (const [name, call, takes, gives] of CALLS) {
  test(`${name}: a hostile length is a clean error, or does what is documented`, (t) => {
    setMemoryLimit(64 * 1024 * 1024);
    t.teardown(() => setMemoryLimit(null));
    for (const length of HOSTILE) {
      const told = `${name}(${length})`;
      using buffer = new EvBuffer();
      using rest = new EvBuffer();
      buffer.expand(5000).add('01234');
      buffer.addBuffer(rest.add('56789'));
      if (takes(length)) {
        const result = call(buffer, length);
        if (gives) t.deepEqual(result, gives(buffer, length), told);
      } else {
        const error = t.throws(() => call(buffer, length), { instanceOf: Error }, told);
        t.regex(String((error as EvError | undefined)?.code), /^ERR_EVNODE_/, told);
        t.is(buffer.toString(), TEXT, told);
      }
      t.is(buffer.copyout().length, buffer.length, told);
    }
  });
}

test('a hostile length to read from or write to a descriptor is a clean error', (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, 'file');
  for (const length of HOSTILE) {
    using buffer = new EvBuffer();
    const from = openSync(path, 'r');
    const to = openSync(`${path}.out`, 'w');
    if (clamped(length)) {
      t.is(buffer.read(from, length), Math.min(length, 4) + 0);
      t.is(buffer.write(to, length), Math.min(length, 4) + 0);
    } else {
      t.throws(() => buffer.read(from, length), { code: 'ERR_EVNODE_ARG_RANGE' });
      t.throws(() => buffer.write(to, length), { code: 'ERR_EVNODE_ARG_RANGE' });
    }
    t.is(buffer.length, 0);
    closeSync(from);
    closeSync(to);
  }
});

test('a longest length of messages that is hostile is a clean error', (t) => {
  using buffer = new EvBuffer();
  buffer.addFrame('x').add(';');
  for (const maxLength of HOSTILE) {
    if (clamped(maxLength) && maxLength < 2 ** 31) continue;
    const wrong = { instanceOf: RangeError, code: 'ERR_EVNODE_ARG_RANGE' };
    t.throws(() => buffer.readFrame({ maxLength }), wrong);
    t.throws(() => buffer.frames({ maxLength }), wrong);
    t.throws(() => buffer.readUntil(';', { maxLength }), wrong);
    t.throws(() => buffer.split(';', { maxLength }), wrong);
  }
  t.is(buffer.length, 6);
  t.is(buffer.readUntil(';', { maxLength: 2 ** 31 - 1 })?.length, 5);
});

const sorted = (text: string) => Array.from(text).sort().join('');

/** What is done with two buffers. */
const PAIRS: [name: string, run: (to: EvBuffer, from: EvBuffer) => unknown][] = [
  ['addBuffer', (to, from) => to.addBuffer(from)],
  ['prependBuffer', (to, from) => to.prependBuffer(from)],
  ['removeBuffer some', (to, from) => from.removeBuffer(to, 3)],
  ['removeBuffer all', (to, from) => from.removeBuffer(to, 1000)],
  ['removeBuffer none', (to, from) => from.removeBuffer(to, 0)],
];

for (const [name, run] of PAIRS) {
  test(`${name}: a buffer that is given to itself stays as it is`, (t) => {
    using buffer = new EvBuffer();
    run(buffer, buffer);
    t.is(buffer.length, 0);
    for (const text of ['x', 'text', 'long'.repeat(50_000)]) {
      buffer.add(text);
      run(buffer, buffer);
      t.is(buffer.removeString(), text);
    }
  });

  test(`${name}: empty buffers give and take nothing, and are as good as before`, (t) => {
    for (const [to, from] of [
      ['', ''],
      ['to', ''],
      ['', 'from'],
      ['to', 'from'],
    ] as const) {
      using one = new EvBuffer();
      using other = new EvBuffer();
      one.add(to);
      other.add(from);
      run(one, other);
      t.is(one.length + other.length, to.length + from.length);
      run(other, one);
      run(one, other);
      const all = sorted(one.toString() + other.toString());
      t.is(all, sorted(to + from));
      one.add('more');
      t.true(one.toString().endsWith('more'));
    }
  });
}

test('buffers of a connection are given to themselves and to each other', (t) => {
  using buffer = new EvBuffer();
  buffer.add('abc');
  buffer.add(buffer.peek()[0] ?? '').prepend(buffer.copyout());
  t.is(buffer.toString(), 'abcabcabcabc');
  for (const view of buffer.peek()) buffer.add(view);
  t.is(buffer.length, 24);
  using big = new EvBuffer();
  big.add(Buffer.alloc(100_000, 1));
  for (const view of big.peek()) big.add(view);
  t.true(big.remove().every((byte) => byte === 1));
});

type Resizable = ArrayBuffer & { resize(length: number): void };
const resizable = (length: number, most: number) =>
  new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(length, {
    maxByteLength: most,
  });

test('a buffer that was resized counts as long as it is now', (t) => {
  using buffer = new EvBuffer();
  const memory = resizable(16, 64 * 1024);
  const views = [
    new Uint8Array(memory),
    new Uint8Array(memory, 4),
    new Uint8Array(memory, 4, 8),
    new Uint16Array(memory, 4),
    new Float64Array(memory, 8),
    new DataView(memory),
    new DataView(memory, 4),
    new DataView(memory, 4, 8),
    Buffer.from(memory, 4, 8),
  ];
  // What a view says of itself, which throws when it is outside of what is left.
  const length = (view: ArrayBufferView) => {
    try {
      return view.byteLength;
    } catch {
      return 0;
    }
  };
  for (const size of [16, 8, 12, 4, 3, 0, 64 * 1024, 16]) {
    memory.resize(size);
    new Uint8Array(memory).fill(size);
    t.is(buffer.add(memory).length, size);
    buffer.drain(size);
    for (const view of views) {
      const expected = length(view);
      let added = 0;
      try {
        added = buffer.add(view).length;
      } catch (error) {
        t.is((error as EvError).code, 'ERR_EVNODE_ARG_TYPE');
      }
      t.true(added === expected, `${view.constructor.name} at ${size}: ${added}, not ${expected}`);
      t.true(buffer.remove().every((byte) => byte === size % 256));
      // The other way: nothing is written behind the end.
      buffer.add(Buffer.alloc(100_000, size));
      t.is(buffer.removeInto(view), expected);
      buffer.remove();
    }
  }
});

test('a detached buffer is empty wherever bytes are wanted', (t) => {
  const memory = new ArrayBuffer(8);
  const views = [new Uint8Array(memory), new DataView(memory), new BigInt64Array(memory)];
  structuredClone(memory, { transfer: [memory] });
  using buffer = new EvBuffer();
  buffer.add('bytes');
  for (const gone of [memory, ...views]) {
    const calls: (() => unknown)[] = [
      () => buffer.add(gone),
      () => buffer.prepend(gone),
      () => buffer.add`${gone}`,
      () => buffer.equals(gone),
      () => buffer.search(gone),
      () => buffer.indexOf(gone),
      () => buffer.removeInto(gone),
      () => buffer.readLineInto(gone),
      () => buffer.readUntil(gone),
      () => buffer.addFrame(gone),
    ];
    for (const call of calls) {
      try {
        call();
      } catch (error) {
        t.true(error instanceof TypeError || error instanceof RangeError, String(error));
      }
    }
  }
  t.is(buffer.toString().replaceAll('\0', ''), 'bytes');
});

test('shared memory goes in and comes out like any other', (t) => {
  using buffer = new EvBuffer();
  const shared = new SharedArrayBuffer(4);
  const bytes = new Uint8Array(shared);
  bytes.set([1, 2, 3, 4]);
  buffer.add(shared).add(bytes.subarray(1)).add(new DataView(shared, 3)).prepend(shared);
  t.deepEqual([...buffer.copyout()], [1, 2, 3, 4, 1, 2, 3, 4, 2, 3, 4, 4]);
  t.true(buffer.drain(8).equals(Buffer.from([2, 3, 4, 4])));
  t.is(buffer.indexOf(bytes.subarray(2)), 1);
  t.is(buffer.removeInto(shared), 4);
  t.deepEqual([...bytes], [2, 3, 4, 4]);
});

test('what has a toString or an index of its own is not run half-way', (t) => {
  using buffer = new EvBuffer();
  const failing = {
    toString(): string {
      throw new Error('from toString');
    },
  };
  t.throws(() => buffer.add`before ${failing} after`, { message: 'from toString' });
  t.is(buffer.length, 0);
  const draining = {
    toString(): string {
      buffer.drain(100).add('inner ');
      return 'value';
    },
  };
  t.is(buffer.add('gone').add`outer ${draining}`.toString(), 'inner outer value');
});
