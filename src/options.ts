// Checks of arguments. Each throws a `TypeError` or `RangeError` that names the call, what was wrong
// and what to give instead.

import { constants } from 'node:os';
import { isAnyArrayBuffer } from 'node:util/types';

import { rangeError, typeError } from './errors.js';

/** How a string becomes bytes, or bytes a string. */
export type Encoding = 'utf8' | 'latin1' | 'utf16le';

/** Bytes: any view, or a whole buffer behind one. */
export type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/**
 * Where a line ends (`enum evbuffer_eol_style`): `any` is a run of CR and LF in any order, `crlf` an
 * LF with or without a CR before it, `crlf-strict` a CR with an LF, `lf` an LF, `nul` a zero byte.
 */
export type EolStyle = 'any' | 'crlf' | 'crlf-strict' | 'lf' | 'nul';

/** A direction or both: `EventFlags.READ`, `EventFlags.WRITE`. */
const READ_WRITE = 6;

const MOST_MS = 2 ** 42;
const MOST_BYTES = Number.MAX_SAFE_INTEGER;

/** A whole number between two bounds. */
export function integer(
  call: string,
  name: string,
  value: unknown,
  least: number,
  most: number,
): number {
  const wanted = `a whole number from ${least} to ${most}`;
  if (typeof value !== 'number') throw typeError(call, name, wanted, value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw rangeError(call, name, wanted, value);
  }
  return value;
}

/** A number of bytes. */
export function size(call: string, name: string, value: unknown): number {
  return integer(call, name, value, 0, MOST_BYTES);
}

/** A number of bytes, or -1 when there is none. */
export function optionalSize(call: string, name: string, value: unknown): number {
  return value === undefined ? -1 : size(call, name, value);
}

/** Bytes that may pass; `Infinity`, for no limit, when there is none. */
export function rate(call: string, name: string, value: unknown): number {
  if (value === undefined || value === Infinity) return Infinity;
  return integer(call, name, value, 1, MOST_BYTES);
}

/** A file descriptor, or -1. */
export function descriptor(call: string, value: unknown): number {
  return integer(call, 'fd', value, -1, 0x7fff_ffff);
}

/** Milliseconds, with fractions, or -1 for none. */
export function milliseconds(call: string, name: string, value: unknown): number {
  if (value === undefined || value === null) return -1;
  const wanted = `milliseconds from 0 to ${MOST_MS}`;
  if (typeof value !== 'number') throw typeError(call, name, wanted, value);
  if (!(value >= 0 && value <= MOST_MS)) throw rangeError(call, name, wanted, value);
  return value;
}

/** A function, or null for none. */
export function callback<F>(call: string, name: string, value: F | null | undefined): F | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'function') throw typeError(call, name, 'a function', value);
  return value;
}

/** A function. */
export function required<F>(call: string, name: string, value: F): F {
  if (typeof value !== 'function') throw typeError(call, name, 'a function', value);
  return value;
}

/** Flags out of `all`; at least one of them. */
export function flags(call: string, name: string, value: unknown, all: number): number {
  const wanted = `flags out of 0x${all.toString(16)}, at least one`;
  if (typeof value !== 'number') throw typeError(call, name, wanted, value);
  if (!Number.isInteger(value) || value <= 0 || (value & ~all) !== 0 || value > all) {
    throw rangeError(call, name, wanted, value);
  }
  return value;
}

/** READ, WRITE or both. */
export function directions(call: string, value: unknown): number {
  const wanted = 'EventFlags.READ, EventFlags.WRITE or both';
  if (typeof value !== 'number') throw typeError(call, 'what', wanted, value);
  if (value !== 2 && value !== 4 && value !== READ_WRITE) {
    throw rangeError(call, 'what', wanted, value);
  }
  return value;
}

/** A string. */
export function text(call: string, name: string, value: unknown): string {
  if (typeof value !== 'string') throw typeError(call, name, 'a string', value);
  return value;
}

/** A boolean, or the default. */
export function boolean(call: string, name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== 'boolean') throw typeError(call, name, 'true or false', value);
  return value;
}

