import type { Signal } from "../realtime/frames";
import { price } from "./format";

/** Where stop, entry and target lie, to scale. */
export function PriceLadder({ signal }: { signal: Signal }) {
  const { entry_price: entry, take_profit: target, stop_loss: stop } = signal;
  if (target === null || stop === null) return null;
  const low = Math.min(entry, target, stop);
  const span = Math.max(entry, target, stop) - low;
  if (span === 0) return null;
  const at = (value: number) => ((value - low) / span) * 100;
  const between = (a: number, b: number) => ({
    left: `${Math.min(at(a), at(b))}%`,
    width: `${Math.abs(at(a) - at(b))}%`,
  });
  const stopped = `Stop ${price(stop, entry)}`;
  const aimed = `Target ${price(target, entry)}`;
  return (
    <div className="ladder" role="img" aria-label={`${stopped}, entry ${price(entry)}, ${aimed}`}>
      <span className="ladder-name" style={{ left: `clamp(52px, ${at(entry)}%, calc(100% - 52px))` }}>
        Entry {price(entry)}
      </span>
      <div className="ladder-track">
        <span className="ladder-risk" style={between(stop, entry)} />
        <span className="ladder-reward" style={between(entry, target)} />
        <span className="ladder-entry" style={{ left: `${at(entry)}%` }} />
      </div>
      <div className="ladder-ends">
        <span className={stop <= target ? "sell" : "buy"}>{stop <= target ? stopped : aimed}</span>
        <span className={stop <= target ? "buy" : "sell"}>{stop <= target ? aimed : stopped}</span>
      </div>
    </div>
  );
}
