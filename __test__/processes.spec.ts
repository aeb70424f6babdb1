// How processes and workers end while evnode is at work.

import { once } from 'node:events';

import test from 'ava';

import { lineOf, outcome, run, start } from './support/child';
import { ATTACHED, MODES } from './support/drive';

for (const attach of ATTACHED) {
  test.serial(
    `process.exit() inside a callback ends the process with its code (${attach})`,
    async (t) => {
      for (const scenario of ['exitInCallback', 'exitInPromise']) {
        const { code, stderr } = await run('ends.ts', [scenario, attach]);
        t.is(code, 7, `${scenario}: ${stderr}`);
      }
    },
  );

  test.serial(
    `an exception that nobody handles ends the process as always (${attach})`,
    async (t) => {
      const { code, stderr } = await run('ends.ts', ['throwInCallback', attach]);
      t.is(code, 1);
      t.regex(stderr, /Error: thrown on purpose/);
      t.notRegex(stderr, /panicked|FATAL|Assertion/);
    },
  );

  test.serial(
    `a process without events, or whose base does not count, ends (${attach})`,
    async (t) => {
      const { code, stdout, stderr } = await run('ends.ts', ['nothing', attach]);
      t.is(code, 0, stderr);
      t.like(JSON.parse(stdout), { bases: 1, events: 0, listeners: 0, bufferevents: 0 });
      t.is((await run('ends.ts', ['unref', attach])).code, 0);
    },
  );

  if (process.platform !== 'win32') {
    test.serial(`an interrupt ends a process with live sockets (${attach})`, async (t) => {
      const child = start('__test__/fixtures/ends.ts', ['wait', attach]);
      await lineOf(child, /ready/);
      child.kill('SIGINT');
      const [code, signal] = await once(child, 'exit');
      t.deepEqual([code, signal], [null, 'SIGINT']);
    });

    test.serial(`an interrupt can be handled by Node or by a base (${attach})`, async (t) => {
      for (const [scenario, wanted] of [
        ['handleInNode', 3],
        ['handleSignal', 0],
      ] as const) {
        const child = start('__test__/fixtures/ends.ts', [scenario, attach]);
        await lineOf(child, /ready/);
        child.kill('SIGINT');
        const [code] = await once(child, 'exit');
        t.is(code, wanted, scenario);
      }
    });
  }
}

test.serial('process.exit() inside a blocking loop ends the process with its code', async (t) => {
  t.is((await run('ends.ts', ['exitInBlockingLoop', 'none'])).code, 7);
});

for (const mode of MODES) {
  test.serial(`workers are terminated in the middle of their traffic (${mode})`, async (t) => {
    const child = await run('workers.ts', [mode === 'uv' ? '1000' : '50', mode]);
    t.deepEqual([child.code, child.signal], [0, null], child.stderr);
  });
}

test.serial('connections come and go without leaving anything behind', async (t) => {
  const child = start('__test__/fixtures/churn.ts', ['100000'], ['--expose-gc']);
  const { code, stderr } = await outcome(child);
  t.is(code, 0, stderr);
});
