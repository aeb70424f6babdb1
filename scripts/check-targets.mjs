// `npm run check:targets`: type-checks the crates for the platforms that this machine is not. The
// standard library is compiled from its source for each, since rustup need not have it.
//
//   npm run check:targets                    every target
//   npm run check:targets -- freebsd wasm    those with one of these words in their names

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, heading, main, root, run } from './lib.mjs';

const CRATES = ['evcore', 'evnode'];

const targetFolder = join(root, 'target', 'check-targets');

/** Each with the crates that can be there and the arguments that they need. */
const TARGETS = [
  { target: 'aarch64-unknown-linux-gnu' },
  // A library that Node loads is linked to the system's libc.
  { target: 'x86_64-unknown-linux-musl', flags: '-C target-feature=-crt-static' },
  { target: 'x86_64-pc-windows-gnu', compiler: 'x86_64-w64-mingw32-gcc' },
  { target: 'aarch64-apple-darwin' },
  { target: 'x86_64-unknown-freebsd' },
  { target: 'x86_64-unknown-illumos' },
  // WASI has no sockets and nothing to wait on: what is left is what needs neither.
  ...['wasm32-wasip1', 'wasm32-wasip1-threads'].map((target) => ({
    target,
    std: 'std,panic_abort',
    crates: ['evcore'],
    args: ['--lib', '--no-default-features', '--features', 'buffer'],
  })),
];

/** Debian's, whose source of the standard library is the compiler's own. */
const TOOLCHAIN = [
  { file: '/usr/bin/rustc', name: 'rustc-web' },
  { file: '/usr/bin/cargo', name: 'cargo-web' },
  { file: '/usr/lib/rustlib/src/rust/library', name: 'rust-web-src' },
];

/** What `apt-get install` has to install first, if anything. */
function missingPackages() {
  return TOOLCHAIN.filter(({ file }) => !existsSync(file)).map(({ name }) => name);
}

/** An empty `libnode.dll`, which napi's build script looks for though nothing is linked. */
function fakeLibnode() {
  const folder = join(targetFolder, 'libnode');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'libnode.dll'), '');
  return folder;
}

function isOnPath(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

async function check(crate, { target, std = 'std', args = ['--all-targets'], flags = '' }) {
  const { code, output } = await run(
    '/usr/bin/cargo',
    ['check', `-Zbuild-std=${std}`, '--target', target, '-p', crate, ...args],
    {
      capture: true,
      env: {
        PATH: `/usr/bin:${process.env.PATH}`,
        RUSTC: '/usr/bin/rustc',
        RUSTC_BOOTSTRAP: '1',
        RUSTFLAGS: flags,
        CARGO_TARGET_DIR: targetFolder,
        LIBNODE_PATH: fakeLibnode(),
      },
    },
  );
  if (code !== 0) return 'FAILED';
  return /^warning: /m.test(output) ? 'warnings' : 'ok';
}

await main(async () => {
  const missing = missingPackages();
  if (missing.length > 0) {
    throw new Failure(
      `the toolchain for other platforms is not installed: apt-get install ${missing.join(' ')}`,
    );
  }
  const words = process.argv.slice(2);
  const chosen = TARGETS.filter(
    ({ target }) => words.length === 0 || words.some((word) => target.includes(word)),
  );
  if (chosen.length === 0) throw new Failure(`no target is called ${words.join(' or ')}`);

  const rows = [];
  for (const entry of chosen) {
    const { target, compiler, crates = CRATES } = entry;
    const row = { target };
    for (const crate of CRATES) {
      if (!crates.includes(crate)) {
        row[crate] = '-';
        continue;
      }
      heading(`${crate} for ${target}`);
      row[crate] =
        compiler && !isOnPath(compiler) ? `needs ${compiler}` : await check(crate, entry);
    }
    rows.push(row);
  }

  heading('type checks');
  console.table(Object.fromEntries(rows.map(({ target, ...row }) => [target, row])));
  const failed = rows.filter((row) => CRATES.some((crate) => !['ok', '-'].includes(row[crate])));
  if (failed.length > 0) {
    throw new Failure(`not checked: ${failed.map(({ target }) => target).join(', ')}`);
  }
});
