// A file of 1 GiB sent over the loopback: the server's CPU time and the most memory that it ever had. The
// file is sparse, so that neither a disk nor room for it is needed.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import { benchDir, cpuTime, peakBytes, startServer } from '../lib/system.mjs';

export const title = 'CPU and peak memory of a server that sends a file of 1 GiB';

const SIZE = 2 ** 30;
const peerNames = ['evnode', 'evnode-read', 'node'];
const labels = {
  evnode: 'evnode: a file segment',
  'evnode-read': 'evnode: a file segment, without sendfile',
  node: 'node: createReadStream().pipe(socket)',
};

/** Receives until the end and returns how many bytes that were. */
function receive(port) {
  return new Promise((resolve, reject) => {
    let received = 0;
    const onread = {
      buffer: Buffer.alloc(2 ** 18),
      callback: (count) => ((received += count), true),
    };
    const socket = net.connect({ port, host: '127.0.0.1', onread });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

async function runOnce(name, path, size) {
  const server = await startServer([process.execPath, `${benchDir}peers/file.mjs`, name, path]);
  try {
    // The first connection is for the just-in-time compiler and the first steps of the memory.
    await receive(server.port);
    const before = cpuTime(server.pid);
    const start = performance.now();
    const received = await receive(server.port);
    const seconds = (performance.now() - start) / 1000;
    if (received !== size) throw new Error(`received ${received} of ${size} bytes`);
    return {
      cpu: cpuTime(server.pid) - before,
      rate: size / seconds,
      peak: peakBytes(server.pid),
    };
  } finally {
    await server.stop();
  }
}

export async function run({ only, quick }) {
  const chosen = only.peers ?? peerNames;
  const unknown = chosen.find((name) => !peerNames.includes(name));
  if (unknown)
    throw new Error(`There is no peer named ${unknown}. There are: ${peerNames.join(', ')}`);
  const rounds = quick ? 2 : 5;
  const size = quick ? SIZE / 4 : SIZE;
  console.log(
    `${machine()}; Node ${process.versions.node}; ${size / 2 ** 20} MiB over the loopback`,
  );

  const folder = mkdtempSync(join(tmpdir(), 'evnode-bench-'));
  const path = join(folder, 'file');
  let runs;
  try {
    const file = openSync(path, 'w');
    ftruncateSync(file, size);
    closeSync(file);
    const peers = chosen.map((name) => ({ name }));
    const runPeer = ({ name }) => runOnce(name, path, size);
    runs = [...(await alternate(peers, rounds, 'a file', runPeer))];
  } finally {
    rmSync(folder, { recursive: true });
  }

  const node = runs.find(([name]) => name === 'node')?.[1];
  const milliseconds = (nanoseconds) => (nanoseconds / 1e6).toFixed(0);
  console.log();
  printTable(
    ['peer', 'CPU ms', 'lowest', 'highest', 'of node', 'MiB/s', 'peak MiB', 'runs'],
    runs.map(([name, list]) => {
      const cpu = range(list, 'cpu');
      return [
        name,
        milliseconds(cpu.median),
        milliseconds(cpu.lowest),
        milliseconds(cpu.highest),
        pairedRatio(list, node, 'cpu'),
        (range(list, 'rate').median / 2 ** 20).toFixed(0),
        (range(list, 'peak').median / 2 ** 20).toFixed(0),
        String(list.length),
      ];
    }),
  );
  if (only.peers || quick) return;
  const rows = runs.map(([name, list]) => ({
    bench: 'file',
    case: '1 GiB',
    peer: name,
    cpu_ns_per_op: Math.round(range(list, 'cpu').median),
    ops_per_s: range(list, 'rate').median / SIZE,
    runs: list.length,
    peak_bytes: Math.round(range(list, 'peak').median),
  }));
  writeResults('file', rows, {
    title: 'CPU of a server that sends a file of 1 GiB (shorter is better)',
    notes: [
      `median of ${rounds} alternating runs, each in a process of its own`,
      `Node ${process.versions.node}; ${machine()}`,
    ],
    format: (value) => `${value.toFixed(0)} ms`,
    panels: [
      {
        title: 'milliseconds of CPU',
        bars: rows.map(({ peer, cpu_ns_per_op }) => ({
          label: labels[peer],
          value: cpu_ns_per_op / 1e6,
          kind: peer === 'node' ? 'peer' : 'ours',
        })),
      },
    ],
  });
}
