// A stream of Node's as what carries the bytes of a bufferevent.

import { finished, type Duplex } from 'node:stream';

import type { Reader } from './bufferevent-core.js';
import type { BufferEvent } from './bufferevent.js';
import { EvError, typeError } from './errors.js';
import { BufferEventFlags, EventFlags } from './flags.js';
import { raw } from './native.js';

const { READ, WRITE } = EventFlags;
const { EOF, ERROR, READING } = BufferEventFlags;

/** So many bytes wait in each direction before the side that sends them is held up. */
const MARK = 64 * 1024;

/** Throws unless this is a stream of bytes that goes both ways. */
export function checkDuplex(call: string, stream: Duplex): void {
  const { pipe, write, readableObjectMode, writableObjectMode } = (stream ?? {}) as Partial<Duplex>;
  const is = typeof pipe === 'function' && typeof write === 'function';
  if (!is || readableObjectMode === true || writableObjectMode === true) {
    throw typeError(call, 'stream', 'a Duplex of bytes', stream);
  }
}

/** The error of a stream, as a bufferevent tells it. */
function streamError(cause: Error): EvError {
  const { code } = cause as { code?: unknown };
  const told = new EvError(typeof code === 'string' ? code : 'ERR_EVNODE_STREAM', cause.message);
  Object.defineProperty(told, 'cause', { value: cause, configurable: true, writable: true });
  return told;
}

/** Carries bytes between a stream and an end of a pair, no faster than they are taken. */
export class StreamPump implements Reader {
  private readonly _stream: Duplex;
  private readonly _near: BufferEvent;
  private readonly _far: BufferEvent;
  /** The stream takes no more for now. */
  private _full = false;
  /** Nothing more comes from the bufferevent. */
  private _ended = false;

  /** `near` is the user's end of the pair, `far` the stream's. */
  constructor(stream: Duplex, near: BufferEvent, far: BufferEvent) {
    this._stream = stream;
    this._near = near;
    this._far = far;
  }

  start(call: string): void {
    const { _stream: stream, _near: near, _far: far } = this;
    far._attach(call, this, this._send, (_, what) => this._happened(what));
    raw.bevSetWatermark(far._handle, READ, 0, MARK);
    raw.bevSetWatermark(far._handle, WRITE, MARK >> 1, 0);
    stream.on('data', this._receive);
    stream.once('end', () => {
      if (!far.closed) far.flush(WRITE, 'finished');
    });
    stream.on('drain', () => {
      this._full = false;
      this._send();
    });
    stream.once('finish', this._letGo);
    void near._whenGone().then(this._letGo);
    finished(stream, (error) => {
      // Both sides have ended: what is still in between arrives.
      if (error) this._fail(error);
    });
  }

  /** @internal */
  _gone(): void {
    this._stream.destroy();
  }

  /** Takes what comes from the stream. */
  private readonly _receive = (chunk: Buffer | string): void => {
    const { _far: far, _stream: stream } = this;
    if (far.closed || far.partner === null) return;
    const encoding = stream.readableEncoding ?? 'utf8';
    far.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
    if (far.outputLength < MARK) return;
    stream.pause();
    far._setWrite(() => {
      far._setWrite(null);
      stream.resume();
    });
  };

  /** Gives the stream what was written. */
  private readonly _send = (): void => {
    const { _far: far, _stream: stream } = this;
    while (!this._full && !far.closed) {
      const chunk = far.read();
      if (chunk === null) break;
      if (stream.writable) this._full = !stream.write(chunk);
    }
    if (this._ended && !far.closed && far.inputLength === 0) stream.end();
  };

  private _happened(what: number): void {
    if ((what & EOF) !== 0) {
      this._ended = true;
      this._send();
    } else if ((what & ERROR) !== 0) {
      // Nobody is there any more to read: what still comes is dropped, and what was written goes out.
      this._far._setWrite(null);
      this._stream.resume();
    }
  }

  /** Ends the stream when all is sent and nobody reads from it. */
  private readonly _letGo = (): void => {
    if (this._near.closed && this._stream.writableFinished) this._stream.destroy();
  };

  private _fail(error: Error): void {
    const { _near: near, _far: far } = this;
    if (!near.closed) {
      near.disable(READ | WRITE);
      near._fail(streamError(error), ERROR | READING);
    }
    far.free();
  }
}
