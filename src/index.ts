/**
 * evnode: libevent for Node.js. An event loop with priorities, segmented buffers, buffered sockets
 * and listeners, on a Rust core.
 *
 * @packageDocumentation
 */

import type { Statistics } from '../index.js';
import { binding } from './native.js';

export type {
  AddressInfo,
  EventCounts,
  MemoryStatistics,
  PoolClass,
  Statistics,
} from '../index.js';
export { EventBase } from './base.js';
export { EvBuffer, type BufferCallback, type BufferEnd } from './buffer.js';
export type { FrameOptions, FramePrefix, SplitOptions } from './buffer-frames.js';
export type { ByteSource, CollectOptions } from './buffer-streams.js';
export {
  BufferEvent,
  type BufferEventOptions,
  type FlushMode,
  type PairOptions,
} from './bufferevent.js';
export type {
  BufferEventCallback,
  BufferEventCallbacks,
  DataCallback,
} from './bufferevent-core.js';
export type { Attachment, EventConfig } from './config.js';
export type { ConnectOptions } from './connect.js';
export { EvError, type SystemErrorFields } from './errors.js';
export { Event, type EventCallback, type EventOwner } from './event.js';
export { FileSegment, type FileSegmentOptions, type FileSource } from './file-segment.js';
export {
  FilterBufferEvent,
  type Compression,
  type CompressionOptions,
  type FilterFunction,
  type FilterOptions,
  type FilterResult,
  type FrameFilterOptions,
  type LayerOptions,
  type TeeCallback,
  type WholeLineOptions,
} from './filter.js';
export type { Finalizer } from './finalize.js';
export { BufferEventFlags, EventFlags, Features, LoopExit, LoopFlags } from './flags.js';
export { LoopHold } from './hold.js';
export {
  ConnListener,
  type ConnectionCallback,
  type ListenErrorCallback,
  type ListenOptions,
  type SocketCallback,
} from './listener.js';
export {
  Histogram,
  SLOW_CALLBACK_CHANNEL,
  TURN_CHANNEL,
  type Metrics,
  type SlowCallback,
  type Turn,
} from './metrics.js';
export type { Bytes, Encoding, EolStyle } from './options.js';
export type { FrameReadOptions, SplitReadOptions } from './readers.js';
export {
  RateLimitGroup,
  TokenBucketConfig,
  type TokenBucketOptions,
  type Totals,
} from './ratelimit.js';
export { BaseHandle, type BaseToken } from './remote.js';
export {
  Severity,
  enableDebugLogging,
  enableDebugMode,
  globalShutdown,
  memoryStatistics,
  poolStatistics,
  setFatalCallback,
  setLogCallback,
  setMemoryLimit,
  version,
  versionNumber,
} from './setup.js';
export type { ChunkOptions, DuplexOptions, LineOptions } from './streams.js';
export { CommonTimeout } from './timeout.js';
export {
  TlsClientConfig,
  TlsServerConfig,
  type Pem,
  type StartTlsClientOptions,
  type StartTlsOptions,
  type StartTlsServerOptions,
  type TlsClientOptions,
  type TlsInfo,
  type TlsLayerOptions,
  type TlsOptions,
  type TlsServerOptions,
  type TlsVersion,
} from './tls.js';
export type { ConnectTlsOptions, ListenTlsOptions } from './tls-connect.js';
export * as util from './util.js';
export type { AddressHints, FoundAddresses, TimerStart } from './util.js';
export { Watcher, type CheckCallback, type PrepareCallback } from './watch.js';

/** What is alive in this thread's native layer; all zero after a clean shutdown. */
export function statistics(): Statistics {
  return binding.statistics();
}
