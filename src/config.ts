// EventConfig: libevent's event_config, how to make a base.

import { isMainThread } from 'node:worker_threads';

import type { BaseOptions } from '../index.js';
import { typeError } from './errors.js';
import { boolean, choice, flags, integer, milliseconds, text } from './options.js';
import { isDebugMode } from './setup.js';

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
   * Read the clock for each timer that is set (`EVENT_BASE_FLAG_PRECISE_TIMER`); otherwise timers may
   * be a microsecond or two late. They are never early.
   */
  preciseTimer?: boolean;
  /** Have `epoll` tell the kernel of changes once a turn (`EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`). */
  epollChangelist?: boolean;
  /**
   * Find descriptors that are closed while an event waits for them, and report this and calls on
   * freed events to the log and fatal callbacks (`event_enable_debug_mode`). Costs a system call for
   * each `add` and `del`.
   */
  debugMode?: boolean;
  /** Measure the times that {@link EventBase.metrics} tells, at the price of a clock's reading each. */
  metrics?: boolean;
  /**
   * Tell of callbacks that take so many milliseconds or longer, on the diagnostics channel
   * `evnode:slow-callback`, or, while nobody listens there, by a warning of the process.
   */
  slowCallback?: number;
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

/** The options as the native layer takes them. */
export function baseOptions(call: string, config: EventConfig): BaseOptions {
  const chosen: BaseOptions = {
    attach: choice(call, 'attach', config.attach, ATTACH),
    ignoreEnv: boolean(call, 'ignoreEnv', config.ignoreEnv, false),
    noCacheTime: boolean(call, 'noCacheTime', config.noCacheTime, false),
    preciseTimer: boolean(call, 'preciseTimer', config.preciseTimer, false),
    epollChangelist: boolean(call, 'epollChangelist', config.epollChangelist, false),
    debugMode: boolean(call, 'debugMode', config.debugMode, isDebugMode()),
    metrics: boolean(call, 'metrics', config.metrics, false),
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
