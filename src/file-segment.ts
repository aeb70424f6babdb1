// FileSegment: a range of a file that buffers hold without reading it.

import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { closedError, typeError } from './errors.js';
import { binding, onFileClosed } from './native.js';
import {
  boolean,
  descriptor,
  options as checked,
  optionalSize,
  required,
  size,
} from './options.js';

/** What a {@link FileSegment} is made of: a path, an open descriptor or what `fs.promises.open` gives. */
export type FileSource = string | URL | number | { readonly fd: number };

/** Options of a {@link FileSegment}. */
export interface FileSegmentOptions {
  /** Where in the file it begins, in bytes; 0 by default. */
  offset?: number;
  /** How many bytes it has; by default all that follow `offset`. */
  length?: number;
  /**
   * With a descriptor: closes it when the segment is made, which has one of its own
   * (`EVBUF_FS_CLOSE_ON_FREE`). By default it stays yours, to be closed when you like.
   */
  closeOnFree?: boolean;
  /** Has the file read and sent rather than sent by the system (`EVBUF_FS_DISABLE_SENDFILE`). */
  disableSendfile?: boolean;
  /** Changes nothing: files are never mapped into memory (`EVBUF_FS_DISABLE_MMAP`). */
  disableMmap?: boolean;
}

const NO_OPTIONS: FileSegmentOptions = {};
const DISABLE_MMAP = 2;
const DISABLE_SENDFILE = 4;

const forgotten = new FinalizationRegistry<number>((handle) => {
  binding.fileSegmentFree(handle);
});

function open(call: string, source: FileSource, options: FileSegmentOptions): number {
  const { offset, length, closeOnFree, disableSendfile, disableMmap } = checked(
    call,
    options,
    NO_OPTIONS,
  );
  const from = offset === undefined ? 0 : size(call, 'offset', offset);
  const count = optionalSize(call, 'length', length);
  const flags =
    (boolean(call, 'disableSendfile', disableSendfile, false) ? DISABLE_SENDFILE : 0) |
    (boolean(call, 'disableMmap', disableMmap, false) ? DISABLE_MMAP : 0);
  const close = boolean(call, 'closeOnFree', closeOnFree, false);
  if (typeof source === 'string' || source instanceof URL) {
    const path = typeof source === 'string' ? source : fileURLToPath(source);
    if (path.includes('\0')) throw typeError(call, 'file', 'a path without NUL', source);
    return binding.fileSegmentOpen(path, from, count, flags);
  }
  const fd = typeof source === 'object' && source !== null ? source.fd : source;
  if (typeof fd !== 'number') throw typeError(call, 'file', 'a path or an open file', source);
  const handle = binding.fileSegmentFromFd(descriptor(call, fd), from, count, flags);
  if (close) closeSync(fd);
  return handle;
}

/**
 * A range of a file that buffers can hold (`struct evbuffer_file_segment`), in any number of them.
 *
 * Nothing is read before it is sent or looked at. On Linux it is sent to sockets by `sendfile`, without
 * passing through memory of the process; what looks at a buffer reads the file in pieces. A file that
 * has become shorter makes the call that needs the missing bytes throw, and a bufferevent report an
 * error; it never ends the process.
 *
 * The file stays open until the segment is freed, or forgotten, and no buffer holds a part of it.
 */
export class FileSegment implements Disposable {
  /** @internal */
  _handle: number;

  /**
   * Opens a file as a segment (`evbuffer_file_segment_new`).
   *
   * @throws RangeError when it is no regular file, or shorter than `offset` and `length` say
   * @throws EvError with the system's code
   */
  constructor(file: FileSource, options: FileSegmentOptions = NO_OPTIONS) {
    this._handle = open('FileSegment', file, options);
    forgotten.register(this, this._handle, this);
  }

  /** How many bytes it has. */
  get length(): number {
    return binding.fileSegmentLength(this._handle);
  }

  /**
   * Calls `callback` when the file was closed: nobody holds the segment and no buffer a part of it
   * (`evbuffer_file_segment_add_cleanup_cb`). A thread that ends does not call it.
   */
  onCleanup(callback: () => void): this {
    required('FileSegment.onCleanup', 'callback', callback);
    onFileClosed(callback, (token) => {
      binding.fileSegmentOnCleanup(this._handle, token);
    });
    return this;
  }

  /** Lets the segment go; buffers keep what they hold of it (`evbuffer_file_segment_free`). */
  free(): void {
    if (this._handle === 0) return;
    forgotten.unregister(this);
    const handle = this._handle;
    this._handle = 0;
    binding.fileSegmentFree(handle);
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }
}

/** The handle of a segment that is an argument. */
export function segmentHandle(call: string, value: FileSegment): number {
  if (!(value instanceof FileSegment)) throw typeError(call, 'segment', 'a FileSegment', value);
  if (value._handle === 0) throw closedError(call);
  return value._handle;
}
