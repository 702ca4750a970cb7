/** Listeners of something that changes; the shape that `useSyncExternalStore` wants. */

export class Listeners<Args extends unknown[] = []> {
  #listeners = new Set<(...args: Args) => void>();

  /** Be told from now on; returns what ends it. */
  add = (listener: (...args: Args) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  tell(...args: Args): void {
    for (const listener of [...this.#listeners]) listener(...args);
  }
}
