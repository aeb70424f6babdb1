// BaseHandle: a base as other threads know it.

import { deserialize, serialize } from 'node:v8';

import { EvError, typeError } from './errors.js';
import { binding } from './native.js';
import { flags, integer } from './options.js';

/** What {@link BaseHandle.token} is: text that can be sent to any thread of the process. */
export type BaseToken = string;

const HAPPENING = 0x8f;

/** Bytes as the message that they were made of. */
export const messageOf = (bytes: Uint8Array): unknown => deserialize(bytes);

/**
 * A base for other threads (libevent's thread-safe calls, as messages): a worker that is given the
 * {@link token} makes a handle of it, and its calls take effect in the next turn of the base's loop,
 * in their order. However many are made between two turns, they wake the loop once. None of them
 * keeps base or process alive.
 *
 * Every call throws `ERR_EVNODE_CLOSED` once the base is freed or its thread has ended.
 */
export class BaseHandle {
  /** By what other threads know the base. */
  readonly token: BaseToken;

  /** A handle on the base of a token, in any thread. */
  constructor(token: BaseToken) {
    if (typeof token !== 'string') {
      throw typeError('new BaseHandle', 'token', "the token of a base's handle", token);
    }
    this.token = token;
  }

  /**
   * Makes an event active (`event_active`); one that was freed in the meantime is passed over.
   *
   * @param id the event's `id`
   * @param what {@link EventFlags}
   */
  activate(id: number, what: number): this {
    integer('BaseHandle.activate', 'id', id, 0, 0x7fff_ffff);
    flags('BaseHandle.activate', 'what', what, HAPPENING);
    binding.remoteActivate(this.token, id, what);
    return this;
  }

  /**
   * Sends a message to whom {@link EventBase.onMessage} has named: anything that the structured clone
   * algorithm takes; nothing is transferred.
   */
  post(message: unknown): this {
    let bytes: Buffer;
    try {
      bytes = serialize(message);
    } catch (error) {
      const text = `BaseHandle.post: the message cannot be cloned: ${(error as Error).message}`;
      throw new EvError('ERR_EVNODE_DATA_CLONE', text);
    }
    binding.remotePost(this.token, bytes);
    return this;
  }

  /** Ends the loop after the callback that is running (`event_base_loopbreak`). */
  loopBreak(): this {
    binding.remoteLoopBreak(this.token);
    return this;
  }

  /** Ends the loop after the events that are active (`event_base_loopexit`). */
  loopExit(): this {
    binding.remoteLoopExit(this.token);
    return this;
  }

  /** Makes a waiting loop turn once. */
  wake(): this {
    binding.remoteWake(this.token);
    return this;
  }
}
