// Helpers (`evutil_…`) for which Node has no equal. For the others it has: `crypto.randomBytes`,
// `process.hrtime.bigint`, `net.isIP`, string and number methods.

import type { AddressInfo } from '../index.js';
import { EvError, rangeError, typeError } from './errors.js';
import { binding } from './native.js';
import { boolean, bytes, choice, integer, milliseconds, options, text } from './options.js';

/**
 * Reads an address with a port (`evutil_parse_sockaddr_port`): `1.2.3.4`, `1.2.3.4:80`, `::1`,
 * `[::1]:80`, and what starts with `/` or `unix:` as the path of a Unix socket. The port is 0 where
 * none is given. Names are not looked up.
 *
 * @throws RangeError when it is no address
 */
export function parseSockaddrPort(address: string): AddressInfo {
  return binding.parseSockaddrPort(text('util.parseSockaddrPort', 'address', address));
}

/**
 * Compares two addresses, as {@link parseSockaddrPort} reads them (`evutil_sockaddr_cmp`): negative,
 * 0 or positive, fit for `Array.prototype.sort`. The ports count only with `includePort`.
 */
export function sockaddrCmp(left: string, right: string, includePort = true): number {
  const call = 'util.sockaddrCmp';
  return binding.sockaddrCmp(
    text(call, 'left', left),
    text(call, 'right', right),
    boolean(call, 'includePort', includePort, true),
  );
}

/** The 4 or 16 bytes of an IP address, or null when it is none (`evutil_inet_pton`). */
export function inetPton(address: string): Buffer | null {
  return binding.inetPton(text('util.inetPton', 'address', address));
}

/** The IP address of 4 or 16 bytes as text (`evutil_inet_ntop`). */
export function inetNtop(address: ArrayBufferView | ArrayBuffer): string {
  const given = bytes('util.inetNtop', 'address', address);
  const view = ArrayBuffer.isView(given)
    ? new Uint8Array(given.buffer, given.byteOffset, given.byteLength)
    : new Uint8Array(given);
  const found = binding.inetNtop(view);
  if (found === null) throw rangeError('util.inetNtop', 'address', '4 or 16 bytes', address);
  return found;
}

/**
 * Two stream sockets that are connected to each other, non-blocking and closed by exec
 * (`evutil_socketpair`). They are the caller's: to give to a `BufferEvent`, or to close.
 */
export function socketpair(): [left: number, right: number] {
  return binding.socketpair() as [number, number];
}

const open = (call: string, fd: number) => integer(call, 'fd', fd, 0, 0x7fff_ffff);

/**
 * Makes reads and writes of a descriptor return at once when they cannot go on
 * (`evutil_make_socket_nonblocking`), as an event's callback needs it. Descriptors that a `BufferEvent`
 * or `ConnListener` is given become so by themselves.
 *
 * @throws EvError with the system's code
 */
export function makeSocketNonblocking(fd: number): void {
  binding.makeNonblocking(open('util.makeSocketNonblocking', fd));
}

/**
 * Has the system probe a connection that is silent for so many milliseconds, or with null never
 * (`evutil_set_tcp_keepalive`). Whole seconds count, one at least.
 *
 * @throws EvError with the system's code
 */
export function setTcpKeepalive(fd: number, idle: number | null): void {
  const call = 'util.setTcpKeepalive';
  binding.setTcpKeepalive(open(call, fd), milliseconds(call, 'idle', idle));
}

/** When a {@link timerfd} expires: give `after` or `at`. */
export interface TimerStart {
  /** So many milliseconds from now; time that the machine sleeps counts. */
  after?: number;
  /** When the clock on the wall shows this time, however it is set meanwhile. */
  at?: Date;
  /** Again and again, so many milliseconds from then on. */
  every?: number;
}

/**
 * A descriptor that becomes readable when a time has come. Eight bytes can be read from it: how often
 * it has expired since it was read last. It is non-blocking, closed by exec, and the caller's to
 * close. For what neither Node's timers nor a base's do: to follow the clock on the wall, or to count
 * the time that the machine sleeps. Linux only.
 *
 * @throws EvError with the system's code, and `ERR_EVNODE_UNSUPPORTED` on other systems
 */
export function timerfd(start: TimerStart): number {
  const call = 'util.timerfd';
  const { after, at, every } = options(call, start, {});
  if ((after === undefined) === (at === undefined)) {
    throw typeError(call, 'start', '`after` or `at`', start);
  }
  if (at !== undefined && !(at instanceof Date)) throw typeError(call, 'at', 'a Date', at);
  const time = at?.getTime();
  if (Number.isNaN(time)) throw rangeError(call, 'at', 'a valid Date', at);
  const first = time === undefined ? milliseconds(call, 'after', after) : Math.max(0, time);
  const again = milliseconds(call, 'every', every);
  return binding.timerfd(first, time !== undefined, again);
}

const FAMILIES = ['any', 'IPv4', 'IPv6'] as const;
const FAMILY_CODES = { any: 0, IPv4: 4, IPv6: 6 } as const;

/** What {@link getaddrinfo} is to look for (`struct evutil_addrinfo` as hints). */
export interface AddressHints {
  /** Only this family; `any` by default. */
  family?: (typeof FAMILIES)[number];
  /** For listening: without a host, any address of this machine. */
  passive?: boolean;
  /** Find the host's real name, too. */
  canonicalName?: boolean;
  /** The host is an address: look nothing up. */
  numeric?: boolean;
  /** Only families that this machine has addresses of. */
  configured?: boolean;
}

/** @internal Hints as the native layer takes them. */
export function nativeHints(call: string, hints: AddressHints | undefined) {
  const wanted = options(call, hints, {});
  return {
    family: FAMILY_CODES[choice(call, 'family', wanted.family, FAMILIES)],
    passive: boolean(call, 'passive', wanted.passive, false),
    canonicalName: boolean(call, 'canonicalName', wanted.canonicalName, false),
    numeric: boolean(call, 'numeric', wanted.numeric, false),
    configured: boolean(call, 'configured', wanted.configured, false),
  };
}

/** What {@link getaddrinfo} has found (`struct evutil_addrinfo`). */
export interface FoundAddresses {
  /** The addresses, the preferred one first; there is at least one. */
  addresses: AddressInfo[];
  /** The host's real name, if it was asked for. */
  canonicalName?: string;
}

/**
 * Looks up a host and a service and waits for the answer (`evutil_getaddrinfo`); Node's own
 * `dns.lookup` does not wait. Without a host it is this machine, without a service port 0.
 *
 * @throws EvError with `EAI_NONAME`, `EAI_AGAIN`, … and what that means (`evutil_gai_strerror`)
 */
export function getaddrinfo(
  host: string | null,
  service: string | number | null = null,
  hints: AddressHints = {},
): FoundAddresses {
  const call = 'util.getaddrinfo';
  if (host !== null) text(call, 'host', host);
  const name = typeof service === 'number' ? String(service) : service;
  if (name !== null) text(call, 'service', name);
  const found = binding.getaddrinfo(host, name, nativeHints(call, hints));
  const { addresses, canonicalName, code, message } = found;
  if (code !== undefined) {
    throw new EvError(code, `getaddrinfo ${code} ${host ?? ''}: ${message}`);
  }
  return canonicalName === undefined ? { addresses } : { addresses, canonicalName };
}
