/** What a connection may be, and how it may go from one to another. */

export type State = "idle" | "connecting" | "open" | "backing-off" | "closed";

const NEXT: Record<State, readonly State[]> = {
  idle: ["connecting"],
  connecting: ["open", "backing-off", "closed"],
  open: ["backing-off", "closed"],
  "backing-off": ["connecting", "closed"],
  closed: ["connecting"],
};

/** A mistake in this program: the connection was told to become what it cannot. */
export class IllegalTransition extends Error {
  constructor(from: State, to: State) {
    super(`a connection that is ${from} cannot become ${to}`);
    this.name = "IllegalTransition";
  }
}

/** Return `to`; throws `IllegalTransition` if nothing leads there from `from`. */
export function transition(from: State, to: State): State {
  if (!NEXT[from].includes(to)) throw new IllegalTransition(from, to);
  return to;
}
