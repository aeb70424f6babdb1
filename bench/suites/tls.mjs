// TLS servers side by side: echo and full handshakes with TLS 1.3 and one P-256 certificate, one load generator, the
// server's CPU per operation.

import { mkdirSync } from 'node:fs';

import { buildOpenssl, kindOf, preparePeers, tlsPeers, versions } from '../lib/peers.mjs';
import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import { benchDir, measure, pinning, run as runCommand, startServer } from '../lib/system.mjs';

export const title = 'TLS 1.3 echo and full handshakes: CPU of the server per operation';

const cases = [
  {
    name: '64Bx64',
    text: 'echo, 64 B × 64 connections',
    pattern: 'echo',
    size: 64,
    connections: 64,
  },
  {
    name: '16KiBx16',
    text: 'echo, 16 KiB × 16 connections',
    pattern: 'echo',
    size: 16_384,
    connections: 16,
  },
  {
    name: 'handshake',
    text: 'full handshake × 16 connections',
    pattern: 'handshake',
    size: 1,
    connections: 16,
  },
];

/** Makes the one certificate that all peers show. Returns the paths of it and of its key. */
function makeCertificate() {
  const folder = `${benchDir}build`;
  mkdirSync(folder, { recursive: true });
  const [certificate, key] = [`${folder}/tls-certificate.pem`, `${folder}/tls-key.pem`];
  const kind =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost';
  runCommand('openssl', [...kind.split(' '), '-keyout', key, '-out', certificate]);
  return [certificate, key];
}

const microseconds = (ns) => (ns / 1000).toFixed(2);

function printCase(load, runs) {
  console.log(`\n${load.text}`);
  printTable(
    ['peer', 'ops/s', 'CPU µs/op', 'lowest', 'highest', 'of node', 'of bun', 'busy', 'runs'],
    [...runs].map(([name, list]) => {
      const cpu = range(list, 'cpu');
      return [
        name,
        String(Math.round(range(list, 'rate').median)),
        microseconds(cpu.median),
        microseconds(cpu.lowest),
        microseconds(cpu.highest),
        pairedRatio(list, runs.get('node'), 'cpu'),
        pairedRatio(list, runs.get('bun'), 'cpu'),
        `${Math.round(100 * range(list, 'busy').median)} %`,
        String(list.length),
      ];
    }),
  );
}

export async function run({ only, quick }) {
  const names = only.peers ?? tlsPeers.map(({ name }) => name);
  const program = buildOpenssl('load_tls.c');
  const peers = preparePeers(names, tlsPeers);
  const chosen = cases.filter(({ name }) => only.cases?.includes(name) ?? true);
  if (chosen.length === 0) {
    throw new Error(`The cases are: ${cases.map(({ name }) => name).join(', ')}`);
  }
  const certificate = makeCertificate();
  const plan = quick
    ? { rounds: 3, times: { warmup: 150, window: 250 } }
    : { rounds: 5, times: { warmup: 400, window: 800 } };
  console.log(`${machine()}; ${pinning}; ${versions(peers)}`);
  console.log('Medians of all runs; a ratio is the median of the ratios within each round.');
  console.log(
    'busy: how much of the time the server was at work. Judge by a run in which Node was.',
  );

  const runOnce = async (peer, load) => {
    const server = await startServer([...peer.command, ...certificate]);
    try {
      return await measure(server, load, plan.times, program);
    } finally {
      await server.stop();
    }
  };
  const rows = [];
  const panels = [];
  for (const load of chosen) {
    const runs = await alternate(peers, plan.rounds, load.text, (peer) => runOnce(peer, load));
    printCase(load, runs);
    const bars = [];
    for (const [name, list] of runs) {
      const cpu = range(list, 'cpu').median;
      rows.push({
        bench: 'tls',
        case: load.name,
        peer: name,
        cpu_ns_per_op: Math.round(cpu),
        ops_per_s: Math.round(range(list, 'rate').median),
        busy: Number(range(list, 'busy').median.toFixed(2)),
        runs: list.length,
      });
      bars.push({ label: name, value: cpu, kind: kindOf(name) });
    }
    panels.push({ title: load.text, bars });
  }
  if (only.peers || only.cases) return;
  writeResults('tls', rows, {
    title: 'Server CPU per TLS operation (shorter is better)',
    notes: [
      `${versions(peers)}; median of ${plan.rounds} alternating runs`,
      `${machine()}; ${pinning}`,
    ],
    format: (ns) => `${microseconds(ns)} µs`,
    panels,
  });
}
