// BufferEvent: libevent's bufferevent, a socket with an input and an output buffer.

import type { Duplex } from 'node:stream';

import type { AddressInfo } from '../index.js';
import type { EventBase } from './base.js';
import { EvBuffer, handleOf } from './buffer.js';
import { closedError, EvError, systemError, typeError } from './errors.js';
import { baseHandle } from './event.js';
import { BufferEventFlags, EventFlags } from './flags.js';
import { binding, keep, raw, release } from './native.js';
import {
  boolean,
  bytes,
  callback,
  choice,
  descriptor,
  directions,
  encodingCode,
  endpoint,
  flags,
  integer,
  milliseconds,
  options,
  size,
  type Bytes,
  type Encoding,
} from './options.js';
import { readChunks, readFrames, readParts } from './readers.js';
import type { FrameReadOptions, SplitReadOptions } from './readers.js';
import { readAll, readSome } from './slab.js';
import {
  BevDuplex,
  ChunkReader,
  LineReader,
  type ChunkOptions,
  type DuplexOptions,
  type LineOptions,
} from './streams.js';

/** Is told that the input has grown or the output has shrunk (`bufferevent_data_cb`). */
export type DataCallback = (bev: BufferEvent) => void;
/** Is told of everything else, `error` being set with `BufferEventFlags.ERROR` (`bufferevent_event_cb`). */
export type BufferEventCallback = (bev: BufferEvent, what: number, error: EvError | null) => void;

/** What a bufferevent calls; one that is left out is not called. */
export interface BufferEventCallbacks {
  /** The input holds at least the read low-water mark. */
  read?: DataCallback | null;
  /** The output holds the write low-water mark or less. */
  write?: DataCallback | null;
  /** The connection was made, ended or failed, or a timeout has passed. */
  event?: BufferEventCallback | null;
}

/** How a bufferevent is made. */
export interface BufferEventOptions {
  /** A connected socket, which the bufferevent takes over; without it, a new one on connect. */
  fd?: number;
  /** Close the socket when the bufferevent is freed (`BEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

/** Passes on what can be passed on well, all, or all because no more will follow. */
export type FlushMode = 'normal' | 'flush' | 'finished';

/** Something that has taken the place of the callbacks: an iterator or a stream. */
export interface Reader {
  /** @internal The bufferevent was closed, or given other callbacks. */
  _gone(): void;
}

/** What few bufferevents have, apart so that the many stay small. */
interface Rarities {
  input: EvBuffer | null;
  output: EvBuffer | null;
  reader: Reader | null;
  /** The handle while the last bytes are being written. */
  closing: number;
  closed: Promise<void> | null;
  resolve: (() => void) | null;
}

const { bevWrite, bevWriteString, bevForward, bevInputLength, bevOutputLength } = raw;
const { READ, WRITE } = EventFlags;
const { CONNECTED, ERROR, READING, WRITING } = BufferEventFlags;

// Bits of `bevSetCallbacks`.
const ON_READ = 1;
const ON_WRITE = 2;
const ON_EVENT = 4;
const ON_CLOSED = 8;

/** Start to read when there is a first read callback, as connections from `listen` and `connect` do. */
const AUTO_READ = 1;
/** Close at the end, an error or a timeout when there is no event callback. */
const AUTO_CLOSE = 2;

/** In which call an error happened. */
function syscallOf(what: number): string {
  if ((what & READING) !== 0) return 'read';
  return (what & WRITING) !== 0 ? 'write' : 'connect';
}

/** The native layer's number of options. */
export function optionBits(call: string, given: BufferEventOptions): number {
  const close = boolean(call, 'closeOnFree', given.closeOnFree, true) ? 1 : 0;
  return close | (boolean(call, 'deferCallbacks', given.deferCallbacks, false) ? 4 : 0);
}

/**
 * A socket with an input and an output buffer (`struct bufferevent`): bytes that come are in the
 * input when the read callback runs, bytes that are written leave when the socket takes them.
 *
 * A bufferevent lives until {@link close}, {@link free} or the end of its base, whoever else knows
 * it. After that every method throws `ERR_EVNODE_CLOSED`. Callbacks run from the loop and may do
 * anything, freeing the bufferevent included.
 *
 * Connections from `base.listen()` and `base.connect()` start to read with the first read callback,
 * and at their end, an error or a timeout they are closed unless they have an event callback. Those
 * made by `new` do as libevent's: they read once {@link enable enabled}, and nothing closes them.
 */
export class BufferEvent implements Disposable, AsyncDisposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base: EventBase;
  /** @internal */
  _read: DataCallback | null = null;
  /** @internal */
  _write: DataCallback | null = null;
  private _event: BufferEventCallback | null = null;
  private _writeHigh = 0;
  private _auto = 0;
  private _rare: Rarities | null = null;

