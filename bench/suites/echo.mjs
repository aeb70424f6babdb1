// TCP servers side by side: the same echo and the same sink, one load generator, the server's CPU per message.

import { kindOf, preparePeers, versions } from '../lib/peers.mjs';
import { machine, median, printTable, writeResults } from '../lib/report.mjs';
import { measure, pinning, startServer } from '../lib/system.mjs';

export const title = 'TCP echo and one-way sink: CPU of the server per message, every peer';

const peerNames = [
  'evnode', 'evnode-nested', 'evnode-waiter', 'evnode-blocking', 'evcore', 'node', 'bun', 'libevent', 'floor',
];

const cases = [
  { name: '64Bx64', text: 'echo, 64 B × 64 connections', pattern: 'echo', size: 64, connections: 64 },
  { name: '64Bx1', text: 'echo, 64 B × 1 connection', pattern: 'echo', size: 64, connections: 1 },
  { name: '16KiBx16', text: 'echo, 16 KiB × 16 connections', pattern: 'echo', size: 16_384, connections: 16 },
  { name: 'sink', text: 'one-way sink, per 64 KiB × 1 connection', pattern: 'sink', size: 65_536, connections: 1 },
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

/**
 * Round-robin over the peers, every other round backwards, so that a drift of the machine meets them all alike.
 * Returns the runs by peer; one that failed is missing.
 */
async function runCase(peers, load, { rounds, times }) {
  const runs = new Map(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const peer of round % 2 ? peers.toReversed() : peers) {
      try {
        runs.get(peer.name).push({ round, ...(await runOnce(peer, load, times)) });
      } catch (error) {
        console.log(`FAILED ${peer.name}, ${load.text}: ${error.message}`);
        process.exitCode = 1;
      }
    }
  }
  return runs;
}

/** The median over the rounds of this peer's CPU by the other's in the same round. */
function pairedRatio(runs, other) {
  const ratios = runs.flatMap(({ round, cpu }) => {
    const same = other?.find((run) => run.round === round);
    return same ? [cpu / same.cpu] : [];
  });
  return ratios.length > 0 ? median(ratios).toFixed(2) : '-';
}

function summarize(runs) {
  return [...runs]
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => ({
      name,
      cpus: list.map(({ cpu }) => cpu),
      cpu: median(list.map(({ cpu }) => cpu)),
      rate: median(list.map(({ rate }) => rate)),
      ofNode: pairedRatio(list, runs.get('node')),
      ofFloor: pairedRatio(list, runs.get('floor')),
    }));
}

function printCase(load, results) {
  const us = (ns) => (ns / 1000).toFixed(2);
  console.log(`\n${load.text}`);
  printTable(
    ['peer', 'ops/s', 'CPU µs/op', 'lowest', 'highest', 'of node', 'of floor', 'runs'],
    results.map(({ name, cpu, cpus, rate, ofNode, ofFloor }) => [
      name, String(Math.round(rate)), us(cpu), us(Math.min(...cpus)), us(Math.max(...cpus)), ofNode, ofFloor,
      String(cpus.length),
    ]),
  );
}

export async function run({ only, quick }) {
  const peers = preparePeers(only.peers ?? peerNames);
  const chosen = cases.filter(({ name }) => !only.cases || only.cases.includes(name));
  const plan = quick
    ? { rounds: 3, times: { warmup: 150, window: 250 } }
    : { rounds: 5, times: { warmup: 400, window: 800 } };
  console.log(`${machine()}; ${pinning}; ${versions(peers)}`);
  console.log('Every accepted socket has TCP_NODELAY; all else is as each peer has it. Medians of all runs; a ratio is the');
  console.log('median of the ratios within each round.');

  const rows = [];
  const panels = [];
  for (const load of chosen) {
    const results = summarize(await runCase(peers, load, plan));
    printCase(load, results);
    for (const { name, cpu, rate, cpus } of results)
      rows.push({ bench: 'echo', case: load.name, peer: name, cpu_ns_per_op: Math.round(cpu), ops_per_s: Math.round(rate), runs: cpus.length });
    panels.push({ title: load.text, bars: results.map(({ name, cpu }) => ({ label: name, value: cpu, kind: kindOf(name) })) });
  }
  if (only.peers || only.cases) return;
  writeResults('echo', rows, {
    title: 'Server CPU per message (shorter is better)',
    notes: [`${versions(peers)}; median of ${plan.rounds} alternating runs`, `${machine()}; ${pinning}`],
    format: (ns) => `${(ns / 1000).toFixed(2)} µs`,
    panels,
  });
}
