// Timers: one that fires once, one that fires until it is removed, and many with one timeout.
//
//   node --import tsx examples/timers.ts

import { EventBase, EventFlags } from 'evnode';

const base = new EventBase();

base.timer(() => console.log('once')).add(5);

let ticks = 0;
const ticker = base.event(-1, EventFlags.PERSIST, () => {
  console.log(`tick ${++ticks}`);
  if (ticks === 3) ticker.free();
});
// Milliseconds, with fractions.
ticker.add(12.5);

// Many timers with one timeout wait in a queue, which costs the same however many they are.
const idle = base.initCommonTimeout(60);
let ended = 0;
for (let i = 0; i < 1000; i++) {
  base
    .timer(() => {
      if (++ended === 1000) console.log('1000 idle timeouts');
    })
    .addCommon(idle);
}

// The base keeps the process alive until the last timer has fired.
