// What a loop did, in figures, and the callbacks that took too long.

import { channel } from 'node:diagnostics_channel';

import type { NativeMetrics } from '../index.js';
import type { EventBase } from './base.js';
import type { EventOwner } from './event.js';
import { EventFlags } from './flags.js';

/** How often values of each size came. */
export class Histogram {
  /** The counts: bucket 0 is for zeroes, bucket `b` for 2^(b-1) to 2^b - 1; the last for the rest. */
  readonly buckets: readonly number[];

  /** @internal */
  constructor(buckets: readonly number[]) {
    this.buckets = buckets;
  }

  /** How many values there were. */
  get count(): number {
    return this.buckets.reduce((sum, count) => sum + count, 0);
  }

  /**
   * A value that this share of all (0.5: half of them) did not exceed: the greatest that its bucket
   * counts. Undefined when there were none.
   */
  quantile(share: number): number | undefined {
    const wanted = Math.max(1, Math.ceil(this.count * Math.min(1, Math.max(0, share))));
    let seen = 0;
    const bucket = this.buckets.findIndex((count) => (seen += count) >= wanted);
    return bucket < 0 ? undefined : 2 ** bucket - 1;
  }
}

/** What a loop did since it was made or its metrics were reset. */
export interface Metrics {
  /** Turns of the loop. */
  turns: number;
  /** Callbacks of events that ran, those of bufferevents and listeners included. */
  events: number;
  /** Turns in which the loop was ready to wait. */
  waits: number;
  /** Callbacks that ran in each turn. */
  eventsPerTurn: Histogram;
  /** Nanoseconds that each callback took; empty without `metrics: true`, as are the next two. */
  callbackTime: Histogram;
  /** Nanoseconds from the end of each timeout to the turn that noticed. */
  timerLateness: Histogram;
  /** Nanoseconds that each wait took. */
  waitTime: Histogram;
}

/** The native layer's figures with their histograms as objects. */
export function metricsOf(native: NativeMetrics): Metrics {
  return {
    ...native,
    eventsPerTurn: new Histogram(native.eventsPerTurn),
    callbackTime: new Histogram(native.callbackTime),
    timerLateness: new Histogram(native.timerLateness),
    waitTime: new Histogram(native.waitTime),
  };
}

/** A callback that took longer than `slowCallback` allows: what the channel's subscribers get. */
export interface SlowCallback {
  /** The base on whose loop it ran. */
  base: EventBase;
  /** The event, or the bufferevent or listener; null when it is freed or not known. */
  event: EventOwner | null;
  /** The event in words: `timer onTick`, `descriptor 7`, `signal 15 onTerm`, `bufferevent 9`. */
  name: string;
  /** The descriptor or signal, or -1. */
  fd: number;
  /** What it was active for: {@link EventFlags}. */
  what: number;
  /** How many milliseconds the callback took. */
  milliseconds: number;
}

/** Where slow callbacks are told: `diagnostics_channel.subscribe(SLOW_CALLBACK_CHANNEL, ...)`. */
export const SLOW_CALLBACK_CHANNEL = 'evnode:slow-callback';

const slowCallbacks = channel(SLOW_CALLBACK_CHANNEL);

/** An event in words. */
export function eventName(owner: EventOwner | null, fd: number, what: number): string {
  if (owner !== null && !('pending' in owner)) {
    return `${'address' in owner ? 'listener' : 'bufferevent'} ${fd}`;
  }
  const kind =
    (what & EventFlags.SIGNAL) !== 0 ? `signal ${fd}` : fd >= 0 ? `descriptor ${fd}` : 'timer';
  const callback = owner?._callbackName ?? '';
  return callback === '' ? kind : `${kind} ${callback}`;
}

/** Tells of a slow callback: who listens on the channel, or else a warning of the process. */
export function tellSlow(slow: SlowCallback): void {
  if (slowCallbacks.hasSubscribers) {
    slowCallbacks.publish(slow);
    return;
  }
  const took = slow.milliseconds.toFixed(1);
  const message = `the callback of ${slow.name} kept the loop for ${took} ms`;
  process.emitWarning(message, { type: 'EvnodeWarning', code: 'EVNODE_SLOW_CALLBACK' });
}

/** A turn of a loop that is over: what the channel's subscribers get. */
export interface Turn {
  /** The base. */
  base: EventBase;
  /** How many callbacks of events ran, those of bufferevents and listeners included. */
  events: number;
  /** How many milliseconds the loop was busy: from the end of the wait to that of the last callback. */
  milliseconds: number;
}

/** Where turns are told: `diagnostics_channel.subscribe(TURN_CHANNEL, ...)`. */
export const TURN_CHANNEL = 'evnode:turn';

const turns = channel(TURN_CHANNEL);

/** Whether anybody wants to be told of turns. */
export const hearsTurns = (): boolean => turns.hasSubscribers;

/** Tells of a turn who listens. */
export function tellTurn(turn: Turn): void {
  if (turns.hasSubscribers) turns.publish(turn);
}
