// What a call between JavaScript and Rust costs, for the hot (raw) and the cold (generated) functions.

import { machine, printTable, writeResults } from '../lib/report.mjs';
import { alternate, range } from '../lib/rounds.mjs';
import { benchDir, pinning, runPinned } from '../lib/system.mjs';
import { preparePeers } from '../lib/peers.mjs';

export const title = 'Calls between JavaScript and Rust: raw and generated functions, callbacks';

const program = `${benchDir}peers/boundary.mjs`;
const ways = [
  { name: 'evnode-raw', way: 'raw' },
  { name: 'evnode-generated', way: 'generated' },
  { name: 'evnode', way: 'facade' },
];

export async function run({ only, quick }) {
  if (preparePeers(['evnode']).length === 0) return;
  const rounds = quick ? 3 : 7;
  console.log(`${machine()}; ${pinning}; Node ${process.versions.node}; CPU ns per call`);
  const chosen = ways.filter(({ name }) => only.peers?.includes(name) ?? true);
  const runs = await alternate(chosen, rounds, 'boundary', ({ way }) =>
    JSON.parse(runPinned([process.execPath, program, way])),
  );

  const rows = [...runs].flatMap(([peer, list]) =>
    Object.keys(list[0])
      .filter((name) => name !== 'round' && (only.cases?.includes(name) ?? true))
      .map((name) => ({ peer, name, ...range(list, name), runs: list.length })),
  );
  const names = [...new Set(rows.map(({ name }) => name))];
  console.log();
  printTable(
    ['call', 'peer', 'ns', 'lowest', 'highest', 'runs'],
    names.flatMap((name) =>
      rows
        .filter((row) => row.name === name)
        .map((row) => [
          name,
          row.peer,
          row.median.toFixed(1),
          row.lowest.toFixed(1),
          row.highest.toFixed(1),
          String(row.runs),
        ]),
    ),
  );
  if (only.peers || only.cases) return;
  const results = rows.map(({ peer, name, median, runs }) => ({
    bench: 'boundary',
    case: name,
    peer,
    cpu_ns_per_op: Number(median.toFixed(1)),
    ops_per_s: Math.round(1e9 / median),
    runs,
  }));
  writeResults('boundary', results, {
    title: 'CPU per call between JavaScript and Rust (shorter is better)',
    notes: [`Node ${process.versions.node}; median of ${rounds} alternating runs`, machine()],
    format: (ns) => `${ns.toFixed(0)} ns`,
    panels: names.map((name) => ({
      title: name,
      bars: rows
        .filter((row) => row.name === name)
        .map(({ peer, median }) => ({
          label: peer,
          value: median,
          kind: peer === 'evnode-generated' ? 'peer' : 'ours',
        })),
    })),
  });
}
