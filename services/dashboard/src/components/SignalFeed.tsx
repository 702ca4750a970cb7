import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import { type FocusEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useNow } from "../hooks/useNow";
import type { Signal } from "../realtime/frames";
import { FeedColumns } from "./FeedColumns";
import { SignalCard } from "./SignalCard";

const ROW = 41;
/** The names of the columns, which stay on top. */
const HEAD = 34;
/** Scrolled further than that, somebody is reading. */
const READING = 60;

interface Props {
  signals: readonly Signal[];
  /** Newer ones that are not shown while somebody reads. */
  waiting: number;
  selected: string | null;
  onSelect: (signal: Signal | null) => void;
  onScrolled: (scrolled: boolean) => void;
}

/** The list, of which only what is in view is drawn. One of its rows can be reached by Tab, the others by arrow keys. */
export function SignalFeed({ signals, waiting, selected, onSelect, onScrolled }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const now = useNow();
  const kept = signals.findIndex((signal) => signal.id === focused);
  const list = useVirtualizer({
    count: signals.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: (index) => signals[index]?.id ?? index,
    rangeExtractor: (range) => withRow(range, kept),
    overscan: 8,
    scrollMargin: HEAD,
    scrollPaddingStart: HEAD,
  });
  const items = list.getVirtualItems();
  const tabStop = kept >= 0 ? kept : (items[0]?.index ?? 0);

  useEffect(() => () => onScrolled(false), [onScrolled]);

  const toNewest = () => {
    onSelect(null);
    scroller.current?.scrollTo({ top: 0 });
  };
  const focusRow = (index: number) => {
    list.scrollToIndex(index);
    requestAnimationFrame(() =>
      scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"] button`)?.focus(),
    );
  };
  const pressed = (event: KeyboardEvent) => {
    const here = rowOf(event.target);
    if (here === null) return;
    if (event.key === "Escape" && selected !== null) onSelect(null);
    const last = signals.length - 1;
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: last }[event.key];
    if (to === undefined || to < 0 || to > last) return;
    event.preventDefault();
    focusRow(to);
  };
  const cameTo = (event: FocusEvent) => {
    const row = rowOf(event.target);
    setFocused(row === null ? null : (signals[row]?.id ?? null));
  };

  return (
    <div className="feed-frame">
      {waiting > 0 && (
        <button type="button" className="news" onClick={toNewest}>
          {waiting} new {waiting === 1 ? "signal" : "signals"}
        </button>
      )}
      <div
        className="feed"
        ref={scroller}
        onScroll={(event) => onScrolled(event.currentTarget.scrollTop > READING)}
        onKeyDown={pressed}
        onFocus={cameTo}
      >
        <FeedColumns />
        <div
          className="feed-inner"
          role="feed"
          aria-label="Signals, newest first"
          style={{ height: list.getTotalSize() }}
        >
          {items.map((item) => {
            const signal = signals[item.index];
            if (signal === undefined) return null;
            const open = signal.id === selected;
            return (
              <article
                key={item.key}
                ref={list.measureElement}
                data-index={item.index}
                className="row"
                style={{ transform: `translateY(${item.start - HEAD}px)` }}
                aria-posinset={item.index + 1}
                aria-setsize={signals.length}
                aria-labelledby={`signal-${signal.id}`}
              >
                <SignalCard
                  signal={signal}
                  now={now}
                  open={open}
                  tabbable={item.index === tabStop}
                  onToggle={() => onSelect(open ? null : signal)}
                />
              </article>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** What is in view, and the row that has the focus: it must not vanish from under the keyboard. */
function withRow(range: Range, row: number): number[] {
  const rows = defaultRangeExtractor(range);
  return row < 0 || rows.includes(row) ? rows : [...rows, row].sort((a, b) => a - b);
}

function rowOf(target: EventTarget): number | null {
  const row = (target as HTMLElement).closest<HTMLElement>("[data-index]");
  return row === null ? null : Number(row.dataset.index);
}
