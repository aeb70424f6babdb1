// Callbacks of buffers that wait for a turn of a base.

import type { EventBase } from './base.js';
import { EventFlags } from './flags.js';

/** Sums changes up and tells of them from the next turn of a base. */
export class Deferral {
  private added = 0;
  private removed = 0;
  private waits = false;

  constructor(
    private readonly base: EventBase,
    private readonly tell: (added: number, removed: number) => void,
  ) {}

  note(added: number, removed: number): void {
    this.added += added;
    this.removed += removed;
    if (this.waits || this.base.closed) return;
    this.waits = true;
    this.base.once(-1, EventFlags.TIMEOUT, 0, () => {
      const { added, removed } = this;
      this.added = 0;
      this.removed = 0;
      this.waits = false;
      this.tell(added, removed);
    });
  }
}
