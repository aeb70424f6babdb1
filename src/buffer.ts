// EvBuffer: libevent's evbuffer, a queue of bytes in segments.

import type { ReadableStream } from 'node:stream/web';
import type { Readable } from 'node:stream';
import { format } from 'node:util';
import { isAnyArrayBuffer } from 'node:util/types';

import { BufferContent } from './buffer-content.js';
import {
  BufferReadable,
  collect,
  webStream,
  type ByteSource,
  type CollectOptions,
} from './buffer-streams.js';
import { DebugViews } from './buffer-views.js';
import type { EventBase } from './base.js';
import { Deferral } from './deferral.js';
import { closedError, typeError } from './errors.js';
import {
  FileSegment,
  segmentHandle,
  type FileSegmentOptions,
  type FileSource,
} from './file-segment.js';
import { binding, keep, raw, release } from './native.js';
import {
  asBuffer,
  boolean,
  bytes,
  callback,
  descriptor,
  encodingCode,
  eolCode,
  integer,
  lengthOf,
  optionalSize,
  size,
  text,
  type Bytes,
  type Encoding,
  type EolStyle,
} from './options.js';
import { isDebugMode } from './setup.js';
import { removeSome } from './slab.js';

/** Is told that a buffer has changed: how many bytes came and how many went (`evbuffer_cb_func`). */
export type BufferCallback = (buffer: EvBuffer, added: number, removed: number) => void;

/** An end of a buffer. */
export type BufferEnd = 'front' | 'back';

/** Room for the number of lines in a batch, and for the start and the end of each. */
const SPANS = 1 + 2 * 2048;
let idleSpans: Int32Array | null = new Int32Array(SPANS);

const forgotten = new FinalizationRegistry<number>((handle) => {
  raw.bufferFree(handle);
});

/** What a tagged template says, in bytes. */
function filledIn(call: string, strings: TemplateStringsArray, values: unknown[]): Buffer {
  const parts: Buffer[] = [];
  strings.forEach((string: string | undefined, index) => {
    parts.push(Buffer.from(text(call, 'the template', string)));
    if (index >= values.length) return;
    const value = values[index];
    if (ArrayBuffer.isView(value)) {
      parts.push(asBuffer(value));
    } else {
      parts.push(isAnyArrayBuffer(value) ? Buffer.from(value) : Buffer.from(String(value)));
    }
  });
  return Buffer.concat(parts);
}

function end(call: string, value: unknown): boolean {
  if (value === 'front') return true;
  if (value === 'back') return false;
  throw typeError(call, 'end', '"front" or "back"', value);
}

/**
 * A queue of bytes that grows at both ends without moving what it holds (`struct evbuffer`). Bytes
 * move between buffers without being copied.
 *
 * Every method throws `ERR_EVNODE_CLOSED` once the buffer is freed; a bufferevent's own
 * {@link BufferEvent.input} and {@link BufferEvent.output} are freed with it. One that is forgotten
 * is freed by the garbage collector.
 */
export class EvBuffer extends BufferContent implements Disposable {
  /** @internal */
  override _handle: number;
  /** @internal */
  readonly _base = null;
  /** @internal */
  _callback: BufferCallback | null = null;
  private _deferral: Deferral | null = null;
  private readonly _owned: boolean;
  /** What {@link peek} has shown in debug mode. */
  private _views: DebugViews | null = null;

  /** An empty buffer (`evbuffer_new`). */
  constructor();
  /** @internal A bufferevent's own buffer. */
  constructor(handle: number);
  constructor(handle?: number) {
    super();
    this._owned = handle === undefined;
    this._handle = handle ?? raw.bufferNew();
    if (this._owned) forgotten.register(this, this._handle, this);
  }

  /** Bytes held (`evbuffer_get_length`). */
  override get length(): number {
    return raw.bufferLength(this._handle);
  }

  /** A buffer with all that a source gives. */
  static async collect(source: ByteSource, options_?: CollectOptions): Promise<EvBuffer> {
    const buffer = new EvBuffer();
    try {
      await collect('EvBuffer.collect', buffer, source, options_);
    } catch (error) {
      buffer.free();
      throw error;
    }
    return buffer;
  }

