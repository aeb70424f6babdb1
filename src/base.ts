// EventBase: libevent's event_base, the loop.

import { isMainThread } from 'node:worker_threads';

import type { BaseOptions } from '../index.js';
import type { BufferEvent } from './bufferevent.js';
import { connect, type ConnectOptions } from './connect.js';
import { EvError, typeError } from './errors.js';
import { Event, type EventCallback } from './event.js';
import { EventFlags } from './flags.js';
import { ConnListener, type ConnectionCallback, type ListenOptions } from './listener.js';
import { binding, freeAll, keep, raw, release } from './native.js';
import {
  boolean,
  choice,
  descriptor,
  flags,
  integer,
  milliseconds,
  options,
  required,
  signalNumber,
  text,
} from './options.js';

/** How a loop runs (`EVLOOP_…`). */
export const LoopFlags = {
  /** Wait until something happens, run what is active, and return. */
  ONCE: 1,
  /** Do not wait; run what is active, and return. */
  NONBLOCK: 2,
  /** Go on without events until told to stop. */
  NO_EXIT_ON_EMPTY: 4,
} as const;

/** Why a loop ended. */
export const LoopExit = {
  /** There are no events left. */
  NO_EVENTS: 0,
  /** `loopExit` was called. */
  EXIT: 1,
  /** `loopBreak` was called, or the base was freed. */
  BREAK: 2,
  /** The turn that was asked for has run. */
  DONE: 3,
} as const;
/** Why a loop ended. */
export type LoopExit = (typeof LoopExit)[keyof typeof LoopExit];

/** What a method can do (`EV_FEATURE_…`). */
export const Features = {
  /** Edge-triggered events. */
  ET: 1,
  /** Its cost does not grow with the number of events. */
  O1: 2,
  /** Descriptors other than sockets. */
  FDS: 4,
  /** Tells that the peer has closed without reading. */
  EARLY_CLOSE: 8,
  /** Timeouts finer than a millisecond. */
  NS_TIMEOUT: 16,
} as const;

const ATTACH = ['auto', 'uv', 'nested', 'waiter', 'none'] as const;

/**
 * How a base runs: `uv` on handles of Node's own loop, `nested` with a loop of its own inside of
 * Node's, `waiter` with a thread that waits, `none` only in {@link EventBase.dispatchSync}; `auto`
 * takes `uv`, or `nested` for what libuv lacks, or `waiter` where there is no libuv.
 */
export type Attachment = (typeof ATTACH)[number];

/** How to make a base (`struct event_config`); all may be left out. */
export interface EventConfig {
  /** How it runs; `auto` by default. */
  attach?: Attachment;
  /** Exactly this method: `epoll`, `poll`, ... */
  method?: string;
  /** Methods not to be used (`event_config_avoid_method`). */
  avoid?: readonly string[];
  /** {@link Features} that it must have (`event_config_require_features`). */
  requireFeatures?: number;
  /** Number of priorities, 1 by default. */
  priorities?: number;
  /** Ignore the `EVENT_NO…` environment variables (`EVENT_BASE_FLAG_IGNORE_ENV`). */
  ignoreEnv?: boolean;
  /** Read the clock whenever it is asked for (`EVENT_BASE_FLAG_NO_CACHE_TIME`). */
  noCacheTime?: boolean;
  /**
   * Look for more urgent events after so many milliseconds of callbacks
   * (`event_config_set_max_dispatch_interval`).
   */
  maxDispatchInterval?: number;
  /** Look for more urgent events after so many callbacks. */
  maxDispatchCallbacks?: number;
  /** The two limits hold for priorities from this one on. */
  minPriority?: number;
}

const MOST = 0x7fff_ffff;

function baseOptions(call: string, config: EventConfig): BaseOptions {
  const chosen: BaseOptions = {
    attach: choice(call, 'attach', config.attach, ATTACH),
    ignoreEnv: boolean(call, 'ignoreEnv', config.ignoreEnv, false),
    noCacheTime: boolean(call, 'noCacheTime', config.noCacheTime, false),
    inWorker: !isMainThread,
  };
  const { avoid, method } = config;
  if (method !== undefined) chosen.method = text(call, 'method', method);
  if (avoid !== undefined) {
    if (!Array.isArray(avoid)) throw typeError(call, 'avoid', 'an array of names', avoid);
    chosen.avoid = avoid.map((name: unknown) => text(call, 'avoid', name));
  }
  const { requireFeatures: needed = 0, priorities, minPriority } = config;
  if (needed !== 0) chosen.features = flags(call, 'requireFeatures', needed, 31);
  if (priorities !== undefined) chosen.priorities = integer(call, 'priorities', priorities, 1, 256);
  if (minPriority !== undefined) {
    chosen.minPriority = integer(call, 'minPriority', minPriority, 0, 255);
  }
  const { maxDispatchInterval, maxDispatchCallbacks } = config;
  if (maxDispatchInterval !== undefined) {
    chosen.maxDispatchMs = milliseconds(call, 'maxDispatchInterval', maxDispatchInterval);
  }
  if (maxDispatchCallbacks !== undefined) {
    const name = 'maxDispatchCallbacks';
    chosen.maxDispatchCallbacks = integer(call, name, maxDispatchCallbacks, 1, MOST);
  }
  return chosen;
}

