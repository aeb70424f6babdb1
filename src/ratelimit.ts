// Rate limits: libevent's token buckets, and groups of bufferevents that share one.

import type { RateLimit } from '../index.js';
import type { EventBase } from './base.js';
import { typeError } from './errors.js';
import { baseHandle } from './event.js';
import { binding } from './native.js';
import { integer, milliseconds, options, rate, size } from './options.js';

/** How many bytes may pass. A rate that is left out is no limit. */
export interface TokenBucketOptions {
  /** Bytes that may be read in a tick, on average. */
  readRate?: number;
  /** Bytes that may be read at once; twice the rate by default. */
  readBurst?: number;
  /** Bytes that may be written in a tick, on average. */
  writeRate?: number;
  /** Bytes that may be written at once; twice the rate by default. */
  writeBurst?: number;
  /** How long a tick is, in milliseconds from 1 to a day; 1000 by default. */
  tick?: number;
}

/** Bytes in each direction. */
export interface Totals {
  /** Bytes read. */
  read: number;
  /** Bytes written. */
  write: number;
}

/** The most bytes at once: two ticks' if nothing is asked for. */
function burst(call: string, name: string, value: unknown, perTick: number): number {
  if (value !== undefined || perTick === Infinity) return rate(call, name, value);
  return Math.min(2 * perTick, Number.MAX_SAFE_INTEGER);
}

/**
 * A limit of bytes for each direction (`struct ev_token_bucket_cfg`): so many a tick on average, and
 * at most a burst of them at once. A plain value, to be used for as many limits as you like;
 * `Infinity` is no limit.
 */
export class TokenBucketConfig {
  /** @internal */
  readonly _limit: RateLimit;

  /**
   * A limit in bytes a tick (`ev_token_bucket_cfg_new`). What is not used within a burst is lost, so
   * that a burst of two ticks' rate keeps the mean better than one of one tick's.
   */
  constructor(given: TokenBucketOptions);
  /** @internal */
  constructor(given: TokenBucketOptions, limit: RateLimit);
  constructor(given: TokenBucketOptions, limit?: RateLimit) {
    if (limit !== undefined) {
      this._limit = limit;
      return;
    }
    const call = 'new TokenBucketConfig';
    const chosen = options(call, given, {});
    const readRate = rate(call, 'readRate', chosen.readRate);
    const writeRate = rate(call, 'writeRate', chosen.writeRate);
    const tick = chosen.tick === undefined ? 1000 : milliseconds(call, 'tick', chosen.tick);
    const readBurst = burst(call, 'readBurst', chosen.readBurst, readRate);
    const writeBurst = burst(call, 'writeBurst', chosen.writeBurst, writeRate);
    this._limit = binding.rateLimitNew({ readRate, readBurst, writeRate, writeBurst, tick });
  }

  /**
   * A limit in bytes a second, in ticks that fit it; a direction that is left out has none.
   */
  static perSecond(rates_: Partial<Totals>): TokenBucketConfig {
    const call = 'TokenBucketConfig.perSecond';
    const { read, write } = options(call, rates_, {});
    const rates = [rate(call, 'read', read), rate(call, 'write', write)] as const;
    return new TokenBucketConfig({}, binding.rateLimitPerSecond(...rates));
  }

  /** Bytes a tick, reading. */
  get readRate(): number {
    return this._limit.readRate;
  }

  /** The most bytes at once, reading. */
  get readBurst(): number {
    return this._limit.readBurst;
  }

  /** Bytes a tick, writing. */
  get writeRate(): number {
    return this._limit.writeRate;
  }

  /** The most bytes at once, writing. */
  get writeBurst(): number {
    return this._limit.writeBurst;
  }

  /** How long a tick is, in milliseconds. */
  get tick(): number {
    return this._limit.tick;
  }
}

/** The limit behind a configuration that is an argument. */
export function limitOf(call: string, config: TokenBucketConfig): RateLimit {
  if (config instanceof TokenBucketConfig) return config._limit;
  throw typeError(call, 'config', 'a TokenBucketConfig', config);
}

