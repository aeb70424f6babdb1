// A hundred thousand operations on buffers that share their bytes, against plain arrays of bytes.

import test from 'ava';

import { EvBuffer, type EvError } from 'evnode';

const OPERATIONS = 100_000;
const SEED = Number(process.env['EVNODE_TEST_SEED'] ?? 20_240_229);
/** Buffers grow to about this. */
const FULL = 150_000;

/** Small numbers that are the same on every run (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A buffer, the bytes that it should hold, and what its callback was told. */
class Pair {
  readonly buffer = new EvBuffer();
  model = Buffer.alloc(0);
  told = 0;
  front = false;
  back = false;

  constructor() {
    this.buffer.setCallback((_, added, removed) => {
      this.told += added - removed;
    });
  }

  push(bytes: Uint8Array): void {
    this.model = Buffer.concat([this.model, bytes]);
  }

  unshift(bytes: Uint8Array): void {
    this.model = Buffer.concat([bytes, this.model]);
  }

  shift(length: number): Buffer {
    const taken = this.model.subarray(0, length);
    this.model = this.model.subarray(length);
    return taken;
  }
}

const isFrozen = (error: unknown) => (error as EvError).code === 'ERR_EVNODE_FROZEN';
const LAYOUTS = ['UInt8', 'Int16LE', 'UInt32BE', 'BigInt64LE', 'DoubleBE'] as const;
const SIZES = { UInt8: 1, Int16LE: 2, UInt32BE: 4, BigInt64LE: 8, DoubleBE: 8 };

