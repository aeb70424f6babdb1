// How fast a bufferevent may be: limits of its own, those of its group, and those of a single step.

import { BufferEventCore } from './bufferevent-core.js';
import { closedError, typeError } from './errors.js';
import { EventFlags } from './flags.js';
import { binding } from './native.js';
import { size } from './options.js';
import { amount, limitOf, RateLimitGroup, TokenBucketConfig } from './ratelimit.js';

const { READ, WRITE } = EventFlags;

/** The part of {@link BufferEvent} that is about rate limits. */
export abstract class BufferEventLimits extends BufferEventCore {
  /**
   * Limits how fast it reads and writes, or with null does not any more (`bufferevent_set_rate_limit`).
   * A limit can be changed at any time.
   */
  setRateLimit(config: TokenBucketConfig | null): this {
    const limit = config === null ? null : limitOf('BufferEvent.setRateLimit', config);
    binding.bevSetRateLimit(this._handle, limit);
    return this;
  }

  /** The limit of its own, or null. */
  get rateLimit(): TokenBucketConfig | null {
    const limit = binding.bevRateLimit(this._handle);
    return limit === null ? null : new TokenBucketConfig({}, limit);
  }

  /**
   * Puts it into a group of its base, out of the one that it may be in, which limits it together with
   * the others (`bufferevent_add_to_rate_limit_group`).
   */
  addToRateLimitGroup(group: RateLimitGroup): this {
    const call = 'BufferEvent.addToRateLimitGroup';
    if (!(group instanceof RateLimitGroup)) {
      throw typeError(call, 'group', 'a RateLimitGroup', group);
    }
    if (group._handle === 0) throw closedError(call);
    binding.bevSetRateLimitGroup(this._handle, group._handle);
    this._rarities().group = group;
    return this;
  }

  /** Takes it out of its group, if it is in one (`bufferevent_remove_from_rate_limit_group`). */
  removeFromRateLimitGroup(): this {
    binding.bevSetRateLimitGroup(this._handle, 0);
    this._rarities().group = null;
    return this;
  }

  /** The group that it is in, or null. */
  get rateLimitGroup(): RateLimitGroup | null {
    if (this._handle === 0) throw closedError('BufferEvent.rateLimitGroup');
    return this._rarities().group;
  }

  /**
   * Bytes that its own limit allows to be read now, negative after too many were; `Infinity` without
   * a limit (`bufferevent_get_read_limit`).
   */
  get readLimit(): number {
    return binding.bevLimit(this._handle, 0);
  }

  /** Bytes that its own limit allows to be written now (`bufferevent_get_write_limit`). */
  get writeLimit(): number {
    return binding.bevLimit(this._handle, 1);
  }

  /** Bytes that one read might bring now, all limits considered (`bufferevent_get_max_to_read`). */
  get maxToRead(): number {
    return binding.bevLimit(this._handle, 2);
  }

  /** Bytes that one write might take now, all limits considered (`bufferevent_get_max_to_write`). */
  get maxToWrite(): number {
    return binding.bevLimit(this._handle, 3);
  }

  /** The most bytes that one read brings (`bufferevent_get_max_single_read`). */
  get maxSingleRead(): number {
    return binding.bevLimit(this._handle, 4);
  }

  /** The most bytes that one write takes (`bufferevent_get_max_single_write`). */
  get maxSingleWrite(): number {
    return binding.bevLimit(this._handle, 5);
  }

  /** Limits how many bytes one read brings; 0 for what is usual, 64 KiB (`bufferevent_set_max_single_read`). */
  setMaxSingleRead(bytes: number): this {
    size('BufferEvent.setMaxSingleRead', 'bytes', bytes);
    binding.bevSetMaxSingle(this._handle, READ, bytes);
    return this;
  }

  /** Limits how many bytes one write takes; 0 for no limit (`bufferevent_set_max_single_write`). */
  setMaxSingleWrite(bytes: number): this {
    size('BufferEvent.setMaxSingleWrite', 'bytes', bytes);
    binding.bevSetMaxSingle(this._handle, WRITE, bytes);
    return this;
  }

  /**
   * Takes bytes from what its own limit allows to be read, that passed some other way; a negative
   * number gives some, up to the burst (`bufferevent_decrement_read_limit`).
   */
  decrementReadLimit(bytes: number): this {
    amount('BufferEvent.decrementReadLimit', bytes);
    binding.bevDecrementLimit(this._handle, bytes, 0);
    return this;
  }

  /** As {@link decrementReadLimit}, for writing (`bufferevent_decrement_write_limit`). */
  decrementWriteLimit(bytes: number): this {
    amount('BufferEvent.decrementWriteLimit', bytes);
    binding.bevDecrementLimit(this._handle, 0, bytes);
    return this;
  }
}
