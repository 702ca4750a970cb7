import { isRefusal } from "../hooks/polling";
import type { UseSignals } from "../hooks/useSignals";

interface Props {
  state: UseSignals;
  filtering: boolean;
  onClear: () => void;
}

/** What stands in the list's place while it has nothing: why, and what will change that. */
export function EmptyFeed({ state, filtering, onClear }: Props) {
  if (state.isLoading) return <Skeleton />;
  if (filtering) {
    return (
      <div className="empty">
        <h2>No signal matches</h2>
        <p>New ones that do will appear here.</p>
        <button type="button" onClick={onClear}>
          Show all signals
        </button>
      </div>
    );
  }
  if (isRefusal(state.error)) {
    return (
      <div className="empty">
        <h2>Nothing can be shown until you sign in again</h2>
      </div>
    );
  }
  if (state.error !== null && !state.isWebSocketConnected) {
    return (
      <div className="empty" role="alert">
        <h2>Signals cannot be loaded</h2>
        <p>{state.error.message}. This page keeps trying.</p>
        <button type="button" onClick={() => void state.refresh()}>
          Try now
        </button>
      </div>
    );
  }
  return (
    <div className="empty">
      <h2>No signals yet</h2>
      <p>
        {state.isWebSocketConnected
          ? "This page is live. The next signal appears here the moment it is published; nothing needs to be reloaded."
          : "The next signal appears here by itself; nothing needs to be reloaded."}
      </p>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="skeleton" role="status">
      <span className="sr-only">Loading signals</span>
      {["a", "b", "c", "d", "e", "f", "g", "h"].map((row) => (
        <i key={row} />
      ))}
    </div>
  );
}
