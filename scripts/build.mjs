// Builds evnode: the addon (Rust, by napi) and the TypeScript facade. What is up to date is left
// alone. `--debug` builds the addon without optimisation.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { buildEsm } from './build-esm.mjs';
import { Failure, heading, install, main, needRust, root, runTool, whenChanged } from './lib.mjs';

/** The loader and the types that `napi build` writes; both are committed. */
export const GENERATED = ['index.js', 'index.d.ts'];

const addons = () => readdirSync(root).filter((name) => name.endsWith('.node'));

/** Builds the addon for this machine. */
export function buildAddon({ debug = false } = {}) {
  const profile = debug ? 'debug' : 'release';
  const inputs = ['crates', 'Cargo.toml', 'Cargo.lock', 'package.json'];
  const outputs = () => [...GENERATED, ...addons()];
  return whenChanged('addon', { salt: profile, inputs, outputs }, async () => {
    heading(`building the addon (${profile})`);
    const args = ['build', '--platform', '--package', 'evnode', '--output-dir', '.'];
    args.push('--manifest-path', 'crates/evnode/Cargo.toml', '--js', 'index.js');
    args.push('--dts', 'index.d.ts');
    if (!debug) args.push('--release');
    const { code } = await runTool('@napi-rs/cli', 'napi', args);
    if (code !== 0) {
      throw new Failure(
        'The addon did not build. If the messages above speak of a missing linker (`cc`, `link.exe`),\n' +
          'install a C compiler: build-essential, the Xcode command line tools or Visual Studio Build Tools.',
      );
    }
  });
}

/** Compiles `src/` to `dist/`, for both module systems. */
export function buildFacade() {
  const inputs = ['src', 'index.d.ts', 'tsconfig.json', 'tsconfig.build.json', 'scripts'];
  return whenChanged('facade', { inputs, outputs: () => ['dist'] }, async () => {
    heading('building the TypeScript facade');
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    const { code } = await runTool('typescript', 'tsc', ['-p', 'tsconfig.build.json']);
    if (code !== 0) throw new Failure('src/ does not compile');
    buildEsm();
  });
}

/** Installs what is missing and builds everything. */
export async function build(options) {
  needRust();
  await install();
  await buildAddon(options);
  await buildFacade();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => build({ debug: process.argv.includes('--debug') }));
}
