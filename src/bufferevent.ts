// BufferEvent: libevent's bufferevent, a socket with an input and an output buffer.

import { Duplex } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';

import type { AddressInfo } from '../index.js';
import type { EventBase } from './base.js';
import { EvBuffer, handleOf } from './buffer.js';
import { BufferEventLimits } from './bufferevent-limits.js';
import { closedError, EvError, typeError } from './errors.js';
import { baseHandle } from './event.js';
import { EventFlags } from './flags.js';
import { checkDuplex, StreamPump } from './host.js';
import { binding, raw } from './native.js';
import {
  boolean,
  bytes,
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
import { startTls, tlsInfo, type StartTlsOptions, type TlsInfo } from './tls.js';
import { nativeHints, type AddressHints } from './util.js';

/** How a bufferevent is made. */
export interface BufferEventOptions {
  /** A connected socket, which the bufferevent takes over; without it, a new one on connect. */
  fd?: number;
  /** Close the socket when the bufferevent is freed (`BEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

/** How a pair is made. */
export interface PairOptions {
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

/** Passes on what can be passed on well, all, or all because no more will follow. */
export type FlushMode = 'normal' | 'flush' | 'finished';

const { bevWrite, bevWriteString, bevForward, bevInputLength, bevOutputLength } = raw;
const { READ, WRITE } = EventFlags;

/** A bit of {@link optionBits}. */
const CLOSE_ON_FREE = 1;

/** The native layer's number of options. */
export function optionBits(
  call: string,
  given: { closeOnFree?: boolean; deferCallbacks?: boolean },
): number {
  const close = boolean(call, 'closeOnFree', given.closeOnFree, true) ? CLOSE_ON_FREE : 0;
  return close | (boolean(call, 'deferCallbacks', given.deferCallbacks, false) ? 4 : 0);
}

function create(base: EventBase, given: BufferEventOptions | undefined): number {
  const call = 'new BufferEvent';
  const native = baseHandle(call, base);
  const chosen = options(call, given, {});
  const fd = descriptor(call, chosen.fd ?? -1);
  return raw.bevNew(native, fd, optionBits(call, chosen));
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
export class BufferEvent extends BufferEventLimits {
  private _writeHigh = 0;

  /**
   * A bufferevent that writes but does not read until {@link enable} (`bufferevent_socket_new`).
   *
   * @param base where it runs
   */
  constructor(base: EventBase, options?: BufferEventOptions);
  /** @internal One that the native layer has made, and what it does by itself. */
  constructor(base: EventBase, handle: number, auto: number);
  constructor(base: EventBase, given?: BufferEventOptions | number, auto = 0) {
    super(base, typeof given === 'number' ? given : create(base, given), auto);
  }

  /**
   * Makes two bufferevents of which each reads what the other writes, without a socket
   * (`bufferevent_pair_new`). What one may not read, because it is not enabled or at its high-water
   * mark, waits in the output of the other. When one is freed or closed the other reads the end.
   */
  static pair(base: EventBase, given?: PairOptions): [BufferEvent, BufferEvent] {
    const call = 'BufferEvent.pair';
    const native = baseHandle(call, base);
    const [one = 0, other = 0] = binding.bevPair(
      native,
      optionBits(call, options(call, given, {})),
    );
    const ends: [BufferEvent, BufferEvent] = [
      new BufferEvent(base, one, 0),
      new BufferEvent(base, other, 0),
    ];
    ends[0]._rarities().partner = ends[1];
    ends[1]._rarities().partner = ends[0];
    return ends;
  }

  /**
   * A bufferevent whose bytes a stream of Node's carries, with back-pressure both ways, so that
   * watermarks, filters and rate limits work on any stream. It acts as a connection from
   * `base.connect()` does. The stream belongs to it: an error of the stream is told as `ERROR` with
   * that as its `cause`, and the stream is destroyed when the bufferevent is gone and all is sent.
   */
  static fromDuplex(base: EventBase, stream: Duplex, given?: PairOptions): BufferEvent {
    const call = 'BufferEvent.fromDuplex';
    baseHandle(call, base);
    checkDuplex(call, stream);
    const [near, far] = BufferEvent.pair(base, options(call, given, {}));
    near._rarities().partner = null;
    new StreamPump(stream, near, far).start(call);
    near._automate();
    return near;
  }

  /** The other end of a pair, or null when it is gone or this is none (`bufferevent_pair_get_partner`). */
  get partner(): BufferEvent | null {
    if (this._handle === 0) throw closedError('BufferEvent.partner');
    const { partner } = this._rarities();
    return partner === null || partner.closed ? null : partner;
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

  /**
   * Looks a host up with the system's resolver, without waiting for it, and connects to the first of
   * its addresses that answers (`bufferevent_socket_connect_hostname`). The event callback is told
   * CONNECTED or ERROR later; {@link dnsError} has the reason when there is no address.
   */
  connectHostname(host: string, port: number, hints?: AddressHints): this {
    const call = 'BufferEvent.connectHostname';
    const { host: name = '' } = endpoint(call, { host, port });
    if (name === '') throw typeError(call, 'host', 'an address or a name', host);
    binding.bevConnectHostname(this._handle, name, port, nativeHints(call, hints));
    return this;
  }

  /**
   * Why the last {@link connectHostname} found no address, or null: `EAI_NONAME` and its like
   * (`bufferevent_socket_get_dns_error`).
   */
  get dnsError(): EvError | null {
    const error = binding.bevDnsError(this._handle);
    if (error === null) return null;
    const [code = '', message = ''] = error;
    return new EvError(code, message);
  }

  /**
   * Goes on over another connected socket, which it takes over, or with -1 over none
   * (`bufferevent_setfd`). What is in the buffers stays; nothing is told.
   *
   * @returns the old descriptor, open and the caller's to close, or -1
   */
  setFd(fd: number): number {
    return binding.bevReplaceFd(this._handle, descriptor('BufferEvent.setFd', fd));
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

  /**
   * Starts TLS over it (`bufferevent_openssl_filter_new`): at once, or after some words in the open
   * (STARTTLS). It belongs to the new one as to a {@link FilterBufferEvent}, and what it has still to
   * write goes first. The event callback is told `CONNECTED` once the handshake is done, and `ERROR`
   * with `ERR_EVNODE_TLS_…` if it fails; what is written before waits for it.
   *
   * What it has read and nobody has taken counts as the peer's first bytes: take all of what was said
   * in the open first, lest a word of it be answered under cover.
   *
   * @returns the bufferevent that reads and writes through TLS
   * @throws EvError `ERR_EVNODE_BUSY` when an iterator, a stream or a filter takes its bytes
   */
  startTls(how: StartTlsOptions): BufferEvent {
    const call = 'BufferEvent.startTls';
    const chosen = options(call, how, { serverName: undefined as unknown as string });
    const bits = optionBits(call, chosen);
    this._checkUnread(call);
    const bev = new BufferEvent(this._base, startTls(call, this._handle, chosen, bits), 0);
    bev._standOn(this, (bits & CLOSE_ON_FREE) !== 0);
    return bev;
  }

  /** What is known of its TLS, or null if it is none over TLS itself (`bufferevent_openssl_get_ssl`). */
  get tls(): TlsInfo | null {
    return tlsInfo(this._handle);
  }

  /**
   * Changes the keys of what is sent from here on, and asks the peer to do the same, in place of a
   * renegotiation (`bufferevent_ssl_renegotiate`).
   *
   * @throws EvError `ERR_EVNODE_TLS_NOT_NOW` with TLS 1.2 and before the handshake is done
   */
  updateTlsKeys(): this {
    binding.bevUpdateKeys(this._handle);
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

  /** The bufferevent as the two streams of the web, otherwise as {@link toDuplex}. */
  toWeb(options_?: DuplexOptions): { readable: ReadableStream; writable: WritableStream } {
    return Duplex.toWeb(new BevDuplex(this, options('BufferEvent.toWeb', options_, {})));
  }
}
