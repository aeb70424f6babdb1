// CommonTimeout: a timeout that many events share.

import type { EventBase } from './base.js';

/**
 * A timeout that many events of one base have; made by {@link EventBase.initCommonTimeout}. Events
 * that are added with it (`event.addCommon`) wait in a queue, which costs the same however many they
 * are: what many connections with one idle timeout want.
 */
export class CommonTimeout {
  /** The base whose events may have it. */
  readonly base: EventBase;
  /** How long it is, in milliseconds. */
  readonly milliseconds: number;
  /** @internal */
  readonly _index: number;

  /** @internal */
  constructor(base: EventBase, milliseconds: number, index: number) {
    this.base = base;
    this.milliseconds = milliseconds;
    this._index = index;
  }
}
