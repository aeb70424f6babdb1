/**
 * The native layer of evnode. It works on handles: positive 31-bit integers of which the lower 22
 * bits are a slot (`handle & 0x3fffff`, the index for a table of objects) and the upper bits a
 * generation, so that a freed handle is never mistaken for its successor. 0 stands for any object
 * that was freed.
 *
 * Errors: a handle that was freed throws `ERR_EVNODE_CLOSED`, one of the wrong kind or no handle at
 * all `ERR_EVNODE_ARG_HANDLE`, any other argument of the wrong type or range `ERR_EVNODE_ARG_TYPE`
 * or `ERR_EVNODE_ARG_RANGE`, a refusal of the operating system its errno name (`EADDRINUSE`), what
 * the method cannot do `ERR_EVNODE_UNSUPPORTED`, a loop within a loop `ERR_EVNODE_LOOP_RUNNING`, a
 * caught panic `ERR_EVNODE_INTERNAL`, a call while the environment ends `ERR_EVNODE_ENV_CLOSING`.
 * The generated functions leave the types of numbers, strings and objects to their caller: what is
 * wrong with those throws napi's own errors (`NumberExpected`, `StringExpected`).
 */
export type Handle = number

/** Bytes: any view, or a whole ArrayBuffer or SharedArrayBuffer behind a view. */
export type Bytes = ArrayBufferView | ArrayBuffer

/** `what` of a dispatcher call: why the native layer calls. The numbers are part of the contract. */
export interface Kinds {
  /** An event fired. handle: event; what: EventFlags; extra: the event's fd or signal number. */
  readonly EVENT: 1
  /** The input of a bufferevent reached its low-water mark. handle: bufferevent. */
  readonly READABLE: 2
  /** The output of a bufferevent drained to its low-water mark. handle: bufferevent. */
  readonly WRITABLE: 3
  /** Something happened to a bufferevent. what: BufferEventFlags; extra: negative errno or 0. */
  readonly BEV_EVENT: 4
  /** A connection was accepted. handle: listener; what 0: extra is a new bufferevent's handle
   * (no callbacks, not enabled); what 1: extra is the descriptor, now the callback's to close. */
  readonly ACCEPTED: 5
  /** Accepting failed. handle: listener; extra: negative errno. */
  readonly LISTENER_ERROR: 6
  /** A watched buffer changed. handle: buffer; what: bytes added; extra: bytes removed. */
  readonly BUFFER_CHANGED: 7
  /** The loop of a watched base (`baseWatchEnd`) ended. handle: base; what: LoopExit. */
  readonly LOOP_ENDED: 8
  /** A `baseOnce` fired. handle: base; what: EventFlags; extra: its token. */
  readonly ONCE: 9
  /** A bufferevent that `bevClose` closed has sent what was queued, or cannot any more. handle:
   * bufferevent, dead after this call. */
  readonly CLOSED: 10
  /** The loop is about to wait. handle: watcher; what: milliseconds at most, < 0 for ever. */
  readonly PREPARE: 11
  /** The loop has waited. handle: watcher. */
  readonly CHECK: 12
  /** An event was finalized (`eventFinalize`). handle: event. */
  readonly FINALIZED: 13
  /** A callback took long (`baseSetSlowCallback`); `baseSlowCallback` tells more. handle: base. */
  readonly SLOW_CALLBACK: 14
  /** Another thread has sent a message; `baseTakeMessage` takes it. handle: base. */
  readonly MESSAGE: 15
  /** Another thread wants an event to be active. handle: base; what: EventFlags; extra: the event's
   * handle, which may be dead. */
  readonly ACTIVATED: 16
  /** `handle` callbacks, which the list names, to be called one after the other. */
  readonly COLLECTED: 17
  /** A turn is over (`baseTellTurns`). handle: base; what: callbacks; extra: milliseconds. */
  readonly TURN: 18
  /** `what` token: nobody holds the file segment any more; there is no handle. */
  readonly FILE_CLOSED: 19
  /** A filter's bytes are to be converted. handle: the bufferevent over it; what: the flush mode (0 to
   * 2), plus 4 for what is to go out; extra: bytes there is room for. Returns 0 done, 1 more is
   * needed, 2 the stream ends, 3 failed. It does not throw. */
  readonly FILTER: 20
}

/** Called for everything that happens; one per environment. What it throws goes to
 * `uncaughtException` from an attached base, and out of `baseLoop` from a blocking one. */
export type Dispatcher = (kind: number, handle: Handle, what: number, extra: number) => number | void

/** Makes each error that the native layer throws. kind: 0 EvError, 1 TypeError, 2 RangeError,
 * 3 system error (then errno is negative, as Node has it, and syscall is set). */
export type ErrorFactory = (
  kind: number,
  code: string,
  message: string,
  errno: number,
  syscall: string | undefined,
  address: string | undefined,
  port: number | undefined,
) => Error

/** Encoding of a string argument or result. 0: utf8, 1: latin1, 2: utf16le. */
export type StringEncoding = 0 | 1 | 2

