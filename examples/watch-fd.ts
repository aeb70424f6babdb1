// Watches a descriptor that Node itself cannot watch: a timer of the kernel's, which follows the clock
// on the wall and counts how often it expired. Linux only.
//
//   node --import tsx examples/watch-fd.ts

import { closeSync, readSync } from 'node:fs';

import { EventBase, EventFlags, util } from 'evnode';

const base = new EventBase();
// From the next tenth of a second on, whatever happens to the clock, every 20 ms.
const at = new Date(Math.ceil(Date.now() / 100) * 100);
const fd = util.timerfd({ at, every: 20 });

const count = new BigUint64Array(1);
let expired = 0n;
const event = base.event(fd, EventFlags.READ | EventFlags.PERSIST, () => {
  readSync(fd, count);
  expired += count[0] ?? 0n;
  console.log(`expired ${expired} times`);
  if (expired < 3n) return;
  event.free();
  closeSync(fd);
});

event.add();
