// FilterBufferEvent: libevent's bufferevent over a filter, whose functions are TypeScript's.

import { EvBuffer } from './buffer.js';
import { BufferEvent, optionBits, type FlushMode } from './bufferevent.js';
import { rangeError, typeError, type EvError } from './errors.js';
import { binding } from './native.js';
import { boolean, callback, choice, integer, options, required } from './options.js';

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
 * bytes `destination` has room for; one that gives no more returns
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

/** What every filter can be told. */
export interface LayerOptions {
  /** Free the bufferevent below with this one (`BEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

/** A format of compressed bytes; `zlib` is what HTTP calls `deflate`. */
export type Compression = 'gzip' | 'zlib' | 'deflate' | 'brotli' | 'zstd';

/** How to compress. */
export interface CompressionOptions extends LayerOptions {
  /** From fast to small: 0 to 9 (6), for Brotli 0 to 11 (5), for Zstandard -7 to 22 (3). */
  level?: number;
  /** Keep what is written until there is enough of it or a flush; false by default. */
  heldBack?: boolean;
}

/** How to find messages. */
export interface FrameFilterOptions extends LayerOptions {
  /** How many bytes the length before a message has; 4 by default. */
  width?: 1 | 2 | 4;
  /** The longest message, 1 MiB by default and 16 MiB at most. */
  maxLength?: number;
}

/** How to find lines. */
export interface WholeLineOptions extends LayerOptions {
  /** The longest line with its end, 1 MiB by default. */
  maxLength?: number;
}

/** Is shown what passes: `in` from below, `out` to it. */
export type TeeCallback = (way: 'in' | 'out', bytes: EvBuffer) => void;

/** How a filter is made. Both functions are called as methods of the object that has them. */
export interface FilterOptions extends LayerOptions {
  /** Converts what comes from below; without it, that is passed on as it is. */
  input?: FilterFunction | null;
  /** Converts what is written; without it, that is passed on as it is. */
  output?: FilterFunction | null;
}

const MODES = ['normal', 'flush', 'finished'] as const;
const RESULTS: readonly unknown[] = ['ok', 'need-more', 'end'];

// What a FILTER call is about, and one of its answers.
const MODE = 3;
const OUTPUT = 4;
const FAILED = 3;

const LEVELS = {
  gzip: [0, 6, 9],
  zlib: [0, 6, 9],
  deflate: [0, 6, 9],
  brotli: [0, 5, 11],
  zstd: [-7, 3, 22],
} as const;
const FORMATS = ['gzip', 'zlib', 'deflate', 'brotli', 'zstd'] as const;
const DEFAULT_LENGTH = 1024 * 1024;
const MOST_LENGTH = 16 * 1024 * 1024 - 8;

/** A filter that comes with the library, as `bevNamedFilter` takes it. */
interface Named {
  call: string;
  name: string;
  number: number;
  heldBack: boolean;
}

const HAS_INPUT = 1;
const HAS_OUTPUT = 2;
const CLOSE_ON_FREE = 1;

/** Which functions there are. */
function functions(call: string, { input, output }: FilterOptions): number {
  const has = callback(call, 'input', input) === null ? 0 : HAS_INPUT;
  return has | (callback(call, 'output', output) === null ? 0 : HAS_OUTPUT);
}

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
  private readonly _underlying: BufferEvent;
  private readonly _filter: FilterOptions;
  private readonly _source: EvBuffer | null;
  private readonly _destination: EvBuffer | null;
  /** What a function has thrown of which nobody was told yet. */
  private _thrown: { error: unknown } | null = null;

  /**
   * Puts a filter on a bufferevent that nothing else reads from. What `underlying` did by itself,
   * such as closing at its end, the new one does in its place.
   *
   * @throws EvError `ERR_EVNODE_BUSY` when an iterator, a stream or another filter takes its bytes
   */
  constructor(underlying: BufferEvent, given?: FilterOptions);
  /** @internal One with a filter that comes with the library. */
  constructor(underlying: BufferEvent, given: LayerOptions, named: Named);
  constructor(underlying: BufferEvent, given?: FilterOptions, named?: Named) {
    const call = named?.call ?? 'new FilterBufferEvent';
    if (!(underlying instanceof BufferEvent)) {
      throw typeError(call, 'underlying', 'a BufferEvent', underlying);
    }
    const filter = options(call, given, {});
    const bits = optionBits(call, filter);
    underlying._checkUnread(call);
    const [handle = 0, source = 0, destination = 0] =
      named === undefined
        ? binding.bevFilter(underlying._handle, functions(call, filter), bits)
        : [
            binding.bevNamedFilter(
              underlying._handle,
              named.name,
              named.number,
              named.heldBack,
              bits,
            ),
          ];
    super(underlying._base, handle, 0);
    this._underlying = underlying;
    this._filter = filter;
    this._source = source === 0 ? null : new EvBuffer(source);
    this._destination = destination === 0 ? null : new EvBuffer(destination);
    this._standOn(underlying, (bits & CLOSE_ON_FREE) !== 0);
  }

