// npm run bench                 lists the benches
// npm run bench -- NAME         runs one and writes bench/results/NAME.json and NAME.svg
//
// --quick        fewer and shorter runs, for a look
// --peers a,b    only these peers; nothing is written
// --cases x,y    only these cases; nothing is written

import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { warnOfOtherWork } from './lib/system.mjs';

const names = readdirSync(new URL('suites/', import.meta.url)).map((file) =>
  file.replace(/\.mjs$/, ''),
);
const load = (name) => import(new URL(`suites/${name}.mjs`, import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string' },
    cases: { type: 'string' },
  },
});
const [name] = positionals;

if (name === undefined) {
  console.log('npm run bench -- NAME [--quick] [--peers a,b] [--cases x,y]\n');
  for (const each of names) console.log(`  ${each.padEnd(10)} ${(await load(each)).title}`);
} else if (!names.includes(name)) {
  console.error(`There is no bench named ${name}. There are: ${names.join(', ')}`);
  process.exitCode = 2;
} else if (process.platform !== 'linux') {
  console.error(
    "The benches read the server's CPU time and memory from Linux's /proc: run them on Linux.",
  );
  process.exitCode = 2;
} else {
  const only = { peers: values.peers?.split(','), cases: values.cases?.split(',') };
  warnOfOtherWork();
  try {
    await (await load(name)).run({ only, quick: values.quick });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
