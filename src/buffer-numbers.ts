// Numbers in and out of a buffer, by the names that Node's Buffer has for them.

import { rangeError, shortError, typeError } from './errors.js';
import { raw } from './native.js';
import { integer, size } from './options.js';

const LEAST_I64 = -(2n ** 63n);
const MOST_I64 = 2n ** 63n - 1n;
const MOST_U64 = 2n ** 64n - 1n;

/** Takes the number at the front, or looks at the one at an offset. */
function find(handle: number, call: string, layout: number, length: number, offset: number) {
  const found = raw.bufferNumber(handle, layout, offset);
  if (found !== null) return found;
  const held = raw.bufferLength(handle);
  throw shortError(`EvBuffer.${call}`, length, Math.max(0, held - Math.max(0, offset)));
}

function peeked(handle: number, call: string, layout: number, length: number, offset: number) {
  return find(handle, call, layout, length, size(`EvBuffer.${call}`, 'offset', offset));
}

function float(call: string, value: number): number {
  if (typeof value !== 'number') throw typeError(`EvBuffer.${call}`, 'value', 'a number', value);
  return value;
}

function whole(call: string, value: number, least: number, most: number): number {
  return integer(`EvBuffer.${call}`, 'value', value, least, most);
}

function big(call: string, value: bigint, least: bigint, most: bigint): bigint {
  const wanted = `a bigint from ${least} to ${most}`;
  if (typeof value !== 'bigint') throw typeError(`EvBuffer.${call}`, 'value', wanted, value);
  if (value < least || value > most) throw rangeError(`EvBuffer.${call}`, 'value', wanted, value);
  return value;
}

/**
 * The numbers of a buffer. `read…` takes one from the front, `get…` looks at one that begins `offset`
 * bytes from the front and leaves it, `write…` appends one. When there are too few bytes, a
 * `RangeError` with the code `ERR_EVNODE_SHORT` says so and nothing is taken.
 */
export abstract class BufferNumbers {
  /** @internal */
  abstract _handle: number;

  /** Takes an unsigned byte. */
  readUInt8(): number {
    return find(this._handle, 'readUInt8', 0, 1, -1) as number;
  }

  /** Takes a signed byte. */
  readInt8(): number {
    return find(this._handle, 'readInt8', 1, 1, -1) as number;
  }

  /** Takes an unsigned 16-bit number, the least significant byte first. */
  readUInt16LE(): number {
    return find(this._handle, 'readUInt16LE', 2, 2, -1) as number;
  }

  /** Takes an unsigned 16-bit number, the most significant byte first. */
  readUInt16BE(): number {
    return find(this._handle, 'readUInt16BE', 18, 2, -1) as number;
  }

  /** Takes a signed 16-bit number, the least significant byte first. */
  readInt16LE(): number {
    return find(this._handle, 'readInt16LE', 3, 2, -1) as number;
  }

  /** Takes a signed 16-bit number, the most significant byte first. */
  readInt16BE(): number {
    return find(this._handle, 'readInt16BE', 19, 2, -1) as number;
  }

  /** Takes an unsigned 32-bit number, the least significant byte first. */
  readUInt32LE(): number {
    return find(this._handle, 'readUInt32LE', 4, 4, -1) as number;
  }

  /** Takes an unsigned 32-bit number, the most significant byte first. */
  readUInt32BE(): number {
    return find(this._handle, 'readUInt32BE', 20, 4, -1) as number;
  }

  /** Takes a signed 32-bit number, the least significant byte first. */
  readInt32LE(): number {
    return find(this._handle, 'readInt32LE', 5, 4, -1) as number;
  }

  /** Takes a signed 32-bit number, the most significant byte first. */
  readInt32BE(): number {
    return find(this._handle, 'readInt32BE', 21, 4, -1) as number;
  }

  /** Takes an unsigned 64-bit number, the least significant byte first. */
  readBigUInt64LE(): bigint {
    return find(this._handle, 'readBigUInt64LE', 6, 8, -1) as bigint;
  }

  /** Takes an unsigned 64-bit number, the most significant byte first. */
  readBigUInt64BE(): bigint {
    return find(this._handle, 'readBigUInt64BE', 22, 8, -1) as bigint;
  }

  /** Takes a signed 64-bit number, the least significant byte first. */
  readBigInt64LE(): bigint {
    return find(this._handle, 'readBigInt64LE', 7, 8, -1) as bigint;
  }

