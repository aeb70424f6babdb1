// Writes the figures of bench/results/*.json into README.md, between its two `bench` comments.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, main, root } from './lib.mjs';

const PEERS = {
  evnode: 'evnode',
  evcore: 'evcore (Rust)',
  node: 'Node `net`',
  bun: '`Bun.listen`',
  libevent: 'C libevent',
  floor: 'bare C epoll loop',
};

const CASES = {
  echo: {
    '64Bx64': 'echo, 64 B, 64 connections',
    '64Bx1': 'echo, 64 B, 1 connection',
    '16KiBx16': 'echo, 16 KiB, 16 connections',
    sink: 'one-way sink, per 64 KiB',
  },
};

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

function results(bench) {
  const file = join(root, 'bench', 'results', `${bench}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
}

const microseconds = (row) => `${(row.cpu_ns_per_op / 1000).toFixed(1)} µs`;

function line(name, rows, cell) {
  const cells = Object.keys(PEERS).map((peer) => {
    const row = rows.find((each) => each.peer === peer);
    return row ? cell(row, rows) : '–';
  });
  return `| ${[name, ...cells].join(' | ')} |`;
}

function ofNode(row, rows) {
  const node = rows.find(({ peer }) => peer === 'node');
  const share =
    node && node !== row ? ` (${(row.cpu_ns_per_op / node.cpu_ns_per_op).toFixed(2)})` : '';
  return `${microseconds(row)}${share}`;
}

function table() {
  const lines = [`| | ${Object.values(PEERS).join(' | ')} |`, `|---|${'---:|'.repeat(6)}`];
  for (const [bench, cases] of Object.entries(CASES)) {
    const all = results(bench);
    for (const [name, text] of Object.entries(cases)) {
      const rows = all.filter((row) => row.case === name);
      if (rows.length > 0) lines.push(line(text, rows, ofNode));
    }
  }
  const idle = results('idle');
  if (idle.length > 0) {
    const bytes = (row) => `${row.bytes_per_connection} B`;
    lines.push(line('memory per idle connection', idle, bytes));
  }
  if (lines.length === 2) throw new Failure('bench/results holds no figures; run a bench first');
  return lines.join('\n');
}

await main(() => {
  const file = join(root, 'README.md');
  const text = readFileSync(file, 'utf8');
  const from = text.indexOf(START) + START.length;
  const to = text.indexOf(END);
  if (to < from) throw new Failure(`README.md lacks ${START} or ${END}`);
  writeFileSync(file, `${text.slice(0, from)}\n\n${table()}\n\n${text.slice(to)}`);
});
