// Memory of an idle connection, as a slope: what the second and third batch of connections add to the server's
// resident memory. Growth from zero would show the allocator's and the collector's first steps instead.

import { setTimeout as sleep } from 'node:timers/promises';
import { kindOf, preparePeers, versions } from '../lib/peers.mjs';
import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import {
  descriptors,
  hardDescriptorLimit,
  residentBytes,
  startIdleLoad,
  startServer,
} from '../lib/system.mjs';

export const title = 'Resident memory of the server per idle connection, and CPU per accepted one';

const peerNames = ['evnode', 'evcore', 'node', 'bun', 'libevent', 'floor'];
const FIRST = 5000;
const MORE = 10_000;

async function untilAccepted(server, count) {
  for (const start = Date.now(); descriptors(server.pid) < count; await sleep(20))
    if (Date.now() - start > 30_000)
      throw new Error(`accepted ${descriptors(server.pid)} of ${count} in 30 s`);
}

/** Has the garbage collected (where there is a collector), then waits until two readings agree. */
async function settledMemory(server, collects) {
  if (collects) {
    for (let i = 0; i < 2; i++) {
      server.signal('SIGUSR2');
      await sleep(300);
    }
  }
  let before = residentBytes(server.pid);
  for (let tries = 0; tries < 20; tries++) {
    await sleep(200);
    const now = residentBytes(server.pid);
    if (Math.abs(now - before) <= 16_384) return now;
    before = now;
  }
  return before;
}

async function runOnce({ command, collects }) {
  const server = await startServer([...command, 'echo']);
  const load = startIdleLoad(server);
  try {
    const own = descriptors(server.pid);
    await load.open(FIRST);
    await untilAccepted(server, own + FIRST);
    const memory = await settledMemory(server, collects);
    const cpu = await load.serverCpu();
    const start = performance.now();
    await load.open(MORE);
    await untilAccepted(server, own + FIRST + MORE);
    const seconds = (performance.now() - start) / 1000;
    const accepting = (await load.serverCpu()) - cpu;
    const grown = (await settledMemory(server, collects)) - memory;
    return { bytes: grown / MORE, cpu: accepting / MORE, rate: MORE / seconds };
  } finally {
    await load.stop();
    await server.stop();
  }
}

export async function run({ only, quick }) {
  const needed = FIRST + MORE + 100;
  if (hardDescriptorLimit() < needed) {
    console.log(
      `skipped idle: needs ${needed} file descriptors per process, the hard limit is ${hardDescriptorLimit()} (ulimit -Hn)`,
    );
    process.exitCode = 1;
    return;
  }
  const peers = preparePeers(only.peers ?? peerNames);
  const rounds = quick ? 2 : 5;
  console.log(`${machine()}; ${versions(peers)}; ${FIRST} connections open, then ${MORE} more`);

  const runs = [...(await alternate(peers, rounds, 'idle connections', runOnce))];
  const node = runs.find(([name]) => name === 'node')?.[1];
  console.log();
  printTable(
    ['peer', 'bytes/connection', 'lowest', 'highest', 'of node', 'CPU µs/accept', 'runs'],
    runs.map(([name, list]) => {
      const bytes = range(list, 'bytes');
      return [
        name,
        bytes.median.toFixed(0),
        bytes.lowest.toFixed(0),
        bytes.highest.toFixed(0),
        pairedRatio(list, node, 'bytes'),
        (range(list, 'cpu').median / 1000).toFixed(1),
        String(list.length),
      ];
    }),
  );
  if (only.peers) return;
  const rows = runs.map(([name, list]) => ({
    bench: 'idle',
    case: `${FIRST}+${MORE}`,
    peer: name,
    cpu_ns_per_op: Math.round(range(list, 'cpu').median),
    ops_per_s: Math.round(range(list, 'rate').median),
    runs: list.length,
    bytes_per_connection: Math.round(range(list, 'bytes').median),
  }));
  writeResults('idle', rows, {
    title: 'Resident memory of the server per idle connection (shorter is better)',
    notes: [
      `slope from ${FIRST} to ${FIRST + MORE} connections; median of ${rounds} alternating runs`,
      `${versions(peers)}; ${machine()}`,
    ],
    format: (bytes) => `${bytes.toFixed(0)} B`,
    panels: [
      {
        title: 'bytes per connection',
        bars: rows.map((row) => ({
          label: row.peer,
          value: row.bytes_per_connection,
          kind: kindOf(row.peer),
        })),
      },
    ],
  });
}
