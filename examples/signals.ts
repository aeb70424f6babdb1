// Signals: counts SIGUSR2 and ends with SIGTERM, beside a handler of Node's own.
//
//   node --import tsx examples/signals.ts

import { EventBase } from 'evnode';

const base = new EventBase();
let count = 0;

const usr2 = base.signal('SIGUSR2', () => console.log(`SIGUSR2 ${++count}`));
usr2.add();

base
  .signal('SIGTERM', (term) => {
    console.log('SIGTERM');
    term.free();
    usr2.free();
  })
  .add();

process.once('SIGUSR2', () => console.log("Node's own handler, once"));

console.log(`ready: kill -USR2 ${process.pid}`);
