/** The newest signals, each once, in the order of the log; told to its listeners at most once per animation frame. */

import type { Signal } from "./frames";
import { Listeners } from "./subscribable";

/** Newest first, by `(server_timestamp, id)`. */
export function newestFirst(a: Signal, b: Signal): number {
  return b.server_timestamp - a.server_timestamp || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

export class SignalList {
  readonly subscribe: (listener: () => void) => () => void;
  readonly #changes = new Listeners();
  readonly #limit: number;
  readonly #nextFrame: (then: () => void) => void;
  /** When something was last taken in (milliseconds since 1970); 0 before. */
  addedAt = 0;
  #signals: readonly Signal[] = [];
  #ids = new Set<string>();
  #added: Signal[] = [];
  #due = false;

  /** `nextFrame` is `requestAnimationFrame` in a browser. */
  constructor(limit: number, nextFrame: (then: () => void) => void = onNextFrame) {
    this.#limit = limit;
    this.#nextFrame = nextFrame;
    this.subscribe = this.#changes.add;
  }

  getSnapshot = (): readonly Signal[] => this.#signals;

  /** Take signals in, in any order; those that are there already change nothing. */
  add(signals: readonly Signal[]): void {
    for (const signal of signals) {
      if (this.#ids.has(signal.id)) continue;
      this.#ids.add(signal.id);
      this.#added.push(signal);
      this.addedAt = Date.now();
    }
    if (this.#added.length > this.#limit * 2) this.#merge(); // a tab in the background draws no frames
    if (this.#added.length > 0) this.#changeOnNextFrame();
  }

  /** Keep only what `keep` says. */
  retain(keep: (signal: Signal) => boolean): void {
    this.#merge();
    this.#replace(this.#signals.filter(keep));
    this.#changeOnNextFrame();
  }

  #changeOnNextFrame(): void {
    if (this.#due) return;
    this.#due = true;
    this.#nextFrame(() => {
      this.#due = false;
      this.#merge();
      this.#changes.tell();
    });
  }

  #merge(): void {
    if (this.#added.length === 0) return;
    const all = [...this.#added.reverse(), ...this.#signals]; // nearly in order already, which sorting makes use of
    this.#added = [];
    this.#replace(all.sort(newestFirst).slice(0, this.#limit));
  }

  #replace(signals: readonly Signal[]): void {
    this.#signals = signals;
    this.#ids = new Set(signals.map((signal) => signal.id));
  }
}

function onNextFrame(then: () => void): void {
  requestAnimationFrame(then);
}