test(`${OPERATIONS} random operations do what plain arrays of bytes would`, (t) => {
  const next = random(SEED);
  const pairs = [new Pair(), new Pair(), new Pair(), new Pair()];
  /** Views that are kept, and what they showed. */
  const kept: { view: Buffer; bytes: Buffer }[] = [];
  const counts: Record<string, number> = {};
  const pick = () => pairs[next(pairs.length)] as Pair;
  // Mostly few bytes, sometimes many.
  const length = () => next([4, 64, 2000, 70_000][next(4)] ?? 1);
  const bytes = () => Buffer.alloc(length(), Uint8Array.of(next(256), next(256), 10));
  const same = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;

  /** Each does one thing to a pair and its model, and says whether both agree. */
  const operations: Record<string, (on: Pair, other: Pair) => boolean> = {
    add(on) {
      const data = bytes();
      on.buffer.add(next(2) ? data : new DataView(data.buffer, data.byteOffset, data.length));
      on.push(data);
      return true;
    },
    text(on) {
      const text = 'grüß\r\n'.repeat(next(300));
      const how = next(3);
      if (how === 0) on.buffer.add(text);
      else if (how === 1) on.buffer.add(text, 'latin1');
      else on.buffer.add(text, 'utf16le');
      on.push(Buffer.from(text, (['utf8', 'latin1', 'utf16le'] as const)[how]));
      return true;
    },
    template(on) {
      const data = bytes();
      const added = on.buffer.add`<${data}:${data.length}>`;
      on.push(Buffer.concat([Buffer.from('<'), data, Buffer.from(`:${data.length}>`)]));
      return added === on.buffer;
    },
    prepend(on) {
      const data = bytes();
      on.buffer.prepend(data);
      on.unshift(data);
      return true;
    },
    remove(on) {
      const count = length();
      return same(on.buffer.remove(count), on.shift(count));
    },
    removeInto(on) {
      const target = bytes();
      const count = on.buffer.removeInto(target);
      return same(target.subarray(0, count), on.shift(target.length));
    },
    removeString(on) {
      const count = length();
      return on.buffer.removeString(count, 'latin1') === on.shift(count).toString('latin1');
    },
    drain(on) {
      const count = length();
      on.buffer.drain(count);
      on.shift(count);
      return true;
    },
    copyout(on) {
      const [count, from] = [length(), length()];
      return same(on.buffer.copyout(count, from), on.model.subarray(from, from + count));
    },
    slice(on) {
      const [start, end] = [length() - length(), length() - length()];
      return same(on.buffer.slice(start, end), on.model.subarray(start, end));
    },
    addBuffer(on, other) {
      on.buffer.addBuffer(other.buffer);
      if (on !== other) on.push(other.shift(Infinity));
      return true;
    },
    addBufferReference(on, other) {
      if (on === other) return true;
      on.buffer.addBufferReference(other.buffer);
      on.push(other.model);
      return true;
    },
    prependBuffer(on, other) {
      on.buffer.prependBuffer(other.buffer);
      if (on !== other) on.unshift(other.shift(Infinity));
      return true;
    },
    removeBuffer(on, other) {
      const count = length();
      const moved = on.buffer.removeBuffer(other.buffer, count);
      if (on === other) return moved === 0;
      const taken = on.shift(count);
      other.push(taken);
      return moved === taken.length;
    },
    pullup(on) {
      const count = Math.min(length(), on.model.length);
      on.buffer.pullup(count);
      return count === 0 || (on.buffer.segments()[0] ?? 0) >= count;
    },
    expand(on) {
      on.buffer.expand(length());
      return true;
    },
    find(on) {
      const at = next(on.model.length + 1);
      const needle = on.model.subarray(at, at + next(20));
      const from = length() - length();
      return on.buffer.indexOf(needle, from) === on.model.indexOf(needle, from);
    },
    line(on) {
      const end = on.model.indexOf('\n');
      const line = on.buffer.readln('lf', 'latin1');
      if (line === null) return end < 0;
      const taken = on.shift(end + 1);
      return line === taken.toString('latin1', 0, end);
    },
    part(on) {
      const end = on.model.indexOf('\r\n');
      const part = on.buffer.readUntil('\r\n', { maxLength: 2 ** 31 - 1 });
      if (part === null) return end < 0;
      return same(part, on.shift(end + 2).subarray(0, end));
    },
    frame(on) {
      const data = bytes();
      on.buffer.addFrame(data, 'u32le');
      const head = Buffer.alloc(4);
      head.writeUInt32LE(data.length);
      on.push(Buffer.concat([head, data]));
      return true;
    },
    frameOfBuffer(on, other) {
      if (on === other || other.model.length > 65_535) return true;
      on.buffer.addFrame(other.buffer, 'u16be');
      const data = other.shift(Infinity);
      on.push(Buffer.concat([Buffer.from([data.length >> 8, data.length & 255]), data]));
      return true;
    },
    readFrame(on) {
      const frame = on.buffer.readFrame({ prefix: 'u16be' });
      const size = on.model.length < 2 ? Infinity : on.model.readUInt16BE();
      if (frame === null) return on.model.length < 2 + size;
      on.shift(2);
      return same(frame, on.shift(size));
    },
    chunks(on) {
      const size = 1 + length();
      let rounds = 3;
      for (const chunk of on.buffer.chunks(size)) {
        if (chunk.length !== size || !same(chunk, on.shift(size))) return false;
        if (--rounds === 0) return true;
      }
      return on.model.length < size;
    },
    number(on) {
      const layout = LAYOUTS[next(LAYOUTS.length)] ?? 'UInt8';
      const at = next(on.model.length + 10);
      const has = at + SIZES[layout] <= on.model.length;
      try {
        return Object.is(on.buffer[`get${layout}`](at), on.model[`read${layout}`](at));
      } catch (error) {
        return !has && (error as EvError).code === 'ERR_EVNODE_SHORT';
      }
    },
    readNumber(on) {
      const layout = LAYOUTS[next(LAYOUTS.length)] ?? 'UInt8';
      if (on.model.length < SIZES[layout]) return true;
      const number = on.buffer[`read${layout}`]();
      return Object.is(number, on.shift(SIZES[layout])[`read${layout}`]());
    },
    writeNumber(on) {
      const number = next(2 ** 16);
      on.buffer.writeUInt16LE(number).writeBigInt64BE(-BigInt(number));
      const expected = Buffer.alloc(10);
      expected.writeUInt16LE(number);
      expected.writeBigInt64BE(-BigInt(number), 2);
      on.push(expected);
      return true;
    },
    peek(on) {
      const [count, from] = [length(), next(on.model.length + 1)];
      const views = on.buffer.peek(count, from);
      if (next(10) === 0) {
        for (const view of views) kept.push({ view, bytes: Buffer.from(view) });
      }
      return same(Buffer.concat(views), on.model.subarray(from, from + count));
    },
    addView(on, other) {
      for (const view of other.buffer.peek(length())) {
        on.buffer.add(view);
        on.push(Buffer.from(view));
        // Adding to the buffer itself is a change, after which views are not to be used.
        if (on === other) break;
      }
      return true;
    },
    compare(on, other) {
      return on.buffer.equals(other.buffer) === same(on.model, other.model);
    },
    freeze(on) {
      const end = next(2) ? 'front' : 'back';
      on[end] = next(4) === 0;
      if (on[end]) on.buffer.freeze(end);
      else on.buffer.unfreeze(end);
      return true;
    },
  };

  const names = Object.keys(operations);
  for (let step = 0; step < OPERATIONS; step++) {
    const name = names[next(names.length)] ?? '';
    const [on, other] = [pick(), pick()];
    const told = `operation ${step} of seed ${SEED}: ${name}`;
    try {
      if (!operations[name]?.(on, other)) return t.fail(`${told} gives something else`);
      counts[name] = (counts[name] ?? 0) + 1;
    } catch (error) {
      if (!isFrozen(error) || !(on.front || on.back || other.front || other.back)) {
        return t.fail(`${told} throws ${String(error)}`);
      }
    }
    for (const pair of on === other ? [on] : [on, other]) {
      if (!pair.buffer.equals(pair.model)) return t.fail(`${told} leaves other bytes`);
      if (pair.told !== pair.model.length) return t.fail(`${told} tells of other changes`);
      if (pair.model.length > FULL && !pair.front) {
        pair.buffer.drain(FULL);
        pair.shift(FULL);
      }
    }
    if (kept.length > 50) {
      if (!kept.every(({ view, bytes }) => same(view, bytes)))
        return t.fail(`${told}: a view changed`);
      kept.length = 0;
    }
  }
  for (const { buffer } of pairs) buffer.free();
  t.deepEqual(
    names.filter((name) => (counts[name] ?? 0) < OPERATIONS / names.length / 4),
    [],
    'operations that hardly ever succeed',
  );
});
