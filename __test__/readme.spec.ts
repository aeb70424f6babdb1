import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

const root = join(__dirname, '..');

test('the example in the README works when it is pasted, and ends', (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)?.[1];
  t.truthy(example);
  const output = execFileSync(process.execPath, ['--input-type=module', '-'], {
    cwd: root,
    input: example ?? '',
    encoding: 'utf8',
    timeout: 20_000,
  });
  t.is(output, 'hello, world\n');
});
