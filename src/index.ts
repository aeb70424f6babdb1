/**
 * evnode: libevent for Node.js. An event loop with priorities, segmented buffers, buffered sockets
 * and listeners, on a Rust core.
 *
 * @packageDocumentation
 */

import type { Statistics } from '../index.js';
import { binding } from './native.js';

export type { AddressInfo, Statistics } from '../index.js';
export {
  EventBase,
  Features,
  LoopExit,
  LoopFlags,
  type Attachment,
  type EventConfig,
} from './base.js';
export { EvBuffer, type BufferCallback, type BufferEnd } from './buffer.js';
export {
  BufferEvent,
  type BufferEventCallback,
  type BufferEventCallbacks,
  type BufferEventOptions,
  type DataCallback,
  type FlushMode,
} from './bufferevent.js';
export type { ConnectOptions } from './connect.js';
export { EvError, type SystemErrorFields } from './errors.js';
export { Event, type EventCallback } from './event.js';
export { BufferEventFlags, EventFlags } from './flags.js';
export {
  ConnListener,
  type ConnectionCallback,
  type ListenErrorCallback,
  type ListenOptions,
  type SocketCallback,
} from './listener.js';
export type { Bytes, Encoding, EolStyle } from './options.js';
export type { ChunkOptions, DuplexOptions, LineOptions } from './streams.js';

/** The version of evnode's core. */
export const version: string = binding.version();

/** What is alive in this thread's native layer; all zero after a clean shutdown. */
export function statistics(): Statistics {
  return binding.statistics();
}
