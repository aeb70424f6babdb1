// Messages in a buffer: parts between delimiters, frames behind a length, chunks of one size.

import { BufferNumbers } from './buffer-numbers.js';
import { EvError, rangeError, typeError } from './errors.js';
import { raw } from './native.js';
import {
  asBuffer,
  bytes,
  choice,
  encodingCode,
  eolCode,
  integer,
  lengthOf,
  options,
  type Bytes,
  type Encoding,
  type EolStyle,
} from './options.js';

/** The number before a frame that tells its length: how many bits, and which byte is the first. */
export type FramePrefix = 'u8' | 'u16be' | 'u16le' | 'u32be' | 'u32le';

/** How messages are told apart by a delimiter. */
export interface SplitOptions {
  /** The most bytes of a part without its delimiter, 1 MiB by default. */
  maxLength?: number;
}

/** How frames are laid out. */
export interface FrameOptions {
  /** What tells a frame's length, in bytes and without itself; `u32be` by default. */
  prefix?: FramePrefix;
  /** The most bytes of a frame without its prefix, 1 MiB by default. */
  maxLength?: number;
}

/** Takes the next message from the front of a buffer. */
export interface Taker<T> {
  /** The most bytes that the buffer must be able to hold for every message to be found. */
  readonly most: number;
  /** The next message, or null, with nothing taken, while it is not whole. */
  take(buffer: number): T | null;
}

/** The most bytes that a length of ours may tell. */
const MOST = 0x7fff_ffff;
const DEFAULT_LENGTH = 1024 * 1024;
const PREFIXES = ['u32be', 'u8', 'u16be', 'u16le', 'u32le'] as const;
/** By their places in `PREFIXES`: the layout of `raw.bufferNumber`, and the bytes that it takes. */
const LAYOUTS = [20, 0, 18, 2, 4] as const;
const LENGTHS = [4, 1, 2, 2, 4] as const;

function tooLarge(what: string, most: number): EvError {
  const message = `${what} is longer than ${most} bytes; raise maxLength or close the connection`;
  return new EvError('ERR_EVNODE_FRAME_TOO_LARGE', message);
}

/** So many bytes from the front, which are there. */
export function takeBytes(buffer: number, length: number): Buffer {
  const result = Buffer.allocUnsafe(length);
  if (length > 0) raw.bufferRemove(buffer, result, 0, length);
  return result;
}

/** Takes chunks of one size. */
export class ChunkTaker implements Taker<Buffer> {
  readonly most: number;

  constructor(call: string, length: number) {
    this.most = integer(call, 'length', length, 1, MOST);
  }

  take(buffer: number): Buffer | null {
    return raw.bufferLength(buffer) < this.most ? null : takeBytes(buffer, this.most);
  }
}

/** Takes lines. */
class LineTaker implements Taker<string> {
  readonly most = MOST;
  private readonly _eol: 0 | 1 | 2 | 3 | 4;
  private readonly _encoding: 0 | 1 | 2;

  constructor(call: string, eol: EolStyle, encoding: Encoding) {
    this._eol = eolCode(call, eol);
    this._encoding = encodingCode(call, encoding);
  }

  take(buffer: number): string | null {
    return raw.bufferReadLine(buffer, this._eol, this._encoding, Number.MAX_SAFE_INTEGER);
  }
}

/** Takes parts that end with a delimiter. */
export class PartTaker implements Taker<Buffer> {
  readonly most: number;
  private readonly _delimiter: Buffer;
  private readonly _longest: number;
  /** Where the delimiter can be at the earliest. */
  private _from = 0;

  constructor(call: string, delimiter: Bytes | string, given: SplitOptions | undefined) {
    const { maxLength = DEFAULT_LENGTH } = options(call, given, {});
    this._delimiter = Buffer.from(
      typeof delimiter === 'string' ? delimiter : asBuffer(bytes(call, 'delimiter', delimiter)),
    );
    const { length } = this._delimiter;
    if (length === 0) throw rangeError(call, 'delimiter', 'at least one byte', delimiter);
    this._longest = integer(call, 'maxLength', maxLength, 0, MOST);
    this.most = this._longest + length;
  }

  take(buffer: number): Buffer | null {
    const delimiter = this._delimiter;
    const held = raw.bufferLength(buffer);
    const from = Math.min(this._from, held);
    const to = Math.min(held, this.most);
    const found = from > to ? -1 : raw.bufferSearch(buffer, delimiter, from, to);
    if (found < 0) {
      if (held >= this.most) throw tooLarge('a part', this._longest);
      this._from = Math.max(0, held - delimiter.length + 1);
      return null;
    }
    this._from = 0;
    const part = takeBytes(buffer, found);
    raw.bufferDrain(buffer, delimiter.length);
    return part;
  }
}

/** Takes frames that tell their length. */
export class FrameTaker implements Taker<Buffer> {
  readonly most: number;
  private readonly _layout: number;
  private readonly _prefix: number;
  private readonly _longest: number;

