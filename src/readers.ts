// The messages that come out of a bufferevent: chunks of one size, parts between delimiters, frames.

import { takeBytes, ChunkTaker, FrameTaker, PartTaker, type Taker } from './buffer-frames.js';
import type { FrameOptions, SplitOptions } from './buffer-frames.js';
import type { BufferEvent } from './bufferevent.js';
import { EvError } from './errors.js';
import { EventFlags } from './flags.js';
import { raw } from './native.js';
import type { Bytes } from './options.js';
import { BevReader, type ChunkOptions } from './streams.js';

/** How to read parts that end with a delimiter. */
export interface SplitReadOptions extends SplitOptions, ChunkOptions {}

/** How to read frames. */
export interface FrameReadOptions extends FrameOptions, ChunkOptions {}

const LEAST_MARK = 64 * 1024;

/** Reads messages; what is left at the end is one more. */
class MessageReader extends BevReader<Buffer> {
  protected readonly _input: number;

  constructor(
    call: string,
    bev: BufferEvent,
    options: ChunkOptions,
    private readonly _taker: Taker<Buffer>,
  ) {
    super(call, bev, options);
    this._input = raw.bevInput(bev._handle);
    // Room for a longest message, so that a longer one shows.
    const high = Math.max(_taker.most, LEAST_MARK);
    raw.bevSetWatermark(bev._handle, EventFlags.READ, 0, high);
  }

  protected _take(ended: boolean): Buffer | null {
    const message = this._taker.take(this._input);
    if (message !== null || !ended) return message;
    const held = raw.bufferLength(this._input);
    return held === 0 ? null : this._last(held);
  }

  protected _last(held: number): Buffer {
    return takeBytes(this._input, held);
  }
}

/** Reads frames, of which the last must be whole. */
class FrameReader extends MessageReader {
  protected override _last(held: number): never {
    const message = `the connection has ended ${held} bytes into a frame`;
    throw new EvError('ERR_EVNODE_TRUNCATED', message);
  }
}

/** Chunks of one size. */
export function readChunks(
  bev: BufferEvent,
  length: number,
  options: ChunkOptions,
): AsyncIterableIterator<Buffer> {
  const call = 'BufferEvent.chunks';
  return new MessageReader(call, bev, options, new ChunkTaker(call, length));
}

/** Parts that end with a delimiter. */
export function readParts(
  bev: BufferEvent,
  delimiter: Bytes | string,
  options: SplitReadOptions,
): AsyncIterableIterator<Buffer> {
  const call = 'BufferEvent.split';
  return new MessageReader(call, bev, options, new PartTaker(call, delimiter, options));
}

/** Frames that tell their length. */
export function readFrames(
  bev: BufferEvent,
  options: FrameReadOptions,
): AsyncIterableIterator<Buffer> {
  const call = 'BufferEvent.frames';
  return new FrameReader(call, bev, options, new FrameTaker(call, options));
}
