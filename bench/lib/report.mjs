// What a bench says at its end: a table on the console, results/NAME.json and results/NAME.svg.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { barChart } from './chart.mjs';
import { benchDir } from './system.mjs';

/** Prints rows of cells: the first column to the left, the others to the right. */
export function printTable(header, rows) {
  const widths = header.map((cell, i) =>
    Math.max(cell.length, ...rows.map((row) => row[i].length)),
  );
  for (const row of [header, ...rows])
    console.log(
      '  ' +
        row
          .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
          .join('  '),
    );
}

export const machine = () => `${cpus()[0].model.trim()}, ${cpus().length} CPUs`;

/** Writes the two result files of a whole run. */
export function writeResults(name, rows, chart) {
  const base = `${benchDir}results/${name}`;
  mkdirSync(`${benchDir}results`, { recursive: true });
  writeFileSync(
    `${base}.json`,
    `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]\n`,
  );
  writeFileSync(`${base}.svg`, barChart(chart));
  console.log(`\nwritten: bench/results/${name}.json and ${name}.svg`);
}
