// Watcher: libevent's evwatch, code that runs before and after a loop waits.

import type { EventBase } from './base.js';
import { binding, keep, release } from './native.js';

/** Runs before a wait: gets the watcher, and how long the wait may be in milliseconds, or null. */
export type PrepareCallback = (watcher: Watcher, wait: number | null) => void;
/** Runs after a wait. */
export type CheckCallback = (watcher: Watcher) => void;

/**
 * Runs a callback in every turn of a loop until it is freed (`struct evwatch`); made by
 * {@link EventBase.prepare} and {@link EventBase.check}. It keeps neither loop nor process alive.
 */
export class Watcher implements Disposable {
  /** @internal */
  _handle: number;
  /** @internal */
  readonly _base: EventBase;
  private readonly _callback: PrepareCallback;

  /** @internal */
  constructor(base: EventBase, check: boolean, callback: PrepareCallback) {
    this._base = base;
    this._callback = callback;
    this._handle = binding.watcherNew(base._handle, check);
    keep(this._handle, this);
  }

  /** The base (`evwatch_base`). */
  get base(): EventBase {
    return this._base;
  }

  /** Whether it was freed, or its base was. */
  get closed(): boolean {
    return this._handle === 0;
  }

  /** Ends it, also from its own callback (`evwatch_free`). */
  free(): void {
    if (this._handle === 0) return;
    release(this._handle);
    binding.watcherFree(this._handle);
    this._handle = 0;
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** @internal */
  _ran(wait: number): void {
    this._callback(this, wait < 0 ? null : wait);
  }
}
