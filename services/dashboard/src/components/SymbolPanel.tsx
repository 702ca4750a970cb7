import { Chart } from "./Chart";
import { confidence, price } from "./format";
import { useSymbolSignals } from "./known-signals";

/** One symbol at a glance, from the signals that this page has. */
export function SymbolPanel({ symbol }: { symbol: string }) {
  const signals = useSymbolSignals(symbol);
  const last = signals.at(-1);
  const buys = signals.filter((signal) => signal.action === "BUY").length;
  const mean = signals.reduce((sum, signal) => sum + signal.confidence, 0) / Math.max(1, signals.length);
  return (
    <section className="panel" aria-label={`Symbol ${symbol}`}>
      <header>
        <h2>{symbol}</h2>
        {last !== undefined && <span className="panel-price">{price(last.entry_price)}</span>}
      </header>
      <Chart symbol={symbol} />
      <dl className="tiles">
        <div>
          <dt>Buy</dt>
          <dd className="buy">{buys}</dd>
        </div>
        <div>
          <dt>Sell</dt>
          <dd className="sell">{signals.length - buys}</dd>
        </div>
        <div>
          <dt>Mean confidence</dt>
          <dd>{confidence(mean)}</dd>
        </div>
      </dl>
      <p className="fine">
        Entry prices of the signals listed here. Charts by{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          TradingView Lightweight Charts™
        </a>
      </p>
    </section>
  );
}
