// A bufferevent as Node's and JavaScript's own streams: async iterators and a Duplex.

import { Duplex } from 'node:stream';

import type { Reader } from './bufferevent-core.js';
import type { BufferEvent } from './bufferevent.js';
import { closedError, EvError } from './errors.js';
import { BufferEventFlags, EventFlags } from './flags.js';
import { raw } from './native.js';
import {
  abortSignal,
  boolean,
  encodingCode,
  eolCode,
  integer,
  type Encoding,
  type EolStyle,
} from './options.js';

/** How to read chunks. */
export interface ChunkOptions {
  /** Ends the loop, which then throws the signal's reason. */
  signal?: AbortSignal;
}

/** How to read lines. */
export interface LineOptions extends ChunkOptions {
  /** Where a line ends; `crlf` by default, which takes a bare LF too. */
  eol?: EolStyle;
  /** How its bytes become a string; `utf8` by default. */
  encoding?: Encoding;
  /** The most bytes of a line without its end, 1 MiB by default; reading stops at what is longer. */
  maxLength?: number;
}

/** How to make a Duplex. */
export interface DuplexOptions {
  /** Stay writable when the peer has ended its side; true by default. */
  allowHalfOpen?: boolean;
  /** Bytes that may wait to be read before the peer is held up; 64 KiB by default. */
  readableHighWaterMark?: number;
  /** Bytes that may wait to be sent before `write()` returns false; 64 KiB by default. */
  writableHighWaterMark?: number;
}

interface Waiter<T> {
  resolve: (result: IteratorResult<T>) => void;
  reject: (error: unknown) => void;
}

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, TIMEOUT } = BufferEventFlags;
const DEFAULT_MARK = 64 * 1024;
const DEFAULT_LINE = 1024 * 1024;
const MOST = 0x7fff_ffff;

function timeoutError(what: number): EvError {
  const doing = (what & BufferEventFlags.READING) === 0 ? 'write' : 'read';
  return new EvError('ERR_EVNODE_TIMEOUT', `${doing}: the bufferevent's timeout has passed`);
}

/** Takes what comes out of a bufferevent, whole items only, as it is asked for. */
export abstract class BevReader<T> implements AsyncIterableIterator<T>, Reader {
  private readonly _waiting: Waiter<T>[] = [];
  /** Nothing more will come into the input. */
  private _ended = false;
  private _failure: unknown = null;
  private _finished = false;
  private readonly _signal: AbortSignal | undefined;

  constructor(
    call: string,
    protected readonly _bev: BufferEvent,
    options: ChunkOptions,
  ) {
    this._signal = abortSignal(call, options.signal);
    _bev._attach(
      call,
      this,
      () => this._pump(),
      (_, what, error) => this._happened(what, error),
    );
    if (this._signal?.aborted === true) this._abort();
    else this._signal?.addEventListener('abort', this._abort);
  }

