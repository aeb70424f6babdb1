// Processes: building what is missing, starting servers and the load generator, reading what the kernel says.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const benchDir = fileURLToPath(new URL('..', import.meta.url));
export const rootDir = fileURLToPath(new URL('../..', import.meta.url));
const buildDir = `${benchDir}build`;

/** Thrown when a peer cannot run here; the message says what would make it run. */
export class Missing extends Error {}

/** Runs a command to its end and returns its standard output. Its failure throws, with what it printed. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error) throw result.error;
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed:\n${result.stderr}${result.stdout}`);
  return result.stdout;
}

export function has(command) {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

/**
 * Compiles one C file into bench/build/ unless the program there is newer. Returns the program's path. Throws
 * `Missing` where there is no compiler or not the library's header.
 */
export function compile(source, libraries = [], requirement) {
  const cc = process.env.CC ?? 'cc';
  if (!has(cc)) throw new Missing('a C compiler (Debian: apt-get install gcc)');
  if (requirement) {
    const input = `#include <${requirement.header}>\n`;
    if (spawnSync(cc, ['-fsyntax-only', '-xc', '-'], { input }).status !== 0)
      throw new Missing(requirement.missing);
  }
  const name = source.replace(/^.*\/|\.c$/g, '');
  const from = `${benchDir}${source}`;
  const to = `${buildDir}/${name}`;
  if (existsSync(to) && statSync(to).mtimeMs > statSync(from).mtimeMs) return to;
  mkdirSync(buildDir, { recursive: true });
  run(cc, ['-O2', '-Wall', '-Wextra', from, '-o', to, ...libraries]);
  return to;
}

// The server has one core and the load generator another, so that neither's CPU is the other's cache
// miss.
const canPin = process.platform === 'linux' && availableParallelism() >= 2 && has('taskset');
const pinned = (cpu, command) => (canPin ? ['taskset', '-c', String(cpu), ...command] : command);
export const pinning = canPin
  ? 'server on CPU 0, load on CPU 1'
  : 'not pinned (needs taskset and two CPUs)';

// 15,000 idle connections need more descriptors than most soft limits give. Where it is allowed,
// both processes go before the machine's other work: a server that waits for its core finds more
// messages at once when it gets it, and looks cheaper or dearer than it is.
const PRELUDE = `{
  ulimit -n "$(ulimit -Hn)"
  echo -15 >/proc/self/autogroup
  renice -n -15 -p $$
} >/dev/null 2>&1
exec "$@"`;
const launched = (cpu, command) => ['sh', '-c', PRELUDE, 'sh', ...pinned(cpu, command)];
// A session of its own, since the kernel groups processes by session (autogroup).
const ownSession = { detached: true };

/** Says so when the machine is at other work, which makes every figure of a bench doubtful. */
export function warnOfOtherWork() {
  const [load] = loadavg();
  if (load < availableParallelism() / 2) return;
  console.log(
    `WARNING: the machine is busy (load ${load.toFixed(1)}): measure again when it is not.`,
  );
}

/** Runs a command to its end on the server's CPU. Returns its standard output. */
export function runPinned(command) {
  const [program, ...args] = launched(0, command);
  return run(program, args, ownSession);
}

/** The most descriptors that a process may ask for here. */
export function hardDescriptorLimit() {
  const limit = run('sh', ['-c', 'ulimit -Hn']).trim();
  return limit === 'unlimited' ? Infinity : Number(limit);
}

function start(cpu, command) {
  const [program, ...args] = launched(cpu, command);
  const child = spawn(program, args, { stdio: 'pipe', ...ownSession });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  child.stdin.on('error', () => {}); // The process may be gone already; its exit status says so.
  const lines = createInterface({ input: child.stdout });
  const exited = new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  );
  child.once('error', (error) => (errors += error.message));
  return { child, lines, exited, errors: () => errors.trim() };
}

function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: no answer within ${milliseconds / 1000} s`)),
      milliseconds,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function nextLine({ lines, exited, errors }, what) {
  const line = new Promise((resolve) => lines.once('line', resolve));
  const gone = exited.then(({ code, signal }) => {
    throw new Error(`${what} ended early (${signal ?? code}): ${errors()}`);
  });
  return within(20_000, Promise.race([line, gone]), what);
}

/** Starts a peer and waits for its "port N". `stop()` closes its stdin and waits until it is gone. */
export async function startServer(command) {
  const process = start(0, command);
  const stop = async () => {
    process.child.stdin.end();
    try {
      await within(3000, process.exited, command.join(' '));
    } catch {
      process.child.kill('SIGKILL');
      await process.exited;
    }
  };
  try {
    const [, port] = /^port (\d+)$/.exec(await nextLine(process, command.join(' '))) ?? [];
    if (!port) throw new Error(`${command.join(' ')} did not print its port`);
    return {
      port: Number(port),
      pid: process.child.pid,
      signal: (name) => process.child.kill(name),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Runs the load generator, or another `program` of its kind, against a server to its end. Returns what it
 * measured; `busy` is the part of the time that the server was at work.
 */
export async function measure(
  server,
  { pattern, connections, size },
  { warmup, window },
  program = compile('load.c'),
) {
  const args = [pattern, server.port, server.pid, connections, size, warmup, window].map(String);
  const load = start(1, [program, ...args]);
  const lines = [];
  load.lines.on('line', (line) => lines.push(line));
  try {
    const { code, signal } = await within(10 * warmup + window + 30_000, load.exited, 'load');
    if (code !== 0) throw new Error(load.errors() || `load ended with ${signal ?? code}`);
  } catch (error) {
    load.child.kill('SIGKILL');
    throw error;
  }
  const result = JSON.parse(lines[0]);
  return {
    cpu: result.server_cpu_ns / result.ops,
    rate: (result.ops * 1e9) / result.elapsed_ns,
    busy: result.server_cpu_ns / result.elapsed_ns,
  };
}

/** Starts the load generator that opens idle connections on request. */
export function startIdleLoad(server) {
  const load = start(1, [compile('load.c'), 'idle', String(server.port), String(server.pid)]);
  const ask = async (line) => {
    load.child.stdin.write(`${line}\n`);
    return JSON.parse(await nextLine(load, 'load'));
  };
  const stop = async () => {
    load.child.stdin.end();
    await within(10_000, load.exited, 'load').catch(() => load.child.kill('SIGKILL'));
  };
  return {
    open: (count) => ask(`open ${count}`),
    serverCpu: async () => (await ask('cpu')).server_cpu_ns,
    stop,
  };
}

/** Resident memory of a process in bytes, as the kernel counts it now. */
export function residentBytes(pid) {
  const [, kib] =
    /^Rss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** The most that this ever was. */
export function peakBytes(pid) {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** What all threads of a process have had of CPU time, in nanoseconds. */
export function cpuTime(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const time = (thread) => {
    const [running] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return Number(running);
  };
  return threads.reduce((sum, thread) => sum + time(thread), 0);
}

export const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;
