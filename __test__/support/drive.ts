// Runs the same scenario on every way in which a base can run.

import test, { type ExecutionContext } from 'ava';

import { EventBase, type EventConfig } from 'evnode';

/** Whether this is Windows, where libuv is the only host and sockets have no paths. */
export const isWindows = process.platform === 'win32';

/** The ways to be attached to Node's loop. */
export const ATTACHED = isWindows ? (['uv'] as const) : (['uv', 'nested', 'waiter'] as const);
/** All ways to run. */
export const MODES = [...ATTACHED, 'none'] as const;

type Mode = (typeof MODES)[number];
type Scenario = (t: ExecutionContext, base: EventBase) => Promise<void> | void;

/**
 * Runs `call` outside of any promise's callback, where a blocking loop can run promises between its
 * own callbacks.
 */
export async function outside<T>(call: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(call());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/**
 * Runs a scenario on a base: an attached one runs by itself, the other is run until it has nothing
 * left to do, which must end the scenario.
 */
export async function drive(base: EventBase, scenario: () => Promise<void> | void): Promise<void> {
  if (base.attachment !== 'none') return scenario();
  const running = await outside(() => {
    const running = scenario();
    if (!base.closed) base.dispatchSync();
    return { running };
  });
  return running.running;
}

/** One test per way to run; `config` is added to each base's. */
export function everywhere(title: string, scenario: Scenario, config: EventConfig = {}): void {
  each(MODES, title, scenario, config);
}

/** One test per way to be attached, for what needs Node's loop beside. */
export function attached(title: string, scenario: Scenario, config: EventConfig = {}): void {
  each(ATTACHED, title, scenario, config);
}

function each(modes: readonly Mode[], title: string, scenario: Scenario, config: EventConfig) {
  for (const attach of modes) {
    test(`${title} (${attach})`, async (t) => {
      const base = new EventBase({ ...config, attach });
      try {
        await drive(base, () => scenario(t, base));
      } finally {
        base.free();
      }
    });
  }
}

/** Something that happens later, as a promise and the function that makes it happen. */
export function later<T = void>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
