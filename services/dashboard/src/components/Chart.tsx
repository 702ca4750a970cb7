import { lazy, Suspense } from "react";
import { useSymbolSignals } from "./known-signals";

/** It comes by itself when it is first wanted: it may be gone by then, with the release it belongs to or with the network. */
const SymbolChart = lazy(() => import("./SymbolChart").catch(() => ({ default: MissingChart })));

/** The entry prices of a symbol's signals that this page has. */
export function Chart({ symbol }: { symbol: string }) {
  const signals = useSymbolSignals(symbol);
  return (
    <Suspense fallback={<div className="chart" />}>
      <SymbolChart symbol={symbol} signals={signals} />
    </Suspense>
  );
}

function MissingChart() {
  return <p className="chart chart-missing">The chart could not be loaded. Reload the page to see it.</p>;
}
