// Connecting with a promise: names, addresses in turn, abortion.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import type { EventBase } from './base.js';
import type { Reader } from './bufferevent-core.js';
import { BufferEvent, type BufferEventOptions } from './bufferevent.js';
import { closedError, EvError, systemError } from './errors.js';
import { BufferEventFlags } from './flags.js';
import { abortSignal, endpoint, milliseconds, options } from './options.js';

/** Where and how to connect. Give `port` (and `host`) or `path`. */
export interface ConnectOptions extends Omit<BufferEventOptions, 'fd'> {
  /** The port. */
  port?: number;
  /** An address or a name, which the system looks up; 127.0.0.1 by default. */
  host?: string;
  /** The path of a Unix socket. */
  path?: string;
  /** Milliseconds after which an attempt is given up with `ERR_EVNODE_TIMEOUT`; none by default. */
  timeout?: number;
  /** Ends the attempt, which then throws the signal's reason. */
  signal?: AbortSignal;
}

const CALL = 'EventBase.connect';
const { CONNECTED, ERROR } = BufferEventFlags;

interface Attempt {
  host: string;
  port: number | undefined;
  timeout: number;
  signal: AbortSignal | undefined;
  options: BufferEventOptions;
}

/** Connects to the first address that answers. */
export async function connect(base: EventBase, given: ConnectOptions): Promise<BufferEvent> {
  const wanted = options(CALL, given, {});
  const { host = '127.0.0.1', port } = endpoint(CALL, wanted);
  const signal = abortSignal(CALL, wanted.signal);
  const timeout = milliseconds(CALL, 'timeout', wanted.timeout);
  const { closeOnFree = true, deferCallbacks = false } = wanted;
  const rest = { port, timeout, signal, options: { closeOnFree, deferCallbacks } };
  signal?.throwIfAborted();
  if (port === undefined || isIP(host) !== 0) return attempt(base, { host, ...rest });
  let failure: unknown;
  for (const { address } of await addresses(host, signal)) {
    try {
      return await attempt(base, { host: address, ...rest });
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

/** The addresses of a name, unless the signal aborts first. */
async function addresses(host: string, signal: AbortSignal | undefined) {
  const found = lookup(host, { all: true });
  if (signal === undefined) return found;
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([found, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function attempt(base: EventBase, { host, port, timeout, signal, ...rest }: Attempt) {
  return new Promise<BufferEvent>((resolve, reject) => {
    const bev = new BufferEvent(base, rest.options);
    const abort = () => {
      reject(signal?.reason);
      bev.free();
    };
    const reader: Reader = {
      _gone() {
        signal?.removeEventListener('abort', abort);
        reject(closedError(CALL));
      },
    };
    const fail = (error: unknown) => {
      reject(error);
      bev.free();
    };
    bev._attach(CALL, reader, null, (_, what, error) => {
      if ((what & CONNECTED) !== 0) {
        signal?.removeEventListener('abort', abort);
        bev._detach(reader);
        bev._automate();
        if (timeout >= 0) bev.setTimeouts(null);
        resolve(bev);
      } else if ((what & ERROR) !== 0) {
        fail(systemError(error?.errno ?? 0, 'connect', host, port));
      } else {
        fail(new EvError('ERR_EVNODE_TIMEOUT', `connect ${host}: no answer in ${timeout} ms`));
      }
    });
    signal?.addEventListener('abort', abort);
    try {
      if (timeout >= 0) bev.setTimeouts(null, timeout);
      bev.connect(port === undefined ? { path: host } : { host, port });
    } catch (error) {
      fail(error);
    }
  });
}
