// A buffer as the source of Node's and of web streams, and what fills one from them.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ReadableStream, type UnderlyingByteSource } from 'node:stream/web';

import type { EvBuffer } from './buffer.js';
import { EvError, typeError } from './errors.js';
import { abortSignal, bytes, options, size, type Bytes } from './options.js';

/** What gives bytes or strings: a stream of Node's, a web stream, or anything to iterate. */
export type ByteSource =
  | NodeJS.ReadableStream
  | ReadableStream<Bytes | string>
  | AsyncIterable<Bytes | string>
  | Iterable<Bytes | string>;

/** How to collect what a stream gives. */
export interface CollectOptions {
  /** The most bytes; no limit by default. The stream that gives more is destroyed. */
  maxLength?: number;
  /** Ends it: the stream is destroyed and the promise rejected with an `AbortError`. */
  signal?: AbortSignal;
}

const CHUNK = 64 * 1024;

function checked(call: string, source: unknown): ByteSource {
  if (typeof source === 'object' && source !== null && !ArrayBuffer.isView(source)) {
    if (source instanceof ReadableStream) return Readable.fromWeb(source);
    if (Symbol.asyncIterator in source || Symbol.iterator in source) return source as ByteSource;
  }
  throw typeError(call, 'source', 'a stream or something to iterate', source);
}

/** Adds all that a source gives. */
export async function collect(
  call: string,
  buffer: EvBuffer,
  source: ByteSource,
  given: CollectOptions | undefined,
): Promise<void> {
  const chosen = options(call, given, {});
  const most = size(call, 'maxLength', chosen.maxLength ?? Number.MAX_SAFE_INTEGER);
  const signal = abortSignal(call, chosen.signal);
  const fill = async (chunks: AsyncIterable<Bytes | string>): Promise<void> => {
    for await (const chunk of chunks) {
      buffer.add(typeof chunk === 'string' ? chunk : bytes(call, 'a chunk', chunk));
      if (buffer.length <= most) continue;
      const message = `${call}: the source gives more than ${most} bytes; raise maxLength`;
      throw new EvError('ERR_EVNODE_FRAME_TOO_LARGE', message);
    }
  };
  const from = checked(call, source) as AsyncIterable<Bytes | string>;
  await (signal === undefined ? pipeline(from, fill) : pipeline(from, fill, { signal }));
}

/** Takes what a buffer holds, as it is asked for. */
export class BufferReadable extends Readable {
  constructor(private readonly _buffer: EvBuffer) {
    super({ highWaterMark: CHUNK });
  }

  override _read(length: number): void {
    try {
      const chunk = this._buffer.remove(length);
      this.push(chunk.length === 0 ? null : chunk);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}

/** A web stream that takes what a buffer holds, as it is asked for. */
export function webStream(buffer: EvBuffer): ReadableStream<Uint8Array> {
  const source: UnderlyingByteSource = {
    type: 'bytes',
    pull(controller) {
      const request = controller.byobRequest;
      const held = buffer.length;
      if (held === 0) {
        controller.close();
        request?.respond(0);
      } else if (request?.view) {
        request.respond(buffer.removeInto(request.view));
      } else {
        // The stream takes the memory over: it must not be part of a pool.
        const chunk = new Uint8Array(Math.min(held, CHUNK));
        buffer.removeInto(chunk);
        controller.enqueue(chunk);
      }
    },
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}