/** One of several words, or the first. */
export function choice<T extends string>(
  call: string,
  name: string,
  value: unknown,
  all: readonly [T, ...T[]],
): T {
  if (value === undefined) return all[0];
  if (all.includes(value as T)) return value as T;
  const wanted = all.map((one) => JSON.stringify(one)).join(', ');
  if (typeof value !== 'string') throw typeError(call, name, wanted, value);
  throw rangeError(call, name, wanted, value);
}

/** An object with options, or none. */
export function options<T extends object>(call: string, value: T | undefined, empty: T): T {
  if (value === undefined) return empty;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw typeError(call, 'options', 'an object with options', value);
  }
  return value;
}

/** Bytes behind a view or a buffer. */
export function bytes(call: string, name: string, value: unknown): ArrayBufferView {
  if (ArrayBuffer.isView(value)) return value;
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw typeError(call, name, 'a Buffer, a typed array, a DataView or an ArrayBuffer', value);
}

/** How long a view is now: one of a buffer that was detached, or resized away, has no bytes. */
export function lengthOf(view: ArrayBufferView): number {
  try {
    return view.byteLength;
  } catch {
    // Only a DataView throws.
    return 0;
  }
}

/** A `Buffer` over the bytes of a view. */
export function asBuffer(view: ArrayBufferView): Buffer {
  const length = lengthOf(view);
  return Buffer.from(view.buffer, length === 0 ? 0 : view.byteOffset, length);
}

const ENCODINGS: readonly unknown[] = ['utf8', 'latin1', 'utf16le'];

/** The native layer's number of an encoding. */
export function encodingCode(call: string, value: unknown): 0 | 1 | 2 {
  const found = ENCODINGS.indexOf(value);
  if (found >= 0) return found as 0 | 1 | 2;
  const wanted = '"utf8", "latin1" or "utf16le"; others go through Buffer';
  if (typeof value !== 'string') throw typeError(call, 'encoding', wanted, value);
  throw rangeError(call, 'encoding', wanted, value);
}

const EOL_STYLES: readonly unknown[] = ['any', 'crlf', 'crlf-strict', 'lf', 'nul'];

/** The native layer's number of an end-of-line style. */
export function eolCode(call: string, value: unknown): 0 | 1 | 2 | 3 | 4 {
  const found = EOL_STYLES.indexOf(value);
  if (found >= 0) return found as 0 | 1 | 2 | 3 | 4;
  const wanted = '"any", "crlf", "crlf-strict", "lf" or "nul"';
  if (typeof value !== 'string') throw typeError(call, 'eol', wanted, value);
  throw rangeError(call, 'eol', wanted, value);
}

/** A signal's number, by name or number. */
export function signalNumber(call: string, value: unknown): number {
  if (typeof value === 'string') {
    const signals: Partial<Record<string, number>> = constants.signals;
    const found = Object.hasOwn(signals, value) ? signals[value] : undefined;
    if (found === undefined) throw rangeError(call, 'signal', 'a name such as "SIGUSR1"', value);
    return found;
  }
  return integer(call, 'signal', value, 1, 64);
}

/** An AbortSignal, or none. */
export function abortSignal(call: string, value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (value instanceof AbortSignal) return value;
  throw typeError(call, 'signal', 'an AbortSignal', value);
}

/** Where to listen or to connect to: a host and a port, or the path of a Unix socket. */
export interface Endpoint {
  host: string | undefined;
  port: number | undefined;
}

/** Where `{ host, port }` or `{ path }` points. */
export function endpoint(
  call: string,
  { host, port, path }: { host?: unknown; port?: unknown; path?: unknown },
): Endpoint {
  if (path !== undefined) {
    if (port !== undefined || host !== undefined) {
      throw typeError(call, 'path', 'either path, or host and port', path);
    }
    const given = text(call, 'path', path);
    if (given === '' || given.includes('\0')) {
      throw rangeError(call, 'path', 'the path of a Unix socket', given);
    }
    return { host: given, port: undefined };
  }
  if (host !== undefined && text(call, 'host', host) === '') {
    throw rangeError(call, 'host', 'an address or a name', host);
  }
  const where = { host: host as string | undefined };
  if (port === undefined) throw typeError(call, 'port', 'a port, or path', port);
  return { ...where, port: integer(call, 'port', port, 0, 65_535) };
}