/** End-of-line style. 0: any run of CR and LF, 1: CR? LF, 2: CR LF, 3: LF, 4: NUL. */
export type EolStyle = 0 | 1 | 2 | 3 | 4

/** What a number's bytes mean. 0: u8, 1: i8, 2: u16, 3: i16, 4: u32, 5: i32, 6: u64, 7: i64, 8: f32,
 * 9: f64; 16 more: the most significant byte is the first. u64 and i64 are bigints. */
export type NumberLayout = number

/** The hot functions: raw Node-API functions that check handles and memory, nothing else. */
export interface Raw {
  readonly kinds: Kinds

  /** Installs the three functions that the native layer calls; `drain` (process._tickCallback) runs
   * after each callback of a blocking loop. `list` is the memory by which callbacks are handed over
   * that are to be called together (COLLECTED). To be called once, before anything else. */
  register(
    dispatcher: Dispatcher,
    errors: ErrorFactory,
    drain: (() => void) | undefined,
    list: Int32Array,
  ): void

  /** Runs the loop on this thread (blocking) until it ends; flags: ONCE 1, NONBLOCK 2,
   * NO_EXIT_ON_EMPTY 4. Returns 0 no events left, 1 loopExit, 2 loopBreak, 3 done (ONCE, NONBLOCK).
   * Works on an attached base too, whose host is not served meanwhile. Rethrows what a callback threw. */
  baseLoop(base: Handle, flags: number): number
  /** Calls the dispatcher once (kind ONCE, extra = token) when fd is ready or after ms; ms < 0: no timeout. */
  baseOnce(base: Handle, fd: number, flags: number, ms: number, token: number): void

  /** Creates an event; fd: descriptor, signal number (with SIGNAL 8) or -1; flags: EventFlags. */
  eventNew(base: Handle, fd: number, flags: number): Handle
  /** Makes it pending; ms: timeout in milliseconds (fractions allowed), < 0 for none. */
  eventAdd(event: Handle, ms: number): void
  /** Makes it neither pending nor active. */
  eventDel(event: Handle): void
  /** Removes the timeout and keeps the rest pending. */
  eventRemoveTimer(event: Handle): void
  /** Makes it active with these flags, as if it had happened. */
  eventActive(event: Handle, what: number): void
  /** As `eventActive`; the callback of a signal event runs so many times, 0 to 65535. */
  eventActiveTimes(event: Handle, what: number, calls: number): void
  /** Makes it pending with a timeout by its number (`baseInitCommonTimeout`). */
  eventAddCommon(event: Handle, timeout: number): void
  /** Makes it another event, while it is neither pending nor active. */
  eventAssign(event: Handle, fd: number, flags: number): void
  /** Makes it neither pending nor active, and calls FINALIZED when no callback can run any more. */
  eventFinalize(event: Handle): void
  /** Milliseconds until its timeout, or null when it has none. */
  eventRemaining(event: Handle): number | null
  /** Which of `what` it is pending or active for. */
  eventPending(event: Handle, what: number): number
  /** Sets the priority, 0 being the most urgent; RangeError outside the base's priorities. */
  eventSetPriority(event: Handle, priority: number): void
  /** The priority. */
  eventPriority(event: Handle): number
  /** Frees the event; its handle is dead from now on. */
  eventFree(event: Handle): void

