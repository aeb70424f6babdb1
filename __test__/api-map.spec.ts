// Holds docs/api-map.tsv to what exists: a row that names a symbol which is gone, in Rust, in the
// TypeScript declarations or at run time, fails here.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

import { rustSymbols } from './support/rust-symbols';
import { typescriptSymbols } from './support/typescript-symbols';

const root = join(__dirname, '..');

interface Row {
  cName: string;
  rust: string[];
  ts: string[];
  note: string;
}

const [header, ...lines] = readFileSync(join(root, 'docs', 'api-map.tsv'), 'utf8')
  .replace(/\n$/, '')
  .split('\n')
  .map((line) => line.split('\t'));

const symbols = (cell = '') => (cell === '' ? [] : cell.split(', '));
const rows: Row[] = lines.map(([cName = '', rust, ts, note = '']) => ({
  cName,
  rust: symbols(rust),
  ts: symbols(ts),
  note,
}));

test('the map has four columns and names every C symbol once', (t) => {
  t.deepEqual(header, ['c_name', 'rust', 'ts', 'note']);
  t.deepEqual(
    lines.filter((cells) => cells.length !== 4),
    [],
  );
  const names = rows.map(({ cName }) => cName);
  t.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
});

test('a row without a symbol says in its note what takes its place', (t) => {
  const silent = rows.filter(({ rust, ts, note }) => (!rust.length || !ts.length) && note === '');
  t.deepEqual(silent, []);
});

test('every libevent name that the Rust code claims to answer to is in the map', (t) => {
  const names = new Set(rows.map(({ cName }) => cName.replace(/^(?:struct|enum) /, '')));
  const source = join(root, 'crates', 'evcore', 'src');
  const claimed = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.rs'))
    .flatMap((file) => readFileSync(join(source, file), 'utf8').match(/doc\(alias.*\]/g) ?? [])
    .flatMap((attribute) => attribute.match(/(?<=")(?:ev|EV|bufferevent|BEV|LEV)\w*/g) ?? []);
  t.true(claimed.length > 100);
  t.deepEqual(
    claimed.filter((name) => !names.has(name)),
    [],
  );
});

test('every Rust symbol of the map exists', (t) => {
  const exists = rustSymbols(root);
  const missing = rows.flatMap(({ rust }) => rust.filter((symbol) => !exists(symbol)));
  t.deepEqual(missing, []);
  t.false(exists('evcore::EventBase::no_such_method'));
  t.false(exists('evcore::NoSuchType'));
  t.false(exists('evcore::no_such_module::EventBase'));
});

test('every TypeScript symbol of the map exists, in the types and at run time', (t) => {
  const exists = typescriptSymbols(root);
  const missing = rows.flatMap(({ ts }) => ts.filter((symbol) => !exists(symbol)));
  t.deepEqual(missing, []);
  t.false(exists('EventBase.prototype.noSuchMethod'));
  t.false(exists('EventBase.noSuchStatic'));
  t.false(exists('NoSuchType'));
});
