// What the loop itself costs: timers, activation, a turn, a chain of socket pairs. evcore beside C libevent.

import { buildLibevent, buildRust } from '../lib/peers.mjs';
import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, pairedRatio, range } from '../lib/rounds.mjs';
import {
  hardDescriptorLimit,
  Missing,
  pinning,
  run as runProgram,
  runPinned,
} from '../lib/system.mjs';

export const title = 'Timers, activation and chains of sockets: CPU per operation of the loop';

const peers = [
  { name: 'evcore', prepare: () => ({ program: buildRust('loop') }) },
  {
    name: 'libevent',
    prepare: () => {
      const program = buildLibevent('peers/libevent_loop.c');
      return { program, version: runProgram(program, ['version']).trim() };
    },
  },
];

function prepare(names) {
  return peers
    .filter(({ name }) => names?.includes(name) ?? true)
    .flatMap((peer) => {
      try {
        return [{ ...peer, ...peer.prepare() }];
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        console.log(`skipped ${peer.name}: needs ${error.message}`);
        return [];
      }
    });
}

export async function run({ only, quick }) {
  const ready = prepare(only.peers);
  if (ready.length === 0) return;
  const rounds = quick ? 3 : 7;
  const timers = quick ? [1000, 100_000] : [1000, 100_000, 1_000_000];
  // Each pair takes two descriptors, and a process has some others.
  const room = hardDescriptorLimit() / 2 - 20;
  const pairs = (quick ? [100] : [100, 1000, 10_000]).map((count) => Math.min(count, room));
  const versions = ready.filter(({ version }) => version);
  const named = versions.map(({ name, version }) => `${name} ${version}`).join(', ');
  console.log(`${machine()}; ${pinning}; ${named}; CPU ns per operation`);
  const runs = await alternate(ready, rounds, 'loop', ({ program }) =>
    JSON.parse(runPinned([program, timers.join(), pairs.join()])),
  );

  const [first] = [...runs.values()];
  const names = Object.keys(first?.[0] ?? {}).filter(
    (name) => name !== 'round' && (only.cases?.includes(name) ?? true),
  );
  const rows = names.flatMap((name) =>
    [...runs].map(([peer, list]) => ({ name, peer, list, ...range(list, name) })),
  );
  console.log();
  printTable(
    ['operation', 'peer', 'ns', 'lowest', 'highest', 'of libevent', 'runs'],
    rows.map(({ name, peer, list, median, lowest, highest }) => [
      name,
      peer,
      median.toFixed(1),
      lowest.toFixed(1),
      highest.toFixed(1),
      pairedRatio(list, runs.get('libevent'), name),
      String(list.length),
    ]),
  );
  if (only.peers || only.cases) return;
  const results = rows.map(({ name, peer, median, list }) => ({
    bench: 'loop',
    case: name,
    peer,
    cpu_ns_per_op: Number(median.toFixed(1)),
    ops_per_s: Math.round(1e9 / median),
    runs: list.length,
  }));
  writeResults('loop', results, {
    title: 'CPU per operation of the loop (shorter is better)',
    notes: [`${named}; median of ${rounds} alternating runs`, `${machine()}; ${pinning}`],
    format: (ns) => `${ns.toFixed(0)} ns`,
    panels: names.map((name) => ({
      title: name,
      bars: rows
        .filter((row) => row.name === name)
        .map(({ peer, median }) => ({
          label: peer,
          value: median,
          kind: peer === 'evcore' ? 'ours' : 'peer',
        })),
    })),
  });
}
