// EventBase: libevent's event_base, the loop.

import type { EventCounts } from '../index.js';
import type { BufferEvent } from './bufferevent.js';
import { baseOptions, type Attachment, type EventConfig } from './config.js';
import { connect, type ConnectOptions } from './connect.js';
import { EvError, typeError } from './errors.js';
import { Event, type EventCallback, type EventOwner } from './event.js';
import { finishAll } from './finalize.js';
import { EventFlags, LoopExit } from './flags.js';
import { LoopHold } from './hold.js';
import { ConnListener, type ConnectionCallback, type ListenOptions } from './listener.js';
import { eventName, hearsTurns, metricsOf, tellSlow, tellTurn, type Metrics } from './metrics.js';
import { binding, freeAll, keep, ownersOn, raw, release } from './native.js';
import {
  boolean,
  callback as optional,
  descriptor,
  flags,
  integer,
  milliseconds,
  options,
  required,
  signalNumber,
  text,
} from './options.js';
import { BaseHandle, messageOf } from './remote.js';
import { CommonTimeout } from './timeout.js';
import {
  connectTls,
  listenTls,
  type ConnectTlsOptions,
  type ListenTlsOptions,
} from './tls-connect.js';
import { Watcher, type CheckCallback, type PrepareCallback } from './watch.js';

