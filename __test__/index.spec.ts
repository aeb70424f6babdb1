import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import test from 'ava';

import * as evnode from 'evnode';

const load = createRequire(__filename);

/** A copy of the package beside the one that is loaded, as test runners make them. */
function secondCopy(): typeof evnode {
  const folder = dirname(load.resolve('evnode'));
  const first = Object.entries(load.cache).filter(([path]) => path.startsWith(folder));
  for (const [path] of first) delete load.cache[path];
  const copy = load('evnode') as typeof evnode;
  for (const [path, module] of first) load.cache[path] = module;
  return copy;
}

test('both module systems give the same classes', async (t) => {
  const asModule = await import('evnode');
  const asCommonJs = load('evnode') as typeof evnode;
  t.is(asModule.EventBase, asCommonJs.EventBase);
  t.deepEqual(
    Object.keys(asModule)
      .filter((name) => name !== 'default' && name !== 'module.exports')
      .sort(),
    Object.keys(asCommonJs).sort(),
  );
});

test('two copies of the package work beside each other', async (t) => {
  const before = new evnode.EventBase();
  const copy = secondCopy();
  t.not(copy.EventBase, evnode.EventBase);
  const after = new copy.EventBase();
  let fired = 0;
  before.timer(() => fired++).add(1);
  after.timer(() => fired++).add(1);
  await Promise.all([before.dispatch(), after.dispatch()]);
  t.is(fired, 2);
  before.free();
  after.free();
  t.throws(() => before.ref(), { instanceOf: copy.EvError, code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => after.ref(), { instanceOf: evnode.EvError, code: 'ERR_EVNODE_CLOSED' });
});

test('an error of evnode is told from others', (t) => {
  class Special extends evnode.EvError {}
  const error = new evnode.EvError('CODE', 'message', { errno: -1, syscall: 'call' });
  t.true(error instanceof Error);
  t.is(error.name, 'EvError');
  t.like(error, { code: 'CODE', message: 'message', errno: -1, syscall: 'call' });
  t.false('address' in error);
  t.false(error instanceof Special);
  t.true(new Special('CODE', 'message') instanceof evnode.EvError);
  for (const other of [new Error('other'), null, undefined, {}, 'text']) {
    t.false((other as unknown) instanceof evnode.EvError);
  }
});
