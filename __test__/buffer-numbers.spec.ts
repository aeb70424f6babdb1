import test from 'ava';

import { EvBuffer, EvError } from 'evnode';

/** A number's name, its length in bytes, and values that lie at its limits. */
const NUMBERS: [name: string, length: number, values: (number | bigint)[]][] = [
  ['UInt8', 1, [0, 1, 255]],
  ['Int8', 1, [0, -1, 127, -128]],
  ...['LE', 'BE'].flatMap((order): [string, number, (number | bigint)[]][] => [
    [`UInt16${order}`, 2, [0, 1, 0x1234, 65_535]],
    [`Int16${order}`, 2, [0, -1, 0x1234, 32_767, -32_768]],
    [`UInt32${order}`, 4, [0, 1, 0x12345678, 2 ** 32 - 1]],
    [`Int32${order}`, 4, [0, -1, 0x12345678, 2 ** 31 - 1, -(2 ** 31)]],
    [`BigUInt64${order}`, 8, [0n, 1n, 0x123456789abcdef0n, 2n ** 64n - 1n]],
    [`BigInt64${order}`, 8, [0n, -1n, 0x123456789abcdef0n, 2n ** 63n - 1n, -(2n ** 63n)]],
    [`Float${order}`, 4, [0, -0, 1.5, -(2 ** 100), Infinity, -Infinity, Number.NaN]],
    [`Double${order}`, 8, [0, -0, Math.PI, 1e300, Infinity, -Infinity, Number.NaN]],
  ]),
];

type Read = Record<string, (offset?: number) => number | bigint>;
type Write = Record<string, (value: number | bigint, offset?: number) => unknown>;

const read = (from: object, name: string, offset?: number) => (from as Read)[name]?.(offset);
const write = (to: object, name: string, value: number | bigint) => (to as Write)[name]?.(value);

for (const [name, length, values] of NUMBERS) {
  test(`${name}: what is written is what Buffer would write, and reads the same`, (t) => {
    for (const value of values) {
      const expected = Buffer.alloc(length);
      write(expected, `write${name}`, value);
      using buffer = new EvBuffer();
      buffer.add('pad');
      t.is(write(buffer, `write${name}`, value), buffer);
      t.deepEqual(buffer.copyout(undefined, 3), expected);
      t.is(read(buffer, `get${name}`, 3), read(expected, `read${name}`));
      buffer.drain(3);
      t.is(read(buffer, `get${name}`), read(expected, `read${name}`));
      t.is(buffer.length, length);
      t.is(read(buffer, `read${name}`), read(expected, `read${name}`));
      t.is(buffer.length, 0);
    }
  });

  test(`${name}: too few bytes are an error and stay`, (t) => {
    using buffer = new EvBuffer();
    for (let held = 0; held < length; held++) {
      const short = { instanceOf: RangeError, code: 'ERR_EVNODE_SHORT' };
      t.throws(() => read(buffer, `read${name}`), short);
      t.throws(() => read(buffer, `get${name}`), short);
      t.is(buffer.length, held);
      buffer.writeUInt8(7);
    }
    for (const offset of [1, length, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      t.throws(() => read(buffer, `get${name}`, offset), { code: 'ERR_EVNODE_SHORT' });
    }
    t.is(buffer.length, length);
  });

  test(`${name}: what does not fit is an error and adds nothing`, (t) => {
    using buffer = new EvBuffer();
    const big = name.startsWith('Big');
    const wrong: unknown[] = [undefined, null, '1', {}, [], true, Symbol('x'), big ? 1 : 1n];
    for (const value of wrong) {
      t.throws(() => write(buffer, `write${name}`, value as number), {
        instanceOf: TypeError,
        code: 'ERR_EVNODE_ARG_TYPE',
      });
    }
    const outside: (number | bigint)[] = [];
    if (big) {
      const unsigned = name.includes('UInt');
      outside.push(
        unsigned ? -1n : -(2n ** 63n) - 1n,
        unsigned ? 2n ** 64n : 2n ** 63n,
        2n ** 200n,
      );
    } else if (name.includes('Int')) {
      const bits = 8 * length;
      const unsigned = name.includes('UInt');
      outside.push(unsigned ? -1 : -(2 ** (bits - 1)) - 1, 2 ** (unsigned ? bits : bits - 1));
      outside.push(0.5, Number.NaN, Infinity, -Infinity, 2 ** 53);
    }
    for (const value of outside) {
      t.throws(() => write(buffer, `write${name}`, value), {
        instanceOf: RangeError,
        code: 'ERR_EVNODE_ARG_RANGE',
      });
    }
    t.is(buffer.length, 0);
  });
}

test('a number may lie across the pieces of a buffer', (t) => {
  using buffer = new EvBuffer();
  using other = new EvBuffer();
  for (let split = 1; split < 8; split++) {
    const bytes = Buffer.from('0123456789abcdef', 'hex');
    buffer.expand(4096).add(Buffer.alloc(4096 - split, 1));
    buffer.add(bytes.subarray(0, split)).drain(4096 - split);
    other.expand(70_000).add(bytes.subarray(split)).add(Buffer.alloc(60_000));
    buffer.addBuffer(other);
    t.true(buffer.segments().length > 1);
    t.is(buffer.getBigUInt64BE(), 0x0123456789abcdefn);
    t.is(buffer.readDoubleLE(), bytes.readDoubleLE());
    buffer.drain(60_000);
  }
});

test('frozen ends hold numbers too', (t) => {
  using buffer = new EvBuffer();
  buffer.writeUInt16LE(1).freeze('front').freeze('back');
  const frozen = { instanceOf: EvError, code: 'ERR_EVNODE_FROZEN' };
  t.throws(() => buffer.readUInt8(), frozen);
  t.throws(() => buffer.writeUInt8(1), frozen);
  t.throws(() => buffer.writeBigInt64LE(1n), frozen);
  t.throws(() => buffer.addFrame('x'), frozen);
  t.is(buffer.getUInt16LE(), 1);
});

test('a callback is told of numbers', (t) => {
  using buffer = new EvBuffer();
  const changes: number[] = [];
  buffer.setCallback((_, added, removed) => changes.push(added, -removed));
  buffer.writeUInt32BE(1).readUInt8();
  t.deepEqual(changes, [4, -0, 0, -1]);
});
