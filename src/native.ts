// The one door to the native layer: loads it, and brings what it tells to the objects it is about.

import type { EventBase } from './base.js';
import type { EvBuffer } from './buffer.js';
import type { BufferEvent } from './bufferevent.js';
import { nativeError } from './errors.js';
import type { Event, EventOwner } from './event.js';
import type { FilterBufferEvent } from './filter.js';
import type { ConnListener } from './listener.js';
import { loadBinding } from './load.js';
import type { Watcher } from './watch.js';

/** The generated functions. */
export const binding = loadBinding();
/** The hot functions. */
export const { raw } = binding;

/** What the native layer may call. */
type Target = EventBase | Event | EvBuffer | BufferEvent | ConnListener | Watcher;

const SLOT = 0x3f_ffff;
const OBJECTS = Symbol.for('evnode.objects');
const { EVENT, READABLE, WRITABLE, BEV_EVENT, ACCEPTED, LISTENER_ERROR } = raw.kinds;
const { BUFFER_CHANGED, LOOP_ENDED, ONCE, CLOSED } = raw.kinds;
const { PREPARE, CHECK, FINALIZED, SLOW_CALLBACK, MESSAGE, ACTIVATED, COLLECTED } = raw.kinds;
const { TURN, FILE_CLOSED, FILTER } = raw.kinds;

/**
 * The objects that must live because the native layer may call them, by the slot of their handle:
 * events while they are pending, bufferevents, listeners and bases until they are freed, buffers
 * while they are watched. One table for all copies of this package in a thread, since the native
 * layer calls the last that was loaded.
 */
const objects: (Target | undefined)[] = ((globalThis as { [OBJECTS]?: (Target | undefined)[] })[
  OBJECTS
] ??= []);

/** Keeps an object alive, and reachable for the native layer. */
export function keep(handle: number, target: Target): void {
  objects[handle & SLOT] = target;
}

/** Lets go of the object behind a handle. */
export function release(handle: number): void {
  objects[handle & SLOT] = undefined;
}

const closing = new Map<number, () => void>();
let lastToken = 0;

/** Has `callback` called when the file is closed that `watch` watches for the token. */
export function onFileClosed(callback: () => void, watch: (token: number) => void): void {
  const token = ++lastToken;
  watch(token);
  closing.set(token, callback);
}

function fileClosed(token: number): void {
  const callback = closing.get(token);
  closing.delete(token);
  callback?.();
}

/** What the events of a base belong to. */
export function ownersOn(base: EventBase): EventOwner[] {
  return objects.filter(
    (target): target is EventOwner =>
      target?._base === base && ('pending' in target || 'enabled' in target),
  );
}

/** Frees everything that is kept for a base. */
export function freeAll(base: EventBase): void {
  for (const target of objects) if (target?._base === base) target.free();
}

/**
 * Callbacks that are called together: how many were, whether to stop, and of each the kind with what
 * happened and the handle. The native layer writes them.
 */
const list = new Int32Array(2 + 2 * 32);
const NEXT = 0;
const STOP = 1;

function dispatchCollected(count: number): void {
  for (let next = 1; next <= count && list[STOP] === 0; next++) {
    list[NEXT] = next;
    const handle = list[2 * next + 1] ?? 0;
    const target = objects[handle & SLOT] as BufferEvent | Event | undefined;
    // Another callback may have freed it, and its place be taken.
    if (target === undefined || target._handle !== handle) continue;
    const tag = list[2 * next] ?? 0;
    call(tag >> 16, target, tag & 0xffff, 0);
  }
}

function dispatch(kind: number, handle: number, what: number, extra: number): number | void {
  if (kind === COLLECTED) return dispatchCollected(handle);
  if (kind === FILE_CLOSED) return fileClosed(what);
  const target = objects[handle & SLOT];
  if (target === undefined) return;
  if (kind > LISTENER_ERROR) return tell(kind, target, what, extra);
  call(kind, target as EventOwner, what, extra);
}

/** Runs a callback of what the base's own events belong to, having noted whose it is. */
function call(kind: number, target: EventOwner, what: number, extra: number): void {
  target._base._running = target;
  switch (kind) {
    case EVENT:
      return (target as Event)._fired(what);
    case READABLE: {
      const { _read } = target as BufferEvent;
      return _read === null ? undefined : _read(target as BufferEvent);
    }
    case WRITABLE: {
      const { _write } = target as BufferEvent;
      return _write === null ? undefined : _write(target as BufferEvent);
    }
    case BEV_EVENT:
      return (target as BufferEvent)._happened(what, extra);
    case ACCEPTED:
      return (target as ConnListener)._accepted(what, extra);
    case LISTENER_ERROR:
      return (target as ConnListener)._failed(extra);
  }
}

/** Tells of anything else. */
function tell(kind: number, target: Target, what: number, extra: number): number | void {
  if (kind === ONCE) (target as EventBase)._running = null;
  else if (kind === PREPARE || kind === CHECK) (target as Watcher)._base._running = null;
  switch (kind) {
    case BUFFER_CHANGED:
      return (target as EvBuffer)._changed(what, extra);
    case LOOP_ENDED:
      return (target as EventBase)._ended(what);
    case ONCE:
      return (target as EventBase)._once(extra, what);
    case CLOSED:
      return (target as BufferEvent)._closed();
    case PREPARE:
    case CHECK:
      return (target as Watcher)._ran(what);
    case FINALIZED:
      return (target as Event)._finalized();
    case SLOW_CALLBACK:
      return (target as EventBase)._slow();
    case MESSAGE:
      return (target as EventBase)._received();
    case ACTIVATED:
      return (target as EventBase)._activated(extra, what);
    case TURN:
      return (target as EventBase)._turned(what, extra);
    case FILTER: {
      const filter = target as FilterBufferEvent;
      filter._base._running = filter;
      return filter._convert(what, extra);
    }
  }
}

const { _tickCallback } = process as { _tickCallback?: () => void };
raw.register(
  dispatch,
  nativeError,
  typeof _tickCallback === 'function' ? _tickCallback : undefined,
  list,
);