  /** Appends bytes or a string (`evbuffer_add`); they are copied. */
  add(data: Bytes | string, encoding?: Encoding): this;
  /** Appends a tagged template; values that are bytes go in as they are, others as strings. */
  add(strings: TemplateStringsArray, ...values: unknown[]): this;
  add(data: Bytes | string | TemplateStringsArray, ...rest: unknown[]): this {
    const call = 'EvBuffer.add';
    if (typeof data === 'string') {
      const { 0: encoding = 'utf8' } = rest;
      raw.bufferAddString(this._handle, data, encodingCode(call, encoding));
    } else if (ArrayBuffer.isView(data)) {
      raw.bufferAdd(this._handle, data);
    } else if (Array.isArray(data) && 'raw' in data) {
      raw.bufferAdd(this._handle, filledIn(call, data as TemplateStringsArray, rest));
    } else {
      raw.bufferAdd(this._handle, bytes(call, 'data', data));
    }
    return this;
  }

  /** Appends what `util.format` makes of a format such as `'%s %d'` (`evbuffer_add_printf`). */
  addPrintf(format_: string, ...values: unknown[]): this {
    raw.bufferAddString(
      this._handle,
      format(text('EvBuffer.addPrintf', 'format', format_), ...values),
      0,
    );
    return this;
  }

  /** Moves all of another buffer to the end of this one, without copying (`evbuffer_add_buffer`). */
  addBuffer(from: EvBuffer): this {
    raw.bufferAddBuffer(this._handle, handleOf('EvBuffer.addBuffer', 'from', from));
    return this;
  }

  /** Puts bytes or a string in front (`evbuffer_prepend`); they are copied. */
  prepend(data: Bytes | string, encoding: Encoding = 'utf8'): this {
    const call = 'EvBuffer.prepend';
    if (typeof data === 'string') {
      encodingCode(call, encoding);
      raw.bufferPrepend(this._handle, Buffer.from(data, encoding));
    } else {
      raw.bufferPrepend(this._handle, bytes(call, 'data', data));
    }
    return this;
  }

  /** Moves all of another buffer to the front of this one, without copying (`evbuffer_prepend_buffer`). */
  prependBuffer(from: EvBuffer): this {
    raw.bufferPrependBuffer(this._handle, handleOf('EvBuffer.prependBuffer', 'from', from));
    return this;
  }

  /**
   * Takes up to `length` bytes, all by default, from the front (`evbuffer_remove`). Pieces of less
   * than 8 KiB share memory, 64 KiB of it: one that is kept for long keeps its neighbours.
   */
  remove(length?: number): Buffer {
    if (length === undefined) return removeSome(this._handle, raw.bufferLength(this._handle));
    return removeSome(this._handle, size('EvBuffer.remove', 'length', length));
  }

  /** Takes as many bytes as fit into `target` and says how many (`evbuffer_remove`). */
  removeInto(target: Bytes): number {
    const view = bytes('EvBuffer.removeInto', 'target', target);
    return raw.bufferRemove(this._handle, view, 0, lengthOf(view));
  }

  /** Takes up to `length` bytes, all by default, as a string. */
  removeString(length?: number, encoding: Encoding = 'utf8'): string {
    const call = 'EvBuffer.removeString';
    const code = encodingCode(call, encoding);
    return raw.bufferRemoveString(this._handle, this._most(call, length), code);
  }

  /** Moves up to `length` bytes to the end of another buffer and says how many (`evbuffer_remove_buffer`). */
  removeBuffer(to: EvBuffer, length: number): number {
    const call = 'EvBuffer.removeBuffer';
    const target = handleOf(call, 'to', to);
    return raw.bufferRemoveBuffer(target, this._handle, size(call, 'length', length));
  }

  /** Copies up to `length` bytes, all by default, from position `from`, and leaves them (`evbuffer_copyout_from`). */
  override copyout(length?: number, from = 0): Buffer {
    const call = 'EvBuffer.copyout';
    size(call, 'from', from);
    const most = Math.min(this._most(call, length), Math.max(0, this.length - from));
    const result = Buffer.allocUnsafe(most);
    if (most === 0) return result;
    return result.subarray(0, raw.bufferCopyout(this._handle, result, 0, most, from));
  }

  /** Drops up to `length` bytes from the front (`evbuffer_drain`). */
  drain(length: number): this {
    raw.bufferDrain(this._handle, size('EvBuffer.drain', 'length', length));
    return this;
  }

