// What is set up for the whole process: the log, debug mode, the memory of buffers, the end.

import type { MemoryStatistics, PoolClass } from '../index.js';
import { binding } from './native.js';
import { boolean, callback as optional, size } from './options.js';

/** How much a message matters (`EVENT_LOG_…`). */
export const Severity = {
  /** What every event does; only after {@link enableDebugLogging}. */
  DEBUG: 0,
  /** Worth knowing. */
  MESSAGE: 1,
  /** Something is odd, and evnode has dealt with it. */
  WARNING: 2,
  /** The program uses evnode wrongly. */
  ERROR: 3,
} as const;
/** How much a message matters. */
export type Severity = (typeof Severity)[keyof typeof Severity];

/** The version of evnode's core (`event_get_version`). */
export const version: string = binding.version();

/**
 * The same as a number (`event_get_version_number`): a byte each for major, minor and patch, and one
 * that is 0. Versions compare as their numbers do.
 */
export const versionNumber: number = binding.versionNumber();

/**
 * Sends the messages of all threads to `callback` in this one, or with null to standard error, where
 * they go by default (`event_set_log_callback`). They come in order, after the call that caused them
 * has returned to Node's loop; waiting for them does not keep the process alive.
 */
export function setLogCallback(
  callback: ((severity: Severity, message: string) => void) | null,
): void {
  const call = optional('setLogCallback', 'callback', callback);
  binding.setLogCallback(call as ((severity: number, message: string) => void) | null);
}

/**
 * Calls `callback` for misuse after which libevent ends the process (`event_set_fatal_callback`).
 * Here the call in question throws, and `callback` is told like that of {@link setLogCallback}.
 */
export function setFatalCallback(callback: ((message: string) => void) | null): void {
  binding.setFatalCallback(optional('setFatalCallback', 'callback', callback));
}

/** Logs what every event does, or no longer (`event_enable_debug_logging`). */
export function enableDebugLogging(on = true): void {
  binding.enableDebugLogging(boolean('enableDebugLogging', 'on', on, true));
}

let debugMode = false;

/**
 * Makes the bases that this thread creates from now on look for misuse that is not found otherwise
 * (`event_enable_debug_mode`); see `EventConfig.debugMode`.
 */
export function enableDebugMode(): void {
  debugMode = true;
}

/** Whether {@link enableDebugMode} was called. */
export const isDebugMode = (): boolean => debugMode;

/**
 * What this thread keeps of blocks for its buffers, by their size, the smallest first: less than 3 MiB.
 */
export function poolStatistics(): PoolClass[] {
  return binding.poolStatistics();
}

/** What the buffers of the whole process have of memory. */
export function memoryStatistics(): MemoryStatistics {
  return binding.memoryStatistics();
}

/**
 * Limits what the buffers of the whole process may have of memory, in bytes; null lifts the limit.
 * A call that needs more throws `ERR_EVNODE_NO_MEMORY`; memory that is in use stays.
 */
export function setMemoryLimit(bytes: number | null): void {
  binding.setMemoryLimit(bytes === null ? null : size('setMemoryLimit', 'bytes', bytes));
}

/**
 * Lets go of what evnode holds for the process and for this thread (`libevent_global_shutdown`): the
 * memory kept for buffers to come, the log and fatal callbacks. Bases are not freed. evnode can be
 * used on afterwards.
 */
export function globalShutdown(): void {
  debugMode = false;
  binding.globalShutdown();
}