/**
 * A loop that waits for events and runs their callbacks (`struct event_base`).
 *
 * By default it is attached to Node's loop: it runs by itself as soon as there are events, beside
 * everything else that the program does, and keeps the process alive while it has events. What a
 * callback throws is an uncaught exception, as in any callback of Node's. {@link dispatchSync} and
 * {@link loop} run it here and now instead, and what a callback throws ends them.
 *
 * A base lives until {@link free}; then every method throws `ERR_EVNODE_CLOSED`, and so do those of
 * everything that was made on it.
 */
export class EventBase implements Disposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base = null;
  private readonly _tokens = new Map<number, (what: number) => void>();
  private _nextToken = 1;
  private _dispatched: Promise<LoopExit> | null = null;
  private _resolve: ((exit: LoopExit) => void) | null = null;

  /**
   * A new base (`event_base_new_with_config`).
   *
   * @throws EvError `ERR_EVNODE_UNSUPPORTED` when no method fits
   */
  constructor(config?: EventConfig) {
    const call = 'new EventBase';
    this._handle = binding.baseNew(baseOptions(call, options(call, config, {})));
    keep(this._handle, this);
  }

  /** The methods of this build, the best first (`event_get_supported_methods`). */
  static supportedMethods(): string[] {
    return binding.supportedMethods();
  }

  /** The {@link Features} of a method, or undefined when this build has none of that name. */
  static methodFeatures(name: string): number | undefined {
    return binding.methodFeatures(text('EventBase.methodFeatures', 'name', name)) ?? undefined;
  }

  /** How it runs. */
  get attachment(): Exclude<Attachment, 'auto'> {
    return binding.baseAttachment(this._handle) as Exclude<Attachment, 'auto'>;
  }

  /** The method: `uv`, `epoll`, `poll`, ... (`event_base_get_method`). */
  get method(): string {
    return binding.baseMethod(this._handle);
  }

  /** What the method can do: {@link Features} (`event_base_get_features`). */
  get features(): number {
    return binding.baseFeatures(this._handle);
  }

  /** The number of priorities (`event_base_get_npriorities`). */
  get priorities(): number {
    return binding.basePriorities(this._handle);
  }

  /** Whether the loop was ended by {@link loopExit} (`event_base_got_exit`). */
  get gotExit(): boolean {
    return binding.baseGotExit(this._handle);
  }

  /** Whether the loop was ended by {@link loopBreak} (`event_base_got_break`). */
  get gotBreak(): boolean {
    return binding.baseGotBreak(this._handle);
  }

  /** Whether one of its callbacks is running. */
  get isRunning(): boolean {
    return binding.baseIsRunning(this._handle);
  }

  /** Milliseconds since the epoch, with fractions, as of this turn (`event_base_gettimeofday_cached`). */
  get cachedTime(): number {
    return binding.baseCachedTime(this._handle);
  }

  /** How many events are pending or active (`event_base_get_num_events`). */
  get eventCount(): number {
    return binding.baseEventCount(this._handle);
  }

  /** Whether it was freed. */
  get closed(): boolean {
    return this._handle === 0;
  }

  /** Reads the clock for {@link cachedTime} anew (`event_base_update_cache_time`). */
  updateCacheTime(): this {
    binding.baseUpdateCacheTime(this._handle);
    return this;
  }

  /**
   * Waits until the loop of an attached base ends: when there are no events left, or by
   * {@link loopExit} or {@link loopBreak} (`event_base_dispatch`). The loop itself runs whether or
   * not somebody waits, and starts again with the next event or call of this.
   *
   * @throws EvError `ERR_EVNODE_UNSUPPORTED` on a base that is not attached
   */
  dispatch(): Promise<LoopExit> {
    if (this._dispatched !== null) return this._dispatched;
    this._dispatched = new Promise((resolve, reject) => {
      try {
        if (this.attachment === 'none') {
          const message = 'EventBase.dispatch: the base is not attached; call dispatchSync()';
          throw new EvError('ERR_EVNODE_UNSUPPORTED', message);
        }
        binding.baseWatchEnd(this._handle, true);
        this._resolve = resolve;
      } catch (error) {
        reject(error);
      }
    });
    const { _dispatched } = this;
    if (this._resolve === null) this._dispatched = null;
    return _dispatched;
  }

  /**
   * Runs the loop on this thread until it ends; Node's own loop stands still meanwhile, but promises
   * and `process.nextTick` run between callbacks (`event_base_dispatch`). Promises do not when this
   * is called within one's own callback, or at the top level of an ECMAScript module, which is one:
   * the engine does not nest them. Call it from `setImmediate` then. In Bun and Deno they run after the
   * loop.
   *
   * @throws what a callback has thrown; EvError `ERR_EVNODE_LOOP_RUNNING` within a callback
   */
  dispatchSync(): LoopExit {
    return raw.baseLoop(this._handle, 0) as LoopExit;
  }

  /** As {@link dispatchSync}, with {@link LoopFlags} (`event_base_loop`). */
  loop(how = 0): LoopExit {
    if (how !== 0) flags('EventBase.loop', 'flags', how, 7);
    return raw.baseLoop(this._handle, how) as LoopExit;
  }

  /**
   * Ends the loop after the events that are active now, or after `after` milliseconds
   * (`event_base_loopexit`).
   */
  loopExit(after?: number | null): this {
    const ms = milliseconds('EventBase.loopExit', 'after', after);
    binding.baseLoopExit(this._handle, ms < 0 ? undefined : ms);
    return this;
  }

  /** Ends the loop after the callback that is running (`event_base_loopbreak`). */
  loopBreak(): this {
    binding.baseLoopBreak(this._handle);
    return this;
  }

  /** Looks for new events after the callback that is running (`event_base_loopcontinue`). */
  loopContinue(): this {
    binding.baseLoopContinue(this._handle);
    return this;
  }

  /** Sets the number of priorities while no event is active (`event_base_priority_init`). */
  priorityInit(priorities: number): this {
    integer('EventBase.priorityInit', 'priorities', priorities, 1, 256);
    binding.basePriorityInit(this._handle, priorities);
    return this;
  }

  /** Keeps the process alive while there are events, which is the default. */
  ref(): this {
    binding.baseRef(this._handle);
    return this;
  }

  /** Lets the process end although there are events. */
  unref(): this {
    binding.baseUnref(this._handle);
    return this;
  }

  /** Whether events keep the process alive. */
  hasRef(): boolean {
    return binding.baseHasRef(this._handle);
  }

  /** An event on a descriptor, or on none with -1; see {@link Event} (`event_new`). */
  event(fd: number, what: number, callback: EventCallback): Event {
    return new Event(this, fd, what, callback);
  }

  /** A timer, which `add(milliseconds)` starts (`evtimer_new`). */
  timer(callback: EventCallback): Event {
    return new Event(this, -1, 0, callback);
  }

  /** An event on a signal, such as `'SIGTERM'`, which `add()` starts (`evsignal_new`). */
  signal(signal: NodeJS.Signals | number, callback: EventCallback): Event {
    const number = signalNumber('EventBase.signal', signal);
    return new Event(this, number, EventFlags.SIGNAL | EventFlags.PERSIST, callback);
  }

  /**
   * Calls `callback` once, when a descriptor is ready or a time has passed (`event_base_once`).
   *
   * @param fd a descriptor, or -1
   * @param what `EventFlags.READ` or `WRITE`, or `TIMEOUT` alone
   * @param timeout milliseconds, or null for none
   */
  once(fd: number, what: number, timeout: number | null, callback: (what: number) => void): this {
    const call = 'EventBase.once';
    descriptor(call, fd);
    flags(call, 'what', what, EventFlags.TIMEOUT | EventFlags.READ | EventFlags.WRITE);
    const ms = milliseconds(call, 'timeout', timeout);
    required(call, 'callback', callback);
    const token = this._nextToken;
    raw.baseOnce(this._handle, fd, what, ms, token);
    this._nextToken = token === MOST ? 1 : token + 1;
    this._tokens.set(token, callback);
    return this;
  }

  /** Listens and gives connections to a callback, or to `for await`; see {@link ConnListener}. */
  listen(where: ListenOptions, callback?: ConnectionCallback | null): ConnListener {
    return new ConnListener(this, where, callback);
  }

  /**
   * Connects; see {@link ConnectOptions}. The connection starts to read with its first read
   * callback.
   *
   * @throws EvError with the system's code: `ECONNREFUSED`, ...; the reason of an aborted signal; what
   * `dns.lookup` throws for a name without addresses: `ENOTFOUND`, ...
   */
  connect(to: ConnectOptions): Promise<BufferEvent> {
    return connect(this, to);
  }

  /**
   * Frees the base and everything on it (`event_base_free`); connections are closed at once. May be
   * called in a callback. Whoever awaits {@link dispatch} is told `LoopExit.BREAK`.
   */
  free(): void {
    if (this._handle === 0) return;
    freeAll(this);
    release(this._handle);
    binding.baseFree(this._handle);
    this._handle = 0;
    this._tokens.clear();
    this._ended(LoopExit.BREAK);
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** @internal */
  _ended(exit: number): void {
    const resolve = this._resolve;
    this._dispatched = null;
    this._resolve = null;
    resolve?.(exit as LoopExit);
  }

  /** @internal */
  _once(token: number, what: number): void {
    const callback = this._tokens.get(token);
    this._tokens.delete(token);
    callback?.(what);
  }
}
