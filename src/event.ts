// Event: libevent's event, something to wait for and what to do then.

import type { EventBase } from './base.js';
import type { BufferEvent } from './bufferevent.js';
import { typeError } from './errors.js';
import { defersFree, finish, willFinish, type Finalizer } from './finalize.js';
import { EventFlags } from './flags.js';
import type { ConnListener } from './listener.js';
import { keep, raw, release } from './native.js';
import { descriptor, flags, integer, milliseconds, required } from './options.js';
import type { CommonTimeout } from './timeout.js';

/** An event's callback: gets the event and what has happened (`event_callback_fn`). */
export type EventCallback = (event: Event, what: number) => void;

/**
 * What a loop's events belong to: an event itself, or a bufferevent or listener that has events of
 * its own.
 */
export type EventOwner = Event | BufferEvent | ConnListener;

const { PERSIST, SIGNAL } = EventFlags;
const MOST_CALLS = 0xffff;
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
  private _callback: EventCallback;
  /** `add` was called since it was last removed: a persistent event stays kept when it fires. */
  private _added = false;
  /** How often it fires before it may be let go of. */
  private _calls = 1;
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

  /**
   * By what other threads name it to {@link BaseHandle.activate}. Once it was asked for, the event
   * lives until it is freed.
   */
  get id(): number {
    raw.eventPending(this._handle, HAPPENING);
    this._base._share(this);
    return this._handle;
  }

  /** Milliseconds until its timeout, or null when it has none (`event_pending`). */
  get remaining(): number | null {
    return raw.eventRemaining(this._handle);
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

  /** As {@link add}, with a timeout that it shares with others; see {@link CommonTimeout}. */
  addCommon(timeout: CommonTimeout): this {
    if (typeof timeout !== 'object' || timeout === null || timeout.base !== this._base) {
      throw typeError('Event.addCommon', 'timeout', 'a CommonTimeout of the same base', timeout);
    }
    raw.eventAddCommon(this._handle, timeout._index);
    this._added = true;
    keep(this._handle, this);
    return this;
  }

  /**
   * Makes it another event, while it is neither pending nor active (`event_assign`): cheaper than a
   * new one, and also how one that was finalized is used again. Its priority is the default then.
   *
   * @param callback the one that it has by default
   * @throws RangeError `ERR_EVNODE_ARG_VALUE` while it is pending or active
   */
  assign(fd: number, what: number, callback: EventCallback = this._callback): this {
    const call = 'Event.assign';
    descriptor(call, fd);
    if (what !== 0) flags(call, 'what', what, WAITABLE);
    required(call, 'callback', callback);
    raw.eventAssign(this._handle, fd, what);
    Object.assign(this, { fd, flags: what });
    this._callback = callback;
    this._added = false;
    return this;
  }

  /**
   * Makes it neither pending nor active and calls `finalizer` from the loop, when none of its
   * callbacks runs or ever will (`event_finalize`); or at the latest when its base is freed. Until
   * then freeing it waits, and after that it can be {@link assign}ed anew.
   *
   * @throws RangeError `ERR_EVNODE_ARG_VALUE` when it is being finalized already
   */
  finalize(finalizer: Finalizer): this {
    required('Event.finalize', 'finalizer', finalizer);
    return this._finalize(finalizer, false);
  }

  /** As {@link finalize}, and frees it afterwards (`event_free_finalize`). */
  freeFinalize(finalizer: Finalizer): void {
    required('Event.freeFinalize', 'finalizer', finalizer);
    this._finalize(finalizer, true);
  }

  /** Makes it neither pending nor active (`event_del`). */
  del(): this {
    raw.eventDel(this._handle);
    this._added = false;
    this._calls = 1;
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

  /**
   * Makes it fire in the loop's next step, as if `what` had happened (`event_active`).
   *
   * @param calls how often a signal's callback is called
   */
  active(what: number, calls = 1): this {
    flags('Event.active', 'what', what, HAPPENING);
    if (calls === 1) {
      raw.eventActive(this._handle, what);
    } else {
      integer('Event.active', 'calls', calls, 0, MOST_CALLS);
      raw.eventActiveTimes(this._handle, what, calls);
      if ((this.flags & SIGNAL) !== 0) this._calls = calls;
    }
    keep(this._handle, this);
    return this;
  }

  /** Which of `what`, anything by default, it is pending or active for (`event_pending`). */
  pending(what: number = HAPPENING): number {
    return raw.eventPending(this._handle, flags('Event.pending', 'what', what, HAPPENING));
  }

  /**
   * Sets the priority; 0 is the most urgent (`event_priority_set`).
   *
   * @throws RangeError `ERR_EVNODE_ARG_VALUE` when the base has no such priority, or while it is active
   */
  setPriority(priority: number): this {
    integer('Event.setPriority', 'priority', priority, 0, 255);
    raw.eventSetPriority(this._handle, priority);
    return this;
  }

  /** Frees it, pending or not (`event_free`). */
  free(): void {
    if (this._handle === 0 || defersFree(this)) return;
    this._base._unshare(this);
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
    if (this._calls > 1) {
      this._calls--;
    } else if (!this._added || (this.flags & PERSIST) === 0) {
      this._added = false;
      release(this._handle);
    }
    this._callback(this, what);
  }

  /** @internal */
  _finalized(): void {
    release(this._handle);
    finish(this);
  }

  /** @internal What its callback is called in the program. */
  get _callbackName(): string {
    return this._callback.name;
  }

  private _finalize(finalizer: Finalizer, free: boolean): this {
    raw.eventFinalize(this._handle);
    this._added = false;
    willFinish(this, finalizer, free);
    keep(this._handle, this);
    return this;
  }
}
