// Priorities: what is urgent runs before what came first.
//
//   node --import tsx examples/priorities.ts

import { EventBase, EventFlags } from 'evnode';

const base = new EventBase({
  priorities: 3,
  // After each callback of priority 1 or 2, look whether something more urgent has come.
  maxDispatchCallbacks: 1,
  minPriority: 1,
});

const say = (text: string, priority: number, then?: () => void) =>
  base
    .event(-1, 0, () => {
      console.log(text);
      then?.();
    })
    .setPriority(priority);

const alarm = say('alarm', 0);

say('housekeeping', 2).active(EventFlags.WRITE);
say('request 1', 1, () => alarm.active(EventFlags.WRITE)).active(EventFlags.WRITE);
say('request 2', 1).active(EventFlags.WRITE);
