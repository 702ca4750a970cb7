/** Messages that wait for a connection: bounded, the oldest is dropped first. */

export class Outbox<Message> {
  #waiting: Message[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#waiting.length;
  }

  add(message: Message): void {
    this.#waiting.push(message);
    if (this.#waiting.length > this.#capacity) this.#waiting.shift();
  }

  /** Everything that waits, oldest first; nothing waits afterwards. */
  take(): Message[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
