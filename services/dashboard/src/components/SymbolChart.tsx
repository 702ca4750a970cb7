import {
  createChart,
  createSeriesMarkers,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  type SeriesMarker,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { useEffect, useRef } from "react";
import type { Signal } from "../realtime/frames";
import { decimals, moment, price } from "./format";

/** Signals that lie closer together are told apart by their seconds. */
const SHORT_SECONDS = 600;
const MARK = 0.5; // of the library's usual size

const DAY = { day: "numeric", month: "short" } as const;
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
const SECOND = { ...MINUTE, second: "2-digit" } as const;
const ticks: Record<TickMarkType, Intl.DateTimeFormat> = {
  [TickMarkType.Year]: new Intl.DateTimeFormat(undefined, { year: "numeric" }),
  [TickMarkType.Month]: new Intl.DateTimeFormat(undefined, { month: "short" }),
  [TickMarkType.DayOfMonth]: new Intl.DateTimeFormat(undefined, DAY),
  [TickMarkType.Time]: new Intl.DateTimeFormat(undefined, MINUTE),
  [TickMarkType.TimeWithSeconds]: new Intl.DateTimeFormat(undefined, SECOND),
};

interface Drawn {
  chart: IChartApi;
  line: ISeriesApi<"Line">;
  marks: ISeriesMarkersPluginApi<Time>;
}

/** The entry prices of one symbol's signals over time, each marked as what it was. `signals` are oldest first. */
export default function SymbolChart({ symbol, signals }: { symbol: string; signals: readonly Signal[] }) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);

  useEffect(() => {
    if (place.current === null) return;
    drawn.current = draw(place.current);
    const repaint = () => drawn.current !== null && paint(drawn.current);
    const themes = new MutationObserver(repaint);
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      themes.disconnect();
      drawn.current?.chart.remove();
      drawn.current = null;
    };
  }, []);

  useEffect(() => {
    if (drawn.current === null) return;
    const { line, marks, chart } = drawn.current;
    const points = secondsApart(signals);
    const [first, last] = [points.at(0)?.[0] ?? 0, points.at(-1)?.[0] ?? 0];
    const like = signals.at(-1)?.entry_price ?? 1;
    line.applyOptions({
      priceFormat: { type: "custom", minMove: 10 ** -decimals(like), formatter: (value: number) => price(value, like) },
    });
    chart.timeScale().applyOptions({ secondsVisible: last - first < SHORT_SECONDS });
    line.setData(points.map(([time, signal]) => ({ time, value: signal.entry_price })));
    marks.setMarkers(points.map(([time, signal]) => mark(time, signal)));
    chart.timeScale().fitContent();
  }, [signals]);

  const last = signals.at(-1);
  const words =
    last === undefined
      ? "no signals"
      : `${signals.length} signals, the last ${last.action} at ${price(last.entry_price)}`;
  return <div className="chart" ref={place} role="img" aria-label={`Entry prices of ${symbol}: ${words}`} />;
}

function draw(place: HTMLElement): Drawn {
  const chart = createChart(place, {
    autoSize: true,
    handleScroll: false,
    handleScale: false,
    timeScale: { timeVisible: true, borderVisible: false, tickMarkFormatter: localTime },
    localization: { timeFormatter: (time: Time) => moment(Number(time) * 1000) },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.18, bottom: 0.18 } },
    layout: { attributionLogo: false }, // it would need inline styles; the page names it in words
  });
  const line = chart.addSeries(LineSeries, {
    lineWidth: 2,
    priceLineVisible: false,
  });
  const made = { chart, line, marks: createSeriesMarkers(line, [], { autoScale: false }) };
  paint(made);
  return made;
}

/** In the reader's time zone: the library itself would write UTC. */
function localTime(time: Time, kind: TickMarkType): string {
  return ticks[kind].format(Number(time) * 1000);
}

function paint({ chart, line }: Drawn): void {
  chart.applyOptions({
    layout: { background: { color: "transparent" }, textColor: colour("--muted"), fontFamily: "inherit", fontSize: 11 },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("--line") } },
  });
  line.applyOptions({ color: colour("--accent") });
}

function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** A chart has one point a second at most: signals that share one stand side by side. */
function secondsApart(signals: readonly Signal[]): [UTCTimestamp, Signal][] {
  let last = 0;
  return signals.map((signal) => {
    last = Math.max(Math.floor(signal.server_timestamp), last + 1);
    return [last as UTCTimestamp, signal];
  });
}

function mark(time: UTCTimestamp, { action }: Signal): SeriesMarker<Time> {
  return action === "BUY"
    ? { time, position: "belowBar", shape: "arrowUp", color: colour("--buy"), size: MARK }
    : { time, position: "aboveBar", shape: "arrowDown", color: colour("--sell"), size: MARK };
}