  /**
   * Finds bytes or a string (`evbuffer_search_range`).
   *
   * @param what what to find
   * @param from where to begin, in bytes
   * @param to where a match must have ended; without it, the end
   * @returns the position of the first match, or -1
   */
  search(what: Bytes | string, from = 0, to?: number): number {
    const call = 'EvBuffer.search';
    const needle = typeof what === 'string' ? Buffer.from(what) : bytes(call, 'what', what);
    size(call, 'from', from);
    return raw.bufferSearch(this._handle, needle, from, optionalSize(call, 'to', to));
  }

  /**
   * Shows up to `length` bytes, all by default, from position `from`, where they lie: a view for each
   * piece (`evbuffer_peek`). Pieces of 4 KiB and more are not copied; others are, which costs less.
   *
   * The views are for the code that runs now, until the buffer changes: copy what is to be kept
   * longer. Who keeps one keeps its memory, but never sees it used for something else. They are not
   * to be written to: other buffers, and other views, may share the bytes. After
   * {@link enableDebugMode} both are enforced: the views are empty afterwards, and what was written
   * is thrown as `ERR_EVNODE_VIEW_WRITTEN` by what changes the buffer, or is an uncaught exception.
   */
  peek(length?: number, from = 0): Buffer[] {
    const call = 'EvBuffer.peek';
    let at = size(call, 'from', from);
    const most = optionalSize(call, 'length', length);
    const pieces = raw.bufferPeek(this._handle, most, from).map((piece) => {
      const view = typeof piece === 'number' ? this.copyout(piece, at) : piece;
      at += view.length;
      return view;
    });
    if (!isDebugMode() || pieces.length === 0) return pieces;
    this._views ??= new DebugViews();
    this._watch();
    return this._views.show(pieces, () => this._endViews());
  }

  /** Takes a line and its end; returns it without, or null when there is no whole line (`evbuffer_readln`). */
  readln(eol: EolStyle = 'crlf', encoding: Encoding = 'utf8'): string | null {
    const call = 'EvBuffer.readln';
    const code = encodingCode(call, encoding);
    return raw.bufferReadLine(this._handle, eolCode(call, eol), code, Number.MAX_SAFE_INTEGER);
  }

  /**
   * Takes up to `most` whole lines at once, all by default: much cheaper than one by one.
   *
   * Lines are cut from strings of up to 64 KiB, as those of `split()` are from the string that was
   * split. A line that is kept for long keeps its neighbours, unless it is shorter than 13 characters.
   */
  readLines(eol: EolStyle = 'crlf', encoding: Encoding = 'utf8', most = 0x7fff_ffff): string[] {
    const call = 'EvBuffer.readLines';
    integer(call, 'most', most, 0, 0x7fff_ffff);
    return takeLines(this._handle, eolCode(call, eol), encodingCode(call, encoding), most);
  }

  /**
   * Takes a line and its end, and puts the line without its end into `target` at `offset`.
   *
   * @returns the line's length, or -1 when there is no whole line
   * @throws RangeError when the line does not fit; it stays
   */
  readLineInto(target: Bytes, offset = 0, eol: EolStyle = 'crlf'): number {
    const call = 'EvBuffer.readLineInto';
    const view = bytes(call, 'target', target);
    integer(call, 'offset', offset, 0, lengthOf(view));
    return raw.bufferReadLineInto(this._handle, eolCode(call, eol), view, offset);
  }

  /** Length in bytes of the next whole line without its end, or -1 (`evbuffer_search_eol`). */
  lineLength(eol: EolStyle = 'crlf'): number {
    return raw.bufferLineLength(this._handle, eolCode('EvBuffer.lineLength', eol));
  }

  /** Makes the first `length` bytes, all by default, contiguous (`evbuffer_pullup`). */
  pullup(length?: number): this {
    raw.bufferPullup(this._handle, optionalSize('EvBuffer.pullup', 'length', length));
    return this;
  }

  /** Reserves room for `length` more bytes (`evbuffer_expand`). */
  expand(length: number): this {
    raw.bufferExpand(this._handle, size('EvBuffer.expand', 'length', length));
    return this;
  }

