import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';
import * as fc from 'fast-check';

import { EvBuffer, EvError, statistics } from 'evnode';

import { run } from './support/child';
import { pattern, temporaryFolder } from './support/peers';

test('bytes and strings come out as they went in', (t) => {
  using buffer = new EvBuffer();
  buffer
    .add('héllo')
    .add(Buffer.from([0, 255]))
    .add(new Uint16Array([0x4142]));
  buffer.add('é', 'latin1').add('é', 'utf16le').prepend('<').prepend(Buffer.from('<'));
  const expected = Buffer.concat([
    Buffer.from('<<héllo'),
    Buffer.from([0, 255, 0x42, 0x41, 0xe9, 0xe9, 0]),
  ]);
  t.is(buffer.length, expected.length);
  t.deepEqual(buffer.copyout(), expected);
  t.is(buffer.toString('latin1'), expected.toString('latin1'));
  t.deepEqual(buffer.remove(3), expected.subarray(0, 3));
  t.deepEqual(buffer.remove(), expected.subarray(3));
  t.is(buffer.length, 0);
  t.is(buffer.remove().length, 0);
  t.is(buffer.remove(10).length, 0);
});

test('strings of every encoding come out again', (t) => {
  using buffer = new EvBuffer();
  for (const encoding of ['utf8', 'latin1', 'utf16le'] as const) {
    buffer.add('grüß', encoding);
    t.is(buffer.removeString(undefined, encoding), 'grüß');
  }
  buffer.add(Buffer.from([0xff, 0x41]));
  t.is(buffer.removeString(), '\ufffdA');
});

test('removing into given memory takes what fits', (t) => {
  using buffer = new EvBuffer();
  buffer.add('abcdef');
  const target = Buffer.alloc(4);
  t.is(buffer.removeInto(target), 4);
  t.is(target.toString(), 'abcd');
  t.is(buffer.removeInto(new DataView(new ArrayBuffer(8))), 2);
  t.is(buffer.removeInto(target), 0);
});

test('copying out leaves the bytes, from any position', (t) => {
  using buffer = new EvBuffer();
  buffer.add('abcdef');
  t.is(buffer.copyout(2).toString(), 'ab');
  t.is(buffer.copyout(3, 4).toString(), 'ef');
  t.is(buffer.copyout(3, 6).length, 0);
  t.is(buffer.copyout(undefined, 1).toString(), 'bcdef');
  t.is(buffer.length, 6);
  t.is(buffer.drain(2).toString(), 'cdef');
  t.is(buffer.drain(100).length, 0);
});

test('buffers move into each other', (t) => {
  using a = new EvBuffer();
  using b = new EvBuffer();
  a.add('a');
  b.add('bcd');
  a.addBuffer(b);
  t.is(a.toString(), 'abcd');
  t.is(b.length, 0);
  t.is(a.removeBuffer(b, 2), 2);
  b.prependBuffer(a);
  t.is(b.toString(), 'cdab');
  t.is(a.removeBuffer(b, 2), 0);
  a.addBuffer(a);
  t.is(a.length, 0);
});

test('searching finds across pieces and within a range', (t) => {
  using buffer = new EvBuffer();
  using more = new EvBuffer();
  buffer.add('one two ');
  more.add('three two');
  buffer.addBuffer(more);
  t.is(buffer.search('two'), 4);
  t.is(buffer.search(Buffer.from(' three')), 7);
  t.is(buffer.search('two', 5), 14);
  t.is(buffer.search('two', 5, 16), -1);
  t.is(buffer.search('four'), -1);
});

test('lines end as each style says', (t) => {
  const cases = [
    ['any', 'a\r\n\r\nb\rc', ['a', 'b']],
    ['crlf', 'a\r\nb\nc\rd\ne', ['a', 'b', 'c\rd']],
    ['crlf-strict', 'a\r\nb\nc\r\nd', ['a', 'b\nc']],
    ['lf', 'a\r\nb\nc', ['a\r', 'b']],
    ['nul', 'a\0b\0\0c', ['a', 'b', '']],
  ] as const;
  for (const [eol, text, lines] of cases) {
    using buffer = new EvBuffer();
    t.is(buffer.add(text).lineLength(eol), lines[0].length, eol);
    t.deepEqual(buffer.readLines(eol), [...lines], eol);
    t.is(buffer.readln(eol), null, eol);
    t.is(buffer.lineLength(eol), -1, eol);
  }
});