  /** The next item, or null while it is not whole; `ended`: there will be no more bytes. */
  protected abstract _take(ended: boolean): T | null;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this._waiting.length === 0) {
      try {
        const result = this._attempt();
        if (result !== null) return Promise.resolve(result);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      this._waiting.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<T>> {
    this._finish();
    this._pump();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** @internal */
  _gone(): void {
    this._finish();
    this._pump();
  }

  private readonly _abort = (): void => {
    this._fail(this._signal?.reason);
  };

  private _happened(what: number, error: EvError | null): void {
    if ((what & ERROR) !== 0) this._fail(error);
    else if ((what & TIMEOUT) !== 0) this._fail(timeoutError(what));
    else if ((what & EOF) !== 0) this._ended = true;
    this._pump();
  }

  private _fail(error: unknown): void {
    this._failure = { error };
    this._ended = true;
    this._pump();
  }

  private _attempt(): IteratorResult<T> | null {
    if (this._finished) return { done: true, value: undefined };
    if (this._signal?.aborted !== true) {
      const value = this._tryTake();
      if (value !== null) return { done: false, value };
    }
    if (!this._ended) return null;
    this._finish();
    const failure = this._failure;
    if (failure !== null) throw (failure as { error: unknown }).error;
    return { done: true, value: undefined };
  }

  private _tryTake(): T | null {
    try {
      return this._take(this._ended && this._failure === null);
    } catch (error) {
      this._finish();
      throw error;
    }
  }

  /** Serves those who wait. */
  private _pump(): void {
    for (let waiter = this._waiting[0]; waiter !== undefined; waiter = this._waiting[0]) {
      try {
        const result = this._attempt();
        if (result === null) return;
        waiter.resolve(result);
      } catch (error) {
        waiter.reject(error);
      }
      this._waiting.shift();
    }
  }

  private _finish(): void {
    if (this._finished) return;
    this._finished = true;
    this._signal?.removeEventListener('abort', this._abort);
    this._bev._detach(this);
  }
}

/** The chunks of a bufferevent's input. */
export class ChunkReader extends BevReader<Buffer> {
  constructor(bev: BufferEvent, options: ChunkOptions) {
    super('BufferEvent.chunks', bev, options);
    raw.bevSetWatermark(bev._handle, READ, 0, DEFAULT_MARK);
  }

  protected _take(): Buffer | null {
    return this._bev.read();
  }
}

/** The lines of a bufferevent's input. */
export class LineReader extends BevReader<string> {
  private readonly _eol: 0 | 1 | 2 | 3 | 4;
  private readonly _encoding: 0 | 1 | 2;
  private readonly _most: number;
  private readonly _input: number;

  constructor(bev: BufferEvent, options: LineOptions) {
    const call = 'BufferEvent.lines';
    const eol = eolCode(call, options.eol ?? 'crlf');
    const encoding = encodingCode(call, options.encoding ?? 'utf8');
    const most = integer(call, 'maxLength', options.maxLength ?? DEFAULT_LINE, 1, MOST);
    super(call, bev, options);
    this._eol = eol;
    this._encoding = encoding;
    this._most = most;
    this._input = raw.bevInput(bev._handle);
    // Room for a longest line with its end, so that a longer one shows.
    raw.bevSetWatermark(bev._handle, READ, 0, Math.max(most + 2, DEFAULT_MARK));
  }

  protected _take(ended: boolean): string | null {
    const line = raw.bufferReadLine(this._input, this._eol, this._encoding, this._most);
    if (line !== null) return line;
    const held = raw.bufferLength(this._input);
    // A CR at the end may turn out to belong to the line's end.
    if (held > this._most + 1) {
      const message = `a line is longer than ${this._most} bytes; raise maxLength or close the connection`;
      throw new EvError('ERR_EVNODE_LINE_TOO_LONG', message);
    }
    return ended && held > 0 ? raw.bufferRemoveString(this._input, held, this._encoding) : null;
  }
}

/** A bufferevent as a stream. */
export class BevDuplex extends Duplex implements Reader {
  private readonly _bev: BufferEvent;
  private readonly _mark: number;
  /** `push()` has not said yet that it is enough. */
  private _wanted = false;
  private _peerEnded = false;
  private _blocked: ((error?: Error | null) => void) | null = null;
  private _finishing: ((error?: Error | null) => void) | null = null;

  constructor(bev: BufferEvent, options: DuplexOptions) {
    const call = 'BufferEvent.toDuplex';
    const { readableHighWaterMark = DEFAULT_MARK, writableHighWaterMark = DEFAULT_MARK } = options;
    integer(call, 'readableHighWaterMark', readableHighWaterMark, 1, MOST);
    integer(call, 'writableHighWaterMark', writableHighWaterMark, 1, MOST);
    const allowHalfOpen = boolean(call, 'allowHalfOpen', options.allowHalfOpen, true);
    super({ allowHalfOpen, readableHighWaterMark, writableHighWaterMark });
    this._bev = bev;
    this._mark = writableHighWaterMark;
    bev._attach(
      call,
      this,
      () => this._pull(),
      (_, what, error) => this._happened(what, error),
    );
    raw.bevSetWatermark(bev._handle, READ, 0, readableHighWaterMark);
    // No high mark: a full output must not keep us from reading, or two such peers wait for ever.
    raw.bevSetWatermark(bev._handle, WRITE, this._mark >> 1, 0);
  }

  override _read(): void {
    this._wanted = true;
    this._pull();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this._bev.write(chunk);
      this._wait(done);
    } catch (error) {
      done(error as Error);
    }
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    try {
      for (const { chunk } of chunks) this._bev.write(chunk);
      this._wait(done);
    } catch (error) {
      done(error as Error);
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this._bev.closed) {
      done();
      return;
    }
    this._finishing = done;
    raw.bevSetWatermark(this._bev._handle, WRITE, 0, 0);
    this._bev._setWrite(this._drained);
    this._drained();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._bev.free();
    // The write under way; with it Node fails those that wait behind it.
    const blocked = this._blocked;
    this._blocked = null;
    blocked?.(error ?? closedError('write'));
    done(error);
  }

  /** @internal */
  _gone(): void {
    this.destroy();
  }

  private _pull(): void {
    while (this._wanted && !this._bev.closed) {
      const chunk = this._bev.read();
      if (chunk === null) break;
      this._wanted = this.push(chunk);
    }
    if (this._peerEnded && !this._bev.closed && this._bev.inputLength === 0) {
      this._peerEnded = false;
      this.push(null);
    }
  }

  /** Takes more at once, or when half of what waits is sent. */
  private _wait(done: (error?: Error | null) => void): void {
    if (this._bev.outputLength < this._mark) {
      done();
      return;
    }
    this._blocked = done;
    this._bev._setWrite(this._drained);
  }

  private readonly _drained = (): void => {
    if (this._finishing !== null) {
      if (this._bev.outputLength > 0) return;
      const done = this._finishing;
      this._finishing = null;
      this._bev._setWrite(null);
      this._bev.flush(WRITE, 'finished');
      done();
    } else if (this._blocked !== null) {
      const done = this._blocked;
      this._blocked = null;
      this._bev._setWrite(null);
      done();
    }
  };

  private _happened(what: number, error: EvError | null): void {
    if ((what & ERROR) !== 0) {
      this.destroy(error ?? undefined);
    } else if ((what & TIMEOUT) !== 0) {
      this.destroy(timeoutError(what));
    } else if ((what & EOF) !== 0) {
      this._peerEnded = true;
      this._pull();
    }
  }
}
