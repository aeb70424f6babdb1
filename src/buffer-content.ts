// What a buffer holds: finding, comparing, showing it.

import { inspect, type InspectOptionsStylized } from 'node:util';

import { BufferFrames } from './buffer-frames.js';
import { raw } from './native.js';
import { bytes, integer, type Bytes } from './options.js';

/** What a buffer holds, looked at as a `Buffer` is; nothing is taken. */
export abstract class BufferContent extends BufferFrames {
  abstract get length(): number;
  abstract copyout(length?: number, from?: number): Buffer;
  abstract segments(): number[];

  /**
   * The position of bytes, a string or a byte, as `Buffer.indexOf` has it, or -1.
   *
   * @param from where to begin; a negative one counts from the end
   */
  indexOf(what: Bytes | string | number, from = 0): number {
    const call = 'EvBuffer.indexOf';
    const start = this._position(call, 'from', from);
    const needle =
      typeof what === 'number'
        ? Uint8Array.of(integer(call, 'what', what, 0, 255))
        : typeof what === 'string'
          ? Buffer.from(what)
          : bytes(call, 'what', what);
    return raw.bufferSearch(this._handle, needle, start, -1);
  }

  /** Whether bytes, a string or a byte can be found; see {@link indexOf}. */
  includes(what: Bytes | string | number, from = 0): boolean {
    return this.indexOf(what, from) >= 0;
  }

  /** The byte at a position, a negative one counting from the end; undefined outside the buffer. */
  at(index: number): number | undefined {
    integer('EvBuffer.at', 'index', index, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const offset = index < 0 ? index + this.length : index;
    return offset < 0
      ? undefined
      : ((raw.bufferNumber(this._handle, 0, offset) ?? undefined) as number | undefined);
  }

  /** Copies the bytes from `start` up to `end`, as `Array.slice` has them; negative ones count from the end. */
  slice(start = 0, end = Number.MAX_SAFE_INTEGER): Buffer {
    const call = 'EvBuffer.slice';
    const from = this._position(call, 'start', start);
    return this.copyout(Math.max(0, this._position(call, 'end', end) - from), from);
  }

  /** Whether it holds the same bytes as another buffer, a view or a string. */
  equals(other: BufferContent | Bytes | string): boolean {
    if (other instanceof BufferContent) {
      return raw.bufferEqualsBuffer(this._handle, other._handle);
    }
    const view =
      typeof other === 'string' ? Buffer.from(other) : bytes('EvBuffer.equals', 'other', other);
    return raw.bufferEquals(this._handle, view);
  }

  /** What it holds, as a string; nothing is taken. */
  override toString(encoding: BufferEncoding = 'utf8'): string {
    return this.copyout().toString(encoding);
  }

  /** What it holds, as `Buffer.toJSON` has it; nothing is taken. */
  toJSON(): { type: 'Buffer'; data: number[] } {
    return this.copyout().toJSON();
  }

  /** What `util.inspect` and `console.log` show: the length, and those of the segments. */
  [inspect.custom](_: number, options_: InspectOptionsStylized, show: typeof inspect): string {
    const name = options_.stylize('EvBuffer', 'special');
    if (this._handle === 0) return `${name} {}`;
    return `${name} ${show({ length: this.length, segments: this.segments() }, options_)}`;
  }

  /** A position that counts from the end when it is negative, within the buffer. */
  private _position(call: string, name: string, value: number): number {
    const most = Number.MAX_SAFE_INTEGER;
    const given = integer(call, name, value, -most, most);
    const held = this.length;
    return given < 0 ? Math.max(0, held + given) : Math.min(given, held);
  }
}
