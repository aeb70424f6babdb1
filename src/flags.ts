// The small numbers that events and bufferevents are told in.

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
