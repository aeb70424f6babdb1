// Packs what npm would publish of this build, installs it as a user would and runs programs against it.
//
//   npm run test:tarball [-- node20 node22 node24 bun deno]
//
// The packages are made by `napi`'s own commands and served by a registry on loopback, so that npm
// chooses among the optional packages as it does in the field. No Rust is on the PATH meanwhile. The
// runtimes come from npm, once, into node_modules/.cache.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { build } from './build.mjs';
import { Failure, heading, main, root, run, runTool, tool } from './lib.mjs';

const RUNTIMES = {
  node20: { packages: ['node@20'], command: ['node'] },
  node22: { packages: ['node@22'], command: ['node'] },
  node24: { packages: ['node@24'], command: ['node'] },
  bun: { packages: ['bun@1'], command: ['bun', 'run'] },
  deno: {
    packages: ['deno@2'],
    command: ['deno', 'run', '--allow-all', '--node-modules-dir=manual'],
  },
};
/** The most that the package of a platform may weigh when it is unpacked, in bytes. */
const MOST_UNPACKED = 6 * 1024 * 1024;

const PROGRAM = `
const base = new EventBase();
const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
  conn.setCallbacks({ read: (bev) => { bev.forward(bev); } });
});
const address = listener.address();
if (address === null || address.port === undefined) throw new Error('no address');
base.connect({ port: address.port }).then(async (client) => {
  client.write('packed\\n');
  for await (const line of client.lines()) {
    console.log(line, base.attachment);
    break;
  }
  base.free();
});
`;
const PROGRAMS = {
  'commonjs.cjs': `const { EventBase } = require('evnode');${PROGRAM}`,
  'module.mjs': `import { EventBase } from 'evnode';${PROGRAM}`,
  'typed.mts': `import { EventBase, type BufferEvent } from 'evnode';
const typed = (bev: BufferEvent): number => bev.inputLength;
void typed;${PROGRAM}`,
};

const packageJson = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** The targets whose addon stands in the project's root. */
function builtTargets() {
  const built = readdirSync(root).filter((name) => name.endsWith('.node'));
  const targets = packageJson(root).napi.targets.filter((target) => {
    const [arch, , system, abi] = target.replace('pc-windows', 'pc-win32').split('-');
    const cpu = { x86_64: 'x64', aarch64: 'arm64' }[arch];
    const platform = { linux: 'linux', darwin: 'darwin', win32: 'win32', freebsd: 'freebsd' };
    const name = [platform[system] ?? system, cpu, abi].filter(Boolean).join('-');
    return built.includes(`evnode.${name}.node`);
  });
  return { built, targets };
}

/** Makes the tarballs in `folder` with napi's commands. */
async function pack(folder) {
  const stage = join(folder, 'stage');
  mkdirSync(join(stage, 'artifacts'), { recursive: true });
  const pack = packageJson(root);
  const { built, targets } = builtTargets();
  if (targets.length === 0) throw new Failure('no addon is built here: npm run build');
  for (const name of [...pack.files, 'README.md', 'npm']) {
    cpSync(join(root, name), join(stage, name), { recursive: true });
  }
  for (const name of built) cpSync(join(root, name), join(stage, 'artifacts', name));
  const staged = { ...pack, napi: { ...pack.napi, targets } };
  writeFileSync(join(stage, 'package.json'), JSON.stringify(staged, null, 2));
  for (const args of [
    ['artifacts', '--output-dir', 'artifacts', '--npm-dir', 'npm', '--cwd', stage],
    ['pre-publish', '-t', 'npm', '--skip-optional-publish', '--no-gh-release', '--cwd', stage],
  ]) {
    const { code } = await runTool('@napi-rs/cli', 'napi', args, { capture: true });
    if (code !== 0) throw new Failure(`napi ${args[0]} failed`);
  }
  const tarballs = [];
  const platforms = readdirSync(join(stage, 'npm')).map((name) => join(stage, 'npm', name));
  for (const from of [stage, ...platforms]) {
    const { files } = packageJson(from);
    if (from !== stage && !files.every((name) => existsSync(join(from, name)))) continue;
    const result = spawnSync(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      {
        cwd: from,
        encoding: 'utf8',
        shell: process.platform === 'win32',
      },
    );
    if (result.status !== 0) throw new Failure(`npm pack failed:\n${result.stderr}`);
    const printed = JSON.parse(result.stdout);
    const [{ filename, unpackedSize }] = Array.isArray(printed) ? printed : Object.values(printed);
    const path = join(folder, filename);
    tarballs.push({ manifest: packageJson(from), path, unpackedSize });
  }
  return tarballs;
}