  /** Creates an empty buffer. */
  bufferNew(): Handle
  /** Frees a buffer that `bufferNew` made (a bufferevent's own buffers live as long as it does). */
  bufferFree(buffer: Handle): void
  /** Bytes held. */
  bufferLength(buffer: Handle): number
  /** Appends a copy of the bytes. */
  bufferAdd(buffer: Handle, bytes: Bytes): void
  /** Appends a string; returns the number of bytes it became. */
  bufferAddString(buffer: Handle, text: string, encoding: StringEncoding): number
  /** Puts a copy of the bytes in front. */
  bufferPrepend(buffer: Handle, bytes: Bytes): void
  /** Moves all of src to the front of dst without copying. */
  bufferPrependBuffer(dst: Handle, src: Handle): void
  /** Moves up to length bytes from the front into view at offset; returns how many. */
  bufferRemove(buffer: Handle, view: Bytes, offset: number, length: number): number
  /** Copies up to length bytes, from position `from`, into view at offset; returns how many. */
  bufferCopyout(buffer: Handle, view: Bytes, offset: number, length: number, from: number): number
  /** Takes up to length bytes from the front as a string. */
  bufferRemoveString(buffer: Handle, length: number, encoding: StringEncoding): string
  /** Drops up to n bytes from the front. */
  bufferDrain(buffer: Handle, n: number): void
  /** The number at a position, or with offset < 0 at the front, from where it is taken; null, and
   * nothing taken, when there are too few bytes. */
  bufferNumber(buffer: Handle, layout: NumberLayout, offset: number): number | bigint | null
  /** Appends a number, whose range is the caller's to check. */
  bufferAddNumber(buffer: Handle, layout: NumberLayout, value: number | bigint): void
  /** Appends the number of the bytes and a copy of them, both or none. */
  bufferAddFrame(buffer: Handle, layout: NumberLayout, bytes: Bytes): void
  /** Whether it holds exactly these bytes. */
  bufferEquals(buffer: Handle, bytes: Bytes): boolean
  /** Whether both hold the same bytes. */
  bufferEqualsBuffer(one: Handle, other: Handle): boolean
  /** Up to length bytes (< 0: all) from position `from`, piece by piece: those of at least 4 KiB where
   * they lie in the buffer's own memory, which lives as long as what is returned; the lengths of the
   * others, which are to be copied. */
  bufferPeek(buffer: Handle, length: number, from: number): (Buffer | number)[]
  /** Moves all of src to the end of dst without copying. Nothing happens when both are the same. */
  bufferAddBuffer(dst: Handle, src: Handle): void
  /** Moves up to n bytes from the front of src to the end of dst; returns how many. */
  bufferRemoveBuffer(dst: Handle, src: Handle, n: number): number
  /** Position of the bytes at or after `from` and wholly before `to` (< 0: the end), or -1. */
  bufferSearch(buffer: Handle, what: Bytes, from: number, to: number): number
  /** Removes a line with its end and returns it without, or null when there is no whole line, or one
   * of more than max bytes. */
  bufferReadLine(buffer: Handle, eol: EolStyle, encoding: StringEncoding, max: number): string | null
  /** Takes up to max whole lines, some of them or none, as one string with their ends. `spans` gets
   * how many those are, then the start and the end of each in the string. */
  bufferReadLines(buffer: Handle, eol: EolStyle, encoding: StringEncoding, max: number, spans: Int32Array): string
  /** Length in bytes of the next whole line without its end, or -1 when there is none. */
  bufferLineLength(buffer: Handle, eol: EolStyle): number
  /** Removes a line with its end, writes it without into view at offset; returns its length, or -1
   * when there is none. RangeError when it does not fit. */
  bufferReadLineInto(buffer: Handle, eol: EolStyle, view: Bytes, offset: number): number
  /** Makes the first n bytes contiguous (all: -1). */
  bufferPullup(buffer: Handle, n: number): void
  /** Reserves room for n more bytes. */
  bufferExpand(buffer: Handle, n: number): void
  /** Forbids (on) or allows changes at the front or the end. */
  bufferFreeze(buffer: Handle, atFront: boolean, on: boolean): void
  /** Reads at most max bytes (< 0: a sensible amount) from a descriptor to the end; 0: end of file. */
  bufferReadFd(buffer: Handle, fd: number, max: number): number
  /** Writes at most max bytes (< 0: all) from the front to a descriptor; returns how many. */
  bufferWriteFd(buffer: Handle, fd: number, max: number): number
  /** Starts or stops BUFFER_CHANGED calls for it. */
  bufferWatch(buffer: Handle, on: boolean): void

  /** Creates a bufferevent; fd: a connected socket, which it takes over, or -1. options:
   * CLOSE_ON_FREE 1, DEFER_CALLBACKS 4. */
  bevNew(base: Handle, fd: number, options: number): Handle
  /** Which callbacks to deliver: 1 READABLE, 2 WRITABLE, 4 BEV_EVENT, 8 CLOSED. */
  bevSetCallbacks(bev: Handle, mask: number): void
  /** Queues a copy of the bytes. */
  bevWrite(bev: Handle, bytes: Bytes): void
  /** Queues a string; returns the number of bytes it became. */
  bevWriteString(bev: Handle, text: string, encoding: StringEncoding): number
  /** Queues all of a buffer without copying; the buffer is empty afterwards. */
  bevWriteBuffer(bev: Handle, buffer: Handle): void
  /** Moves up to length bytes of the input into view at offset; returns how many. */
  bevRead(bev: Handle, view: Bytes, offset: number, length: number): number
  /** Takes up to length bytes of the input as a string. */
  bevReadString(bev: Handle, length: number, encoding: StringEncoding): string
  /** Moves all input to the end of a buffer without copying; returns how many bytes. */
  bevReadBuffer(bev: Handle, buffer: Handle): number
  /** Moves all input of `from` to the output of `to` (which may be `from`); returns how many bytes. */
  bevForward(from: Handle, to: Handle): number
  /** Starts reading (2) and/or writing (4). */
  bevEnable(bev: Handle, what: number): void
  /** Stops reading (2) and/or writing (4). */
  bevDisable(bev: Handle, what: number): void
  /** What is enabled. */
  bevEnabled(bev: Handle): number
  /** Bytes received and not yet taken. */
  bevInputLength(bev: Handle): number
  /** Bytes queued and not yet sent. */
  bevOutputLength(bev: Handle): number
  /** Handle of the input buffer; the same at every call, dead once the bufferevent is freed. */
  bevInput(bev: Handle): Handle
  /** Handle of the output buffer; adding to it schedules the write. */
  bevOutput(bev: Handle): Handle
  /** Marks in bytes for reading (2) and/or writing (4); high 0: no limit. */
  bevSetWatermark(bev: Handle, what: number, low: number, high: number): void
  /** Timeouts in milliseconds, < 0 for none. */
  bevSetTimeouts(bev: Handle, readMs: number, writeMs: number): void
  /** Frees it at once, with what is queued; closes the socket with CLOSE_ON_FREE. */
  bevFree(bev: Handle): void
  /** Stops reading and frees it when what is queued has been written; CLOSED comes then. */
  bevClose(bev: Handle): void
}

