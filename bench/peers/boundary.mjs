// Times calls across the boundary between JavaScript and Rust. Prints {"case": ns per call}.
//
//   node boundary.mjs raw         the hot functions on handles, as the facade calls them
//   node boundary.mjs generated   the same shapes through #[napi], as the cold functions go
import { createRequire } from 'node:module';

const BLOCKING = { attach: 'none' };
const NONBLOCK = 2;
const TIMEOUT = 1;

const binding = createRequire(import.meta.url)('../../index.js');
const { raw } = binding;
let calls = 0;
const makeError = (kind, code, message) => new Error(`${code}: ${message}`);
raw.register(() => calls++, makeError, undefined);

const base = binding.baseNew(BLOCKING);
const event = raw.eventNew(base, -1, 0);
const bufferevent = raw.bevNew(base, -1, 0);
const buffer = raw.bufferNew();
const view = Buffer.alloc(64, 1);
const text = 'a line of thirty latin letters';
raw.bufferAdd(buffer, view);

/** Runs `step` for about 50 ms and returns the nanoseconds of CPU per call. */
function time(step, perStep = 1) {
  for (let i = 0; i < 20_000 / perStep; i++) step();
  let steps = Math.ceil(20_000 / perStep);
  for (;;) {
    const before = process.cpuUsage();
    for (let i = 0; i < steps; i++) step();
    const { user, system } = process.cpuUsage(before);
    if (user + system >= 50_000) return ((user + system) * 1000) / (steps * perStep);
    steps *= 2;
  }
}

/** Native to JavaScript: `count` user events are made active and called back in one turn. */
function timeDispatch(count) {
  const events = Array.from({ length: count }, () => raw.eventNew(base, -1, 0));
  const activate = () => {
    for (const each of events) raw.eventActive(each, TIMEOUT);
  };
  const turn = () => {
    activate();
    raw.baseLoop(base, NONBLOCK);
  };
  calls = 0;
  turn();
  if (calls !== count) throw new Error(`${calls} callbacks came instead of ${count}`);
  const both = time(turn, count);
  for (const each of events) raw.eventFree(each);
  return both;
}

const suites = {
  raw: () => ({
    'handle → number': time(() => raw.eventPriority(event)),
    'handle, number': time(() => raw.eventSetPriority(event, 0)),
    'handle, 64 B copied out': time(() => raw.bufferCopyout(buffer, view, 0, 64, 0)),
    'handle, 64 B added and drained': time(() => {
      raw.bufferAdd(buffer, view);
      raw.bufferDrain(buffer, 64);
    }),
    'handle, 30 letters added and drained': time(() => {
      raw.bufferAddString(buffer, text, 1);
      raw.bufferDrain(buffer, 30);
    }),
    'event activated and called back, 1 a turn': timeDispatch(1),
    'event activated and called back, 64 a turn': timeDispatch(64),
    'event activated and called back, 1024 a turn': timeDispatch(1024),
  }),
  generated: () => ({
    'handle → number': time(() => binding.bevPriority(bufferevent)),
    'handle, number': time(() => binding.bevSetPriority(bufferevent, 0)),
  }),
};

console.log(JSON.stringify(suites[process.argv[2]]()));
