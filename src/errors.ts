// The errors that evnode throws, and how each is made.

import { getSystemErrorMap } from 'node:util';

const BRAND = Symbol.for('evnode.EvError');

/** What an {@link EvError} may carry besides its code, as Node's system errors have it. */
export interface SystemErrorFields {
  /** The negative number of the system's error. */
  errno?: number;
  /** The call that failed: `bind`, `connect`, `read`, ... */
  syscall?: string;
  /** The address that it was about, or the path of a Unix socket. */
  address?: string;
  /** The port that it was about. */
  port?: number;
}

/**
 * What went wrong in evnode or in the system below it. `code` tells which: the name of a system
 * error (`ECONNREFUSED`) or `ERR_EVNODE_…`.
 *
 * - `ERR_EVNODE_CLOSED`: the object was freed or closed.
 * - `ERR_EVNODE_BUSY`: a callback, an iterator or a stream takes already what was to be iterated.
 * - `ERR_EVNODE_LOOP_RUNNING`: the loop was started within itself.
 * - `ERR_EVNODE_UNSUPPORTED`: neither the method nor the platform can do this.
 * - `ERR_EVNODE_TIMEOUT`: a bufferevent's timeout has passed.
 * - `ERR_EVNODE_LINE_TOO_LONG`: a line is longer than `maxLength`.
 * - `ERR_EVNODE_FRAME_TOO_LARGE`: a frame, or what comes before a delimiter, is longer than `maxLength`.
 * - `ERR_EVNODE_TRUNCATED`: the connection has ended within a frame.
 * - `ERR_EVNODE_VIEW_WRITTEN`: in debug mode, what `peek()` shows was written to.
 * - `ERR_EVNODE_STREAM`: the stream under a bufferevent failed; `cause` is its error.
 * - `ERR_EVNODE_FILTER`: a filter failed; `cause` is what its function threw, if it did.
 * - `ERR_EVNODE_TLS_…`: TLS failed: `CERT_UNKNOWN_ISSUER`, `CERT_NAME_MISMATCH`, `CERT_EXPIRED`,
 *   `PEER_ALERT`, `NO_APPLICATION_PROTOCOL`, `TRUNCATED`, `INVALID_CONFIG`, ...
 * - `ERR_EVNODE_FROZEN`: the buffer does not allow changes at this end.
 * - `ERR_EVNODE_NO_MEMORY`: a buffer cannot grow any more.
 * - `ERR_EVNODE_IO`, `ERR_EVNODE_FAILED`: the system failed without a number that tells why.
 * - `ERR_EVNODE_ENV_CLOSING`: the thread's environment ends.
 * - `ERR_EVNODE_NO_BINDING`: the native part is not installed, or does not load.
 * - `ERR_EVNODE_INTERNAL`: a defect in evnode.
 *
 * A wrong argument is no `EvError` but a `TypeError` or `RangeError` with an
 * `ERR_EVNODE_ARG_…` code, and so is a number read from a buffer that has too few bytes, a
 * `RangeError` with the code `ERR_EVNODE_SHORT`. `instanceof` holds across copies of the package.
 */
export class EvError extends Error {
  /** Which error it is. */
  readonly code: string;
  /** The negative number of the system's error. */
  declare readonly errno?: number;
  /** The call that failed. */
  declare readonly syscall?: string;
  /** The address that it was about, or the path of a Unix socket. */
  declare readonly address?: string;
  /** The port that it was about. */
  declare readonly port?: number;

  constructor(code: string, message: string, fields?: SystemErrorFields) {
    super(message);
    this.code = code;
    if (fields !== undefined) Object.assign(this, fields);
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'EvError', configurable: true });
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== EvError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

/** The object was freed or closed before `call`. */
export function closedError(call: string): EvError {
  return new EvError('ERR_EVNODE_CLOSED', `${call}: it was closed; create a new one`);
}

/** A system error as Node words it: `connect ECONNREFUSED 127.0.0.1:1: connection refused`. */
export function systemError(
  errno: number,
  syscall: string,
  address?: string,
  port?: number,
): EvError {
  const [code, text] = getSystemErrorMap().get(errno) ?? [`E${-errno}`, 'unknown error'];
  const fields: SystemErrorFields = { errno, syscall };
  let where = '';
  if (address !== undefined) {
    fields.address = address;
    where = ` ${address}`;
    if (port !== undefined) {
      fields.port = port;
      where += `:${port}`;
    }
  }
  return new EvError(code, `${syscall} ${code}${where}: ${text}`, fields);
}

/** A `TypeError` or `RangeError` with a code. */
function coded<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code });
}

function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    case 'bigint':
      return `the bigint ${value}`;
    case 'object':
      if (value === null) return 'null';
      if (Array.isArray(value)) return 'an array';
      return value.constructor?.name ? `an instance of ${value.constructor.name}` : 'an object';
    default:
      return String(value);
  }
}

/** The argument `name` of `call` is of a wrong type. */
export function typeError(call: string, name: string, wanted: string, value: unknown): TypeError {
  const message = `${call}: ${name} is ${shown(value)}; give ${wanted}`;
  return coded(new TypeError(message), 'ERR_EVNODE_ARG_TYPE');
}

/** The argument `name` of `call` is outside its range. */
export function rangeError(call: string, name: string, wanted: string, value: unknown): RangeError {
  const message = `${call}: ${name} is ${shown(value)}; give ${wanted}`;
  return coded(new RangeError(message), 'ERR_EVNODE_ARG_RANGE');
}

/** `call` wants more bytes than there are. */
export function shortError(call: string, wanted: number, held: number): RangeError {
  const message = `${call}: ${wanted} bytes are needed where there are ${held}`;
  return coded(new RangeError(message), 'ERR_EVNODE_SHORT');
}

/** Makes the errors that the native layer throws; `kind` as in raw.d.ts. */
export function nativeError(
  kind: number,
  code: string,
  message: string,
  errno: number,
  syscall: string | undefined,
  address: string | undefined,
  port: number | undefined,
): Error {
  switch (kind) {
    case 1:
      return coded(new TypeError(message), code);
    case 2:
      return coded(new RangeError(message), code);
    case 3:
      return systemError(errno, syscall ?? 'call', address, port);
    default:
      return new EvError(code, message);
  }
}
