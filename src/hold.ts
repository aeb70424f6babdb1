// LoopHold: libevent's virtual event, what keeps a loop going with nothing to wait for.

import type { EventBase } from './base.js';
import { binding } from './native.js';

/**
 * Keeps a loop from ending for want of events, and with an attached base the process alive, until it
 * or its base is freed (`event_base_add_virtual_`): for a loop that waits for what is not an event yet,
 * such as the answer of a worker. It counts as `counts.virtual`.
 */
export class LoopHold implements Disposable {
  private _held = true;

  /** @internal */
  constructor(private readonly _base: EventBase) {
    binding.baseHold(_base._handle, true);
  }

  /** Lets the loop end; once is enough. */
  free(): void {
    if (!this._held) return;
    this._held = false;
    if (this._base._handle !== 0) binding.baseHold(this._base._handle, false);
  }

  /** As {@link free}. */
  [Symbol.dispose](): void {
    this.free();
  }
}