/** Bytes to be taken from a limit, or with a negative number given to it. */
export function amount(call: string, bytes: unknown): number {
  return integer(call, 'bytes', bytes, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
}

const forgotten = new FinalizationRegistry<number>((handle) => {
  binding.rateLimitGroupFree(handle);
});

/**
 * A limit that many bufferevents share fairly (`struct bufferevent_rate_limit_group`); each may have
 * one of its own as well. Members leave when they end. One that is forgotten, and by its members too,
 * is freed by the garbage collector.
 *
 * ```ts
 * const clients = new RateLimitGroup(base, TokenBucketConfig.perSecond({ write: 1_000_000 }));
 * base.listen({ port: 80 }, (conn) => void conn.addToRateLimitGroup(clients));
 * ```
 */
export class RateLimitGroup implements Disposable {
  /** @internal */
  _handle: number;

  /** A group without members (`bufferevent_rate_limit_group_new`). */
  constructor(base: EventBase, config: TokenBucketConfig) {
    const call = 'new RateLimitGroup';
    const native = baseHandle(call, base);
    this._handle = binding.rateLimitGroupNew(native, limitOf(call, config));
    forgotten.register(this, this._handle, this);
  }

  /** The limit. */
  get config(): TokenBucketConfig {
    return new TokenBucketConfig({}, binding.rateLimitGroupLimit(this._handle));
  }

  /** How many bufferevents are in it. */
  get members(): number {
    return this._state().members;
  }

  /** The least that a member is given at once, in bytes. */
  get minShare(): number {
    return this._state().minShare;
  }

  /** Bytes that may be read now; negative after too many were (`bufferevent_rate_limit_group_get_read_limit`). */
  get readLimit(): number {
    return this._state().readLimit;
  }

  /** Bytes that may be written now (`bufferevent_rate_limit_group_get_write_limit`). */
  get writeLimit(): number {
    return this._state().writeLimit;
  }

  /** Bytes that the members have read and written (`bufferevent_rate_limit_group_get_totals`). */
  get totals(): Totals {
    const { totalRead: read, totalWritten: write } = this._state();
    return { read, write };
  }

  /** Changes the limit, for those too that wait (`bufferevent_rate_limit_group_set_cfg`). */
  setConfig(config: TokenBucketConfig): this {
    const limit = limitOf('RateLimitGroup.setConfig', config);
    binding.rateLimitGroupSetLimit(this._handle, limit);
    return this;
  }

  /**
   * Sets the least that a member is given at once, in bytes; 64 unless set
   * (`bufferevent_rate_limit_group_set_min_share`). When there is less for each, fewer have their
   * turn in a tick.
   */
  setMinShare(bytes: number): this {
    size('RateLimitGroup.setMinShare', 'bytes', bytes);
    binding.rateLimitGroupSetMinShare(this._handle, bytes);
    return this;
  }

  /**
   * Takes bytes from what may be read, that passed some other way; a negative number gives some
   * (`bufferevent_rate_limit_group_decrement_read`). They do not count in the totals.
   */
  decrementRead(bytes: number): this {
    amount('RateLimitGroup.decrementRead', bytes);
    binding.rateLimitGroupDecrement(this._handle, bytes, 0);
    return this;
  }

  /** As {@link decrementRead}, for writing (`bufferevent_rate_limit_group_decrement_write`). */
  decrementWrite(bytes: number): this {
    amount('RateLimitGroup.decrementWrite', bytes);
    binding.rateLimitGroupDecrement(this._handle, 0, bytes);
    return this;
  }

  /** Counts from zero again (`bufferevent_rate_limit_group_reset_totals`). */
  resetTotals(): this {
    binding.rateLimitGroupResetTotals(this._handle);
    return this;
  }

  /**
   * Ends what can be done with it (`bufferevent_rate_limit_group_free`). Its members stay limited by
   * it until they leave.
   */
  free(): void {
    if (this._handle === 0) return;
    forgotten.unregister(this);
    binding.rateLimitGroupFree(this._handle);
    this._handle = 0;
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  private _state() {
    return binding.rateLimitGroupState(this._handle);
  }
}
