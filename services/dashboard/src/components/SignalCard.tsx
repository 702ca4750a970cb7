import { memo, useState } from "react";
import { useMediaQuery } from "../hooks/useMediaQuery";
import { useVerification, type Verdict } from "../hooks/useVerification";
import type { Signal } from "../realtime/frames";
import { age, confidence, price } from "./format";
import { Chevron, Down, Shield, Star, Up } from "./icons";
import { SignalDetails } from "./SignalDetails";

/** A signal that is younger than this when it appears, appears visibly. */
const FRESH_SECONDS = 3;

interface Props {
  signal: Signal;
  now: number;
  open: boolean;
  onToggle: () => void;
}

export const SignalCard = memo(function SignalCard({ signal, now, open, onToggle }: Props) {
  const seconds = now / 1000 - signal.server_timestamp;
  const [fresh] = useState(seconds < FRESH_SECONDS);
  const narrow = useMediaQuery("(max-width: 720px)");
  const verification = useVerification(signal, open);
  return (
    <div
      className={`card ${open ? "card-open" : ""} ${fresh ? "card-fresh" : ""}`}
      data-testid="signal"
      data-id={signal.id}
    >
      <button type="button" className="card-head" aria-expanded={open} onClick={onToggle} id={`signal-${signal.id}`}>
        <Action action={signal.action} />
        <span className="symbol">
          {signal.symbol}
          {signal.type === "PREMIUM" && (
            <span className="premium" title="Premium: confidence of 85 or more">
              <Star />
              <span className="sr-only">premium</span>
            </span>
          )}
        </span>
        <Price label="entry" value={signal.entry_price} strong />
        {!narrow && <Price label="target" value={signal.take_profit} />}
        {!narrow && <Price label="stop" value={signal.stop_loss} />}
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

function Price({ label, value, strong = false }: { label: string; value: number | null; strong?: boolean }) {
  return (
    <span className={`price ${strong ? "price-strong" : ""}`}>
      <span className="sr-only">{label} </span>
      {price(value)}
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
