import type { Snapshot } from "../realtime/snapshot";

export type Standing = "Live" | "Connecting" | "Offline";

/** How a connection stands, in a word. Attempts after the first failure belong to being offline: a label that flickers calms nobody. */
export function standing({ state, attempt }: Pick<Snapshot, "state" | "attempt">): Standing {
  if (state === "open") return "Live";
  return state === "idle" || (state === "connecting" && attempt < 1) ? "Connecting" : "Offline";
}