/** A registry that knows these packages only. */
async function serve(tarballs) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    const byFile = tarballs.find(({ path: file }) => path.endsWith(file.split(/[\\/]/).pop()));
    if (path.endsWith('.tgz') && byFile) return response.end(readFileSync(byFile.path));
    const found = tarballs.find(({ manifest }) => manifest.name === path);
    if (!found) return response.writeHead(404).end('{}');
    const { manifest, path: file } = found;
    const content = readFileSync(file);
    const integrity = `sha512-${createHash('sha512').update(content).digest('base64')}`;
    const tarball = `http://127.0.0.1:${server.address().port}/${file.split(/[\\/]/).pop()}`;
    const version = { ...manifest, dist: { tarball, integrity } };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name: manifest.name,
        'dist-tags': { latest: manifest.version },
        versions: { [manifest.version]: version },
      }),
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}/` };
}

/** Puts programs in the way of Rust's and the C compiler, so that using any of them fails. */
function hideCompilers(folder) {
  const path = join(folder, 'bin');
  mkdirSync(path);
  for (const name of ['cargo', 'rustc', 'cc', 'gcc', 'clang']) {
    writeFileSync(join(path, name), '#!/bin/sh\nexit 127\n', { mode: 0o755 });
  }
  process.env.PATH = `${path}${delimiter}${process.env.PATH}`;
}

function project(folder, name) {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, private: true }));
  for (const [file, code] of Object.entries(PROGRAMS)) writeFileSync(join(path, file), code);
  return path;
}

async function npm(cwd, registry, ...args) {
  const all = [...args, '--registry', registry, '--no-audit', '--no-fund', '--loglevel=error'];
  all.push('--cache', join(cwd, '.npm-cache'));
  const { code } = await runIn(cwd, 'npm', all);
  if (code !== 0) throw new Failure(`npm ${args.join(' ')} failed in an empty project`);
}

/** Runs a program while our registry goes on to answer. */
const runIn = (cwd, command, args, options = {}) =>
  run(command, args, {
    cwd,
    capture: true,
    env: { NODE_OPTIONS: '' },
    shell: process.platform === 'win32',
    ...options,
  });

/** The program of a runtime, which npm installs when it is used first. */
async function runtime(name) {
  const cache = join(root, 'node_modules', '.cache', 'runtimes', name);
  const { packages, command } = RUNTIMES[name];
  const bin = join(cache, 'node_modules', '.bin');
  if (!existsSync(bin)) {
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'package.json'), '{"private":true}');
    const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages];
    // The installers of these packages put the program in its place.
    const { code } = await run('npm', args, { cwd: cache, shell: process.platform === 'win32' });
    if (code !== 0) throw new Failure(`npm could not install ${packages.join(' ')}`);
  }
  return [join(bin, command[0]), ...command.slice(1)];
}

async function programs(cwd, names) {
  const tsc = tool('typescript', 'tsc');
  const flags = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--skipLibCheck',
    'false',
  ];
  flags.push('--lib', 'ES2022,ESNext.Disposable', '--types', 'node');
  flags.push('--typeRoots', join(root, 'node_modules', '@types'));
  const compiled = await runIn(cwd, process.execPath, [tsc, ...flags, 'typed.mts']);
  const table = [];
  for (const name of names) {
    const [program, ...args] = await runtime(name);
    const row = { runtime: name };
    for (const file of ['commonjs.cjs', 'module.mjs', 'typed.mjs']) {
      const { code, output } = await runIn(cwd, program, [...args, file]);
      const works = code === 0 && /^packed \w+$/m.test(output);
      row[file] = works ? output.trim().split(' ').pop() : `failed (${code})`;
    }
    table.push(row);
  }
  return { table, typed: compiled.code === 0 };
}

await main(async () => {
  const asked = process.argv.slice(2);
  const names = asked.length > 0 ? asked : Object.keys(RUNTIMES);
  const unknown = names.filter((name) => !(name in RUNTIMES));
  if (unknown.length > 0) throw new Failure(`the runtimes are ${Object.keys(RUNTIMES).join(', ')}`);
  await build();
  const folder = mkdtempSync(join(tmpdir(), 'evnode-tarball-'));
  const failures = [];
  const check = (what, holds) => {
    console.log(`${holds ? 'ok    ' : 'FAILED'} ${what}`);
    if (!holds) failures.push(what);
  };
  let server;
  try {
    heading('packing');
    const tarballs = await pack(folder);
    for (const { manifest, path, unpackedSize } of tarballs) {
      const packed = (statSync(path).size / 1024).toFixed(0);
      const unpacked = `${(unpackedSize / 1024).toFixed(0)} KiB unpacked`;
      check(`${manifest.name}: ${packed} KiB, ${unpacked}`, unpackedSize < MOST_UNPACKED);
    }
    const registry = await serve(tarballs);
    server = registry.server;

    heading('installing');
    hideCompilers(folder);
    const plain = project(folder, 'plain');
    await npm(plain, registry.url, 'install', 'evnode');
    const { table, typed } = await programs(plain, names);
    check('a TypeScript program type-checks against the package', typed);
    console.table(table);
    for (const { runtime: name, ...files } of table) {
      const works = Object.values(files).every((result) => !result.startsWith('failed'));
      check(`CommonJS, ES modules and TypeScript run in ${name}`, works);
    }

    heading('installing without optional packages');
    const bare = project(folder, 'bare');
    await npm(bare, registry.url, 'install', 'evnode', '--omit=optional');
    const { code, output } = await runIn(bare, process.execPath, ['commonjs.cjs']);
    check(
      'the error names the package that is missing',
      code !== 0 && /ERR_EVNODE_NO_BINDING/.test(output),
    );

    heading('installing by the lockfile of another system');
    const foreign = project(folder, 'foreign');
    await npm(foreign, registry.url, 'install', 'evnode', '--os=aix', '--cpu=ppc64');
    rmSync(join(foreign, 'node_modules'), { recursive: true, force: true });
    await npm(foreign, registry.url, 'ci');
    const ran = await runIn(foreign, process.execPath, ['commonjs.cjs']);
    check('npm ci brings the package of this system', ran.code === 0);

    heading('publint');
    const lint = await runIn(join(folder, 'stage'), 'npm', [
      'exec',
      '--yes',
      '--',
      'publint@0.3',
      '--strict',
    ]);
    check('publint has nothing to say', lint.code === 0);
    const attw = ['exec', '--yes', '--', '@arethetypeswrong/cli@0.18', tarballs[0].path];
    const types = await runIn(join(folder, 'stage'), 'npm', attw);
    check('arethetypeswrong has nothing to say', types.code === 0);
  } finally {
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  if (failures.length > 0) throw new Failure(`${failures.length} checks failed`);
});
