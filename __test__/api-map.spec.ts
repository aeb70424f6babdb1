// Holds docs/api-map.tsv to what exists: a row that names a symbol which is gone, in Rust, in the
// TypeScript declarations or at run time, fails here; and so does a name of docs/libevent-names.tsv
// that has no row. A row for what is still to come has no symbols and a note `planned: …`.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

import { rustSymbols } from './support/rust-symbols';
import { missingFromStd } from './support/std-symbols';
import { typescriptSymbols } from './support/typescript-symbols';

const root = join(__dirname, '..');

interface Row {
  cName: string;
  rust: string[];
  ts: string[];
  note: string;
}

const table = (name: string) =>
  readFileSync(join(root, 'docs', name), 'utf8')
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.split('\t'));

const [header, ...lines] = table('api-map.tsv');
const [, ...libevent] = table('libevent-names.tsv');

const PARTS = [
  'file segments',
  'deferred buffer callbacks',
  'bufferevents complete',
  'filters',
  'pairs',
  'rate limits',
  'TLS',
  'DNS',
  'HTTP',
  'RPC',
];

/** C has its structures and enumerations in a name space of their own; here they are names as others. */
const bare = (name: string) => name.replace(/^(?:struct|enum) /, '');
const symbols = (cell = '') => (cell === '' ? [] : cell.split(', '));
const rows: Row[] = lines.map(([cName = '', rust, ts, note = '']) => ({
  cName,
  rust: symbols(rust),
  ts: symbols(ts),
  note,
}));

const planned = rows.filter(({ note }) => note.startsWith('planned:'));

/** The libevent names that the Rust code claims to answer to. */
function claimedNames(): string[] {
  const source = join(root, 'crates', 'evcore', 'src');
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.rs'))
    .flatMap((file) => readFileSync(join(source, file), 'utf8').match(/doc\(alias[^\]]*\]/g) ?? [])
    .flatMap((attribute) => attribute.match(/(?<=")(?:lib|LIB|buffer|B|L)?(?:ev|EV)\w*/g) ?? []);
}

test('the map has four columns and names every C symbol once', (t) => {
  t.deepEqual(header, ['c_name', 'rust', 'ts', 'note']);
  t.deepEqual(
    lines.filter((cells) => cells.length !== 4),
    [],
  );
  const names = rows.map(({ cName }) => bare(cName));
  t.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
});

test('a row without a symbol says in its note what takes its place', (t) => {
  const silent = rows.filter(({ rust, ts, note }) => (!rust.length || !ts.length) && note === '');
  t.deepEqual(silent, []);
});

test('every libevent name that is to have a row has one', (t) => {
  const names = new Set(rows.map(({ cName }) => bare(cName)));
  t.true(libevent.length > 400);
  t.deepEqual(
    libevent.filter(([name = '']) => !names.has(bare(name))),
    [],
  );
});

test('every libevent name that the Rust code claims to answer to is in the map', (t) => {
  const names = new Set(rows.map(({ cName }) => bare(cName)));
  const claimed = claimedNames();
  t.true(claimed.length > 100);
  t.deepEqual(
    claimed.filter((name) => !names.has(name)),
    [],
  );
});

test('a planned row tells which part it comes with and has no symbols before', (t) => {
  const wrong = planned.filter(
    ({ rust, ts, note }) =>
      rust.length || ts.length || !PARTS.includes(note.replace(/^planned: /, '')),
  );
  t.deepEqual(wrong, []);
  const claimed = new Set(claimedNames());
  t.deepEqual(
    planned.filter(({ cName }) => claimed.has(bare(cName))),
    [],
  );
  for (const part of PARTS) {
    const count = planned.filter(({ note }) => note === `planned: ${part}`).length;
    if (count > 0) t.log(`${count} planned with ${part}`);
  }
  t.log(`${planned.length} of ${rows.length} rows are planned`);
});

test('every Rust symbol of the map exists', (t) => {
  const exists = rustSymbols(root);
  const named = [...new Set(rows.flatMap(({ rust }) => rust))];
  const ours = named.filter((symbol) => symbol.startsWith('evcore::'));
  const others = named.filter((symbol) => !symbol.startsWith('evcore::'));
  t.deepEqual(
    ours.filter((symbol) => !exists(symbol)),
    [],
  );
  t.false(exists('evcore::EventBase::no_such_method'));
  t.false(exists('evcore::NoSuchType'));
  t.false(exists('evcore::no_such_module::EventBase'));
  const none = ['std::no_such_module', 'u64::NO_SUCH'];
  t.deepEqual(missingFromStd([...others, ...none]), none);
});

test('every TypeScript symbol of the map exists, in the types and at run time', (t) => {
  const exists = typescriptSymbols(root);
  const missing = rows.flatMap(({ ts }) => ts.filter((symbol) => !exists(symbol)));
  t.deepEqual(missing, []);
  t.false(exists('EventBase.prototype.noSuchMethod'));
  t.false(exists('EventBase.noSuchStatic'));
  t.false(exists('NoSuchType'));
  t.false(exists('node:dns.noSuchFunction'));
  t.false(exists('globalThis.Date.noSuchFunction'));
});
