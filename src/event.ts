// Event: libevent's event, something to wait for and what to do then.

import type { EventBase } from './base.js';
import { typeError } from './errors.js';
import { EventFlags } from './flags.js';
import { keep, raw, release } from './native.js';
import { descriptor, flags, integer, milliseconds, required } from './options.js';

/** An event's callback: gets the event and what has happened (`event_callback_fn`). */
export type EventCallback = (event: Event, what: number) => void;

const { PERSIST } = EventFlags;
/** All that an event may wait for and be told. */
const WAITABLE = 0xbf;
const HAPPENING = 0x8f;

const forgotten = new FinalizationRegistry<number>((handle) => {
  raw.eventFree(handle);
});

/** The base of a new object, checked as far as JavaScript can; the native layer checks the handle. */
export function baseHandle(call: string, base: EventBase): number {
  if (typeof base !== 'object' || base === null || typeof base._handle !== 'number') {
    throw typeError(call, 'base', 'an EventBase', base);
  }
  return base._handle;
}

/**
 * Something to wait for (`struct event`): a descriptor, a signal, a time, or {@link active} itself.
 *
 * An event does nothing until {@link add}; then it is pending until it fires (with
 * `EventFlags.PERSIST`: until {@link del}). While it is pending it lives, whoever else knows it; one
 * that is forgotten and not pending is freed by the garbage collector. Every method throws
 * `ERR_EVNODE_CLOSED` once the event or its base is freed. A callback may do anything, freeing its own
 * event included.
 */
export class Event implements Disposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base: EventBase;
  private readonly _callback: EventCallback;
  /** `add` was called since it was last removed: a persistent event stays kept when it fires. */
  private _added = false;
  /** What it waits for: {@link EventFlags}. */
  readonly flags: number;
  /** The descriptor or the signal's number, or -1. */
  readonly fd: number;

  /**
   * An event that is not pending yet (`event_new`).
   *
   * @param base where it is waited for
   * @param fd a descriptor, a signal's number (with `EventFlags.SIGNAL`) or -1
   * @param what {@link EventFlags}; 0 for one that only fires by a timeout or {@link active}
   * @param callback what to do
   */
  constructor(base: EventBase, fd: number, what: number, callback: EventCallback) {
    const call = 'new Event';
    const handle = baseHandle(call, base);
    descriptor(call, fd);
    if (what !== 0) flags(call, 'what', what, WAITABLE);
    this._base = base;
    this._callback = required(call, 'callback', callback);
    this.flags = what;
    this.fd = fd;
    this._handle = raw.eventNew(handle, fd, what);
    forgotten.register(this, this._handle, this);
  }

  /** The base (`event_get_base`). */
  get base(): EventBase {
    return this._base;
  }

  /** Whether it can be used: neither it nor its base was freed (`event_initialized`). */
  get initialized(): boolean {
    return this._handle !== 0 && this._base._handle !== 0;
  }

  /** The priority; 0 is the most urgent (`event_get_priority`). */
  get priority(): number {
    return raw.eventPriority(this._handle);
  }

  /**
   * Makes it pending (`event_add`). On one that is pending already this sets the timeout anew, and
   * without `timeout` changes nothing.
   *
   * @param timeout milliseconds, with fractions, after which it fires with `EventFlags.TIMEOUT`; with
   * `EventFlags.PERSIST` again and again
   * @throws EvError with the system's code when the descriptor cannot be waited for
   */
  add(timeout?: number | null): this {
    raw.eventAdd(this._handle, milliseconds('Event.add', 'timeout', timeout));
    this._added = true;
    keep(this._handle, this);
    return this;
  }

  /** Makes it neither pending nor active (`event_del`). */
  del(): this {
    raw.eventDel(this._handle);
    this._added = false;
    release(this._handle);
    return this;
  }

  /** Removes the timeout; what else it waits for stays pending (`event_remove_timer`). */
  removeTimer(): this {
    raw.eventRemoveTimer(this._handle);
    if (raw.eventPending(this._handle, HAPPENING) === 0) {
      this._added = false;
      release(this._handle);
    }
    return this;
  }

  /** Makes it fire in the loop's next step, as if `what` had happened (`event_active`). */
  active(what: number): this {
    raw.eventActive(this._handle, flags('Event.active', 'what', what, HAPPENING));
    keep(this._handle, this);
    return this;
  }

  /** Which of `what`, anything by default, it is pending or active for (`event_pending`). */
  pending(what: number = HAPPENING): number {
    return raw.eventPending(this._handle, flags('Event.pending', 'what', what, HAPPENING));
  }

  /** Sets the priority; 0 is the most urgent (`event_priority_set`). */
  setPriority(priority: number): this {
    integer('Event.setPriority', 'priority', priority, 0, 255);
    raw.eventSetPriority(this._handle, priority);
    return this;
  }

  /** Frees it, pending or not (`event_free`). */
  free(): void {
    if (this._handle === 0) return;
    release(this._handle);
    forgotten.unregister(this);
    raw.eventFree(this._handle);
    this._handle = 0;
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** @internal */
  _fired(what: number): void {
    if (!this._added || (this.flags & PERSIST) === 0) {
      this._added = false;
      release(this._handle);
    }
    this._callback(this, what);
  }
}