  /**
   * A bufferevent that writes but does not read until {@link enable} (`bufferevent_socket_new`).
   *
   * @param base where it runs
   */
  constructor(base: EventBase, options?: BufferEventOptions);
  /** @internal A connection that was accepted. */
  constructor(base: EventBase, handle: number);
  constructor(base: EventBase, given?: BufferEventOptions | number) {
    this._base = base;
    if (typeof given === 'number') {
      this._handle = given;
      this._auto = AUTO_CLOSE | AUTO_READ;
    } else {
      const call = 'new BufferEvent';
      const handle = baseHandle(call, base);
      const chosen = options(call, given, {});
      const fd = descriptor(call, chosen.fd ?? -1);
      this._handle = raw.bevNew(handle, fd, optionBits(call, chosen));
    }
    keep(this._handle, this);
  }

  /** The base (`bufferevent_get_base`). */
  get base(): EventBase {
    return this._base;
  }

  /** Whether it was closed or freed. */
  get closed(): boolean {
    return this._handle === 0;
  }

  /** The socket's descriptor, or -1 (`bufferevent_getfd`). */
  get fd(): number {
    return binding.bevFd(this._handle);
  }

  /** What is enabled: {@link EventFlags} (`bufferevent_get_enabled`). */
  get enabled(): number {
    return raw.bevEnabled(this._handle);
  }

  /** The priority of its callbacks (`bufferevent_get_priority`). */
  get priority(): number {
    return binding.bevPriority(this._handle);
  }

  /** The address of this end, or null while there is none. */
  get localAddress(): AddressInfo | null {
    return binding.bevLocalAddress(this._handle);
  }

  /** The address of the other end, or null while there is none. */
  get remoteAddress(): AddressInfo | null {
    return binding.bevPeerAddress(this._handle);
  }

  /** Bytes received and not taken yet. */
  get inputLength(): number {
    return bevInputLength(this._handle);
  }

  /** Bytes written and not sent yet. */
  get outputLength(): number {
    return bevOutputLength(this._handle);
  }

  /** The input buffer, from which to take (`bufferevent_get_input`). */
  get input(): EvBuffer {
    const rare = this._rarities();
    return (rare.input ??= new EvBuffer(raw.bevInput(this._handle)));
  }

  /** The output buffer, to which to add (`bufferevent_get_output`). */
  get output(): EvBuffer {
    const rare = this._rarities();
    return (rare.output ??= new EvBuffer(raw.bevOutput(this._handle)));
  }

  /**
   * Connects a new socket (`bufferevent_socket_connect`). The event callback is told CONNECTED or
   * ERROR later. {@link EventBase.connect} does the same with a promise, and knows host names.
   *
   * @param address a numeric address and a port, or the path of a Unix socket
   */
  connect(address: { host?: string; port: number } | { path: string }): this {
    const call = 'BufferEvent.connect';
    const { host = '127.0.0.1', port } = endpoint(call, options(call, address, { port: -1 }));
    binding.bevConnect(this._handle, host, port);
    return this;
  }

  /** Sets what is called, in place of all that was set before (`bufferevent_setcb`). */
  setCallbacks(callbacks: BufferEventCallbacks): this {
    const call = 'BufferEvent.setCallbacks';
    if (typeof callbacks !== 'object' || callbacks === null) {
      throw typeError(call, 'callbacks', 'an object with read, write and event', callbacks);
    }
    const read = callback(call, 'read', callbacks.read);
    const write = callback(call, 'write', callbacks.write);
    const event = callback(call, 'event', callbacks.event);
    this._install(read, write, event);
    const rare = this._rare;
    if (rare !== null && rare.reader !== null) {
      const { reader } = rare;
      rare.reader = null;
      reader._gone();
    }
    return this;
  }

