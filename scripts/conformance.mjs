// `npm run conformance`: runs the conformance suite of the loop's methods and prints how many cases
// each of them has passed.

import { Failure, heading, main, needRust, run } from './lib.mjs';

/** The suite's parts, each a test program of evcore with a module for every method. */
const PARTS = {
  backend: 'backend',
  conformance_base: 'loop',
  conformance_many: '10,000 fds',
  conformance_fork: 'fork',
};

await main(async () => {
  needRust();
  const passed = {};
  const failed = [];
  for (const [program, part] of Object.entries(PARTS)) {
    heading(`${part} (tests/${program}.rs)`);
    const args = ['test', '-p', 'evcore', '--test', program, '--no-fail-fast'];
    const { code, output } = await run('cargo', args, { capture: true });
    for (const [, method, name, result] of output.matchAll(/^test (\w+)::(\S+) \.\.\. (\w+)$/gm)) {
      if (result !== 'ok') failed.push(`${method}::${name}`);
      const row = (passed[method.replace('_', ' with ')] ??= {});
      row[part] = (row[part] ?? 0) + Number(result === 'ok');
    }
    if (code !== 0 && failed.length === 0) throw new Failure(`tests/${program}.rs did not run`);
  }
  for (const row of Object.values(passed)) {
    row.cases = Object.values(row).reduce((sum, count) => sum + count);
  }
  heading('cases passed by method');
  console.table(passed);
  if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`);
});