  /** Takes a signed 64-bit number, the most significant byte first. */
  readBigInt64BE(): bigint {
    return find(this._handle, 'readBigInt64BE', 23, 8, -1) as bigint;
  }

  /** Takes a 32-bit floating-point number, the least significant byte first. */
  readFloatLE(): number {
    return find(this._handle, 'readFloatLE', 8, 4, -1) as number;
  }

  /** Takes a 32-bit floating-point number, the most significant byte first. */
  readFloatBE(): number {
    return find(this._handle, 'readFloatBE', 24, 4, -1) as number;
  }

  /** Takes a 64-bit floating-point number, the least significant byte first. */
  readDoubleLE(): number {
    return find(this._handle, 'readDoubleLE', 9, 8, -1) as number;
  }

  /** Takes a 64-bit floating-point number, the most significant byte first. */
  readDoubleBE(): number {
    return find(this._handle, 'readDoubleBE', 25, 8, -1) as number;
  }

  /** Looks at an unsigned byte. */
  getUInt8(offset = 0): number {
    return peeked(this._handle, 'getUInt8', 0, 1, offset) as number;
  }

  /** Looks at a signed byte. */
  getInt8(offset = 0): number {
    return peeked(this._handle, 'getInt8', 1, 1, offset) as number;
  }

  /** Looks at an unsigned 16-bit number, the least significant byte first. */
  getUInt16LE(offset = 0): number {
    return peeked(this._handle, 'getUInt16LE', 2, 2, offset) as number;
  }

  /** Looks at an unsigned 16-bit number, the most significant byte first. */
  getUInt16BE(offset = 0): number {
    return peeked(this._handle, 'getUInt16BE', 18, 2, offset) as number;
  }

  /** Looks at a signed 16-bit number, the least significant byte first. */
  getInt16LE(offset = 0): number {
    return peeked(this._handle, 'getInt16LE', 3, 2, offset) as number;
  }

  /** Looks at a signed 16-bit number, the most significant byte first. */
  getInt16BE(offset = 0): number {
    return peeked(this._handle, 'getInt16BE', 19, 2, offset) as number;
  }

  /** Looks at an unsigned 32-bit number, the least significant byte first. */
  getUInt32LE(offset = 0): number {
    return peeked(this._handle, 'getUInt32LE', 4, 4, offset) as number;
  }

  /** Looks at an unsigned 32-bit number, the most significant byte first. */
  getUInt32BE(offset = 0): number {
    return peeked(this._handle, 'getUInt32BE', 20, 4, offset) as number;
  }

  /** Looks at a signed 32-bit number, the least significant byte first. */
  getInt32LE(offset = 0): number {
    return peeked(this._handle, 'getInt32LE', 5, 4, offset) as number;
  }

  /** Looks at a signed 32-bit number, the most significant byte first. */
  getInt32BE(offset = 0): number {
    return peeked(this._handle, 'getInt32BE', 21, 4, offset) as number;
  }

  /** Looks at an unsigned 64-bit number, the least significant byte first. */
  getBigUInt64LE(offset = 0): bigint {
    return peeked(this._handle, 'getBigUInt64LE', 6, 8, offset) as bigint;
  }

  /** Looks at an unsigned 64-bit number, the most significant byte first. */
  getBigUInt64BE(offset = 0): bigint {
    return peeked(this._handle, 'getBigUInt64BE', 22, 8, offset) as bigint;
  }

  /** Looks at a signed 64-bit number, the least significant byte first. */
  getBigInt64LE(offset = 0): bigint {
    return peeked(this._handle, 'getBigInt64LE', 7, 8, offset) as bigint;
  }

  /** Looks at a signed 64-bit number, the most significant byte first. */
  getBigInt64BE(offset = 0): bigint {
    return peeked(this._handle, 'getBigInt64BE', 23, 8, offset) as bigint;
  }

  /** Looks at a 32-bit floating-point number, the least significant byte first. */
  getFloatLE(offset = 0): number {
    return peeked(this._handle, 'getFloatLE', 8, 4, offset) as number;
  }

  /** Looks at a 32-bit floating-point number, the most significant byte first. */
  getFloatBE(offset = 0): number {
    return peeked(this._handle, 'getFloatBE', 24, 4, offset) as number;
  }

  /** Looks at a 64-bit floating-point number, the least significant byte first. */
  getDoubleLE(offset = 0): number {
    return peeked(this._handle, 'getDoubleLE', 9, 8, offset) as number;
  }

