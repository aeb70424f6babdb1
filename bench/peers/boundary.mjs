// Times calls across the boundary between JavaScript and Rust. Prints {"case": ns of CPU per call}.
//
//   node boundary.mjs raw         the hot functions on handles, as the facade calls them
//   node boundary.mjs generated   the same shapes through #[napi], as the cold functions go
//   node boundary.mjs facade      the public methods on top
import { createRequire } from 'node:module';

const NONBLOCK = 2;
const TIMEOUT = 1;
const LATIN1 = 1;

const view = Buffer.alloc(64, 1);
const text = 'a line of thirty latin letters';

/** Runs `step` for about 50 ms. Returns the nanoseconds of CPU for each of its `calls`. */
function time(step, calls = 1) {
  let steps = Math.ceil(20_000 / calls);
  for (let i = 0; i < steps; i++) step();
  for (;;) {
    const before = process.cpuUsage();
    for (let i = 0; i < steps; i++) step();
    const { user, system } = process.cpuUsage(before);
    const used = user + system;
    if (used >= 50_000) return (used * 1000) / (steps * calls);
    steps *= 2;
  }
}

/**
 * From Rust to JavaScript: so many events are made active and called back in one turn of the loop.
 * `count` tells how many callbacks have run.
 */
function timeDispatch(events, activate, turn, count) {
  const step = () => {
    for (const event of events) activate(event);
    turn();
  };
  const before = count();
  step();
  if (count() - before !== events.length) throw new Error(`${count() - before} callbacks came`);
  return time(step, events.length);
}

function native() {
  const binding = createRequire(import.meta.url)('../../index.js');
  const { raw } = binding;
  let calls = 0;
  const makeError = (kind, code, message) => new Error(`${code}: ${message}`);
  raw.register(() => calls++, makeError, undefined);
  const base = binding.baseNew({ attach: 'none' });
  const dispatch = (turn) => {
    const events = Array.from({ length: turn }, () => raw.eventNew(base, -1, 0));
    return timeDispatch(
      events,
      (event) => raw.eventActive(event, TIMEOUT),
      () => raw.baseLoop(base, NONBLOCK),
      () => calls,
    );
  };
  return { binding, raw, base, dispatch };
}

function timeRaw() {
  const { raw, base, dispatch } = native();
  const event = raw.eventNew(base, -1, 0);
  const buffer = raw.bufferNew();
  const filled = raw.bufferNew();
  raw.bufferAdd(filled, view);
  return {
    'a number out': time(() => raw.eventPriority(event)),
    'a number in': time(() => raw.eventSetPriority(event, 0)),
    '64 bytes copied out': time(() => raw.bufferCopyout(filled, view, 0, 64, 0)),
    '64 bytes added and drained': time(() => {
      raw.bufferAdd(buffer, view);
      raw.bufferDrain(buffer, 64);
    }),
    '30 letters added and drained': time(() => {
      raw.bufferAddString(buffer, text, LATIN1);
      raw.bufferDrain(buffer, 30);
    }),
    'an event made active and called back, 1 a turn': dispatch(1),
    'an event made active and called back, 64 a turn': dispatch(64),
    'an event made active and called back, 1024 a turn': dispatch(1024),
  };
}

function timeGenerated() {
  const { binding, raw, base } = native();
  const bufferevent = raw.bevNew(base, -1, 0);
  return {
    'a number out': time(() => binding.bevPriority(bufferevent)),
    'a number in': time(() => binding.bevSetPriority(bufferevent, 0)),
  };
}

async function timeFacade() {
  const { EvBuffer, Event, EventBase } = await import('../../dist/index.mjs');
  const base = new EventBase({ attach: 'none' });
  const event = new Event(base, -1, 0, () => {});
  const buffer = new EvBuffer();
  const filled = new EvBuffer().add(view);
  let calls = 0;
  const dispatch = (turn) =>
    timeDispatch(
      Array.from({ length: turn }, () => new Event(base, -1, 0, () => calls++)),
      (each) => each.active(TIMEOUT),
      () => base.loop(NONBLOCK),
      () => calls,
    );
  return {
    'a number out': time(() => event.priority),
    'a number in': time(() => event.setPriority(0)),
    '64 bytes copied out': time(() => filled.copyout(64)),
    '64 bytes added and drained': time(() => buffer.add(view).drain(64)),
    '30 letters added and drained': time(() => buffer.add(text, 'latin1').drain(30)),
    'an event made active and called back, 1 a turn': dispatch(1),
    'an event made active and called back, 64 a turn': dispatch(64),
    'an event made active and called back, 1024 a turn': dispatch(1024),
  };
}

const ways = { raw: timeRaw, generated: timeGenerated, facade: timeFacade };
console.log(JSON.stringify(await ways[process.argv[2]]()));
