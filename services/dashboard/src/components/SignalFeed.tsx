import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useCallback, useLayoutEffect, useRef, useState } from "react";
import { useNow } from "../hooks/useNow";
import type { Signal } from "../realtime/frames";
import { SignalCard } from "./SignalCard";

const ROW = 45;
/** Scrolled further than that, somebody is reading: the list stands still until they come back. */
const READING = 60;

interface Props {
  signals: readonly Signal[];
  selected: string | null;
  onSelect: (signal: Signal | null) => void;
}

/** The list, of which only what is in view is drawn. New signals appear on top, unless somebody reads further down. */
export function SignalFeed({ signals: newest, selected, onSelect }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<readonly Signal[] | null>(null);
  const signals = held ?? newest;
  const now = useNow();
  const list = useVirtualizer({
    count: signals.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: (index) => signals[index]?.id ?? index,
    overscan: 8,
  });

  const scrolled = useCallback(() => {
    const reading = (scroller.current?.scrollTop ?? 0) > READING;
    setHeld((before) => (reading ? (before ?? newest) : null));
  }, [newest]);
  const toTop = () => {
    setHeld(null);
    scroller.current?.scrollTo({ top: 0 });
  };
  // what a filter leaves may have nothing to do with what was held
  const known = useRef(newest);
  useLayoutEffect(() => {
    if (held !== null && newest.length < known.current.length && newest.length < held.length) setHeld(newest);
    known.current = newest;
  }, [held, newest]);

  const focusRow = (index: number) => {
    list.scrollToIndex(index);
    requestAnimationFrame(() =>
      scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"] button`)?.focus(),
    );
  };
  const move = (event: KeyboardEvent) => {
    const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
    if (row === null) return;
    const here = Number(row.dataset.index);
    const last = signals.length - 1;
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: last }[event.key];
    if (to === undefined || to < 0 || to > last) return;
    event.preventDefault();
    focusRow(to);
  };

  const waiting = held === null ? 0 : unseen(newest, held);
  return (
    <div className="feed-frame">
      {waiting > 0 && (
        <button type="button" className="news" onClick={toTop}>
          {waiting} new {waiting === 1 ? "signal" : "signals"} above
        </button>
      )}
      <div
        className="feed"
        ref={scroller}
        onScroll={scrolled}
        onKeyDown={move}
        role="feed"
        aria-label="Signals, newest first"
      >
        <div className="feed-inner" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map((item) => {
            const signal = signals[item.index];
            if (signal === undefined) return null;
            const open = signal.id === selected;
            return (
              <article
                key={item.key}
                ref={list.measureElement}
                data-index={item.index}
                className="row"
                style={{ transform: `translateY(${item.start}px)` }}
                aria-posinset={item.index + 1}
                aria-setsize={signals.length}
                aria-labelledby={`signal-${signal.id}`}
              >
                <SignalCard signal={signal} now={now} open={open} onToggle={() => onSelect(open ? null : signal)} />
              </article>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function unseen(newest: readonly Signal[], held: readonly Signal[]): number {
  const first = held[0]?.id;
  const index = newest.findIndex((signal) => signal.id === first);
  return index < 0 ? newest.length : index;
}