/** The table of hot functions. */
export declare const raw: Raw

/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/** A socket address; `port` is absent for a Unix socket. */
export interface AddressInfo {
  /** `IPv4`, `IPv6` or `unix`. */
  family: string
  /** The address in text, or the path of a Unix socket. */
  address: string
  /** The port. */
  port?: number
}

/** Makes the events on a descriptor active that wait for any of `what`. */
export declare function baseActiveByFd(base: Handle, fd: number, what: number): void

/** Makes the events of a signal active. */
export declare function baseActiveBySignal(base: Handle, signal: number): void

/** How it runs: `uv`, `nested`, `waiter` or `none`. */
export declare function baseAttachment(base: Handle): string

/** The turn's time in milliseconds since the epoch, with fractions. */
export declare function baseCachedTime(base: Handle): number

/** How many events there are; one that is both pending and active counts once for each. */
export declare function baseCounts(base: Handle): EventCounts

/** A line of text for every event that is pending or active. */
export declare function baseDump(base: Handle): string

/** Events pending or active, internal ones not counted. */
export declare function baseEventCount(base: Handle): number

/** The method's features. */
export declare function baseFeatures(base: Handle): number

/**
 * Frees the base: every event on it is dead, its host's handles are closed. Allowed inside
 * callbacks. Does not call LOOP_ENDED.
 */
export declare function baseFree(base: Handle): void

/** Whether the loop ended by `baseLoopBreak`. */
export declare function baseGotBreak(base: Handle): boolean

/** Whether the loop ended by `baseLoopExit`. */
export declare function baseGotExit(base: Handle): boolean

/** Whether `baseRef` holds. */
export declare function baseHasRef(base: Handle): boolean

/** Keeps the loop from ending for want of events, once more; or (`on` is false) once less. */
export declare function baseHold(base: Handle, on: boolean): void

/** Prepares a timeout that many events share; returns its number for `eventAddCommon`. */
export declare function baseInitCommonTimeout(base: Handle, ms: number): number

/** Whether a turn is running, that is, whether we are inside one of its callbacks. */
export declare function baseIsRunning(base: Handle): boolean

/** Ends the loop after the callback that runs; between the turns of an attached base, at once. */
export declare function baseLoopBreak(base: Handle): void

/** Looks for ready events anew after the callback that runs. */
export declare function baseLoopContinue(base: Handle): void

/** Ends the loop after `ms` milliseconds (none: after the active events have run). */
export declare function baseLoopExit(base: Handle, ms?: number | undefined | null): void

/** The most events that there have been; counts anew from what there is with `reset`. */
export declare function baseMaxCounts(base: Handle, reset: boolean): EventCounts

/** The method's name: `uv` in uv mode, else `epoll`, ... */
export declare function baseMethod(base: Handle): string

/** What the base's loop did so far; with `reset`, counting starts anew. */
export declare function baseMetrics(base: Handle, reset: boolean): NativeMetrics

/** Creates a base and attaches it as `attach` says. */
export declare function baseNew(options?: BaseOptions | undefined | null): Handle

/** What `baseNew` takes; all fields may be left out. */
export interface BaseOptions {
  /**
   * How it runs: `uv`, `nested`, `waiter` (a thread waits), `none` (blocking calls only) or `auto`
   * (default): `uv`; `nested` where the rest asks for what libuv lacks; `waiter` in a runtime
   * without libuv; `none` where the method asked for has no descriptor to wait for, as `poll`.
   */
  attach?: string
  /**
   * Whether this is a worker: blocking calls then look ten times a second whether it was
   * terminated.
   */
  inWorker?: boolean
  /** Exactly this method (`epoll`, `poll`, `mio`, ...). */
  method?: string
  /** Methods not to be used. */
  avoid?: Array<string>
  /** Features it must have: ET 1, O1 2, FDS 4, EARLY_CLOSE 8, NS_TIMEOUT 16. */
  features?: number
  /** Number of priorities, 1 by default. */
  priorities?: number
  /** Ignore the EVENT_NO* environment variables. */
  ignoreEnv?: boolean
  /** Do not cache the time within a turn. */
  noCacheTime?: boolean
  /** Read the clock for every timer that is set. */
  preciseTimer?: boolean
  /** Have epoll collect changes until the next wait. */
  epollChangelist?: boolean
  /** Look for misuse that is not found otherwise. */
  debugMode?: boolean
  /** Measure the times that `baseMetrics` tells. */
  metrics?: boolean
  /** Look for more urgent events after so many milliseconds of callbacks. */
  maxDispatchMs?: number
  /** Look for more urgent events after so many callbacks. */
  maxDispatchCallbacks?: number
  /** The two limits hold for priorities from this one on. */
  minPriority?: number
}