test('lines are read one by one, some at once, or into given memory', (t) => {
  using buffer = new EvBuffer();
  buffer.add('first\nsecond\nthird\nfourth\n');
  t.is(buffer.readln(), 'first');
  t.deepEqual(buffer.readLines('lf', 'latin1', 1), ['second']);
  const target = Buffer.alloc(8);
  t.throws(() => buffer.readLineInto(target, 4), { instanceOf: RangeError });
  t.is(buffer.readLineInto(target, 2), 5);
  t.is(target.toString('latin1', 2, 7), 'third');
  t.is(buffer.readln('lf', 'utf8'), 'fourth');
  t.is(buffer.readLineInto(target), -1);
});

test('batches of lines are what the lines are one by one', (t) => {
  const ascii = fc.constantFrom('', 'a', 'b'.repeat(13), 'c'.repeat(300), 'd'.repeat(70_000));
  const wide = fc.constantFrom('é', 'ü'.repeat(200), '…', '😀'.repeat(90));
  const broken = fc.constantFrom([0xc3], [0xe2, 0x80], [0xff, 0x80], [0xa9], [0xed, 0xa0, 0x80]);
  const end = fc.constantFrom('\n', '\r\n', '\r', '\0', '\r\n\r\n', '\n\r');
  const bytes = (part: fc.Arbitrary<string>) => part.map((text) => Buffer.from(text));
  const line = (...parts: fc.Arbitrary<Buffer>[]) =>
    fc.tuple(fc.oneof(...parts), bytes(end)).map((both) => Buffer.concat(both));
  const anything = line(bytes(ascii), bytes(wide), broken.map(Buffer.from));
  const text = fc.oneof(...[line(bytes(ascii)), anything].map((each) => fc.array(each)));
  const eols = fc.constantFrom('any', 'crlf', 'crlf-strict', 'lf', 'nul');
  const encodings = fc.constantFrom('utf8', 'latin1', 'utf16le');
  const property = fc.property(text, eols, encodings, fc.nat(20), (lines, eol, encoding, most) => {
    using one = new EvBuffer();
    using batch = new EvBuffer();
    for (const each of lines) {
      one.add(each);
      // In two segments if they are long.
      using rest = new EvBuffer().add(each.subarray(each.length >> 1));
      batch.add(each.subarray(0, each.length >> 1)).addBuffer(rest);
    }
    const expected: string[] = [];
    for (let found; (found = one.readln(eol, encoding)) !== null;) expected.push(found);
    t.deepEqual(batch.readLines(eol, encoding, most), expected.slice(0, most));
    t.deepEqual(batch.readLines(eol, encoding), expected.slice(most));
    t.deepEqual(batch.remove(), one.remove());
  });
  fc.assert(property, { numRuns: 500 });
});

test('a batch of many short lines is taken whole', (t) => {
  using buffer = new EvBuffer().add('\n'.repeat(10_000)).add('ab\n'.repeat(10_000)).add('rest');
  const lines = buffer.readLines();
  t.is(lines.length, 20_000);
  t.true(lines.every((line, index) => line === (index < 10_000 ? '' : 'ab')));
  t.is(buffer.toString(), 'rest');
});

test('lines can be taken while lines are taken', (t) => {
  using outer = new EvBuffer().add('one\ntwo\n');
  using inner = new EvBuffer().add('a\nb\nc\n');
  const seen: string[] = [];
  outer.setCallback(() => seen.push(...inner.readLines()));
  t.deepEqual(outer.readLines(), ['one', 'two']);
  t.deepEqual(seen, ['a', 'b', 'c']);
});

test('bytes can be taken while bytes are taken', (t) => {
  for (const length of [100, 5000, 9000, 100_000]) {
    using outer = new EvBuffer().add(Buffer.alloc(length, 'o'));
    using inner = new EvBuffer().add(Buffer.alloc(3 * length, 'i'));
    const seen: Buffer[] = [];
    outer.setCallback(() => seen.push(inner.remove(length), inner.remove(length * 10)));
    const taken = outer.remove(length * 2);
    seen.push(outer.add('x').remove());
    t.true(taken.equals(Buffer.alloc(length, 'o')));
    t.deepEqual(
      seen.map((each) => each.toString()),
      ['i'.repeat(length), 'i'.repeat(2 * length), '', '', '', '', 'x'],
    );
  }
});

test('a frozen buffer keeps its lines', (t) => {
  using buffer = new EvBuffer().add('one\ntwo\n').freeze('front');
  t.throws(() => buffer.readLines(), { code: 'ERR_EVNODE_FROZEN' });
  t.deepEqual(buffer.unfreeze('front').readLines(), ['one', 'two']);
});

test('a frozen end does not change', (t) => {
  using buffer = new EvBuffer();
  buffer.add('abc').freeze('back');
  t.throws(() => buffer.add('d'), { instanceOf: EvError, code: 'ERR_EVNODE_FROZEN' });
  t.is(buffer.freeze('front').unfreeze('back').add('d').length, 4);
  t.throws(() => buffer.drain(1), { code: 'ERR_EVNODE_FROZEN' });
  t.throws(() => buffer.prepend('x'), { code: 'ERR_EVNODE_FROZEN' });
  t.is(buffer.unfreeze('front').remove().toString(), 'abcd');
});

