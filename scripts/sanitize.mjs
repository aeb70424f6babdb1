// `npm run sanitize`: runs evcore's tests under the address sanitizer, which looks for leaks too, and
// under the thread sanitizer.
//
//   npm run sanitize               both
//   npm run sanitize -- thread     just this one

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, heading, main, needRust, root, run } from './lib.mjs';

// Some tests ask for more memory than there is, and have to be told so as without a sanitizer.
const RETURN_NULL = 'allocator_may_return_null=1';

const SANITIZERS = {
  address: { runtime: 'asan', env: 'ASAN_OPTIONS', options: [RETURN_NULL] },
  thread: {
    runtime: 'tsan',
    env: 'TSAN_OPTIONS',
    // A test starts a thread in a forked process, which is all that the sanitizer's default forbids.
    options: [RETURN_NULL, 'die_after_fork=0'],
    // With a standard library that is not instrumented, it would see races where there are none.
    buildStd: true,
  },
};

const rustc = (...args) => execFileSync('rustc', args, { cwd: root, encoding: 'utf8' }).trim();

/** What has to be installed before a sanitizer can run, if anything. */
function missing({ runtime, buildStd }) {
  const libraries = readdirSync(rustc('--print', 'target-libdir'));
  if (!libraries.some((name) => name.includes(`_rt.${runtime}.`))) {
    return `Rust's own toolchain, of a platform that has it (${rustc('--version')} lacks ${runtime})`;
  }
  const source = join(rustc('--print', 'sysroot'), 'lib/rustlib/src/rust/library/Cargo.toml');
  if (buildStd && !existsSync(source)) return 'rustup component add rust-src';
  return undefined;
}

async function sanitize(name, { env, options, buildStd }) {
  const target = /^host: (.+)$/m.exec(rustc('-vV'))[1];
  const args = ['test', '-p', 'evcore', '--tests', '--no-fail-fast', '--target', target];
  if (buildStd) args.push('-Zbuild-std');
  const { code, output } = await run('cargo', args, {
    capture: true,
    env: {
      CARGO_TARGET_DIR: join(root, 'target', 'sanitize', name),
      // Lets a stable compiler take `-Z` options.
      RUSTC_BOOTSTRAP: '1',
      RUSTFLAGS: `-Zsanitizer=${name}`,
      [env]: options.concat(process.env[env] ?? []).join(':'),
    },
  });
  const sum = (pattern) => [...output.matchAll(pattern)].reduce((sum, [, n]) => sum + Number(n), 0);
  return {
    result: code === 0 ? 'ok' : 'FAILED',
    passed: sum(/^test result: .*? (\d+) passed;/gm),
    failed: sum(/^test result: .*? (\d+) failed;/gm),
    reports: output.match(/^SUMMARY: \w+Sanitizer: /gm)?.length ?? 0,
  };
}

await main(async () => {
  needRust();
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SANITIZERS);
  const unknown = chosen.find((name) => !(name in SANITIZERS));
  if (unknown) {
    throw new Failure(`no sanitizer "${unknown}"; there are ${Object.keys(SANITIZERS).join(', ')}`);
  }

  const rows = {};
  for (const name of chosen) {
    heading(`${name} sanitizer`);
    const needed = missing(SANITIZERS[name]);
    rows[name] = needed ? { result: 'not run' } : await sanitize(name, SANITIZERS[name]);
    if (needed) console.error(`the ${name} sanitizer needs: ${needed}`);
  }

  heading('evcore under sanitizers');
  console.table(rows);
  const bad = chosen.filter((name) => rows[name].result !== 'ok');
  if (bad.length > 0) throw new Failure(`not passed: ${bad.join(', ')}`);
});
