// Finalizers: the last that is called of an event.

import type { EventBase } from './base.js';
import type { Event } from './event.js';

/** Gets the event when none of its callbacks runs or ever will (`event_finalize_callback_fn`). */
export type Finalizer = (event: Event) => void;

interface Waiting {
  finalizer: Finalizer;
  /** The event is to be freed afterwards. */
  free: boolean;
}

/** Finalizers that wait; what stands here keeps its event alive. */
const waiting = new Map<Event, Waiting>();

/** Notes an event's finalizer. */
export function willFinish(event: Event, finalizer: Finalizer, free: boolean): void {
  waiting.set(event, { finalizer, free });
}

/** Whether freeing an event has to wait for its finalizer; if so, it is freed after it. */
export function defersFree(event: Event): boolean {
  if (waiting.size === 0) return false;
  const found = waiting.get(event);
  if (found === undefined) return false;
  found.free = true;
  return true;
}

/** Calls an event's finalizer. */
export function finish(event: Event): void {
  const found = waiting.get(event);
  if (found === undefined) return;
  waiting.delete(event);
  try {
    found.finalizer(event);
  } finally {
    if (found.free) event.free();
  }
}

/** Calls the finalizers of a base that is gone; throws what the first of those that throw has thrown. */
export function finishAll(base: EventBase): void {
  const errors: unknown[] = [];
  for (const event of waiting.keys()) {
    if (event._base !== base) continue;
    try {
      finish(event);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
