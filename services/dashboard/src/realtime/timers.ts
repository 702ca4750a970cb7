/** Named timers: setting one again replaces it, and all can be cleared at once. */

const LONGEST_MS = 2 ** 31 - 1; // what a browser's timer can hold

export class Timers<Name extends string> {
  #ids = new Map<Name, ReturnType<typeof setTimeout>>();

  set(name: Name, ms: number, then: () => void): void {
    this.clear(name);
    const fire = () => {
      this.#ids.delete(name);
      then();
    };
    this.#ids.set(name, setTimeout(fire, Math.min(Math.max(0, ms), LONGEST_MS)));
  }

  has(name: Name): boolean {
    return this.#ids.has(name);
  }

  clear(name: Name): void {
    clearTimeout(this.#ids.get(name));
    this.#ids.delete(name);
  }

  clearAll(): void {
    for (const id of this.#ids.values()) clearTimeout(id);
    this.#ids.clear();
  }
}
