// FilterBufferEvent: libevent's bufferevent over a filter, whose functions are TypeScript's.

import { EvBuffer } from './buffer.js';
import { BufferEvent, optionBits, type FlushMode } from './bufferevent.js';
import { typeError, type EvError } from './errors.js';
import { binding } from './native.js';
import { callback, options } from './options.js';

/**
 * What a filter's function says (`enum bufferevent_filter_result`). `'ok'`, or nothing: it did what
 * it could. `'need-more'`: it can't go on before more bytes come. `'end'`: the stream ends here.
 */
export type FilterResult = 'ok' | 'need-more' | 'end';

/**
 * Converts bytes (`bufferevent_filter_cb`): takes some from the front of `source` and adds what they
 * become to `destination`. It returns at once: bytes do not wait for a promise.
 *
 * The two buffers are lent for the call; what is left in `source` comes again. `limit` is how many
 * bytes `destination` has room for, `Infinity` if that is unlimited; one that gives no more returns
 * `'ok'` and is called again when there is room. With `mode` `'flush'` it gives what it can, with
 * `'finished'` no more bytes will come.
 *
 * To take and give nothing and return `'ok'` is an error, as is taking nothing for ever and giving
 * much more than `limit`. So is whatever it throws: the event callback is told `ERROR` then, with an
 * error `ERR_EVNODE_FILTER` whose `cause` that is.
 */
export type FilterFunction = (
  source: EvBuffer,
  destination: EvBuffer,
  limit: number,
  mode: FlushMode,
) => FilterResult | void;

/** How a filter is made. Both functions are called as methods of the object that has them. */
export interface FilterOptions {
  /** Converts what comes from below; without it, that is passed on as it is. */
  input?: FilterFunction | null;
  /** Converts what is written; without it, that is passed on as it is. */
  output?: FilterFunction | null;
  /** Free the bufferevent below with this one (`BEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

const MODES = ['normal', 'flush', 'finished'] as const;
const RESULTS: readonly unknown[] = ['ok', 'need-more', 'end'];

// What a FILTER call is about, and one of its answers.
const MODE = 3;
const OUTPUT = 4;
const FAILED = 3;

const HAS_INPUT = 1;
const HAS_OUTPUT = 2;
const CLOSE_ON_FREE = 1;

/**
 * A bufferevent over another one, between which bytes are converted (`bufferevent_filter_new`).
 * Filters stand on sockets, on pairs and on each other.
 *
 * The one below belongs to the filter: its callbacks do not run, and what it reports comes to those
 * of the filter. Unless it is freed with the filter, it is given back with its callbacks and reads
 * once it is enabled again.
 *
 * ```ts
 * const shouting = new FilterBufferEvent(conn, {
 *   output(source, destination) {
 *     destination.add(source.removeString(undefined, 'latin1').toUpperCase(), 'latin1');
 *   },
 * });
 * ```
 */
export class FilterBufferEvent extends BufferEvent {
  /** The bufferevent below (`bufferevent_get_underlying`). */
  readonly underlying: BufferEvent;
  private readonly _filter: FilterOptions;
  private readonly _source: EvBuffer;
  private readonly _destination: EvBuffer;
  private readonly _closesBelow: boolean;
  /** What a function has thrown of which nobody was told yet. */
  private _thrown: { error: unknown } | null = null;

  /**
   * Puts a filter on a bufferevent that nothing else reads from. What `underlying` did by itself,
   * such as closing at its end, the new one does in its place.
   *
   * @throws EvError `ERR_EVNODE_BUSY` when an iterator, a stream or another filter takes its bytes
   */
  constructor(underlying: BufferEvent, given?: FilterOptions) {
    const call = 'new FilterBufferEvent';
    if (!(underlying instanceof BufferEvent)) {
      throw typeError(call, 'underlying', 'a BufferEvent', underlying);
    }
    const filter = options(call, given, {});
    const input = callback(call, 'input', filter.input) === null ? 0 : HAS_INPUT;
    const output = callback(call, 'output', filter.output) === null ? 0 : HAS_OUTPUT;
    const bits = optionBits(call, filter);
    underlying._checkUnread(call);
    const handles = binding.bevFilter(underlying._handle, input | output, bits);
    const [handle = 0, source = 0, destination = 0] = handles;
    super(underlying._base, handle, 0);
    this.underlying = underlying;
    this._filter = filter;
    this._source = new EvBuffer(source);
    this._destination = new EvBuffer(destination);
    this._closesBelow = (bits & CLOSE_ON_FREE) !== 0;
    underlying._setCover(this);
    if (underlying._auto !== 0) this._automate();
  }

  /** @internal Has a function convert; says what it said. */
  _convert(what: number, limit: number): number {
    try {
      const convert = (what & OUTPUT) === 0 ? this._filter.input : this._filter.output;
      const mode = MODES[what & MODE] ?? 'normal';
      const said = convert?.call(this._filter, this._source, this._destination, limit, mode);
      const result = said === undefined ? 0 : RESULTS.indexOf(said);
      if (result >= 0) return result;
      throw typeError('FilterBufferEvent', 'the result', '"ok", "need-more" or "end"', said);
    } catch (error) {
      this._thrown = { error };
      return FAILED;
    }
  }

  /** @internal */
  override _error(what: number, errno: number): EvError {
    const error = super._error(what, errno);
    if (errno !== 0) return error;
    const thrown = this._takeThrown();
    if (thrown !== null) {
      Object.defineProperty(error, 'cause', {
        value: thrown.error,
        configurable: true,
        writable: true,
      });
    }
    return error;
  }

  /** What a function of this filter, or of one below, has thrown. */
  private _takeThrown(): { error: unknown } | null {
    const { underlying, _thrown } = this;
    this._thrown = null;
    if (_thrown !== null) return _thrown;
    return underlying instanceof FilterBufferEvent ? underlying._takeThrown() : null;
  }

  /** @internal */
  override _letGo(): void {
    super._letGo();
    if (this._closesBelow) this.underlying._abandon();
  }

  /** @internal */
  override _closed(): void {
    super._closed();
    this._source._letGo();
    this._destination._letGo();
    this.underlying._setCover(null);
    if (this._closesBelow) this.underlying._closed();
  }
}
