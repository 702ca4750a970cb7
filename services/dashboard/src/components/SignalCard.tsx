import { memo, useState } from "react";
import { useMediaQuery } from "../hooks/useMediaQuery";
import { useVerification, type Verdict } from "../hooks/useVerification";
import type { Signal } from "../realtime/frames";
import { age, confidence, price } from "./format";
import { Chevron, Down, Shield, Star, Up } from "./icons";
import { SignalDetails } from "./SignalDetails";

/** A signal that is younger than this when it appears lights up for a moment. */
const FRESH_SECONDS = 3;
/** One that is younger than this is marked, without any motion. */
const NEW_SECONDS = 10;

interface Props {
  signal: Signal;
  now: number;
  open: boolean;
  /** Whether Tab reaches it. */
  tabbable: boolean;
  onToggle: () => void;
}

export const SignalCard = memo(function SignalCard({ signal, now, open, tabbable, onToggle }: Props) {
  const seconds = now / 1000 - signal.server_timestamp;
  const [fresh] = useState(seconds < FRESH_SECONDS);
  const narrow = useMediaQuery("(max-width: 720px)");
  const { entry_price: entry } = signal;
  const verification = useVerification(signal, open);
  return (
    <div
      className={`card ${open ? "card-open" : ""} ${fresh ? "card-fresh" : ""} ${seconds < NEW_SECONDS ? "card-new" : ""}`}
      data-testid="signal"
      data-id={signal.id}
    >
      <button
        type="button"
        className="card-head"
        aria-expanded={open}
        tabIndex={tabbable ? 0 : -1}
        onClick={onToggle}
        id={`signal-${signal.id}`}
      >
        <Action action={signal.action} />
        <span className="symbol">
          <span className="symbol-name">{signal.symbol}</span>
          {signal.type === "PREMIUM" && (
            <span className="premium" title="Premium: confidence of 85 or more">
              <Star />
              <span className="sr-only">premium</span>
            </span>
          )}
        </span>
        <Price label="entry" value={entry} like={entry} strong />
        {!narrow && <Price label="target" value={signal.take_profit} like={entry} />}
        {!narrow && <Price label="stop" value={signal.stop_loss} like={entry} />}
        <Confidence value={signal.confidence} />
        <span className="age">
          <span aria-hidden="true">{age(seconds)}</span>
        </span>
        <Mark verdict={verification.verdict} />
        <span className="chevron">
          <Chevron />
        </span>
      </button>
      {open && <SignalDetails signal={signal} verification={verification} />}
    </div>
  );
});

function Action({ action }: { action: Signal["action"] }) {
  return (
    <span className={`action action-${action}`}>
      {action === "BUY" ? <Up /> : <Down />}
      {action}
    </span>
  );
}

interface PriceProps {
  label: string;
  value: number | null;
  like: number;
  strong?: boolean;
}

function Price({ label, value, like, strong = false }: PriceProps) {
  return (
    <span className={`price ${strong ? "price-strong" : ""}`}>
      <span className="sr-only">{label} </span>
      {price(value, like)}
    </span>
  );
}

function Confidence({ value }: { value: number }) {
  return (
    <span className="confidence">
      <span className="meter" aria-hidden="true">
        <span className={value >= 85 ? "meter-premium" : ""} style={{ width: `${value}%` }} />
      </span>
      <span>
        <span className="sr-only">confidence </span>
        {confidence(value)}
      </span>
    </span>
  );
}

const MARKS: Record<Verdict, { state: "empty" | "good" | "bad"; text: string }> = {
  unchecked: { state: "empty", text: "Not checked yet: open it to check" },
  checking: { state: "empty", text: "Being checked" },
  verified: { state: "good", text: "Verified in this browser" },
  broken: { state: "bad", text: "Does not match its proof" },
  impossible: { state: "empty", text: "Could not be checked" },
};

function Mark({ verdict }: { verdict: Verdict }) {
  const { state, text } = MARKS[verdict];
  return (
    <span className={`mark mark-${state}`} title={text} data-testid="mark" data-verdict={verdict}>
      <Shield state={state} />
      {verdict !== "unchecked" && <span className="sr-only">{text}</span>}
    </span>
  );
}
