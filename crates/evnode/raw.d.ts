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
