import { useNow } from "../hooks/useNow";
import { useWebSocket } from "../hooks/useWebSocket";
import { standing } from "./standing";

/** The first try to come back takes a second at most: nobody needs to be told of that. */
const TOLD_FROM_ATTEMPT = 2;
/** What signing in anew can mend. */
const IDENTITY = ["4500", "4503", "signed_out"];

interface Props {
  /** Milliseconds between two polls while the socket is down. */
  pollEvery: number;
  /** Whether polling fails as well. */
  unreachable: boolean;
  /** Sign in anew, because of what is said. */
  onLeave: (reason: string) => void;
}

/** What is wrong with the connection, what that means for what is listed, and what can be done. */
export function ConnectionBanner({ pollEvery, unreachable, onLeave }: Props) {
  const { state, attempt, problem, client } = useWebSocket();
  if (state === "closed" && problem !== null) {
    return (
      <div className="banner banner-warning" role="alert">
        <span>{problem.text}.</span>
        {IDENTITY.includes(problem.code) ? (
          <button type="button" onClick={() => onLeave(problem.text)}>
            Sign in again
          </button>
        ) : (
          <button type="button" onClick={() => client.start()}>
            Try again
          </button>
        )}
      </div>
    );
  }
  if (standing({ state, attempt }) !== "Offline" || attempt < TOLD_FROM_ATTEMPT) return null;
  return (
    <div className="banner banner-offline" data-testid="offline">
      <span>
        <span role="status">
          <b>The live connection is down.</b>{" "}
          {unreachable
            ? "The server cannot be reached either: what is listed may be old."
            : `New signals are fetched every ${Math.round(pollEvery / 1000)} s instead.`}
        </span>{" "}
        <Countdown />
      </span>
      <button type="button" onClick={() => client.start()}>
        Reconnect now
      </button>
    </div>
  );
}

/** Not for screen readers, which would read it out each second. */
function Countdown() {
  const { retryAt } = useWebSocket();
  const now = useNow(250, retryAt !== null);
  return (
    <span className="countdown" aria-hidden="true">
      {retryAt === null ? "Reconnecting…" : `Reconnecting in ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s.`}
    </span>
  );
}
