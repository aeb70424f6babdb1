// What `peek()` shows in debug mode: views that end when they should no longer be used.

import { EvError } from './errors.js';

/**
 * The views of a buffer in debug mode. They are copies whose memory is taken away when they end, so
 * that who uses one later finds it empty instead of finding bytes that are there by luck.
 */
export class DebugViews {
  private _views: { view: Buffer; original: Buffer }[] = [];

  /** Views of pieces; `ended` is called when the code that runs now has returned. */
  show(pieces: Buffer[], ended: () => void): Buffer[] {
    if (this._views.length === 0) queueMicrotask(ended);
    return pieces.map((original) => {
      const view = Buffer.from(new ArrayBuffer(original.length));
      original.copy(view);
      this._views.push({ view, original });
      return view;
    });
  }

  /** Ends all views; throws if one was written to. */
  end(): void {
    const views = this._views;
    this._views = [];
    let written = false;
    for (const { view, original } of views) {
      written ||= !view.equals(original);
      const memory = view.buffer as ArrayBuffer;
      structuredClone(memory, { transfer: [memory] });
    }
    if (!written) return;
    const message =
      'EvBuffer.peek: a view was written to, and whoever shares the bytes would see that; copy them first';
    throw new EvError('ERR_EVNODE_VIEW_WRITTEN', message);
  }
}
