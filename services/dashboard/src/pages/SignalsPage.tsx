import { useMemo, useState } from "react";
import { Announcer } from "../components/Announcer";
import { FilterBar } from "../components/FilterBar";
import { EVERYTHING, filtered, isFiltering } from "../components/filter";
import { Header } from "../components/Header";
import { HowToRead } from "../components/HowToRead";
import { KnownSignals } from "../components/known-signals";
import { LockedTeaser } from "../components/LockedTeaser";
import { SignalFeed } from "../components/SignalFeed";
import { SymbolPanel } from "../components/SymbolPanel";
import { TierBadge } from "../components/TierBadge";
import { Toasts } from "../components/Toasts";
import { WebSocketStatus } from "../components/WebSocketStatus";
import { nextPoll } from "../hooks/polling";
import { useMediaQuery } from "../hooks/useMediaQuery";
import { type UseSignals, useSignals } from "../hooks/useSignals";
import { useWebSocket } from "../hooks/useWebSocket";
import type { Signal } from "../realtime/frames";

/** Kept in the page. */
const LIMIT = 500;
const POLL_MS = 15_000;
const POLL_WHILE_DOWN_MS =
  nextPoll({ autoPoll: true, pollInterval: POLL_MS, useWebSocket: true, isConnected: false }) || POLL_MS;

export function SignalsPage({ onLeave }: { onLeave: (reason: string | null) => void }) {
  const state = useSignals({ limit: LIMIT, pollInterval: POLL_MS });
  const { tier } = useWebSocket();
  const [filter, setFilter] = useState(EVERYTHING);
  const [selected, setSelected] = useState<Signal | null>(null);
  const wide = useMediaQuery("(min-width: 1081px)");
  const shown = useMemo(() => filtered(state.signals, filter), [state.signals, filter]);
  const symbol = useSymbol(selected, state.signals);

  return (
    <KnownSignals value={state.signals}>
      <Header page="signals">
        <TierBadge tier={tier} />
        <WebSocketStatus isPolling={state.isPolling} pollEvery={POLL_WHILE_DOWN_MS} />
      </Header>
      <main className="board">
        <h1 className="sr-only">Live trading signals</h1>
        <div className="board-main">
          <ClosedBanner onLeave={onLeave} />
          <FilterBar
            filter={filter}
            onChange={setFilter}
            shown={shown.length}
            known={state.signals.length}
            withPremium={tier !== "starter"}
          />
          {tier === "starter" && <LockedTeaser />}
          <div className="listing">
            <div className="columns" aria-hidden="true">
              <span>Action</span>
              <span>Symbol</span>
              <span className="right">Entry</span>
              <span className="right only-wide">Target</span>
              <span className="right only-wide">Stop</span>
              <span>Confidence</span>
              <span className="right">Age</span>
              <span />
              <span />
            </div>
            {shown.length > 0 ? (
              <SignalFeed signals={shown} selected={selected?.id ?? null} onSelect={setSelected} />
            ) : (
              <Empty state={state} filtering={isFiltering(filter)} onClear={() => setFilter(EVERYTHING)} />
            )}
          </div>
        </div>
        {wide && (
          <aside className="board-side" aria-label="Context">
            {symbol !== null && <SymbolPanel symbol={symbol} />}
            <HowToRead />
          </aside>
        )}
      </main>
      <Toasts />
      <Announcer />
    </KnownSignals>
  );
}

/** The chosen symbol, else the one that was newest when the page filled, so that the chart does not jump about. */
function useSymbol(selected: Signal | null, signals: readonly Signal[]): string | null {
  const [first, setFirst] = useState<string | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  if (first === null && signals[0] !== undefined) setFirst(signals[0].symbol);
  if (selected !== null && selected.symbol !== chosen) setChosen(selected.symbol);
  return chosen ?? first;
}

/** The server said not to come back unchanged: what it said, and what can be done. */
function ClosedBanner({ onLeave }: { onLeave: (reason: string | null) => void }) {
  const { state, problem, client } = useWebSocket();
  if (state !== "closed" || problem === null) return null;
  const identity = ["4500", "4503", "signed_out"].includes(problem.code);
  return (
    <div className="banner banner-warning" role="alert">
      <span>{problem.text}.</span>
      {identity ? (
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

interface EmptyProps {
  state: UseSignals;
  filtering: boolean;
  onClear: () => void;
}

function Empty({ state, filtering, onClear }: EmptyProps) {
  if (state.isLoading) {
    return (
      <div className="skeleton" role="status">
        <span className="sr-only">Loading signals</span>
        {["a", "b", "c", "d", "e", "f"].map((row) => (
          <i key={row} />
        ))}
      </div>
    );
  }
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
        This page is connected. The next signal appears here the moment it is published; nothing needs to be reloaded.
      </p>
    </div>
  );
}
