// The small numbers that bases, events and bufferevents are told in.

/** What an event waits for, and what has happened (`EV_READ`, ...). */
export const EventFlags = {
  /** The timeout has passed. */
  TIMEOUT: 0x01,
  /** The descriptor is readable. */
  READ: 0x02,
  /** The descriptor is writable. */
  WRITE: 0x04,
  /** A signal came. */
  SIGNAL: 0x08,
  /** The event stays pending when it fires. */
  PERSIST: 0x10,
  /** Edge-triggered. */
  ET: 0x20,
  /** The peer has closed its end. */
  CLOSED: 0x80,
} as const;

/** What happened to a bufferevent besides bytes (`BEV_EVENT_…`). */
export const BufferEventFlags = {
  /** It happened while reading. */
  READING: 0x01,
  /** It happened while writing. */
  WRITING: 0x02,
  /** The peer has ended its sending side. */
  EOF: 0x10,
  /** An error; the callback is given it. */
  ERROR: 0x20,
  /** A timeout has passed; its direction is disabled now. */
  TIMEOUT: 0x40,
  /** The connect has succeeded. */
  CONNECTED: 0x80,
} as const;

/** How a loop runs (`EVLOOP_…`). */
export const LoopFlags = {
  /** Wait until something happens, run what is active, and return. */
  ONCE: 1,
  /** Do not wait; run what is active, and return. */
  NONBLOCK: 2,
  /** Go on without events until told to stop. */
  NO_EXIT_ON_EMPTY: 4,
} as const;

/** Why a loop ended. */
export const LoopExit = {
  /** There are no events left. */
  NO_EVENTS: 0,
  /** `loopExit` was called. */
  EXIT: 1,
  /** `loopBreak` was called, or the base was freed. */
  BREAK: 2,
  /** The turn that was asked for has run. */
  DONE: 3,
} as const;
/** Why a loop ended. */
export type LoopExit = (typeof LoopExit)[keyof typeof LoopExit];

/** What a method can do (`EV_FEATURE_…`). */
export const Features = {
  /** Edge-triggered events. */
  ET: 1,
  /** Its cost does not grow with the number of events. */
  O1: 2,
  /** Descriptors other than sockets. */
  FDS: 4,
  /** Tells that the peer has closed without reading. */
  EARLY_CLOSE: 8,
  /** Timeouts finer than a millisecond. */
  NS_TIMEOUT: 16,
} as const;
