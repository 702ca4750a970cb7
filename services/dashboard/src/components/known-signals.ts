import { createContext, useContext, useMemo } from "react";
import type { Signal } from "../realtime/frames";

/** All signals that this page has, unfiltered, newest first. */
export const KnownSignals = createContext<readonly Signal[]>([]);

/** Those of one symbol, oldest first. */
export function useSymbolSignals(symbol: string): readonly Signal[] {
  const all = useContext(KnownSignals);
  return useMemo(() => all.filter((signal) => signal.symbol === symbol).reverse(), [all, symbol]);
}