  constructor(call: string, given: FrameOptions | undefined) {
    const { prefix, maxLength = DEFAULT_LENGTH } = options(call, given, {});
    const kind = PREFIXES.indexOf(choice(call, 'prefix', prefix, PREFIXES));
    this._layout = LAYOUTS[kind] ?? 0;
    this._prefix = LENGTHS[kind] ?? 0;
    this._longest = integer(call, 'maxLength', maxLength, 0, MOST);
    this.most = this._longest + this._prefix;
  }

  take(buffer: number): Buffer | null {
    const length = raw.bufferNumber(buffer, this._layout, 0) as number | null;
    if (length === null) return null;
    if (length > this._longest) throw tooLarge('a frame', this._longest);
    if (raw.bufferLength(buffer) < this._prefix + length) return null;
    raw.bufferDrain(buffer, this._prefix);
    return takeBytes(buffer, length);
  }
}

function* each<T>(buffer: BufferNumbers, taker: Taker<T>): Generator<T, void, void> {
  for (;;) {
    const message = taker.take(buffer._handle);
    if (message === null) return;
    yield message;
  }
}

/**
 * The messages of a buffer. Those that iterate take each message when the loop asks for it, and end
 * when there is no whole one; what has come of it stays in the buffer. A {@link BufferEvent} has
 * methods of the same names that wait for what is to come.
 */
export abstract class BufferFrames extends BufferNumbers {
  /** @internal Throws when it was freed. */
  protected _iterate<T>(taker: Taker<T>): Generator<T, void, void> {
    raw.bufferLength(this._handle);
    return each(this, taker);
  }

  /** Takes chunks of `length` bytes each, for `for … of`. */
  chunks(length: number): Generator<Buffer, void, void> {
    return this._iterate(new ChunkTaker('EvBuffer.chunks', length));
  }

  /** Takes whole lines without their ends, for `for … of`. */
  lines(eol: EolStyle = 'crlf', encoding: Encoding = 'utf8'): Generator<string, void, void> {
    return this._iterate(new LineTaker('EvBuffer.lines', eol, encoding));
  }

  /** Takes parts that end with a delimiter, without it, for `for … of`; see {@link readUntil}. */
  split(delimiter: Bytes | string, options_?: SplitOptions): Generator<Buffer, void, void> {
    return this._iterate(new PartTaker('EvBuffer.split', delimiter, options_));
  }

  /** Takes frames that tell their length, for `for … of`; see {@link readFrame}. */
  frames(options_?: FrameOptions): Generator<Buffer, void, void> {
    return this._iterate(new FrameTaker('EvBuffer.frames', options_));
  }

  /**
   * Takes what comes before a delimiter, and the delimiter; null when it is not there.
   *
   * @throws EvError `ERR_EVNODE_FRAME_TOO_LARGE` when more than `maxLength` bytes come before it
   */
  readUntil(delimiter: Bytes | string, options_?: SplitOptions): Buffer | null {
    return new PartTaker('EvBuffer.readUntil', delimiter, options_).take(this._handle);
  }

  /**
   * Takes a frame and the number before it that tells its length; null when it is not whole.
   *
   * @throws EvError `ERR_EVNODE_FRAME_TOO_LARGE` when it is longer than `maxLength`; it stays
   */
  readFrame(options_?: FrameOptions): Buffer | null {
    return new FrameTaker('EvBuffer.readFrame', options_).take(this._handle);
  }

  /**
   * Appends a frame: its length and then its bytes, which are copied, or moved out of a buffer.
   *
   * @throws RangeError `ERR_EVNODE_ARG_RANGE` when the prefix cannot tell its length
   */
  addFrame(data: Bytes | string | BufferFrames, prefix: FramePrefix = 'u32be'): this {
    const call = 'EvBuffer.addFrame';
    const kind = PREFIXES.indexOf(choice(call, 'prefix', prefix, PREFIXES));
    const width = LENGTHS[kind] ?? 0;
    if (data instanceof BufferFrames) {
      if (data === this) throw typeError(call, 'data', 'another buffer', data);
      const length = raw.bufferLength(data._handle);
      integer(call, 'length', length, 0, 2 ** (8 * width) - 1);
      const head = Buffer.allocUnsafe(width);
      if (prefix.endsWith('be')) head.writeUIntBE(length, 0, width);
      else head.writeUIntLE(length, 0, width);
      raw.bufferLength(this._handle);
      raw.bufferPrepend(data._handle, head);
      try {
        raw.bufferAddBuffer(this._handle, data._handle);
      } catch (error) {
        // All or nothing. When a callback has thrown, the frame is where it should be.
        if (raw.bufferLength(data._handle) > 0) raw.bufferDrain(data._handle, width);
        throw error;
      }
      return this;
    }
    const body = typeof data === 'string' ? Buffer.from(data) : bytes(call, 'data', data);
    integer(call, 'length', lengthOf(body), 0, 2 ** (8 * width) - 1);
    raw.bufferAddFrame(this._handle, LAYOUTS[kind] ?? 0, body);
    return this;
  }
}