/** The number of priorities. */
export declare function basePriorities(base: Handle): number

/** Sets the number of priorities; only while no event is active. */
export declare function basePriorityInit(base: Handle, priorities: number): void

/** Lets the base keep the process alive while it has events (the default). */
export declare function baseRef(base: Handle): void

/** Calls SLOW_CALLBACK after every callback that took `ms` or longer; null ends that. */
export declare function baseSetSlowCallback(base: Handle, ms?: number | undefined | null): void

/** The callback that SLOW_CALLBACK was called for last. */
export declare function baseSlowCallback(base: Handle): NativeSlowCallback | null

/** The message that came first of those not yet taken. */
export declare function baseTakeMessage(base: Handle): Buffer | null

/** Calls TURN at the end of every turn, or (`on` is false) does so no longer. */
export declare function baseTellTurns(base: Handle, on: boolean): void

/** A name for the base by which other threads reach it; the same at every call. */
export declare function baseToken(base: Handle): string

/** Lets the process end although the base has events. */
export declare function baseUnref(base: Handle): void

/** Reads the clock anew. */
export declare function baseUpdateCacheTime(base: Handle): void

/**
 * Asks (`on`) for one LOOP_ENDED call when the loop of an attached base ends; keeps the process
 * alive till then.
 */
export declare function baseWatchEnd(base: Handle, on: boolean): void

/** Sets whether the end of the stream counts as the peer's farewell. */
export declare function bevAllowDirtyShutdown(bev: Handle, allow: boolean): void

/**
 * Connects to `host:port` or, with port absent, to a Unix socket's path; BEV_EVENT with CONNECTED or
 * ERROR comes later. `host` is a numeric address.
 */
export declare function bevConnect(bev: Handle, host: string, port?: number | undefined | null): void

/** Looks a host up and connects to the first of its addresses that answers; BEV_EVENT comes later. */
export declare function bevConnectHostname(bev: Handle, host: string, port: number, hints: NativeAddressHints): void

/** Takes bytes from what may be read and written, or gives some. */
export declare function bevDecrementLimit(bev: Handle, read: number, write: number): void

/** Why the last lookup found no address: a code and a message. */
export declare function bevDnsError(bev: Handle): Array<string> | null

/** Why a bufferevent failed when it was not for the operating system: a code and a message. */
export declare function bevFailure(bev: Handle): Array<string> | null

/** Its descriptor, or -1. */
export declare function bevFd(bev: Handle): number

/**
 * Makes a bufferevent over another one (`below`) whose bytes FILTER calls convert. `functions` says
 * what these are asked for: 1 what comes, 2 what goes out; the rest is passed on. Options as those
 * of `bevNew`.
 *
 * @returns the handles of the bufferevent and of the two buffers that FILTER calls are about
 */
export declare function bevFilter(below: Handle, functions: number, options: number): Array<Handle>

/** Passes on what is queued; mode 0 normal, 1 flush, 2 finished (then ends the sending side). */
export declare function bevFlush(bev: Handle, what: number, mode: number): void

/**
 * One of a bufferevent's numbers: 0 and 1 what may be read and written now, 2 and 3 the most that
 * one read and one write would move now, 4 and 5 the most that they ever move.
 */
export declare function bevLimit(bev: Handle, which: number): number

/** The address of our end. */
export declare function bevLocalAddress(bev: Handle): AddressInfo | null

/**
 * Makes a bufferevent over another one (`below`) with a filter that comes with the library: `gzip`,
 * `zlib`, `deflate`, `brotli` or `zstd` of a level, which may hold back what is written; `lines` of so
 * many bytes at most; messages of so many bytes at most after lengths of 1, 2 or 4 bytes, `frames1`,
 * `frames2` or `frames4`.
 */
export declare function bevNamedFilter(below: Handle, name: string, number: number, heldBack: boolean, options: number): Handle

/** Two bufferevents of which each reads what the other writes; options as those of `bevNew`. */
export declare function bevPair(base: Handle, options: number): Array<Handle>

/** The address of the peer. */
export declare function bevPeerAddress(bev: Handle): AddressInfo | null

/** The priority. */
export declare function bevPriority(bev: Handle): number

/** A bufferevent's own limit. */
export declare function bevRateLimit(bev: Handle): RateLimit | null

/** Goes on over another connected socket, or with -1 over none; gives the old one back, or -1. */
export declare function bevReplaceFd(bev: Handle, fd: number): number

/** Sets the most bytes that one read (2) or one write (4) moves; 0 for what is usual. */
export declare function bevSetMaxSingle(bev: Handle, what: number, most: number): void

/** Sets the priority of its callbacks. */
export declare function bevSetPriority(bev: Handle, priority: number): void

/** Limits a bufferevent, or no longer. */
export declare function bevSetRateLimit(bev: Handle, limit?: RateLimit | undefined | null): void

/** Puts a bufferevent into a group, or with 0 takes it out of the one that it is in. */
export declare function bevSetRateLimitGroup(bev: Handle, group: Handle): void

