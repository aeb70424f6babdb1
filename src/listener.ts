// ConnListener: libevent's evconnlistener, a socket that accepts connections.

import { isIP } from 'node:net';

import type { AddressInfo, ListenerOptions } from '../index.js';
import type { EventBase } from './base.js';
import { AUTO } from './bufferevent-core.js';
import { BufferEvent, optionBits } from './bufferevent.js';
import { EvError, rangeError, systemError, typeError } from './errors.js';
import { baseHandle } from './event.js';
import { binding, keep, release } from './native.js';
import {
  abortSignal,
  boolean,
  callback,
  descriptor,
  endpoint,
  integer,
  options,
} from './options.js';

/** Where and how to listen. Give `port` (and `host`), `path` or `fd`. */
export interface ListenOptions {
  /** The port; 0 is any that is free, which {@link ConnListener.address} tells. */
  port?: number;
  /** A numeric address or `localhost`; without it, all addresses of this machine. */
  host?: string;
  /** The path of a Unix socket, which is removed when the listener is freed. */
  path?: string;
  /** A bound socket, which the listener takes over (`evconnlistener_new`). */
  fd?: number;
  /** How many connections may wait to be accepted; the most that the system allows by default. */
  backlog?: number;
  /** Bind though connections of an earlier listener linger (`LEV_OPT_REUSEABLE`); true by default. */
  reuseAddress?: boolean;
  /** Let several sockets share the port (`LEV_OPT_REUSEABLE_PORT`). */
  reusePort?: boolean;
  /** Do not take IPv4 connections on an IPv6 address (`LEV_OPT_BIND_IPV6ONLY`). */
  ipv6Only?: boolean;
  /** Close the socket when the listener is freed (`LEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Accept nothing until {@link ConnListener.enable} (`LEV_OPT_DISABLED`). */
  disabled?: boolean;
  /** Accept a connection when its first bytes are there (`LEV_OPT_DEFERRED_ACCEPT`). */
  deferredAccept?: boolean;
  /** Leave accepted sockets in blocking mode (`LEV_OPT_LEAVE_SOCKETS_BLOCKING`); for `onSocket`. */
  leaveSocketsBlocking?: boolean;
  /** Make connections that run their callbacks deferred (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
  /** Is given each accepted descriptor, which is then its to close, in place of a bufferevent. */
  onSocket?: SocketCallback;
  /** Frees the listener when it aborts. */
  signal?: AbortSignal;
}

/**
 * Is given each connection (`evconnlistener_cb`). When it returns a promise, as an async function
 * does, the connection is closed when that is fulfilled, unless something reads from it then, and
 * freed when it is rejected. One that throws has its connection freed.
 */
export type ConnectionCallback = (
  conn: BufferEvent,
  listener: ConnListener,
) => void | PromiseLike<void>;

/** Is given each accepted descriptor; {@link ConnListener.lastPeer} tells whose it is. */
export type SocketCallback = (fd: number, listener: ConnListener) => void;

/** Is told why a connection could not be accepted (`evconnlistener_errorcb`). */
export type ListenErrorCallback = (error: EvError, listener: ConnListener) => void;

/** So many accepted connections may wait for an iterator before the rest waits in the backlog. */
const MOST_WAITING = 64;

const ANY = '::';

/**
 * A socket that accepts connections (`struct evconnlistener`). It lives until {@link free} or its
 * base's end. Made without a callback it accepts once it is iterated:
 * `for await (const conn of listener)`.
 */
