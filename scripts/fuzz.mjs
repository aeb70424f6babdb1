// `npm run fuzz`: runs a fuzz target of fuzz/ under the address sanitizer, without cargo-fuzz and on
// rustup's stable toolchain.
//
//   npm run fuzz                   the list of targets
//   npm run fuzz -- evbuffer       60 seconds of one
//   npm run fuzz -- evbuffer 600   so many seconds
//
// It starts from the inputs that are kept in fuzz/corpus/TARGET. What it finds goes to
// fuzz/target/corpus/TARGET, and an input that fails to fuzz/artifacts/TARGET; give the path of such a
// file in place of the seconds to run it alone. `--keep` after the seconds puts the smallest set of
// inputs that reaches all the code into fuzz/corpus.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, heading, main, needRust, root, run } from './lib.mjs';

const fuzz = join(root, 'fuzz');

/** What cargo-fuzz asks of the compiler: coverage for libFuzzer, and the address sanitizer. */
const FLAGS = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Zsanitizer=address',
  '-Ccodegen-units=1',
  '--cfg=fuzzing',
];

/** Inputs longer than this are no use: a fault shows in few operations. */
const MAX_LEN = 4096;

const targets = () =>
  readdirSync(join(fuzz, 'fuzz_targets')).map((name) => name.replace(/\.rs$/, ''));

async function build(name) {
  const target = /^host: (.+)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1];
  const args = ['build', '--release', '--bin', name, '--target', target];
  const { code } = await run('cargo', [...args, '--manifest-path', join(fuzz, 'Cargo.toml')], {
    env: {
      CARGO_TARGET_DIR: join(fuzz, 'target'),
      // Lets a stable compiler take `-Z` options.
      RUSTC_BOOTSTRAP: '1',
      RUSTFLAGS: FLAGS.join(' '),
    },
  });
  if (code !== 0) throw new Failure(`the target ${name} does not build`);
  return join(fuzz, 'target', target, 'release', name);
}

await main(async () => {
  const [name, what = '60', keep] = process.argv.slice(2);
  if (name === undefined) {
    console.log(`targets: ${targets().join(', ')}`);
    return;
  }
  if (!targets().includes(name)) {
    throw new Failure(`no target "${name}"; there are ${targets().join(', ')}`);
  }
  const input = existsSync(what);
  if (!input && !(Number(what) > 0)) {
    throw new Failure(`"${what}" is neither a number of seconds nor a file`);
  }
  needRust();
  const binary = await build(name);
  heading(`fuzzing ${name}`);
  const folder = (...path) => {
    const made = join(fuzz, ...path, name);
    mkdirSync(made, { recursive: true });
    return made;
  };
  const found = folder('target', 'corpus');
  const kept = folder('corpus');
  const options = [`-artifact_prefix=${folder('artifacts')}/`, `-max_len=${MAX_LEN}`];
  const env = { ASAN_OPTIONS: 'allocator_may_return_null=1' };
  const work = input ? [what] : [`-max_total_time=${what}`, '-print_final_stats=1', found, kept];
  const { code } = await run(binary, [...options, ...work], { env });
  if (code !== 0) throw new Failure(`${name} failed; the input is in fuzz/artifacts/${name}`);
  if (keep === '--keep') {
    const merged = await run(
      binary,
      [...options, '-set_cover_merge=1', '-use_counters=0', kept, found],
      { env },
    );
    if (merged.code !== 0) throw new Failure('the inputs could not be merged');
  }
});
