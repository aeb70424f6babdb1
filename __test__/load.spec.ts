// What a program is told that was installed without the native binding.

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test, { type ExecutionContext } from 'ava';

import { temporaryFolder } from './support/peers';

const root = join(__dirname, '..');

/** Loads a copy of the package that has no binding of its own, and prints the error. */
async function load(t: ExecutionContext, prepare: (folder: string) => void, platform = '') {
  const folder = temporaryFolder(t);
  for (const name of ['dist', 'index.js', 'package.json']) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  prepare(folder);
  const code = `
    if (${JSON.stringify(platform)}) Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} });
    try { require('./dist/index.js'); console.log('{}'); }
    catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message, cause: String(error.cause) })); }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', code], { cwd: folder });
  return JSON.parse(stdout) as { code: string; message: string; cause: string };
}

test('a missing package of the platform is named, with what to run', async (t) => {
  const { code, message, cause } = await load(t, () => {});
  t.is(code, 'ERR_EVNODE_NO_BINDING');
  t.regex(message, new RegExp(`@evnode/binding-${process.platform}-${process.arch}`));
  t.regex(message, /--omit=optional/);
  t.regex(message, /npm install --include=optional/);
  t.notRegex(message, /npm has a bug/);
  t.truthy(cause);
});

test('a platform without a prebuilt binding is told to build from source', async (t) => {
  const { code, message } = await load(t, () => {}, 'sunos');
  t.is(code, 'ERR_EVNODE_NO_BINDING');
  t.regex(message, /no prebuilt binding for sunos-/);
  t.regex(message, /from source/);
});

test('a package of the platform that does not load says why', async (t) => {
  const names = ['gnu', 'musl', 'msvc'].map((abi) => `${process.platform}-${process.arch}-${abi}`);
  names.push(`${process.platform}-${process.arch}`);
  const { code, message } = await load(t, (folder) => {
    for (const name of names) {
      const target = join(folder, 'node_modules', '@evnode', `binding-${name}`);
      mkdirSync(target, { recursive: true });
      writeFileSync(join(target, 'package.json'), '{"main":"broken.js"}');
      writeFileSync(join(target, 'broken.js'), 'throw new Error("GLIBC_9.99 not found");');
    }
  });
  t.is(code, 'ERR_EVNODE_NO_BINDING');
  t.regex(message, /does not load: .*GLIBC_9\.99 not found/);
});
