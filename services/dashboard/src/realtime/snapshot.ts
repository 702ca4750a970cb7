/** How a connection stands, as one value that never changes: what listeners compare and what is drawn. */

import type { Tier } from "./frames";
import type { State } from "./states";

export interface Problem {
  /** A close code, or `signed_out`. */
  code: string;
  /** For people. */
  text: string;
}

export interface Snapshot {
  readonly state: State;
  /** Failures in a row. */
  readonly attempt: number;
  /** When the next attempt is due (milliseconds since 1970); null when none is. */
  readonly retryAt: number | null;
  readonly tier: Tier | null;
  /** Round trip of the last ping, in milliseconds. */
  readonly latencyMs: number | null;
  /** Whether the server has heard nothing from upstream. */
  readonly stale: boolean;
  /** Why it is closed, or what went wrong last. */
  readonly problem: Problem | null;
}

export const INITIAL: Snapshot = {
  state: "idle",
  attempt: 0,
  retryAt: null,
  tier: null,
  latencyMs: null,
  stale: false,
  problem: null,
};
