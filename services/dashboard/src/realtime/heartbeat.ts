/** Whether the other side lives: a ping now and then, how long its answer took, and word when there is none. */

import { Timers } from "./timers";

/** The server answers a ping at once; a connection that says nothing for so long after one is dead. */
const ANSWER_WITHIN_MS = 10_000;
const LONGEST_INTERVAL_MS = 25_000;

export interface HeartbeatListeners {
  /** Send a ping. */
  ping: () => void;
  /** A ping was answered after so many milliseconds. */
  answered: (ms: number) => void;
  /** Nothing at all came after a ping. */
  silent: () => void;
}

export class Heartbeat {
  readonly #timers = new Timers<"next" | "answer">();
  readonly #on: HeartbeatListeners;
  #sentAt: number | null = null;

  constructor(on: HeartbeatListeners) {
    this.#on = on;
  }

  /** Ping now and then as often as the server does, in seconds, but at least every 25 s. */
  start(seconds: number): void {
    this.check();
    this.#next(Math.min(seconds * 1000, LONGEST_INTERVAL_MS));
  }

  stop(): void {
    this.#timers.clearAll();
    this.#sentAt = null;
  }

  /** Find out now, unless an answer is awaited already. */
  check(): void {
    if (this.#timers.has("answer")) return;
    this.#sentAt = Date.now();
    this.#timers.set("answer", ANSWER_WITHIN_MS, this.#on.silent);
    this.#on.ping();
  }

  /** Something came: whatever it was, it was a sign of life. */
  heard(): void {
    this.#timers.clear("answer");
  }

  /** The answer to a ping came. */
  ponged(): void {
    if (this.#sentAt !== null) this.#on.answered(Date.now() - this.#sentAt);
    this.#sentAt = null;
  }

  #next(ms: number): void {
    this.#timers.set("next", ms, () => {
      this.check();
      this.#next(ms);
    });
  }
}
