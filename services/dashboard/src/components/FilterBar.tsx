import { useEffect, useRef } from "react";
import type { Filter } from "./filter";
import { Search, Star } from "./icons";

const ACTIONS = [
  ["ALL", "All"],
  ["BUY", "Buy"],
  ["SELL", "Sell"],
] as const;

interface Props {
  filter: Filter;
  onChange: (filter: Filter) => void;
  shown: number;
  known: number;
  /** Premium signals cannot be filtered for by who gets none. */
  withPremium: boolean;
}

export function FilterBar({ filter, onChange, shown, known, withPremium }: Props) {
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    document.addEventListener("keydown", slash);
    return () => document.removeEventListener("keydown", slash);
  }, []);
  return (
    <search className="filters">
      <label className="field">
        <Search />
        <span className="sr-only">Filter by symbol</span>
        <input
          ref={search}
          type="text"
          placeholder="Symbol"
          autoComplete="off"
          spellCheck={false}
          maxLength={20}
          value={filter.symbol}
          onChange={(event) => onChange({ ...filter, symbol: event.target.value })}
          onKeyDown={(event) => event.key === "Escape" && onChange({ ...filter, symbol: "" })}
        />
        <span className="key" aria-hidden="true">
          /
        </span>
      </label>
      <fieldset className="segments">
        <legend className="sr-only">Filter by action</legend>
        {ACTIONS.map(([action, label]) => (
          <label key={action}>
            <input
              type="radio"
              name="action"
              checked={filter.action === action}
              onChange={() => onChange({ ...filter, action })}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      {withPremium && (
        <label className="toggle">
          <input
            type="checkbox"
            checked={filter.premiumOnly}
            onChange={(event) => onChange({ ...filter, premiumOnly: event.target.checked })}
          />
          <Star />
          <span>Premium only</span>
        </label>
      )}
      <span className="count" data-testid="count">
        {shown === known ? `${known} ${known === 1 ? "signal" : "signals"}` : `${shown} of ${known}`}
      </span>
    </search>
  );
}