const MOST = 0x7fff_ffff;

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
  /** @internal Whose callback runs, or ran last. */
  _running: EventOwner | null = null;
  /** Events that other threads may name. */
  private _shared: Map<number, Event> | null = null;
  private _message: ((message: unknown) => void) | null = null;

  /**
   * A new base (`event_base_new_with_config`).
   *
   * @throws EvError `ERR_EVNODE_UNSUPPORTED` when no method fits
   */
  constructor(config?: EventConfig) {
    const call = 'new EventBase';
    const given = options<EventConfig>(call, config, {});
    const slow = milliseconds(call, 'slowCallback', given.slowCallback);
    this._handle = binding.baseNew(baseOptions(call, given));
    keep(this._handle, this);
    if (slow >= 0) this.tellSlowCallbacks(slow);
    if (hearsTurns()) this.tellTurns();
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

  /** How many events are pending or active, each counted once. */
  get eventCount(): number {
    return binding.baseEventCount(this._handle);
  }

  /**
   * How many events are active, are added, and keep the loop alive without being either
   * (`event_base_get_num_events`). One that is both added and active counts in both.
   */
  get counts(): EventCounts {
    return binding.baseCounts(this._handle);
  }

  /**
   * The event whose callback is running, or the bufferevent or listener, or null
   * (`event_base_get_running_event`).
   */
  get runningEvent(): EventOwner | null {
    return binding.baseIsRunning(this._handle) ? this._running : null;
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

  /**
   * The most events that {@link counts} has counted (`event_base_get_max_events`); with `reset`,
   * counting starts anew from what there is.
   */
  maxCounts(reset = false): EventCounts {
    return binding.baseMaxCounts(
      this._handle,
      boolean('EventBase.maxCounts', 'reset', reset, false),
    );
  }

  /**
   * Calls `visit` with every {@link Event} that is pending or active, and with every bufferevent and
   * listener that is enabled for their own, in no particular order, until it returns something else
   * than undefined, which is returned (`event_base_foreach_event`). It may do anything: what is freed
   * meanwhile is left out, what is new is not visited.
   */
  foreach<T>(visit: (owner: EventOwner) => T | undefined): T | undefined {
    required('EventBase.foreach', 'visit', visit);
    binding.baseIsRunning(this._handle);
    for (const owner of ownersOn(this)) {
      if (owner._handle === 0 || this._handle === 0) continue;
      if ('pending' in owner ? owner.pending() === 0 : !owner.enabled) continue;
      const result = visit(owner);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  /**
   * All events that are pending or active, those of bufferevents and listeners included, a line each
   * (`event_base_dump_events`). For people to read: the format may change.
   */
  dump(): string {
    return binding.baseDump(this._handle);
  }

  /**
   * Makes all events on a descriptor active that wait for any of `what`, ready or not
   * (`event_base_active_by_fd`); with `EventFlags.TIMEOUT`, all that have a timeout, too.
   */
  activeByFd(fd: number, what: number): this {
    integer('EventBase.activeByFd', 'fd', fd, 0, MOST);
    flags('EventBase.activeByFd', 'what', what, 0x8f);
    binding.baseActiveByFd(this._handle, fd, what);
    return this;
  }

  /** Makes all events of a signal active, as though it had come (`event_base_active_by_signal`). */
  activeBySignal(signal: NodeJS.Signals | number): this {
    const number = signalNumber('EventBase.activeBySignal', signal);
    binding.baseActiveBySignal(this._handle, number);
    return this;
  }

  /** A timeout that many events are to share (`event_base_init_common_timeout`). */
  initCommonTimeout(timeout: number): CommonTimeout {
    const call = 'EventBase.initCommonTimeout';
    const ms = milliseconds(call, 'timeout', timeout);
    if (ms < 0) throw typeError(call, 'timeout', 'milliseconds', timeout);
    return new CommonTimeout(this, ms, binding.baseInitCommonTimeout(this._handle, ms));
  }

  /**
   * Calls `callback` before every wait of the loop, with how long that may be in milliseconds, or
   * null for ever (`evwatch_prepare_new`). An attached base takes a turn when Node's loop has waited
   * for it, and is told 0.
   */
  prepare(callback: PrepareCallback): Watcher {
    return new Watcher(this, false, required('EventBase.prepare', 'callback', callback));
  }

  /** Calls `callback` after every wait, before the callbacks of events (`evwatch_check_new`). */
  check(callback: CheckCallback): Watcher {
    return new Watcher(this, true, required('EventBase.check', 'callback', callback));
  }

  /** What the loop did so far, in figures; with `reset`, counting starts anew. */
  metrics(reset = false): Metrics {
    const anew = boolean('EventBase.metrics', 'reset', reset, false);
    return metricsOf(binding.baseMetrics(this._handle, anew));
  }

  /** Sets `EventConfig.slowCallback` anew; null ends it. */
  tellSlowCallbacks(threshold: number | null): this {
    const ms = milliseconds('EventBase.tellSlowCallbacks', 'threshold', threshold);
    binding.baseSetSlowCallback(this._handle, ms < 0 ? null : ms);
    return this;
  }

  /**
   * Tells of every turn on the diagnostics channel `evnode:turn`, or no longer. A base that is made
   * while the channel has subscribers does so from the beginning; for all others this costs nothing.
   */
  tellTurns(on = true): this {
    binding.baseTellTurns(this._handle, boolean('EventBase.tellTurns', 'on', on, true));
    return this;
  }

  /** Keeps the loop from ending for want of events; see {@link LoopHold}. */
  hold(): LoopHold {
    return new LoopHold(this);
  }

  /** A handle whose token other threads can use to reach this base. */
  handle(): BaseHandle {
    return new BaseHandle(binding.baseToken(this._handle));
  }

  /** Calls `callback` with what other threads {@link BaseHandle.post}; null for nobody. */
  onMessage(callback: ((message: unknown) => void) | null): this {
    const call = optional('EventBase.onMessage', 'callback', callback);
    binding.baseIsRunning(this._handle);
    this._message = call;
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
   * Listens for TLS connections. They are given out when they are accepted: what is written then goes
   * out after the handshake, of which the event callback is told as `CONNECTED`.
   */
  listenTls(where: ListenTlsOptions, callback?: ConnectionCallback | null): ConnListener {
    return listenTls(this, where, callback);
  }

  /**
   * Connects with TLS, and gives the connection once the server has proved who it is.
   *
   * @throws EvError what {@link connect} throws, and `ERR_EVNODE_TLS_…`: `CERT_UNKNOWN_ISSUER`,
   * `CERT_NAME_MISMATCH`, `CERT_EXPIRED`, ...
   */
  connectTls(to: ConnectTlsOptions): Promise<BufferEvent> {
    return connectTls(this, to);
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
    this._shared = null;
    this._message = null;
    this._running = null;
    this._ended(LoopExit.BREAK);
    finishAll(this);
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

  /** @internal */
  _turned(events: number, milliseconds: number): void {
    tellTurn({ base: this, events, milliseconds });
  }

  /** @internal */
  _slow(): void {
    const slow = binding.baseSlowCallback(this._handle);
    if (slow === null) return;
    const { fd, what, ms: took } = slow;
    const last = this._running;
    this._running = null;
    // What has freed itself is not told. Other events than JavaScript's have no handle; that of a
    // bufferevent or listener is known by its descriptor.
    const its = last !== null && last._handle !== 0;
    const same =
      its && ('pending' in last ? last._handle === slow.event : last.fd === fd && fd >= 0);
    const event = same ? last : null;
    const name = eventName(event, fd, what);
    tellSlow({ base: this, event, name, fd, what, milliseconds: took });
  }

  /** @internal */
  _share(event: Event): void {
    (this._shared ??= new Map()).set(event._handle, event);
  }

  /** @internal */
  _unshare(event: Event): void {
    this._shared?.delete(event._handle);
  }

  /** @internal */
  _activated(event: number, what: number): void {
    this._shared?.get(event)?.active(what);
  }

  /** @internal */
  _received(): void {
    const bytes = binding.baseTakeMessage(this._handle);
    if (bytes !== null) this._message?.(messageOf(bytes));
  }
}
