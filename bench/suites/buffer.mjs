// Buffers: evcore beside C libevent, evnode beside what JavaScript offers. CPU per operation.

import { buildLibevent, buildRust, installPackages, preparePeers } from '../lib/peers.mjs';
import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import { benchDir, Missing, pinning, run as runProgram, runPinned } from '../lib/system.mjs';

export const title =
  'Buffers: append, drain, move, search, lines; beside libevent, bl and readline';

const native = ['evcore', 'libevent'];
const queues = ['evnode', 'bl', 'concat'];
const splitters = ['evnode', 'split', 'readline', 'readlineIterator', 'indexOf'];

// `limit`: what our time is to be at most, as a part of each other's.
const cases = [
  { name: 'append-64B', text: 'append 64 B, 1 MiB in all', peers: native, limit: 0.5 },
  { name: 'append-64KiB', text: 'append 64 KiB, 1 MiB in all', peers: native, limit: 0.5 },
  { name: 'append-drain', text: 'append 64 B and drain them', peers: native, limit: 0.5 },
  { name: 'drain-64B', text: 'drain 64 B of 1 MiB', peers: native, limit: 0.5 },
  { name: 'drain-64KiB', text: 'drain 64 KiB of 1 MiB', peers: native, limit: 0.5 },
  { name: 'move', text: 'move 64 KiB to an empty buffer', peers: native, limit: 0.5 },
  {
    name: 'move-segment',
    text: 'move 16 KiB, one segment of many, from front to back',
    peers: native,
    limit: 0.5,
  },
  { name: 'move-part', text: 'move 1,000 B of 64 KiB', peers: native, limit: 0.5 },
  {
    name: 'search',
    text: 'search 64 MiB in segments of 64 KiB for a rare string of 16 B',
    peers: native,
    limit: 0.5,
  },
  { name: 'readln', text: 'readln, lines of 80 B', peers: native, limit: 0.5 },
  { name: 'prepend', text: 'prepend 64 B, 1 MiB in all', peers: native, limit: 1 },
  { name: 'pullup', text: 'pullup of 64 KiB in segments of 4 KiB', peers: native, limit: 1 },
  { name: 'pullup-border', text: 'pullup of 32 B across a border', peers: native, limit: 1 },
  {
    name: 'js-add-take',
    text: 'JavaScript: 64 B in and dropped, nothing else waiting',
    peers: queues,
    limit: 0.5,
  },
  {
    name: 'js-add-take-64KiB',
    text: 'JavaScript: 64 B in and 64 B dropped, 64 KiB waiting',
    peers: queues,
    limit: 0.5,
  },
  {
    name: 'js-add-take-1MiB',
    text: 'JavaScript: 64 B in and 64 B dropped, 1 MiB waiting',
    peers: queues,
    limit: 0.5,
  },
  {
    name: 'js-messages',
    text: 'JavaScript: 64,000 B in, messages of 1,000 B out as Buffers',
    peers: queues,
  },
  {
    name: 'js-find-1460B',
    text: 'JavaScript: find a rare string of 16 B in 1 MiB, pieces of 1,460 B',
    peers: queues,
    limit: 0.5,
  },
  {
    name: 'js-find-64KiB',
    text: 'JavaScript: find a rare string of 16 B in 1 MiB, pieces of 64 KiB',
    peers: queues,
    limit: 0.5,
  },
  {
    name: 'js-lines',
    text: 'JavaScript: a line of 80 B to a string, pieces of 64 KiB',
    peers: splitters,
    limits: { split: 1.2, readline: 0.5, readlineIterator: 0.5, indexOf: 0.5 },
  },
];

const script = (name) => ({
  command: [process.execPath, `${benchDir}peers/buffer.mjs`, name],
});

const prepare = {
  evcore: () => ({ command: [buildRust('buffer')] }),
  libevent: () => {
    const program = buildLibevent('peers/libevent_buffer.c');
    return { command: [program], version: runProgram(program, ['version']).trim() };
  },
  evnode: () => {
    if (preparePeers(['evnode']).length === 0) throw new Missing('evnode itself, built');
    return script('evnode');
  },
  bl: () => ({ ...script('bl'), version: installPackages().bl }),
};

/** The peers that can run, by name. */
function prepareAll(names) {
  const ready = new Map();
  for (const name of names) {
    try {
      ready.set(name, { name, ...(prepare[name]?.() ?? script(name)) });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      console.log(`skipped ${name}: needs ${error.message}`);
    }
  }
  return ready;
}

const isOurs = (name) => name === 'evcore' || name === 'evnode';
const nanoseconds = (ns) => (ns < 100 ? ns.toFixed(1) : ns.toFixed(0));

function printCases(rows) {
  console.log();
  printTable(
    ['operation', 'peer', 'ns', 'lowest', 'highest', 'ours of it', 'at most', 'runs'],
    rows.map(({ name, peer, median, lowest, highest, ratio, limit, runs }) => [
      name,
      peer,
      nanoseconds(median),
      nanoseconds(lowest),
      nanoseconds(highest),
      ratio,
      limit?.toString() ?? '',
      String(runs),
    ]),
  );
}

export async function run({ only, quick }) {
  const chosen = cases
    .filter(({ name }) => only.cases?.includes(name) ?? true)
    .map((each) => ({
      ...each,
      peers: each.peers.filter((peer) => only.peers?.includes(peer) ?? true),
    }));
  if (chosen.length === 0) {
    throw new Error(`The cases are: ${cases.map(({ name }) => name).join(', ')}`);
  }
  const rounds = quick ? 3 : 5;
  const ready = prepareAll(new Set(chosen.flatMap(({ peers }) => peers)));
  const versions = [...ready.values()]
    .filter(({ version }) => version)
    .map(({ name, version }) => `${name} ${version}`);
  const named = [`Node ${process.versions.node}`, ...versions].join(', ');
  console.log(`${machine()}; ${pinning}; ${named}; CPU ns per operation`);

  const rows = [];
  for (const { name, peers, limit, limits } of chosen) {
    const present = peers.flatMap((peer) => ready.get(peer) ?? []);
    const runs = await alternate(present, rounds, name, ({ command }) =>
      JSON.parse(runPinned([...command, name])),
    );
    const ours = [...runs].find(([peer]) => isOurs(peer))?.[1] ?? [];
    for (const [peer, list] of runs) {
      const others = isOurs(peer) ? { ratio: '' } : { ratio: pairedRatio(ours, list, name) };
      const most = isOurs(peer) ? undefined : (limit ?? limits?.[peer]);
      rows.push({ name, peer, ...range(list, name), ...others, limit: most, runs: list.length });
    }
  }
  printCases(rows);
  if (only.peers || only.cases) return;
  const results = rows.map(({ name, peer, median, runs }) => ({
    bench: 'buffer',
    case: name,
    peer,
    cpu_ns_per_op: Number(median.toFixed(1)),
    ops_per_s: Math.round(1e9 / median),
    runs,
  }));
  writeResults('buffer', results, {
    title: 'CPU per operation of a buffer (shorter is better)',
    notes: [`${named}; median of ${rounds} alternating runs`, `${machine()}; ${pinning}`],
    format: (ns) => (ns < 10_000 ? `${nanoseconds(ns)} ns` : `${(ns / 1000).toFixed(0)} µs`),
    panels: chosen.map(({ name, text }) => ({
      title: text,
      bars: rows
        .filter((row) => row.name === name)
        .map(({ peer, median }) => ({
          label: peer,
          value: median,
          kind: isOurs(peer) ? 'ours' : 'peer',
        })),
    })),
  });
}