  /** Forbids changes at an end: they throw `ERR_EVNODE_FROZEN` (`evbuffer_freeze`). */
  freeze(at: BufferEnd): this {
    raw.bufferFreeze(this._handle, end('EvBuffer.freeze', at), true);
    return this;
  }

  /** Allows changes at an end again (`evbuffer_unfreeze`). */
  unfreeze(at: BufferEnd): this {
    raw.bufferFreeze(this._handle, end('EvBuffer.unfreeze', at), false);
    return this;
  }

  /**
   * Reads from a descriptor to the end of the buffer (`evbuffer_read`).
   *
   * @param most the most bytes to read; without it, a sensible amount
   * @returns how many bytes came; 0 is the end of the file
   * @throws EvError with the system's code, `EAGAIN` when there is nothing yet
   */
  read(fd: number, most?: number): number {
    const call = 'EvBuffer.read';
    return raw.bufferReadFd(this._handle, descriptor(call, fd), optionalSize(call, 'most', most));
  }

  /**
   * Writes from the front of the buffer to a descriptor (`evbuffer_write_atmost`).
   *
   * @param most the most bytes to write; without it, all
   * @returns how many bytes went
   * @throws EvError with the system's code, `EAGAIN` when none can go yet
   */
  write(fd: number, most?: number): number {
    const call = 'EvBuffer.write';
    return raw.bufferWriteFd(this._handle, descriptor(call, fd), optionalSize(call, 'most', most));
  }

  /**
   * Calls `callback` whenever the buffer has changed, until null is given (`evbuffer_add_cb`). A
   * buffer that is watched lives until it is freed.
   */
  setCallback(callback_: BufferCallback | null): this {
    const wanted = callback('EvBuffer.setCallback', 'callback', callback_);
    raw.bufferLength(this._handle);
    this._callback = wanted;
    this._watch();
    return this;
  }

  /**
   * Passes changes over without telling the callback of them, or tells it again
   * (`evbuffer_cb_set_flags`, `EVBUFFER_CB_ENABLED`). A new callback is told.
   */
  enableCallback(on: boolean): this {
    const call = 'EvBuffer.enableCallback';
    binding.bufferEnableCallback(this._handle, boolean(call, 'on', on, true));
    return this;
  }

  /**
   * Has the callback called from a turn of `base`, once for all changes since the last time; null
   * has it called at once again, as by default (`evbuffer_defer_callbacks`). A base that is freed
   * calls none.
   */
  deferCallbacks(base: EventBase | null): this {
    raw.bufferLength(this._handle);
    if (base !== null && typeof (base as EventBase | undefined)?.once !== 'function') {
      throw typeError('EvBuffer.deferCallbacks', 'base', 'an EventBase or null', base);
    }
    if (base === null) {
      this._deferral = null;
      return this;
    }
    const deferral = new Deferral(base, (added, removed) => {
      if (this._deferral === deferral) this._callback?.(this, added, removed);
    });
    this._deferral = deferral;
    return this;
  }

  /**
   * Adds `length` bytes of a file segment, all that follow by default, from `offset` on, without
   * reading them (`evbuffer_add_file_segment`).
   *
   * @throws RangeError when the segment has not so many
   */
  addFileSegment(segment: FileSegment, offset = 0, length?: number): this {
    const call = 'EvBuffer.addFileSegment';
    const handle = segmentHandle(call, segment);
    size(call, 'offset', offset);
    const count = optionalSize(call, 'length', length);
    binding.bufferAddFileSegment(this._handle, handle, offset, count);
    return this;
  }

  /** Adds a file, or a range of one, without reading it (`evbuffer_add_file`). */
  addFile(file: FileSource, options?: FileSegmentOptions): this {
    raw.bufferLength(this._handle);
    const segment = new FileSegment(file, options);
    try {
      return this.addFileSegment(segment);
    } finally {
      segment.free();
    }
  }

  /**
   * Reads what the first `length` bytes, all by default, have of files into memory
   * (libevent does so when a file is added). Looking at bytes reads them too; this tells what is wrong
   * when they can't be read, where a search only finds nothing.
   */
  readFiles(length?: number): this {
    const count = optionalSize('EvBuffer.readFiles', 'length', length);
    binding.bufferReadFiles(this._handle, count);
    return this;
  }

