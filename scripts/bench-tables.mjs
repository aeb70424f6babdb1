// Writes the figures of bench/results/*.json into README.md and docs/architecture.md, between the
// comments that mark the place of each table.

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
  '64Bx64': 'echo, 64 B, 64 connections',
  '64Bx1': 'echo, 64 B, 1 connection',
  '16KiBx16': 'echo, 16 KiB, 16 connections',
  sink: 'one-way sink, per 64 KiB',
};

function results(bench) {
  const file = join(root, 'bench', 'results', `${bench}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
}

const header = (peers) => [`| | ${peers.join(' | ')} |`, `|---|${'---:|'.repeat(peers.length)}`];

function line(name, rows, peers, cell) {
  const cells = peers.map((peer) => {
    const row = rows.find((each) => each.peer === peer);
    return row ? cell(row, rows) : '–';
  });
  return `| ${[name, ...cells].join(' | ')} |`;
}

/** The CPU time of one operation and, in brackets, its ratio to Node's. */
function ofNode(row, rows) {
  const time = `${(row.cpu_ns_per_op / 1000).toFixed(1)} µs`;
  const node = rows.find(({ peer }) => peer === 'node');
  if (!node || node === row) return time;
  return `${time} (${(row.cpu_ns_per_op / node.cpu_ns_per_op).toFixed(2)})`;
}

/** evnode and its peers, for the README. */
function comparison() {
  const peers = Object.keys(PEERS);
  const echo = results('echo');
  const lines = [];
  for (const [name, text] of Object.entries(CASES)) {
    const rows = echo.filter((row) => row.case === name);
    if (rows.length > 0) lines.push(line(text, rows, peers, ofNode));
  }
  const idle = results('idle');
  const bytes = (row) => `${row.bytes_per_connection} B`;
  if (idle.length > 0) lines.push(line('memory per idle connection', idle, peers, bytes));
  return lines.length > 0 ? [...header(Object.values(PEERS)), ...lines] : [];
}

/** The cost of crossing to native code, for the architecture page. */
function boundary() {
  const rows = results('boundary');
  const peers = [...new Set(rows.map(({ peer }) => peer))];
  const nanoseconds = (row) => `${row.cpu_ns_per_op.toFixed(0)} ns`;
  const lines = [...new Set(rows.map((row) => row.case))].map((name) =>
    line(
      name,
      rows.filter((row) => row.case === name),
      peers,
      nanoseconds,
    ),
  );
  return lines.length > 0 ? [...header(peers), ...lines] : [];
}

function fill(page, name, lines) {
  if (lines.length === 0) {
    console.log(`${page}: left alone, for want of results`);
    return;
  }
  const file = join(root, page);
  const text = readFileSync(file, 'utf8');
  const start = `<!-- ${name}:start -->`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Failure(`${page} lacks ${start} or ${end}`);
  const head = text.slice(0, from + start.length);
  writeFileSync(file, `${head}\n\n${lines.join('\n')}\n\n${text.slice(to)}`);
}

await main(() => {
  fill('README.md', 'bench', comparison());
  fill('docs/architecture.md', 'boundary', boundary());
});
