// The memory into which input is read: slabs that many reads share, since creating a Buffer for each
// would cost more than reading it.

import { raw } from './native.js';

const { bevRead, bevInputLength, bufferLength, bufferRemove } = raw;

const SLAB = 64 * 1024;
/** What is left of a slab is given up when it is less than this; what is larger gets its own memory. */
const LEAST = 8 * 1024;

let slab = Buffer.alloc(0);
let used = SLAB;

function renew(): void {
  slab = Buffer.allocUnsafeSlow(SLAB);
  used = 0;
}

/** All of a bufferevent's input, or null when there is none. */
export function readAll(bev: number): Buffer | null {
  if (SLAB - used < LEAST) renew();
  const [ours, start] = [slab, used];
  const room = SLAB - start;
  // Callbacks of a watched input run meanwhile, and must not read to the same place.
  used = SLAB;
  const count = bevRead(bev, ours, start, room);
  const more = count === room ? bevInputLength(bev) : 0;
  if (slab === ours) used = more > 0 ? start : start + count;
  if (more > 0) return readMore(bev, ours.subarray(start), more);
  return count === 0 ? null : ours.subarray(start, start + count);
}

/** Up to `length` bytes of a bufferevent's input, or null when there are none. */
export function readSome(bev: number, length: number): Buffer | null {
  const count = Math.min(length, bevInputLength(bev));
  return count === 0 ? null : take(bevRead, bev, count);
}

/** Up to `length` bytes from the front of a buffer. */
export function removeSome(buffer: number, length: number): Buffer {
  const most = length < LEAST ? length : Math.min(length, bufferLength(buffer));
  return take(bufferRemove, buffer, most);
}

/** What `read` puts into memory for `length` bytes. */
function take(read: typeof bevRead, from: number, length: number): Buffer {
  if (length >= LEAST) {
    const own = Buffer.allocUnsafeSlow(length);
    const count = read(from, own, 0, length);
    return count === length ? own : own.subarray(0, count);
  }
  // No bytes fit anywhere but into the slab that there is not yet.
  if (SLAB - used < length || slab.length === 0) renew();
  const [ours, start] = [slab, used];
  const end = start + length;
  used = end;
  const count = read(from, ours, start, length);
  // What is left over, unless somebody has taken what is behind it.
  if (slab === ours && used === end) used = start + count;
  return ours.subarray(start, start + count);
}

/** Input that did not fit into the slab, where its first bytes are. */
function readMore(bev: number, first: Buffer, more: number): Buffer {
  const own = Buffer.allocUnsafeSlow(first.length + more);
  own.set(first);
  const count = first.length + bevRead(bev, own, first.length, more);
  return count === own.length ? own : own.subarray(0, count);
}
