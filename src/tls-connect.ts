// Connecting and listening with TLS.

import type { EventBase } from './base.js';
import type { Reader } from './bufferevent-core.js';
import type { BufferEvent } from './bufferevent.js';
import { connect, type ConnectOptions } from './connect.js';
import { closedError, EvError } from './errors.js';
import { BufferEventFlags } from './flags.js';
import { ConnListener, type ConnectionCallback, type ListenOptions } from './listener.js';
import { boolean, options, text } from './options.js';
import { clientConfig, serverConfig, type TlsClientConfig, type TlsServerConfig } from './tls.js';

/** Where and how to connect with TLS. `timeout` is for the connection and for the handshake each. */
export interface ConnectTlsOptions extends ConnectOptions {
  /** Whom to trust; by default whoever the system trusts. */
  tls?: TlsClientConfig;
  /** The name, or address, that the server has to prove; `host` by default. */
  serverName?: string;
  /** Take the end of the stream for the peer's farewell; false by default. */
  allowDirtyShutdown?: boolean;
}

/** Where and how to listen for TLS connections. */
export interface ListenTlsOptions extends Omit<ListenOptions, 'onSocket'> {
  /** What to show and to ask for. */
  tls: TlsServerConfig;
  /** Take the end of a client's stream for its farewell; false by default. */
  allowDirtyShutdown?: boolean;
}

const { CONNECTED, ERROR } = BufferEventFlags;

/** Connects, and shakes hands. */
export async function connectTls(base: EventBase, given: ConnectTlsOptions): Promise<BufferEvent> {
  const call = 'EventBase.connectTls';
  const { tls, serverName, allowDirtyShutdown, ...to } = options(call, given, {});
  const client = clientConfig(call, 'tls', tls);
  const name = text(call, 'serverName', serverName ?? to.host ?? '127.0.0.1');
  const dirty = boolean(call, 'allowDirtyShutdown', allowDirtyShutdown, false);
  const { deferCallbacks = false } = to;
  const plain = await connect(base, to);
  try {
    // What becomes of the socket is up to the bufferevent below, which is nobody else's.
    const how = { client, serverName: name, allowDirtyShutdown: dirty, deferCallbacks };
    const bev = plain.startTls(how);
    return await shaken(call, bev, name, to.timeout ?? null, to.signal);
  } catch (error) {
    plain.free();
    throw error;
  }
}

/** Gives the bufferevent once its handshake is done. */
function shaken(
  call: string,
  bev: BufferEvent,
  name: string,
  timeout: number | null,
  signal: AbortSignal | undefined,
): Promise<BufferEvent> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      signal?.removeEventListener('abort', abort);
      timer?.free();
    };
    const fail = (error: unknown) => {
      settle();
      reject(error);
      bev.free();
    };
    const abort = () => fail(signal?.reason);
    const timer =
      timeout === null
        ? null
        : bev.base.timer(() => {
            const message = `${call}: no handshake with ${name} in ${timeout} ms`;
            fail(new EvError('ERR_EVNODE_TIMEOUT', message));
          });
    const reader: Reader = {
      _gone() {
        settle();
        reject(closedError(call));
      },
    };
    bev._attach(call, reader, null, (_, what, error) => {
      if ((what & CONNECTED) !== 0) {
        settle();
        bev._detach(reader);
        bev._automate();
        resolve(bev);
      } else if ((what & ERROR) !== 0) {
        fail(error);
      } else {
        fail(new EvError('ERR_EVNODE_TLS_TRUNCATED', `${call}: ${name} has hung up`));
      }
    });
    timer?.add(timeout);
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort);
  });
}

/** Listens, and makes every connection the server's end of one with TLS. */
export function listenTls(
  base: EventBase,
  given: ListenTlsOptions,
  callback?: ConnectionCallback | null,
): ConnListener {
  const call = 'EventBase.listenTls';
  const { tls, allowDirtyShutdown, ...where } = options(
    call,
    given,
    {} as unknown as ListenTlsOptions,
  );
  const server = serverConfig(call, 'tls', tls);
  const dirty = boolean(call, 'allowDirtyShutdown', allowDirtyShutdown, false);
  const deferCallbacks = boolean(call, 'deferCallbacks', where.deferCallbacks, false);
  const listener = new ConnListener(base, where, callback);
  listener._wrap = (conn) => conn.startTls({ server, allowDirtyShutdown: dirty, deferCallbacks });
  return listener;
}