  /** Starts reading and/or writing: {@link EventFlags} (`bufferevent_enable`). */
  enable(what: number): this {
    raw.bevEnable(this._handle, directions('BufferEvent.enable', what));
    return this;
  }

  /** Stops reading and/or writing; what is in the buffers stays (`bufferevent_disable`). */
  disable(what: number): this {
    raw.bevDisable(this._handle, directions('BufferEvent.disable', what));
    return this;
  }

  /**
   * Queues bytes, which are copied, or a string (`bufferevent_write`).
   *
   * @returns false when the output has reached its high-water mark: the write callback tells when to
   * go on. What was given is queued all the same.
   */
  write(data: Bytes | string, encoding: Encoding = 'utf8'): boolean {
    if (typeof data === 'string') {
      const code = encoding === 'utf8' ? 0 : encodingCode('BufferEvent.write', encoding);
      bevWriteString(this._handle, data, code);
    } else {
      bevWrite(
        this._handle,
        ArrayBuffer.isView(data) ? data : bytes('BufferEvent.write', 'data', data),
      );
    }
    return this._writeHigh === 0 || bevOutputLength(this._handle) < this._writeHigh;
  }

  /** Queues all of a buffer without copying; returns as {@link write} does (`bufferevent_write_buffer`). */
  writeBuffer(buffer: EvBuffer): boolean {
    raw.bevWriteBuffer(this._handle, handleOf('BufferEvent.writeBuffer', 'buffer', buffer));
    return this._writeHigh === 0 || bevOutputLength(this._handle) < this._writeHigh;
  }

  /**
   * Takes up to `length` bytes of the input, all by default (`bufferevent_read`).
   *
   * @returns the bytes, in memory that is never used again, or null when there are none
   */
  read(length?: number): Buffer | null {
    return length === undefined
      ? readAll(this._handle)
      : readSome(this._handle, size('BufferEvent.read', 'length', length));
  }

  /** Takes up to `length` bytes of the input, all by default, as a string; null when there are none. */
  readString(length?: number, encoding: Encoding = 'utf8'): string | null {
    const call = 'BufferEvent.readString';
    const code = encodingCode(call, encoding);
    const held = bevInputLength(this._handle);
    const most = length === undefined ? held : Math.min(held, size(call, 'length', length));
    return most === 0 ? null : raw.bevReadString(this._handle, most, code);
  }

  /** Moves all of the input to a buffer without copying and says how many bytes (`bufferevent_read_buffer`). */
  readBuffer(buffer: EvBuffer): number {
    return raw.bevReadBuffer(this._handle, handleOf('BufferEvent.readBuffer', 'buffer', buffer));
  }

  /**
   * Moves all of the input to the output of `target` without copying and says how many bytes.
   * `target` may be this bufferevent: an echo. What does not fit below `target`'s write high-water
   * mark stays, reading stops, and the read callback runs again when there is room.
   */
  forward(target: BufferEvent): number {
    if (!(target instanceof BufferEvent)) {
      throw typeError('BufferEvent.forward', 'target', 'a BufferEvent', target);
    }
    return bevForward(this._handle, target._handle);
  }

  /**
   * Sets watermarks in bytes (`bufferevent_setwatermark`). Reading: callbacks run from `low` bytes in
   * the input on, and nothing is read from `high` on. Writing: callbacks run at `low` bytes in the
   * output or fewer; from `high` on {@link write} returns false and nothing more is read.
   *
   * @param high 0: none
   */
  setWatermark(what: number, low: number, high: number): this {
    const call = 'BufferEvent.setWatermark';
    directions(call, what);
    size(call, 'low', low);
    size(call, 'high', high);
    raw.bevSetWatermark(this._handle, what, low, high);
    if ((what & WRITE) !== 0) this._writeHigh = high;
    return this;
  }

  /** The watermarks of a direction (`bufferevent_getwatermark`). */
  watermark(what: number): { low: number; high: number } {
    const call = 'BufferEvent.watermark';
    const direction = flags(call, 'what', what, READ | WRITE);
    const [low = 0, high = 0] = binding.bevWatermark(this._handle, direction);
    return { low, high };
  }

