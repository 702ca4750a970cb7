import type { Signal } from "../realtime/frames";

export interface Filter {
  symbol: string;
  action: "ALL" | "BUY" | "SELL";
  premiumOnly: boolean;
}

export const EVERYTHING: Filter = { symbol: "", action: "ALL", premiumOnly: false };

export function isFiltering(filter: Filter): boolean {
  return filter.symbol.trim() !== "" || filter.action !== "ALL" || filter.premiumOnly;
}

export function filtered(signals: readonly Signal[], filter: Filter): readonly Signal[] {
  if (!isFiltering(filter)) return signals;
  const symbol = filter.symbol.trim().toUpperCase();
  return signals.filter(
    (signal) =>
      signal.symbol.includes(symbol) &&
      (filter.action === "ALL" || signal.action === filter.action) &&
      (!filter.premiumOnly || signal.type === "PREMIUM"),
  );
}
