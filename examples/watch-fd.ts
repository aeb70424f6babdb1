// Watches a descriptor that Node itself cannot watch for writability: an end of a socketpair whose
// other end does not read. Node's streams only tell whether what they were given is written.
//
//   node --import tsx examples/watch-fd.ts

import { closeSync, readSync, writeSync } from 'node:fs';

import { EventBase, EventFlags, util } from 'evnode';

const { READ, WRITE, PERSIST } = EventFlags;

const base = new EventBase();
const [left, right] = util.socketpair();
const chunk = Buffer.alloc(16 * 1024, 'x');
let written = 0;
let read = 0;

const writer = base.event(left, WRITE | PERSIST, () => {
  try {
    written += writeSync(left, chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  // More than the kernel holds: the event has to wait for the reader.
  if (written < 4 * 1024 * 1024) return;
  writer.free();
  closeSync(left);
});

const into = Buffer.alloc(64 * 1024);
const reader = base.event(right, READ | PERSIST, () => {
  const count = readSync(right, into);
  read += count;
  if (count > 0) return;
  reader.free();
  closeSync(right);
  console.log(`wrote ${written} bytes, read ${read}`);
});

writer.add();
reader.add();