  /**
   * Sets after how many milliseconds without a byte a direction is disabled and the event callback
   * told TIMEOUT (`bufferevent_set_timeouts`).
   *
   * @param read null: none
   * @param write null: none; counts while bytes wait to be sent, and while connecting
   */
  setTimeouts(read: number | null, write: number | null = null): this {
    const call = 'BufferEvent.setTimeouts';
    const readMs = milliseconds(call, 'read', read);
    raw.bevSetTimeouts(this._handle, readMs, milliseconds(call, 'write', write));
    return this;
  }

  /** Sets the priority of its callbacks; 0 is the most urgent (`bufferevent_priority_set`). */
  setPriority(priority: number): this {
    integer('BufferEvent.setPriority', 'priority', priority, 0, 255);
    binding.bevSetPriority(this._handle, priority);
    return this;
  }

  /**
   * Writes in the loop's next step; with `'finished'` it then ends the sending side, so that the
   * peer reads the end while we still read (`bufferevent_flush`).
   */
  flush(what: number = WRITE, mode: FlushMode = 'normal'): this {
    const call = 'BufferEvent.flush';
    directions(call, what);
    const modes = ['normal', 'flush', 'finished'] as const;
    binding.bevFlush(this._handle, what, modes.indexOf(choice(call, 'mode', mode, modes)));
    return this;
  }

  /** Runs the read or write callback in the loop's next step, if the watermarks allow it (`bufferevent_trigger`). */
  trigger(what: number): this {
    binding.bevTrigger(this._handle, directions('BufferEvent.trigger', what));
    return this;
  }

  /** Runs the event callback with `what` in the loop's next step (`bufferevent_trigger_event`). */
  triggerEvent(what: number): this {
    binding.bevTriggerEvent(this._handle, flags('BufferEvent.triggerEvent', 'what', what, 0xf3));
    return this;
  }

  /**
   * The lines that come, without their ends, for `for await`; the last one may lack its end. An error
   * or a timeout is thrown. Takes the place of all callbacks and starts to read. After the loop the
   * bufferevent is yours to close; breaking out of it leaves in the input what was not taken.
   *
   * @throws EvError `ERR_EVNODE_LINE_TOO_LONG` in the loop, `ERR_EVNODE_BUSY` when an iterator or a
   * stream reads already
   */
  lines(options_?: LineOptions): AsyncIterableIterator<string> {
    return new LineReader(this, options('BufferEvent.lines', options_, {}));
  }

  /** The bytes that come, as they come, for `for await`; otherwise as {@link lines}. */
  chunks(options_?: ChunkOptions): AsyncIterableIterator<Buffer>;
  /** As many bytes at once, fewer only at the end. */
  chunks(length: number, options_?: ChunkOptions): AsyncIterableIterator<Buffer>;
  chunks(first?: number | ChunkOptions, second?: ChunkOptions): AsyncIterableIterator<Buffer> {
    const call = 'BufferEvent.chunks';
    if (typeof first !== 'number') return new ChunkReader(this, options(call, first, {}));
    return readChunks(this, first, options(call, second, {}));
  }

  /**
   * The parts between delimiters, for `for await`; the last one may lack its delimiter. Otherwise as
   * {@link lines}, with `ERR_EVNODE_FRAME_TOO_LARGE` for what is longer than `maxLength`.
   */
  split(delimiter: Bytes | string, options_?: SplitReadOptions): AsyncIterableIterator<Buffer> {
    return readParts(this, delimiter, options('BufferEvent.split', options_, {}));
  }

  /**
   * The frames that tell their length, for `for await`. Otherwise as {@link lines}, with
   * `ERR_EVNODE_FRAME_TOO_LARGE` for what is longer than `maxLength`, and `ERR_EVNODE_TRUNCATED`
   * when the connection ends within a frame.
   */
  frames(options_?: FrameReadOptions): AsyncIterableIterator<Buffer> {
    return readFrames(this, options('BufferEvent.frames', options_, {}));
  }

  /** As {@link chunks}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return this.chunks();
  }

  /**
   * The bufferevent as a stream of Node's, with back-pressure both ways. It takes the place of all
   * callbacks, and destroying the stream frees the bufferevent.
   */
  toDuplex(options_?: DuplexOptions): Duplex {
    return new BevDuplex(this, options('BufferEvent.toDuplex', options_, {}));
  }