/** Makes the client's end of a TLS connection over a bufferevent. */
export declare function bevStartTlsClient(below: Handle, config: object, serverName: string, options: number): Handle

/** Makes the server's end of a TLS connection over a bufferevent; options as those of `bevNew`. */
export declare function bevStartTlsServer(below: Handle, config: object, options: number): Handle

/** What is known of a bufferevent's TLS, if it is one over TLS itself. */
export declare function bevTls(bev: Handle): NativeTlsInfo | null

/** Delivers READABLE (2) and/or WRITABLE (4) from the loop. */
export declare function bevTrigger(bev: Handle, what: number): void

/** Delivers BEV_EVENT with these flags from the loop. */
export declare function bevTriggerEvent(bev: Handle, what: number): void

/** Changes the keys of what is sent from here on. */
export declare function bevUpdateKeys(bev: Handle): void

/** [low, high] marks for reading (2) or writing (4). */
export declare function bevWatermark(bev: Handle, what: number): Array<number>

/** Adds a part of a segment to a buffer; a negative length is all that follows the offset. */
export declare function bufferAddFileSegment(buffer: Handle, segment: Handle, from: number, len: number): void

/** Adds all of one buffer to another and leaves it there. */
export declare function bufferAddReference(dst: Handle, src: Handle): void

/** Lets the watched buffer's changes be told or passes them over. */
export declare function bufferEnableCallback(buffer: Handle, on: boolean): void

/** The most bytes that a buffer may hold; -1 without a limit of its own. */
export declare function bufferMaxLength(buffer: Handle): number

/** Reads what the first bytes of a buffer, all of them with a negative length, have of files. */
export declare function bufferReadFiles(buffer: Handle, len: number): void

/** Lengths of the contiguous pieces that a buffer is made of. */
export declare function bufferSegments(buffer: Handle): Array<number>

/** Limits what a buffer may come to hold; a negative number lifts the limit. */
export declare function bufferSetMaxLength(buffer: Handle, max: number): void

/** Switches debug messages on or off. */
export declare function enableDebugLogging(on: boolean): void

/** How many events there are, by what they do. */
export interface EventCounts {
  /** Events whose callback waits to be run (`EVENT_BASE_COUNT_ACTIVE`). */
  active: number
  /** Events that wait for something (`EVENT_BASE_COUNT_ADDED`). */
  added: number
  /** What else keeps the loop from ending (`EVENT_BASE_COUNT_VIRTUAL`). */
  virtual: number
}

/** Lets a segment go; buffers may still hold it. */
export declare function fileSegmentFree(segment: Handle): void

/** Makes a segment of an open file, with a descriptor of its own for it. */
export declare function fileSegmentFromFd(fd: number, from: number, len: number, bits: number): Handle

/** How many bytes a segment has. */
export declare function fileSegmentLength(segment: Handle): number

/** Has `FILE_CLOSED` told, with the token, when nobody holds the segment any more. */
export declare function fileSegmentOnCleanup(segment: Handle, token: number): void

/** Opens a file as a segment; a negative length is all that follows the offset. */
export declare function fileSegmentOpen(path: string, from: number, len: number, bits: number): Handle

/** Looks up a host and a service, and waits for the answer. */
export declare function getaddrinfo(host: string | undefined | null, service: string | undefined | null, hints: NativeAddressHints): NativeAddresses

/** Lets go of all that is held for the process and for this thread. */
export declare function globalShutdown(): void

/** What is to be known of a group. */
export interface GroupState {
  /** How many bufferevents are in it. */
  members: number
  /** The least that one is given at once, in bytes. */
  minShare: number
  /** What may be read now. */
  readLimit: number
  /** What may be written now. */
  writeLimit: number
  /** What was read. */
  totalRead: number
  /** What was written. */
  totalWritten: number
}

/** The text of 4 or 16 bytes; null for another number of bytes. */
export declare function inetNtop(bytes: Uint8Array): string | null

/** The 4 or 16 bytes of an address in text; null when it is none. */
export declare function inetPton(text: string): Buffer | null

/**
 * Binds and listens on `host:port` or, with port absent, on a Unix socket's path. `host` is a
 * numeric address.
 */
export declare function listenerBind(base: Handle, host: string, port?: number | undefined | null, options?: ListenerOptions | undefined | null): Handle

/** Stops accepting; the socket stays open. */
export declare function listenerDisable(listener: Handle): void

/** Accepts again. */
export declare function listenerEnable(listener: Handle): void

/** Its descriptor, or -1. */
export declare function listenerFd(listener: Handle): number

/** Frees the listener. Allowed inside its callback. */
export declare function listenerFree(listener: Handle): void

/** Listens on a bound socket, which it takes over. */
export declare function listenerFromFd(base: Handle, fd: number, options?: ListenerOptions | undefined | null): Handle

/** Whether it accepts. */
export declare function listenerIsEnabled(listener: Handle): boolean

/** The peer of the connection accepted last (for `rawSockets`; ask in the callback). */
export declare function listenerLastPeer(listener: Handle): AddressInfo | null