export class ConnListener implements Disposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base: EventBase;
  /** @internal What is given in place of an accepted connection. */
  _wrap: ((conn: BufferEvent) => BufferEvent) | null = null;
  private _callback: ConnectionCallback | null;
  private _onError: ListenErrorCallback | null = null;
  private readonly _onSocket: SocketCallback | null;
  private readonly _waiting: BufferEvent[] = [];
  private _wake: (() => void)[] = [];
  /** Does not accept until an iterator asks. */
  private _held: boolean;
  private readonly _signal: AbortSignal | undefined;

  /**
   * Listens (`evconnlistener_new_bind`).
   *
   * @throws EvError with the system's code: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, ...
   */
  constructor(base: EventBase, given: ListenOptions, onConnection?: ConnectionCallback | null) {
    const call = 'new ConnListener';
    const handle = baseHandle(call, base);
    const wanted = options(call, given, {});
    this._base = base;
    this._callback = callback(call, 'callback', onConnection);
    this._onSocket = callback(call, 'onSocket', wanted.onSocket);
    this._signal = abortSignal(call, wanted.signal);
    this._signal?.throwIfAborted();
    const { _callback, _onSocket } = this;
    const disabled = boolean(call, 'disabled', wanted.disabled, false);
    this._held = _callback === null && _onSocket === null;
    this._handle = bind(call, handle, wanted, {
      backlog:
        wanted.backlog === undefined ? -1 : integer(call, 'backlog', wanted.backlog, 0, MOST),
      reuseAddress: boolean(call, 'reuseAddress', wanted.reuseAddress, true),
      reusePort: boolean(call, 'reusePort', wanted.reusePort, false),
      ipv6Only: boolean(call, 'ipv6Only', wanted.ipv6Only, false),
      closeOnFree: boolean(call, 'closeOnFree', wanted.closeOnFree, true),
      deferredAccept: boolean(call, 'deferredAccept', wanted.deferredAccept, false),
      leaveBlocking: boolean(call, 'leaveSocketsBlocking', wanted.leaveSocketsBlocking, false),
      bevOptions: optionBits(call, { deferCallbacks: wanted.deferCallbacks ?? false }),
      rawSockets: _onSocket !== null,
      disabled: disabled || this._held,
    });
    keep(this._handle, this);
    this._signal?.addEventListener('abort', this._abort);
  }

  /** The base (`evconnlistener_get_base`). */
  get base(): EventBase {
    return this._base;
  }

  /** Whether it was freed. */
  get closed(): boolean {
    return this._handle === 0;
  }

  /** The listening socket's descriptor (`evconnlistener_get_fd`). */
  get fd(): number {
    return binding.listenerFd(this._handle);
  }

  /** Whether it accepts connections. */
  get enabled(): boolean {
    return binding.listenerIsEnabled(this._handle);
  }

  /** The peer of the descriptor that `onSocket` is given. */
  get lastPeer(): AddressInfo | null {
    return binding.listenerLastPeer(this._handle);
  }

  /** Where it listens. */
  address(): AddressInfo | null {
    return binding.listenerLocalAddress(this._handle);
  }

  /** Accepts connections (`evconnlistener_enable`). */
  enable(): this {
    binding.listenerEnable(this._handle);
    this._held = false;
    return this;
  }

  /** Leaves connections waiting in the backlog (`evconnlistener_disable`). */
  disable(): this {
    binding.listenerDisable(this._handle);
    return this;
  }

  /** Gives connections to another callback from now on (`evconnlistener_set_cb`). */
  setCallback(onConnection: ConnectionCallback): this {
    if (typeof onConnection !== 'function') {
      throw typeError('ConnListener.setCallback', 'callback', 'a function', onConnection);
    }
    if (this._held) this.enable();
    this._callback = onConnection;
    for (const conn of this._waiting.splice(0)) this._give(conn, onConnection);
    return this;
  }

  /**
   * Sets what is told when a connection could not be accepted (`evconnlistener_set_error_cb`). With
   * no descriptors left (`EMFILE`) connections are left waiting for a tenth of a second.
   */
  setErrorCallback(onError: ListenErrorCallback | null): this {
    this._onError = callback('ConnListener.setErrorCallback', 'callback', onError);
    return this;
  }

  /** The connections, for `for await`; ends when the listener is freed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<BufferEvent, void, undefined> {
    if (this._callback !== null || this._onSocket !== null) {
      const message =
        'ConnListener: its connections go to a callback; listen without one to iterate';
      throw new EvError('ERR_EVNODE_BUSY', message);
    }
    while (this._handle !== 0) {
      const conn = this._waiting.shift();
      if (conn !== undefined) {
        yield conn;
        continue;
      }
      if (this._held) this.enable();
      await new Promise<void>((resolve) => {
        this._wake.push(resolve);
      });
    }
  }

  /** Stops listening; connections that were given out go on (`evconnlistener_free`). */
  free(): void {
    if (this._handle === 0) return;
    release(this._handle);
    binding.listenerFree(this._handle);
    this._handle = 0;
    this._signal?.removeEventListener('abort', this._abort);
    for (const conn of this._waiting.splice(0)) conn.free();
    for (const wake of this._wake.splice(0)) wake();
  }

  /** As {@link free}, by the name that Node's servers have. */
  close(): void {
    this.free();
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** @internal */
  _accepted(what: number, extra: number): void {
    if (what === 1) {
      this._onSocket?.(extra, this);
      return;
    }
    const accepted = new BufferEvent(this._base, extra, AUTO);
    const conn = this._wrap === null ? accepted : this._wrap(accepted);
    if (this._callback !== null) {
      this._give(conn, this._callback);
      return;
    }
    this._waiting.push(conn);
    if (this._waiting.length >= MOST_WAITING) {
      this._held = true;
      binding.listenerDisable(this._handle);
    }
    this._wake.shift()?.();
  }

  /** @internal */
  _failed(errno: number): void {
    this._onError?.(systemError(errno, 'accept'), this);
  }

  private readonly _abort = (): void => {
    this.free();
  };

  private _give(conn: BufferEvent, onConnection: ConnectionCallback): void {
    let result;
    try {
      result = onConnection(conn, this);
    } catch (error) {
      conn.free();
      throw error;
    }
    if (typeof result?.then !== 'function') return;
    result.then(
      () => (conn._idle ? conn.close() : undefined),
      (error: unknown) => {
        conn.free();
        throw error;
      },
    );
  }
}

const MOST = 0x7fff_ffff;

function bind(call: string, base: number, where: ListenOptions, chosen: ListenerOptions): number {
  if (where.fd !== undefined) {
    if (where.port !== undefined || where.path !== undefined || where.host !== undefined) {
      throw typeError(call, 'fd', 'either fd, or path, or host and port', where.fd);
    }
    return binding.listenerFromFd(base, descriptor(call, where.fd), chosen);
  }
  const { host, port } = endpoint(call, where);
  if (port === undefined) return binding.listenerBind(base, host ?? '', port, chosen);
  if (host !== undefined) {
    if (host === 'localhost') return binding.listenerBind(base, '127.0.0.1', port, chosen);
    if (isIP(host) === 0) throw rangeError(call, 'host', 'a numeric address or "localhost"', host);
    return binding.listenerBind(base, host, port, chosen);
  }
  try {
    return binding.listenerBind(base, ANY, port, chosen);
  } catch (error) {
    const { code } = error as EvError;
    // A machine without IPv6.
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
    return binding.listenerBind(base, '0.0.0.0', port, chosen);
  }
}
