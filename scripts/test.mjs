// `npm test`: installs and builds what is missing, then runs every check and every test. All of
// them run even when one fails; the last line counts the tests, for people and for CI.
//
//   npm test                    everything
//   npm test -- rust ava        just these steps (and what they need)
//   npm run check               everything but the tests

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

import { GENERATED, buildAddon, buildFacade } from './build.mjs';
import { Failure, heading, install, main, needRust, root, run, runTool } from './lib.mjs';

const counted = { passed: 0, failed: 0 };

function count(output, patterns) {
  const plain = stripVTControlCharacters(output);
  for (const [key, pattern] of Object.entries(patterns)) {
    for (const [, number] of plain.matchAll(pattern)) counted[key] += Number(number);
  }
}

async function rust() {
  // One run for unit, integration and documentation tests; a failing one does not hide the others.
  const args = ['test', '--workspace', '--no-fail-fast'];
  const { code, output } = await run('cargo', args, { capture: true });
  count(output, {
    passed: /^test result: .*? (\d+) passed;/gm,
    failed: /^test result: .*? (\d+) failed;/gm,
  });
  return code === 0;
}

/** Tries every order in which threads can run through the mailbox. */
async function loom() {
  const env = {
    CARGO_TARGET_DIR: join(root, 'target', 'loom'),
    RUSTFLAGS: [process.env.RUSTFLAGS, '--cfg loom'].filter(Boolean).join(' '),
  };
  const args = ['test', '-p', 'evcore', '--lib', '--release', 'mailbox'];
  const { code, output } = await run('cargo', args, { capture: true, env });
  // A filter that matches nothing would pass, too.
  const passed = Number(/^test result: ok\. (\d+) passed;/m.exec(output)?.[1] ?? 0);
  counted.passed += passed;
  return code === 0 && passed > 0;
}

/** Runs the Rust examples; those of TypeScript are among the tests of ava. */
async function examples() {
  const folder = join(root, 'crates', 'evcore', 'examples');
  for (const file of readdirSync(folder)) {
    const name = file.replace(/\.rs$/, '');
    if (!(await cargo(['run', '--quiet', '-p', 'evcore', '--example', name]))) return false;
  }
  return true;
}

async function ava() {
  const { code, output } = await runTool('ava', 'ava', [], { capture: true });
  count(output, {
    failed:
      /^\s*(\d+) (?:tests? (?:failed|remained pending)|uncaught exceptions?|unhandled rejections?)/gm,
  });
  // The summary is silent about those that passed when another failed.
  counted.passed += output.match(/^\s*[✔√] /gm)?.length ?? 0;
  return code === 0;
}

async function addon() {
  const read = () => GENERATED.map((name) => readFileSync(join(root, name), 'utf8'));
  let before;
  try {
    before = read();
  } catch {
    before = [];
  }
  await buildAddon();
  const after = read();
  const stale = GENERATED.filter((_, at) => before[at] !== after[at]);
  if (stale.length === 0) return true;
  console.error(`${stale.join(' and ')} did not match the Rust code; commit what was just written`);
  return false;
}

const cargo = async (args, env) => (await run('cargo', args, { env })).code === 0;
const node = async (...args) => (await runTool(...args)).code === 0;

const CHECKS = {
  rustfmt: () => cargo(['fmt', '--all', '--check']),
  prettier: () => node('prettier', 'prettier', ['--check', '--log-level', 'warn', '.']),
  oxlint: () => node('oxlint', 'oxlint', ['--deny-warnings']),
  clippy: () => cargo(['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings']),
  doc: () => cargo(['doc', '--workspace', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' }),
  addon,
  facade: async () => (await buildFacade(), true),
  types: () => node('typescript', 'tsc', ['-p', 'tsconfig.json']),
};
const TESTS = { rust, examples, loom, ava };
const STEPS = { ...CHECKS, ...TESTS };
const NEEDS = { ava: ['addon', 'facade'], types: ['addon', 'facade'] };

function chosen(args) {
  if (args.includes('--check')) return Object.keys(CHECKS);
  const unknown = args.find((name) => !(name in STEPS));
  if (unknown) {
    throw new Failure(`no step "${unknown}"; there are ${Object.keys(STEPS).join(', ')}`);
  }
  if (args.length === 0) return Object.keys(STEPS);
  const wanted = new Set(args.flatMap((name) => [...(NEEDS[name] ?? []), name]));
  return Object.keys(STEPS).filter((name) => wanted.has(name));
}

await main(async () => {
  const steps = chosen(process.argv.slice(2));
  needRust();
  await install();

  const broken = [];
  for (const name of steps) {
    if (NEEDS[name]?.some((other) => broken.includes(other) && other === 'facade')) {
      broken.push(name);
      continue;
    }
    heading(name);
    const start = performance.now();
    let good = false;
    try {
      good = await STEPS[name]();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(error.message);
    }
    if (!good) broken.push(name);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${good ? '✔' : '✘'} ${name} (${seconds} s)`);
  }

  if (broken.length > 0) {
    console.error(`\nnot passed: ${broken.join(', ')}`);
    process.exitCode = 1;
  }
  console.log(`\n${counted.passed} passed, ${counted.failed} failed`);
});