/** Where it listens. */
export declare function listenerLocalAddress(listener: Handle): AddressInfo | null

/** What `listenerBind` and `listenerFromFd` take; all fields may be left out. */
export interface ListenerOptions {
  /** How many connections may wait to be accepted; -1 (default): as many as the system allows. */
  backlog?: number
  /** SO_REUSEADDR; default true. */
  reuseAddress?: boolean
  /** SO_REUSEPORT. */
  reusePort?: boolean
  /** IPV6_V6ONLY. */
  ipv6Only?: boolean
  /** Close the socket when the listener is freed; default true. */
  closeOnFree?: boolean
  /** Do not accept until `listenerEnable`. */
  disabled?: boolean
  /** TCP_DEFER_ACCEPT. */
  deferredAccept?: boolean
  /** Do not make accepted sockets non-blocking. */
  leaveBlocking?: boolean
  /** Hand over descriptors instead of bufferevents. */
  rawSockets?: boolean
  /** Options of the bufferevents made for connections; default CLOSE_ON_FREE. */
  bevOptions?: number
}

/** Makes reads and writes of a descriptor return at once when they cannot go on. */
export declare function makeNonblocking(fd: number): void

/** The state of the buffers' memory. */
export declare function memoryStatistics(): MemoryStatistics

/** What the buffers of the whole process have of memory. */
export interface MemoryStatistics {
  /** Bytes in blocks, those kept for later included. */
  allocated: number
  /** The most that this has been. */
  peak: number
  /** The most that it may be; absent when there is no limit. */
  limit?: number
  /** How many blocks there are. */
  blocks: number
  /** How often a block was asked of the allocator. */
  allocations: number
  /** How often there was none, for want of memory or because of the limit. */
  refused: number
}

/** The features of a method, or null when this build has none of that name. */
export declare function methodFeatures(name: string): number | null

/** What `getaddrinfo` found, or why it found nothing. */
export interface NativeAddresses {
  /** The addresses, the preferred one first. */
  addresses: Array<AddressInfo>
  /** The host's real name, if it was asked for. */
  canonicalName?: string
  /** The error's name, `EAI_…`. */
  code?: string
  /** What it means. */
  message?: string
}

/** What `getaddrinfo` is asked for. */
export interface NativeAddressHints {
  /** 4, 6 or 0 for both. */
  family: number
  /** For listening: without a host, any address of this machine. */
  passive: boolean
  /** The host's real name, too. */
  canonicalName: boolean
  /** The host is an address; nothing is looked up. */
  numeric: boolean
  /** Only families that this machine has addresses of. */
  configured: boolean
}

/** What a loop did; histograms by bucket: 0 counts zeroes, bucket `b` what has `b` bits. */
export interface NativeMetrics {
  /** Turns of the loop. */
  turns: number
  /** Callbacks of events that ran. */
  events: number
  /** Turns in which the loop was ready to wait. */
  waits: number
  /** Callbacks that ran in each turn. */
  eventsPerTurn: Array<number>
  /** Nanoseconds that each callback took; empty without the option `metrics`, as are the next two. */
  callbackTime: Array<number>
  /** Nanoseconds from the end of each timeout to the turn that noticed. */
  timerLateness: Array<number>
  /** Nanoseconds that each wait took. */
  waitTime: Array<number>
}

/** A callback that took longer than it should have. */
export interface NativeSlowCallback {
  /** The event's handle; 0 when it is gone or none of JavaScript's. */
  event: Handle
  /** Its descriptor or signal, or -1. */
  fd: number
  /** What it was active for. */
  what: number
  /** Milliseconds that the callback took. */
  ms: number
}

/** What is known of a connection. */
export interface NativeTlsInfo {
  /** `connecting`, `accepting` or `open`. */
  state: string
  protocol?: string
  cipher?: string
  alpn?: string
  serverName?: string
  /** In DER, the peer's own first. */
  peerCertificates: Array<Buffer>
  resumed: boolean
  allowDirtyShutdown: boolean
}

/** Reads an address with a port. */
export declare function parseSockaddrPort(text: string): AddressInfo

/** The blocks of one size that a thread keeps for its buffers. */
export interface PoolClass {
  /** Bytes that such a block holds. */
  blockSize: number
  /** Blocks that are kept now. */
  idle: number
  /** Blocks that are kept at most. */
  limit: number
}

/** What this thread keeps of blocks for its buffers, the smallest size first. */
export declare function poolStatistics(): Array<PoolClass>

/**
 * How many bytes may pass in each direction in a tick on average, and at most at once; `Infinity` is
 * no limit.
 */
export interface RateLimit {
  readRate: number
  readBurst: number
  writeRate: number
  writeBurst: number
  /** How long a tick is, in milliseconds. */
  tick: number
}

/** Takes bytes from what may be read and written, or gives some. */
export declare function rateLimitGroupDecrement(group: Handle, read: number, write: number): void

/** Ends a group's handle; its members stay in it. */
export declare function rateLimitGroupFree(group: Handle): void

