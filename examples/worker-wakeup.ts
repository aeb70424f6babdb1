// A worker that wakes the main thread's loop: it sends messages, makes an event active and ends the
// loop.
//
//   node --import tsx examples/worker-wakeup.ts

import { Worker, isMainThread, workerData } from 'node:worker_threads';

import { BaseHandle, EventBase, EventFlags, LoopExit } from 'evnode';

interface Start {
  token: string;
  event: number;
}

function work({ token, event }: Start): void {
  const base = new BaseHandle(token);
  for (let i = 1; i <= 3; i++) base.post({ step: i, at: new Map([['i', i]]) });
  base.activate(event, EventFlags.READ);
  base.loopExit();
}

async function main(): Promise<void> {
  using base = new EventBase();
  base.onMessage((message) => console.log('message', message));
  const event = base.event(-1, 0, (_, what) => console.log(`activated with ${what}`));

  const start: Start = { token: base.handle().token, event: event.id };
  // Workers of Node 20 do not read TypeScript by themselves.
  const program = `require('tsx/cjs'); require(${JSON.stringify(__filename)})`;
  const worker = new Worker(program, { eval: true, execArgv: [], workerData: start });
  worker.once('error', (error) => {
    throw error;
  });
  // Something to wait for: messages alone do not keep the loop going.
  const patience = base.timer(() => console.log('the worker did not come')).add(60_000);
  const exit = await base.dispatch();
  patience.free();
  console.log(exit === LoopExit.EXIT ? 'ended by the worker' : 'ended');
}

if (isMainThread) void main();
else work(workerData as Start);
