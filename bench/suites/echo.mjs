// TCP servers side by side: the same echo and the same sink, one load generator, the server's CPU per message.

import { kindOf, preparePeers, versions } from '../lib/peers.mjs';
import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import { measure, pinning, startServer } from '../lib/system.mjs';

export const title = 'TCP echo and one-way sink: CPU of the server per message, every peer';

const peerNames = [
  'evnode',
  'evnode-nested',
  'evnode-waiter',
  'evnode-blocking',
  'evcore',
  'node',
  'bun',
  'libevent',
  'floor',
];

const cases = [
  {
    name: '64Bx64',
    text: 'echo, 64 B × 64 connections',
    pattern: 'echo',
    size: 64,
    connections: 64,
  },
  { name: '64Bx1', text: 'echo, 64 B × 1 connection', pattern: 'echo', size: 64, connections: 1 },
  {
    name: '16KiBx16',
    text: 'echo, 16 KiB × 16 connections',
    pattern: 'echo',
    size: 16_384,
    connections: 16,
  },
  {
    name: 'sink',
    text: 'one-way sink, per 64 KiB × 1 connection',
    pattern: 'sink',
    size: 65_536,
    connections: 1,
  },
];

/** Every run starts the server afresh, so that one unlucky process does not decide a median. */
async function runOnce(peer, load, times) {
  const server = await startServer([...peer.command, load.pattern]);
  try {
    return await measure(server, load, times);
  } finally {
    await server.stop();
  }
}

const microseconds = (ns) => (ns / 1000).toFixed(2);

function printCase(load, runs) {
  console.log(`\n${load.text}`);
  printTable(
    ['peer', 'ops/s', 'CPU µs/op', 'lowest', 'highest', 'of node', 'of floor', 'runs'],
    [...runs].map(([name, list]) => {
      const cpu = range(list, 'cpu');
      return [
        name,
        String(Math.round(range(list, 'rate').median)),
        microseconds(cpu.median),
        microseconds(cpu.lowest),
        microseconds(cpu.highest),
        pairedRatio(list, runs.get('node'), 'cpu'),
        pairedRatio(list, runs.get('floor'), 'cpu'),
        String(list.length),
      ];
    }),
  );
}

export async function run({ only, quick }) {
  const peers = preparePeers(only.peers ?? peerNames);
  const chosen = cases.filter(({ name }) => only.cases?.includes(name) ?? true);
  if (chosen.length === 0) {
    throw new Error(`The cases are: ${cases.map(({ name }) => name).join(', ')}`);
  }
  const plan = quick
    ? { rounds: 3, times: { warmup: 150, window: 250 } }
    : { rounds: 5, times: { warmup: 400, window: 800 } };
  console.log(`${machine()}; ${pinning}; ${versions(peers)}`);
  console.log('Medians of all runs; a ratio is the median of the ratios within each round.');

  const rows = [];
  const panels = [];
  for (const load of chosen) {
    const runs = await alternate(peers, plan.rounds, load.text, (peer) =>
      runOnce(peer, load, plan.times),
    );
    printCase(load, runs);
    const results = [...runs];
    for (const [name, list] of results) {
      rows.push({
        bench: 'echo',
        case: load.name,
        peer: name,
        cpu_ns_per_op: Math.round(range(list, 'cpu').median),
        ops_per_s: Math.round(range(list, 'rate').median),
        runs: list.length,
      });
    }
    panels.push({
      title: load.text,
      bars: results.map(([name, list]) => ({
        label: name,
        value: range(list, 'cpu').median,
        kind: kindOf(name),
      })),
    });
  }
  if (only.peers || only.cases) return;
  writeResults('echo', rows, {
    title: 'Server CPU per message (shorter is better)',
    notes: [
      `${versions(peers)}; median of ${plan.rounds} alternating runs`,
      `${machine()}; ${pinning}`,
    ],
    format: (ns) => `${microseconds(ns)} µs`,
    panels,
  });
}
