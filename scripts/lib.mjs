// What the other scripts share. Nothing here depends on a package: `npm run demo` and `npm test`
// are the first commands that a fresh clone ever sees, before `node_modules` exists.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** An error whose message is all that the reader needs: printed without a stack trace. */
export class Failure extends Error {}

/** Prints a heading between the outputs of the steps. */
export function heading(text) {
  console.log(`\n▸ ${text}`);
}

/**
 * Runs a program, in the project's root by default, and resolves to `{ code, output }` once it has ended. The
 * output goes through to the terminal as it comes; it is also kept when `capture` is set.
 */
export function run(command, args, { capture = false, cwd = root, env = {}, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      shell,
      stdio: capture ? ['inherit', 'pipe', 'pipe'] : 'inherit',
    });
    let output = '';
    if (capture) {
      for (const [from, to] of [
        [child.stdout, process.stdout],
        [child.stderr, process.stderr],
      ]) {
        from.setEncoding('utf8');
        from.on('data', (text) => {
          output += text;
          to.write(text);
        });
      }
    }
    child.on('error', (error) => {
      reject(new Failure(`cannot run ${command}: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      if (signal) console.error(`${command} was ended by ${signal}`);
      resolve({ code: code ?? 1, output });
    });
  });
}

/** As {@link run}, but a program that fails ends the script. */
export async function mustRun(what, command, args, options) {
  const { code } = await run(command, args, options);
  if (code !== 0) throw new Failure(`${what} failed (exit code ${code})`);
}

/** The JavaScript file behind a program of one of our development dependencies. */
export function tool(packageName, program = packageName) {
  const folder = join(root, 'node_modules', packageName);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[program]);
}

/** Runs a program of one of our development dependencies with this Node. */
export function runTool(packageName, program, args, options) {
  return run(process.execPath, [tool(packageName, program), ...args], options);
}

/** Stops with a hint when Rust or a C compiler's driver is not there. */
export function needRust() {
  const { status } = spawnSync('cargo', ['--version'], { cwd: root, stdio: 'ignore' });
  if (status === 0) return;
  throw new Failure(
    'evnode is built from source here and needs Rust (1.88 or newer) and a C compiler to link with.\n' +
      'Install Rust from https://rustup.rs, open a new terminal so that `cargo` is on the PATH,\n' +
      'and run the command again.',
  );
}

/** Runs `npm ci` when `node_modules` is missing or older than the lock file. */
export async function install() {
  const lock = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  heading('installing the development dependencies (npm ci)');
  const npm = process.env['npm_execpath'];
  const args = ['ci', '--no-audit', '--no-fund'];
  if (npm && /\.c?js$/.test(npm)) await mustRun('npm ci', process.execPath, [npm, ...args]);
  else await mustRun('npm ci', 'npm', args, { shell: process.platform === 'win32' });
}

function* filesUnder(path) {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  for (const name of readdirSync(path).sort()) yield* filesUnder(join(path, name));
}

function digest(salt, paths) {
  const hash = createHash('sha256').update(salt);
  for (const path of paths) {
    for (const file of filesUnder(join(root, path))) {
      const bytes = readFileSync(file);
      hash.update(`\0${relative(root, file)}\0${bytes.length}\0`).update(bytes);
    }
  }
  return hash.digest('hex');
}

/**
 * Runs `build` unless what it made from the same inputs still stands untouched; resolves to whether
 * it ran. Contents are compared, not times, so that switching branches back and forth is free.
 */
export async function whenChanged(name, { salt = '', inputs, outputs }, build) {
  const stamp = join(root, 'target', `${name}.stamp`);
  const state = () => `${digest(salt, inputs)} ${digest('', outputs())}`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state()) return false;
  await build();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, state());
  return true;
}

/** Runs a script's main function: a failure is printed plainly and sets the exit code. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}
