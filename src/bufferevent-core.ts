// What every bufferevent is to the native layer: its handle, its callbacks and its end.

import type { EventBase } from './base.js';
import type { EvBuffer } from './buffer.js';
import type { BufferEvent } from './bufferevent.js';
import { closedError, EvError, systemError, typeError } from './errors.js';
import { BufferEventFlags, EventFlags } from './flags.js';
import { binding, keep, raw, release } from './native.js';
import { callback } from './options.js';
import type { RateLimitGroup } from './ratelimit.js';

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
  /** The other end of a pair. */
  partner: BufferEvent | null;
  /** The one that stands on it with a filter. */
  cover: BufferEventCore | null;
  /** The one that it stands on. */
  below: BufferEvent | null;
  /** Whether that one ends with it. */
  closesBelow: boolean;
  /** What limits it together with others. */
  group: RateLimitGroup | null;
  /** An error that came from elsewhere. */
  failure: EvError | null;
  /** The handle while the last bytes are being written. */
  closing: number;
  closed: Promise<void> | null;
  resolve: (() => void) | null;
}

const { READ } = EventFlags;
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
/** What connections from `listen` and `connect` do by themselves. */
export const AUTO = AUTO_READ | AUTO_CLOSE;

/** In which call an error happened. */
function syscallOf(what: number): string {
  if ((what & READING) !== 0) return 'read';
  return (what & WRITING) !== 0 ? 'write' : 'connect';
}

