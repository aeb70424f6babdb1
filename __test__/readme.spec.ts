import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

const root = join(__dirname, '..');

/** The programs of a document. */
const programs = (document: string) =>
  Array.from(
    readFileSync(join(root, document), 'utf8').matchAll(/```js\n(.*?)```/gs),
    ([, text]) => text,
  );

/** What a program says that is pasted into Node. */
const paste = (program = '') =>
  execFileSync(process.execPath, ['--input-type=module', '-'], {
    cwd: root,
    input: program,
    encoding: 'utf8',
    timeout: 20_000,
  });

test('the example in the README works when it is pasted, and ends', (t) => {
  t.is(paste(programs('README.md')[0]), 'hello, world\n');
});

for (const guide of ['docs/buffers.md']) {
  test(`every example in ${guide} works when it is pasted, and ends`, (t) => {
    const all = programs(guide);
    t.true(all.length > 3);
    for (const program of all) t.is(paste(program), '', program);
  });
}