test('pulling up makes the pieces one', (t) => {
  using buffer = new EvBuffer();
  using other = new EvBuffer();
  buffer.expand(100_000).add(pattern(20_000));
  other.add(pattern(30_000));
  buffer.addBuffer(other);
  t.true(buffer.segments().length > 1);
  t.is(
    buffer.segments().reduce((sum, length) => sum + length, 0),
    50_000,
  );
  buffer.pullup();
  t.deepEqual(buffer.segments(), [50_000]);
  t.deepEqual(buffer.copyout(30_000, 20_000), pattern(30_000));
});

test('a callback is told what came and went', async (t) => {
  using buffer = new EvBuffer();
  const changes: [number, number][] = [];
  buffer.setCallback((changed, added, removed) => {
    t.is(changed, buffer);
    changes.push([added, removed]);
  });
  buffer.add('abcdef');
  buffer.drain(2);
  buffer.setCallback(null);
  buffer.add('unseen');
  await Promise.resolve();
  t.is(
    changes.reduce((sum, [added]) => sum + added, 0),
    6,
  );
  t.is(
    changes.reduce((sum, [, removed]) => sum + removed, 0),
    2,
  );
});

test('what a callback throws comes out of the call that changed the buffer', (t) => {
  using buffer = new EvBuffer();
  buffer.setCallback(() => {
    throw new Error('from the callback');
  });
  t.throws(() => buffer.add('abc'), { message: 'from the callback' });
  buffer.setCallback(null);
  t.is(buffer.toString(), 'abc');
});

test('bytes go to a descriptor and come from one', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'file');
  using buffer = new EvBuffer();
  const out = openSync(path, 'w');
  buffer.add('abcdef');
  t.is(buffer.write(out, 2), 2);
  t.is(buffer.write(out), 4);
  t.is(buffer.write(out), 0);
  closeSync(out);
  t.is(readFileSync(path, 'latin1'), 'abcdef');
  const from = openSync(path, 'r');
  t.is(buffer.read(from, 4), 4);
  t.is(buffer.read(from), 2);
  t.is(buffer.read(from), 0);
  closeSync(from);
  t.is(buffer.toString(), 'abcdef');
  t.throws(() => buffer.read(from), { instanceOf: EvError, code: 'EBADF' });
});

test('a freed buffer is closed, and freeing twice is nothing', (t) => {
  const before = statistics().buffers;
  const buffer = new EvBuffer();
  t.is(statistics().buffers, before + 1);
  buffer.add('abc').free();
  t.is(statistics().buffers, before);
  t.throws(() => buffer.length, { instanceOf: EvError, code: 'ERR_EVNODE_CLOSED' });
  buffer.free();
});

test('any sequence of operations does what a plain array of bytes would', (t) => {
  const bytes = fc.uint8Array({ maxLength: 5000 });
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), bytes }),
    fc.record({ do: fc.constant('prepend' as const), bytes }),
    fc.record({ do: fc.constant('remove' as const), length: fc.nat(6000) }),
    fc.record({ do: fc.constant('drain' as const), length: fc.nat(6000) }),
    fc.record({ do: fc.constant('move' as const), length: fc.nat(6000) }),
    fc.record({ do: fc.constant('pullup' as const), length: fc.nat(6000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      using buffer = new EvBuffer();
      using other = new EvBuffer();
      let model = Buffer.alloc(0);
      for (const step of steps) {
        if (step.do === 'add') {
          buffer.add(step.bytes);
          model = Buffer.concat([model, step.bytes]);
        } else if (step.do === 'prepend') {
          buffer.prepend(step.bytes);
          model = Buffer.concat([step.bytes, model]);
        } else if (step.do === 'remove') {
          if (!buffer.remove(step.length).equals(model.subarray(0, step.length))) return false;
          model = model.subarray(step.length);
        } else if (step.do === 'drain') {
          buffer.drain(step.length);
          model = model.subarray(step.length);
        } else if (step.do === 'move') {
          buffer.removeBuffer(other, step.length);
          other.addBuffer(buffer);
          buffer.addBuffer(other);
        } else {
          buffer.pullup(Math.min(step.length, buffer.length));
        }
      }
      return buffer.copyout().equals(model);
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('buffers and events that are forgotten are freed, pending events are not', async (t) => {
  const { code, stderr } = await run('forgotten.ts', [], ['--expose-gc']);
  t.is(code, 0, stderr);
});
