// The memory into which input is read: slabs that many reads share, since creating a Buffer for each
// would cost more than reading it.

import { raw } from './native.js';

const { bevRead, bevInputLength } = raw;

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
  const room = SLAB - used;
  const count = bevRead(bev, slab, used, room);
  if (count === 0) return null;
  if (count === room) {
    const more = bevInputLength(bev);
    if (more > 0) return readMore(bev, count, more);
  }
  const start = used;
  used += count;
  return slab.subarray(start, used);
}

/** Up to `length` bytes of a bufferevent's input, or null when there are none. */
export function readSome(bev: number, length: number): Buffer | null {
  const count = Math.min(length, bevInputLength(bev));
  if (count === 0) return null;
  if (count >= LEAST) {
    const own = Buffer.allocUnsafeSlow(count);
    bevRead(bev, own, 0, count);
    return own;
  }
  if (SLAB - used < count) renew();
  const start = used;
  used += bevRead(bev, slab, start, count);
  return slab.subarray(start, used);
}

/** Input that did not fit into the slab, where its first `count` bytes are. */
function readMore(bev: number, count: number, more: number): Buffer {
  const own = Buffer.allocUnsafeSlow(count + more);
  slab.copy(own, 0, used, used + count);
  bevRead(bev, own, count, more);
  return own;
}