  /** The bufferevent below (`bufferevent_get_underlying`). */
  override get underlying(): BufferEvent {
    return this._underlying;
  }

  /**
   * Compresses what is written and decompresses what comes. What is written is sent on at once unless
   * it is held back; `close()` and `flush(WRITE, 'finished')` end the compressed stream. A little that
   * becomes very much fills no memory where there is a read high-water mark.
   */
  static compressed(
    underlying: BufferEvent,
    format: Compression,
    given?: CompressionOptions,
  ): FilterBufferEvent {
    const call = 'FilterBufferEvent.compressed';
    if (format === undefined) throw typeError(call, 'format', 'the name of a format', format);
    const name = choice(call, 'format', format, FORMATS);
    const chosen = options(call, given, {});
    const [least, usual, most] = LEVELS[name];
    const number = integer(call, 'level', chosen.level ?? usual, least, most);
    const heldBack = boolean(call, 'heldBack', chosen.heldBack, false);
    return new FilterBufferEvent(underlying, chosen, { call, name, number, heldBack });
  }

  /**
   * Passes on whole messages, each with its length in big-endian bytes before it, so that a read
   * callback finds messages and no piece of one. What is written passes as it is.
   */
  static frames(underlying: BufferEvent, given?: FrameFilterOptions): FilterBufferEvent {
    const call = 'FilterBufferEvent.frames';
    const chosen = options(call, given, {});
    const { width = 4, maxLength = DEFAULT_LENGTH } = chosen;
    const number = integer(call, 'maxLength', maxLength, 0, MOST_LENGTH);
    if (width !== 1 && width !== 2 && width !== 4) {
      throw rangeError(call, 'width', '1, 2 or 4', width);
    }
    const named = { call, name: `frames${width}`, number, heldBack: false };
    return new FilterBufferEvent(underlying, chosen, named);
  }

  /**
   * Passes on whole lines with their ends, LF, so that a read callback finds lines and no piece of
   * one. What is written passes as it is.
   */
  static wholeLines(underlying: BufferEvent, given?: WholeLineOptions): FilterBufferEvent {
    const call = 'FilterBufferEvent.wholeLines';
    const chosen = options(call, given, {});
    const maxLength = chosen.maxLength ?? DEFAULT_LENGTH;
    const number = integer(call, 'maxLength', maxLength, 1, MOST_LENGTH);
    return new FilterBufferEvent(underlying, chosen, {
      call,
      name: 'lines',
      number,
      heldBack: false,
    });
  }

  /** Passes all on as it is and shows it before: to count it, to copy it out or to log it. */
  static tee(underlying: BufferEvent, look: TeeCallback, given?: LayerOptions): FilterBufferEvent {
    const call = 'FilterBufferEvent.tee';
    required(call, 'look', look);
    const pass =
      (way: 'in' | 'out'): FilterFunction =>
      (source, destination) => {
        if (source.length > 0) look(way, source);
        destination.addBuffer(source);
      };
    const functions = { input: pass('in'), output: pass('out') };
    return new FilterBufferEvent(underlying, { ...options(call, given, {}), ...functions });
  }

  /** @internal Has a function convert; says what it said. */
  _convert(what: number, limit: number): number {
    const { _source, _destination } = this;
    if (_source === null || _destination === null) return FAILED;
    try {
      const convert = (what & OUTPUT) === 0 ? this._filter.input : this._filter.output;
      const mode = MODES[what & MODE] ?? 'normal';
      const said = convert?.call(this._filter, _source, _destination, limit, mode);
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
    const { _underlying, _thrown } = this;
    this._thrown = null;
    if (_thrown !== null) return _thrown;
    return _underlying instanceof FilterBufferEvent ? _underlying._takeThrown() : null;
  }

  /** @internal */
  override _closed(): void {
    super._closed();
    this._source?._letGo();
    this._destination?._letGo();
  }
}