/** The part of {@link BufferEvent} that the native layer calls. */
export abstract class BufferEventCore implements Disposable, AsyncDisposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base: EventBase;
  /** @internal */
  _read: DataCallback | null = null;
  /** @internal */
  _write: DataCallback | null = null;
  /** @internal What it does by itself. */
  _auto: number;
  private _event: BufferEventCallback | null = null;
  private _rare: Rarities | null = null;

  /** @internal */
  constructor(base: EventBase, handle: number, auto: number) {
    this._base = base;
    this._handle = handle;
    this._auto = auto;
    keep(handle, this as unknown as BufferEvent);
  }

  /** The base (`bufferevent_get_base`). */
  get base(): EventBase {
    return this._base;
  }

  /** Whether it was closed or freed. */
  get closed(): boolean {
    return this._handle === 0;
  }

  /** What is called (`bufferevent_getcb`). */
  get callbacks(): Required<BufferEventCallbacks> {
    if (this._handle === 0) throw closedError('BufferEvent.callbacks');
    return { read: this._read, write: this._write, event: this._event };
  }

  /** The bufferevent below, if it stands on one (`bufferevent_get_underlying`). */
  get underlying(): BufferEvent | null {
    if (this._handle === 0) throw closedError('BufferEvent.underlying');
    return this._rare?.below ?? null;
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

  /**
   * Stops reading, writes what is queued, and frees; no callback runs any more. A filter that stands
   * on it is closed before.
   *
   * @returns a promise of the moment when all is written, or cannot be any more. A peer that does
   * not read holds that up: a write timeout set before bounds it, {@link free} ends it.
   */
  close(): Promise<void> {
    const cover = this._rare?.cover ?? null;
    if (cover !== null) return cover.close().then(() => this.close());
    this._startClose();
    const rare = this._rare;
    return rare === null || rare.closing === 0 ? Promise.resolve() : this._whenGone();
  }

  /** Frees it at once; what is queued is dropped (`bufferevent_free`). */
  free(): void {
    const rare = this._rare;
    const handle = this._handle === 0 ? (rare?.closing ?? 0) : this._handle;
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

  /** @internal A promise of its end. */
  _whenGone(): Promise<void> {
    const rare = this._rarities();
    return (rare.closed ??= new Promise<void>((resolve) => {
      rare.resolve = resolve;
    }));
  }

  /** @internal Has the event callback told of an error that came from elsewhere. */
  _fail(error: EvError, what: number): void {
    this._rarities().failure = error;
    binding.bevTriggerEvent(this._handle, what);
  }

  /** @internal Something besides bytes has happened. */
  _happened(what: number, errno: number): void {
    const event = this._event;
    if (event !== null) {
      const error = (what & ERROR) === 0 ? null : this._error(what, errno);
      event(this as unknown as BufferEvent, what, error);
    } else if ((this._auto & AUTO_CLOSE) !== 0 && what !== CONNECTED) {
      this._startClose();
    }
  }

  /** @internal What an ERROR was about. */
  _error(what: number, errno: number): EvError {
    const told = this._rare?.failure ?? null;
    if (told !== null) return told;
    const syscall = syscallOf(what);
    const failure = errno === 0 ? binding.bevFailure(this._handle) : null;
    if (failure === null) return systemError(errno, syscall);
    const [code = '', message = ''] = failure;
    const where = code.startsWith('ERR_EVNODE_TLS_') ? 'tls' : syscall;
    return new EvError(code, `${where}: ${message}`);
  }

  /** @internal It is gone: freed, or closed with all written that was queued. */
  _closed(): void {
    const rare = this._rare;
    if (rare === null) return;
    if (rare.closing !== 0) release(rare.closing);
    rare.closing = 0;
    rare.resolve?.();
    const { below } = rare;
    if (below === null) return;
    rare.below = null;
    below._setCover(null);
    if (rare.closesBelow) below._closed();
  }

  /** @internal It came from `connect`. */
  _automate(): void {
    this._auto = AUTO;
    raw.bevSetCallbacks(this._handle, ON_EVENT);
  }

  /** @internal Whether nobody would notice what happens to it. */
  get _idle(): boolean {
    const cover = this._rare?.cover ?? null;
    if (cover !== null) return cover._idle;
    return this._handle !== 0 && this._read === null && this._event === null;
  }

  /** @internal It was made over another one, and does in its place what that did by itself. */
  _standOn(below: BufferEvent, closesBelow: boolean): void {
    const rare = this._rarities();
    rare.below = below;
    rare.closesBelow = closesBelow;
    below._setCover(this);
    if (below._auto !== 0) this._automate();
  }

  /** A filter stands on it now, or no longer. */
  private _setCover(cover: BufferEventCore | null): void {
    this._rarities().cover = cover;
  }

  /** @internal Gives it to a reader. */
  _attach(
    call: string,
    reader: Reader,
    read: DataCallback | null,
    event: BufferEventCallback,
  ): void {
    this._checkUnread(call);
    this._install(read, null, event);
    if (read !== null) raw.bevEnable(this._handle, READ);
    this._rarities().reader = reader;
  }

  /** @internal Throws when something takes its bytes already. */
  _checkUnread(call: string): void {
    if (this._handle === 0) throw closedError(call);
    const rare = this._rare;
    if (rare === null || (rare.reader === null && rare.cover === null)) return;
    const who = rare.cover === null ? 'an iterator or a stream' : 'a filter';
    const message = `${call}: ${who} reads from it already; end that first`;
    throw new EvError('ERR_EVNODE_BUSY', message);
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
      if (raw.bevInputLength(this._handle) > 0) binding.bevTrigger(this._handle, READ);
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

  /** @internal The one that stands on it ends, and it with that: a filter has still to convert. */
  _abandon(): void {
    if (this._handle === 0) return;
    this._rarities().closing = this._handle;
    this._letGo();
  }

  /** @internal Ends what JavaScript can do with it. */
  _letGo(): void {
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
    if (rare.closesBelow) rare.below?._abandon();
  }

  /** @internal */
  _rarities(): Rarities {
    return (this._rare ??= {
      input: null,
      output: null,
      reader: null,
      partner: null,
      cover: null,
      below: null,
      closesBelow: false,
      group: null,
      failure: null,
      closing: 0,
      closed: null,
      resolve: null,
    });
  }
}