  /**
   * Stops reading, writes what is queued, and frees; no callback runs any more.
   *
   * @returns a promise of the moment when all is written, or cannot be any more. A peer that does
   * not read holds that up: a write timeout set before bounds it, {@link free} ends it.
   */
  close(): Promise<void> {
    this._startClose();
    const rare = this._rare;
    if (rare === null || rare.closing === 0) return Promise.resolve();
    rare.closed ??= new Promise<void>((resolve) => {
      rare.resolve = resolve;
    });
    return rare.closed;
  }

  /** Frees it at once; what is queued is dropped (`bufferevent_free`). */
  free(): void {
    const handle = this._handle === 0 ? (this._rare?.closing ?? 0) : this._handle;
    if (handle === 0) return;
    release(handle);
    raw.bevFree(handle);
    this._letGo();
    this._closed();
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Something besides bytes has happened. */
  _happened(what: number, errno: number): void {
    const event = this._event;
    if (event !== null) {
      event(this, what, (what & ERROR) === 0 ? null : systemError(errno, syscallOf(what)));
    } else if ((this._auto & AUTO_CLOSE) !== 0 && what !== CONNECTED) {
      this._startClose();
    }
  }

  /** @internal All is written that was queued when it was closed. */
  _closed(): void {
    const rare = this._rare;
    if (rare === null) return;
    if (rare.closing !== 0) release(rare.closing);
    rare.closing = 0;
    rare.resolve?.();
  }

  /** @internal It came from `connect`. */
  _automate(): void {
    this._auto = AUTO_CLOSE | AUTO_READ;
    raw.bevSetCallbacks(this._handle, ON_EVENT);
  }

  /** @internal Whether nobody would notice what happens to it. */
  get _idle(): boolean {
    return this._handle !== 0 && this._read === null && this._event === null;
  }

  /** @internal Gives it to a reader. */
  _attach(
    call: string,
    reader: Reader,
    read: DataCallback | null,
    event: BufferEventCallback,
  ): void {
    if (this._handle === 0) throw closedError(call);
    const rare = this._rarities();
    if (rare.reader !== null) {
      const message = `${call}: an iterator or a stream reads from it already; end that first`;
      throw new EvError('ERR_EVNODE_BUSY', message);
    }
    this._install(read, null, event);
    if (read !== null) raw.bevEnable(this._handle, READ);
    rare.reader = reader;
  }

  /** @internal Takes it from its reader: nothing is read until there is another. */
  _detach(reader: Reader): void {
    const rare = this._rare;
    if (this._handle === 0 || rare === null || rare.reader !== reader) return;
    rare.reader = null;
    this._install(null, null, null);
    raw.bevDisable(this._handle, READ);
    if ((this._auto & AUTO_CLOSE) !== 0) this._auto |= AUTO_READ;
  }

  /** @internal Starts or ends calls of a reader when the output has shrunk. */
  _setWrite(write: DataCallback | null): void {
    this._install(this._read, write, this._event);
  }

  private _install(
    read: DataCallback | null,
    write: DataCallback | null,
    event: BufferEventCallback | null,
  ): void {
    const mask = ON_EVENT | (read === null ? 0 : ON_READ) | (write === null ? 0 : ON_WRITE);
    raw.bevSetCallbacks(this._handle, mask);
    this._read = read;
    this._write = write;
    this._event = event;
    if (read !== null && (this._auto & AUTO_READ) !== 0) {
      this._auto &= ~AUTO_READ;
      raw.bevEnable(this._handle, READ);
      // What an iterator has left.
      if (bevInputLength(this._handle) > 0) binding.bevTrigger(this._handle, READ);
    }
  }

  private _startClose(): void {
    const handle = this._handle;
    if (handle === 0) return;
    raw.bevSetCallbacks(handle, ON_CLOSED);
    raw.bevClose(handle);
    this._rarities().closing = handle;
    this._letGo();
  }

  /** Ends what JavaScript can do with it. */
  private _letGo(): void {
    this._handle = 0;
    this._read = null;
    this._write = null;
    this._event = null;
    const rare = this._rare;
    if (rare === null) return;
    rare.input?._letGo();
    rare.output?._letGo();
    const { reader } = rare;
    rare.reader = null;
    reader?._gone();
  }

  private _rarities(): Rarities {
    return (this._rare ??= {
      input: null,
      output: null,
      reader: null,
      closing: 0,
      closed: null,
      resolve: null,
    });
  }
}
