import { useMemo, useState } from "react";
import { Announcer } from "../components/Announcer";
import { ConnectionBanner } from "../components/ConnectionBanner";
import { EmptyFeed } from "../components/EmptyFeed";
import { FilterBar } from "../components/FilterBar";
import { EVERYTHING, filtered, isFiltering } from "../components/filter";
import { Header } from "../components/Header";
import { HowToRead } from "../components/HowToRead";
import { KnownSignals } from "../components/known-signals";
import { LockedTeaser } from "../components/LockedTeaser";
import { SignalFeed } from "../components/SignalFeed";
import { SymbolPanel } from "../components/SymbolPanel";
import { TabTitle } from "../components/TabTitle";
import { TierBadge } from "../components/TierBadge";
import { Toasts } from "../components/Toasts";
import { WebSocketStatus } from "../components/WebSocketStatus";
import { nextPoll } from "../hooks/polling";
import { useHeld } from "../hooks/useHeld";
import { useMediaQuery } from "../hooks/useMediaQuery";
import { useSignals } from "../hooks/useSignals";
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
  const [scrolled, setScrolled] = useState(false);
  const wide = useMediaQuery("(min-width: 1081px)");
  const newest = useMemo(() => filtered(state.signals, filter), [state.signals, filter]);
  const opened = selected !== null && newest.some((signal) => signal.id === selected.id);
  const held = useHeld(state.signals, scrolled || opened, tier);
  const shown = useMemo(() => filtered(held, filter), [held, filter]);
  const symbol = useSymbol(selected, state.signals);

  return (
    <KnownSignals value={state.signals}>
      <TabTitle />
      <Header page="signals">
        <TierBadge tier={tier} />
        <WebSocketStatus isPolling={state.isPolling} pollEvery={POLL_WHILE_DOWN_MS} />
      </Header>
      <main className="board">
        <h1 className="sr-only">Live trading signals</h1>
        <div className="board-main">
          <ConnectionBanner pollEvery={POLL_WHILE_DOWN_MS} unreachable={state.error !== null} onLeave={onLeave} />
          <FilterBar
            filter={filter}
            onChange={setFilter}
            shown={newest.length}
            known={state.signals.length}
            withPremium={tier !== "starter"}
          />
          {tier === "starter" && <LockedTeaser />}
          <div className="listing">
            {shown.length > 0 ? (
              <SignalFeed
                signals={shown}
                waiting={unseen(newest, shown)}
                selected={selected?.id ?? null}
                onSelect={setSelected}
                onScrolled={setScrolled}
              />
            ) : (
              <EmptyFeed state={state} filtering={isFiltering(filter)} onClear={() => setFilter(EVERYTHING)} />
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

/** How many of the newest came after those that are shown. */
function unseen(newest: readonly Signal[], shown: readonly Signal[]): number {
  const first = shown[0]?.id;
  const index = newest.findIndex((signal) => signal.id === first);
  return index < 0 ? newest.length : index;
}

/** The chosen symbol, else the one that was newest when the page filled, so that the chart does not jump about. */
function useSymbol(selected: Signal | null, signals: readonly Signal[]): string | null {
  const [first, setFirst] = useState<string | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  if (first === null && signals[0] !== undefined) setFirst(signals[0].symbol);
  if (selected !== null && selected.symbol !== chosen) setChosen(selected.symbol);
  return chosen ?? first;
}