/** A group's limit. */
export declare function rateLimitGroupLimit(group: Handle): RateLimit

/** Makes a group. */
export declare function rateLimitGroupNew(base: Handle, limit: RateLimit): Handle

/** Counts a group's totals from zero again. */
export declare function rateLimitGroupResetTotals(group: Handle): void

/** Changes a group's limit. */
export declare function rateLimitGroupSetLimit(group: Handle, limit: RateLimit): void

/** Sets the least that a member is given at once, in bytes. */
export declare function rateLimitGroupSetMinShare(group: Handle, share: number): void

/** What is to be known of a group now. */
export declare function rateLimitGroupState(group: Handle): GroupState

/** Checks a limit. */
export declare function rateLimitNew(limit: RateLimit): RateLimit

/** A limit of so many bytes a second, `Infinity` for none, with a tick and bursts that fit. */
export declare function rateLimitPerSecond(read: number, write: number): RateLimit

/** Has a base's event made active, from any thread. */
export declare function remoteActivate(token: string, event: Handle, what: number): void

/** Ends a base's loop after the callback that runs, from any thread. */
export declare function remoteLoopBreak(token: string): void

/** Ends a base's loop after the events that are active, from any thread. */
export declare function remoteLoopExit(token: string): void

/** Sends a message to a base, from any thread. */
export declare function remotePost(token: string, message: Uint8Array): void

/** Makes a base's loop turn once, from any thread. */
export declare function remoteWake(token: string): void

/**
 * Calls `callback` with what is found of misuse that a program had better not survive, as
 * `setLogCallback` does; the call that found it throws all the same. Null for none.
 */
export declare function setFatalCallback(callback?: ((arg0: string) => void) | undefined | null): void

/**
 * Sends the messages of all threads to this thread's `callback`, with their severity: 0 debug,
 * 1 message, 2 warning, 3 error. They come in order, but only when JavaScript has returned to the
 * host's loop. Null: to standard error again, where they also go when the thread has ended.
 */
export declare function setLogCallback(callback?: ((arg0: number, arg1: string) => void) | undefined | null): void

/** Limits the bytes in blocks of the whole process; null lifts the limit. */
export declare function setMemoryLimit(bytes?: number | undefined | null): void

/** Has the system probe a connection that is silent for so many milliseconds; negative for never. */
export declare function setTcpKeepalive(fd: number, ms: number): void

/** Compares two addresses as text: negative, 0 or positive. */
export declare function sockaddrCmp(left: string, right: string, includePort: boolean): number

/** Two connected stream sockets. */
export declare function socketpair(): Array<number>

/** What is alive in this environment; all zero after a clean shutdown. */
export declare function statistics(): Statistics

/** Live handles by kind. */
export interface Statistics {
  /** Bases. */
  bases: number
  /** Events. */
  events: number
  /** Buffers made by `bufferNew`. */
  buffers: number
  /** Bufferevents. */
  bufferevents: number
  /** Listeners. */
  listeners: number
  /** Watchers. */
  watchers: number
  /** File segments that are held. */
  fileSegments: number
  /** Rate limit groups. */
  rateLimitGroups: number
  /** Handles of the host's loop (libuv) that are open or closing. */
  hostHandles: number
}

/** The methods of this build, best first. */
export declare function supportedMethods(): Array<string>

/**
 * A descriptor that is readable after so many milliseconds, or (`absolute`) at a time since the
 * epoch; then `every` so many, negative for never.
 */
export declare function timerfd(first: number, absolute: boolean, every: number): number

/**
 * Makes a client's configuration, which trusts the system's roots if it has none of its own, and
 * anybody if it is insecure.
 */
export declare function tlsClientConfig(offer: TlsOffer, insecure: boolean): object

/** What both sides can offer. Certificates and keys are PEM, or one certificate or key in DER. */
export interface TlsOffer {
  /** The chain, the own certificate first; empty for none. */
  cert: Array<Uint8Array>
  key?: Uint8Array
  /** Who may have issued the peer's certificate. */
  roots: Array<Uint8Array>
  /** Application protocols, the preferred first. */
  alpn: Array<string>
  /** `TLSv1.2`, `TLSv1.3`; empty for both. */
  versions: Array<string>
  /** IANA names of cipher suites; empty for all. */
  ciphers: Array<string>
}

/**
 * Makes a server's configuration. `client_auth`: 0 asks clients for no certificate, 1 asks for one,
 * 2 requires one.
 */
export declare function tlsServerConfig(offer: TlsOffer, clientAuth: number): object

/** Shows another certificate from the next handshake on. */
export declare function tlsSetCertificate(config: object, cert: Array<Uint8Array>, key: Uint8Array): void

/** The version of the native layer. */
export declare function version(): string

/** The version as a number, a byte each for major, minor and patch, then one that is 0. */
export declare function versionNumber(): number

/** Ends a watcher; also while its callback runs. */
export declare function watcherFree(watcher: Handle): void

/** Creates a watcher: calls PREPARE before every wait, or, with `check`, CHECK after every wait. */
export declare function watcherNew(base: Handle, check: boolean): Handle