  /** Looks at a 64-bit floating-point number, the most significant byte first. */
  getDoubleBE(offset = 0): number {
    return peeked(this._handle, 'getDoubleBE', 25, 8, offset) as number;
  }

  /** Appends an unsigned byte. */
  writeUInt8(value: number): this {
    raw.bufferAddNumber(this._handle, 0, whole('writeUInt8', value, 0, 255));
    return this;
  }

  /** Appends a signed byte. */
  writeInt8(value: number): this {
    raw.bufferAddNumber(this._handle, 1, whole('writeInt8', value, -128, 127));
    return this;
  }

  /** Appends an unsigned 16-bit number, the least significant byte first. */
  writeUInt16LE(value: number): this {
    raw.bufferAddNumber(this._handle, 2, whole('writeUInt16LE', value, 0, 65_535));
    return this;
  }

  /** Appends an unsigned 16-bit number, the most significant byte first. */
  writeUInt16BE(value: number): this {
    raw.bufferAddNumber(this._handle, 18, whole('writeUInt16BE', value, 0, 65_535));
    return this;
  }

  /** Appends a signed 16-bit number, the least significant byte first. */
  writeInt16LE(value: number): this {
    raw.bufferAddNumber(this._handle, 3, whole('writeInt16LE', value, -32_768, 32_767));
    return this;
  }

  /** Appends a signed 16-bit number, the most significant byte first. */
  writeInt16BE(value: number): this {
    raw.bufferAddNumber(this._handle, 19, whole('writeInt16BE', value, -32_768, 32_767));
    return this;
  }

  /** Appends an unsigned 32-bit number, the least significant byte first. */
  writeUInt32LE(value: number): this {
    raw.bufferAddNumber(this._handle, 4, whole('writeUInt32LE', value, 0, 4_294_967_295));
    return this;
  }

  /** Appends an unsigned 32-bit number, the most significant byte first. */
  writeUInt32BE(value: number): this {
    raw.bufferAddNumber(this._handle, 20, whole('writeUInt32BE', value, 0, 4_294_967_295));
    return this;
  }

  /** Appends a signed 32-bit number, the least significant byte first. */
  writeInt32LE(value: number): this {
    raw.bufferAddNumber(
      this._handle,
      5,
      whole('writeInt32LE', value, -2_147_483_648, 2_147_483_647),
    );
    return this;
  }

  /** Appends a signed 32-bit number, the most significant byte first. */
  writeInt32BE(value: number): this {
    raw.bufferAddNumber(
      this._handle,
      21,
      whole('writeInt32BE', value, -2_147_483_648, 2_147_483_647),
    );
    return this;
  }

  /** Appends an unsigned 64-bit number, the least significant byte first. */
  writeBigUInt64LE(value: bigint): this {
    raw.bufferAddNumber(this._handle, 6, big('writeBigUInt64LE', value, 0n, MOST_U64));
    return this;
  }

  /** Appends an unsigned 64-bit number, the most significant byte first. */
  writeBigUInt64BE(value: bigint): this {
    raw.bufferAddNumber(this._handle, 22, big('writeBigUInt64BE', value, 0n, MOST_U64));
    return this;
  }

  /** Appends a signed 64-bit number, the least significant byte first. */
  writeBigInt64LE(value: bigint): this {
    raw.bufferAddNumber(this._handle, 7, big('writeBigInt64LE', value, LEAST_I64, MOST_I64));
    return this;
  }

  /** Appends a signed 64-bit number, the most significant byte first. */
  writeBigInt64BE(value: bigint): this {
    raw.bufferAddNumber(this._handle, 23, big('writeBigInt64BE', value, LEAST_I64, MOST_I64));
    return this;
  }

  /** Appends a 32-bit floating-point number, the least significant byte first. */
  writeFloatLE(value: number): this {
    raw.bufferAddNumber(this._handle, 8, float('writeFloatLE', value));
    return this;
  }

  /** Appends a 32-bit floating-point number, the most significant byte first. */
  writeFloatBE(value: number): this {
    raw.bufferAddNumber(this._handle, 24, float('writeFloatBE', value));
    return this;
  }

  /** Appends a 64-bit floating-point number, the least significant byte first. */
  writeDoubleLE(value: number): this {
    raw.bufferAddNumber(this._handle, 9, float('writeDoubleLE', value));
    return this;
  }

  /** Appends a 64-bit floating-point number, the most significant byte first. */
  writeDoubleBE(value: number): this {
    raw.bufferAddNumber(this._handle, 25, float('writeDoubleBE', value));
    return this;
  }
}