  /**
   * Adds all of another buffer and leaves it there; both hold the same memory
   * (`evbuffer_add_buffer_reference`). So one message is sent to many.
   */
  addBufferReference(from: EvBuffer): this {
    const source = handleOf('EvBuffer.addBufferReference', 'from', from);
    binding.bufferAddReference(this._handle, source);
    return this;
  }

  /**
   * The most bytes that it may come to hold; `Infinity` without a limit. What would add more throws a
   * RangeError, and adds nothing.
   */
  get maxLength(): number {
    const most = binding.bufferMaxLength(this._handle);
    return most < 0 ? Infinity : most;
  }

  set maxLength(most: number) {
    const call = 'EvBuffer.maxLength';
    binding.bufferSetMaxLength(this._handle, most === Infinity ? -1 : size(call, 'most', most));
  }

  /** Lengths in bytes of the contiguous pieces that it is made of (`evbuffer_peek`). */
  override segments(): number[] {
    return binding.bufferSegments(this._handle);
  }

  /**
   * What it holds as a stream of Node's, which takes it from the front as it is read and ends when
   * the buffer is empty. Destroying the stream leaves the rest where it is.
   */
  toReadable(): Readable {
    raw.bufferLength(this._handle);
    return new BufferReadable(this);
  }

  /** As {@link toReadable}, as a web stream of bytes. */
  toWeb(): ReadableStream<Uint8Array> {
    raw.bufferLength(this._handle);
    return webStream(this);
  }

  /** Frees the buffer and what it holds (`evbuffer_free`). A bufferevent's own cannot be freed. */
  free(): void {
    if (this._handle === 0) return;
    if (!this._owned) {
      throw typeError('EvBuffer.free', 'this', 'a buffer that you made', this);
    }
    if (this._watched) release(this._handle);
    forgotten.unregister(this);
    raw.bufferFree(this._handle);
    this._handle = 0;
    this._endViews();
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    if (this._owned) this.free();
  }

  /** @internal */
  _changed(added: number, removed: number): void {
    try {
      this._endViews();
    } finally {
      if (this._deferral !== null) this._deferral.note(added, removed);
      else this._callback?.(this, added, removed);
    }
  }

  /** @internal The bufferevent whose buffer it is was freed. */
  _letGo(): void {
    if (this._watched) release(this._handle);
    this._handle = 0;
    this._endViews();
  }

  private get _watched(): boolean {
    return this._callback !== null || this._views !== null;
  }

  /** Watches the buffer while somebody wants to know of changes. */
  private _watch(): void {
    raw.bufferWatch(this._handle, this._watched);
    if (this._watched) keep(this._handle, this);
    else release(this._handle);
  }

  private _endViews(): void {
    const views = this._views;
    if (views === null) return;
    this._views = null;
    if (this._handle !== 0) this._watch();
    views.end();
  }

  private _most(call: string, length: number | undefined): number {
    const held = raw.bufferLength(this._handle);
    return length === undefined ? held : Math.min(held, size(call, 'length', length));
  }
}

/** Takes lines in batches, each one string and the places where to cut it. */
function takeLines(
  handle: number,
  eol: ReturnType<typeof eolCode>,
  encoding: ReturnType<typeof encodingCode>,
  most: number,
): string[] {
  let lines: string[] = [];
  // Callbacks of watched buffers run meanwhile, and may take lines too.
  const spans = idleSpans ?? new Int32Array(SPANS);
  idleSpans = null;
  try {
    while (lines.length < most) {
      const text = raw.bufferReadLines(handle, eol, encoding, most - lines.length, spans);
      const count = spans[0] as number;
      if (count === 0) break;
      const batch: string[] = [];
      batch.length = count;
      for (let i = 0, at = 1; i < count; i++, at += 2) {
        batch[i] = text.slice(spans[at], spans[at + 1]);
      }
      // The shorter one is copied, so that many batches do not cost the square of their number.
      if (lines.length <= count) lines = lines.concat(batch);
      else for (const line of batch) lines.push(line);
    }
  } finally {
    idleSpans = spans;
  }
  return lines;
}

/** The handle of a buffer that is an argument. */
export function handleOf(call: string, name: string, value: EvBuffer): number {
  if (!(value instanceof EvBuffer)) throw typeError(call, name, 'an EvBuffer', value);
  if (value._handle === 0) throw closedError(call);
  return value._handle;
}
