// Who takes part. A peer's `prepare()` builds or finds its program and returns the command without its mode
// argument, or throws `Missing` with what to install.

import { existsSync, readFileSync } from 'node:fs';
import { benchDir, compile, has, Missing, rootDir, run } from './system.mjs';

function prepareEvnode(...mode) {
  return evnodeCommand('evnode.mjs', ...mode);
}

function evnodeCommand(server, ...mode) {
  if (!existsSync(`${rootDir}dist/index.mjs`))
    throw new Missing('evnode itself, built: npm install && npm run build');
  return { command: [process.execPath, '--expose-gc', `${benchDir}peers/${server}`, ...mode] };
}

/** Builds one program of the evcore peer. Returns its path. */
export function buildRust(name) {
  if (!has('cargo')) throw new Missing('Rust (https://rustup.rs)');
  const args = [
    'build',
    '--release',
    '--package',
    'evcore-bench',
    '--bin',
    name,
    '--message-format=json-render-diagnostics',
  ];
  const messages = run('cargo', args, { cwd: rootDir })
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return messages.find((message) => message.executable).executable;
}

/** Compiles one program on C libevent. Returns its path. */
export function buildLibevent(source) {
  return compile(source, ['-levent_core'], {
    header: 'event2/bufferevent.h',
    missing: "libevent's headers (Debian: apt-get install libevent-dev)",
  });
}

function prepareLibevent() {
  const program = buildLibevent('peers/libevent.c');
  return { command: [program], version: run(program, ['version']).trim() };
}

function prepareNode() {
  return {
    command: [process.execPath, '--expose-gc', `${benchDir}peers/node.mjs`],
    version: process.versions.node,
  };
}

/** Installs the npm packages that take part, unless they are there. Returns their versions by name. */
export function installPackages() {
  const { dependencies } = JSON.parse(readFileSync(`${benchDir}package.json`, 'utf8'));
  const installed = (name) => {
    const manifest = `${benchDir}node_modules/${name}/package.json`;
    return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : null;
  };
  const missing = Object.keys(dependencies).filter(
    (name) => installed(name) !== dependencies[name],
  );
  if (missing.length > 0) {
    const names = missing.map((name) => `${name} ${dependencies[name]}`).join(', ');
    console.log(`installing ${names} from npm, this once ...`);
    try {
      run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: benchDir });
    } catch (error) {
      throw new Missing(
        `${names}: "npm install" in bench/ failed: ${error.message.split('\n')[1] ?? error.message}`,
      );
    }
  }
  return dependencies;
}

function prepareBun(server = 'bun.mjs') {
  const { bun } = installPackages();
  return {
    command: [`${benchDir}node_modules/bun/bin/bun.exe`, `${benchDir}peers/${server}`],
    version: bun,
  };
}

/** Compiles one program on OpenSSL. Returns its path. */
export function buildOpenssl(source) {
  return compile(source, ['-lssl', '-lcrypto'], {
    header: 'openssl/ssl.h',
    missing: "OpenSSL's headers (Debian: apt-get install libssl-dev)",
  });
}

/** The servers of the TLS bench, which take a certificate and its key as arguments. */
export const tlsPeers = [
  { name: 'evnode', ours: true, prepare: () => evnodeCommand('evnode-tls.mjs') },
  { name: 'evcore', ours: true, prepare: () => ({ command: [buildRust('tls')] }) },
  {
    name: 'node',
    prepare: () => ({
      command: [process.execPath, `${benchDir}peers/node-tls.mjs`],
      version: process.versions.node,
    }),
  },
  { name: 'bun', prepare: () => prepareBun('bun-tls.mjs') },
  { name: 'floor', prepare: () => ({ command: [buildOpenssl('peers/floor_tls.c')] }) },
];

/** In the order of the tables and charts. `collects`: has a garbage collector that SIGUSR2 starts. */
export const peers = [
  { name: 'evnode', ours: true, collects: true, prepare: () => prepareEvnode('attached') },
  { name: 'evnode-nested', ours: true, prepare: () => prepareEvnode('nested') },
  { name: 'evnode-waiter', ours: true, prepare: () => prepareEvnode('waiter') },
  { name: 'evnode-blocking', ours: true, prepare: () => prepareEvnode('blocking') },
  { name: 'evcore', ours: true, prepare: () => ({ command: [buildRust('evcore-bench')] }) },
  { name: 'node', collects: true, prepare: prepareNode },
  { name: 'bun', collects: true, prepare: () => prepareBun() },
  { name: 'libevent', prepare: prepareLibevent },
  { name: 'floor', prepare: () => ({ command: [compile('peers/floor.c')] }) },
];

/** How a chart shows a peer. */
export function kindOf(name) {
  if (name === 'floor') return 'reference';
  return peers.find((peer) => peer.name === name)?.ours ? 'ours' : 'peer';
}

/** Prepares the peers of these names; those that cannot run are named on the console with the reason. */
export function preparePeers(names, all = peers) {
  const unknown = names.find((name) => !all.some((peer) => peer.name === name));
  if (unknown !== undefined) {
    throw new Error(
      `There is no peer named ${unknown}. There are: ${all.map(({ name }) => name).join(', ')}`,
    );
  }
  const ready = [];
  for (const peer of all.filter(({ name }) => names.includes(name))) {
    try {
      ready.push({ ...peer, ...peer.prepare() });
    } catch (error) {
      if (error instanceof Missing) {
        console.log(`skipped ${peer.name}: needs ${error.message}`);
      } else {
        console.log(`FAILED ${peer.name}: ${error.message}`);
        process.exitCode = 1;
      }
    }
  }
  return ready;
}

/** "Node 20.20.2, Bun 1.4.5": the versions of the peers that have one. */
export function versions(ready) {
  return ready
    .filter(({ version }) => version)
    .map(({ name, version }) => `${name} ${version}`)
    .join(', ');
}
