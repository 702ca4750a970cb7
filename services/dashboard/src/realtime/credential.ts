/** The token of one connection: fetched before it, and a newer one while it lives. */

import { Timers } from "./timers";
import type { Token, TokenSource } from "./token";

/** Between two fetches, so that a token that ends with its session is not asked for ever faster. */
const LEAST_BETWEEN_MS = 30_000;
/** Of a token's life, in milliseconds for each of its seconds: four fifths. */
const RENEW_AFTER = 800;

export class Credential {
  readonly #source: TokenSource;
  readonly #onNewer: (token: string) => void;
  readonly #timers = new Timers<"renew">();
  /** Counts fetches and stops: what an earlier fetch brings plans nothing any more. */
  #generation = 0;
  #fetchedAt = 0;
  #token = "";

  /** `onNewer` is told of another token that came while the connection lives. */
  constructor(source: TokenSource, onNewer: (token: string) => void) {
    this.#source = source;
    this.#onNewer = onNewer;
  }

  /** A token for a new connection. Throws what its source throws. */
  async fetch(): Promise<string> {
    const { token } = await this.#fetch();
    this.#token = token;
    return token;
  }

  /** The server says that the token ends soon: renew it now, unless that was just tried. */
  expiring(): void {
    this.#renewIn(0);
  }

  /** The connection is over. */
  stop(): void {
    this.#generation += 1;
    this.#timers.clearAll();
  }

  async #fetch(): Promise<Token> {
    this.stop();
    const generation = this.#generation;
    this.#fetchedAt = Date.now();
    const token = await this.#source();
    if (generation === this.#generation && token.expiresIn !== null) this.#renewIn(token.expiresIn * RENEW_AFTER);
    return token;
  }

  #renewIn(ms: number): void {
    const least = this.#fetchedAt + LEAST_BETWEEN_MS - Date.now();
    this.#timers.set("renew", Math.max(ms, least), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const generation = this.#generation + 1; // that of the fetch
    try {
      const { token } = await this.#fetch();
      if (generation !== this.#generation || token === this.#token) return; // the same again: it cannot be renewed
      this.#token = token;
      this.#onNewer(token);
    } catch {
      if (generation === this.#generation) this.#renewIn(LEAST_BETWEEN_MS);
    }
  }
}
