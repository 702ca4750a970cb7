import { useMediaQuery } from "../hooks/useMediaQuery";
import type { Verification } from "../hooks/useVerification";
import type { Signal } from "../realtime/frames";
import { Chart } from "./Chart";
import { exactPrice, moment, percent } from "./format";
import { Cross, Shield, Tick } from "./icons";
import { PriceLadder } from "./PriceLadder";

export function SignalDetails({ signal, verification }: { signal: Signal; verification: Verification }) {
  const narrow = useMediaQuery("(max-width: 1080px)");
  return (
    <div className="details">
      <div className="details-main">
        <PriceLadder signal={signal} />
        <p className={signal.reasoning ? "reasoning" : "reasoning muted"}>
          {signal.reasoning ?? "The producer gave no reasoning."}
        </p>
        {narrow && <Chart symbol={signal.symbol} />}
        <dl className="facts">
          {facts(signal).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </div>
      <Proof verification={verification} signal={signal} />
    </div>
  );
}

function facts(signal: Signal): [string, string][] {
  const { entry_price: entry, take_profit: target, stop_loss: stop } = signal;
  const all: [string, string | null][] = [
    ["Entry", exactPrice(entry)],
    ["Target", target === null ? null : `${exactPrice(target, entry)} (${percent(target / entry - 1)})`],
    ["Stop", stop === null ? null : `${exactPrice(stop, entry)} (${percent(stop / entry - 1)})`],
    ["Reward to risk", rewardToRisk(signal)],
    ["Strategy", signal.strategy],
    ["Regime", signal.regime],
    ["Agreement", signal.consensus_agreement === null ? null : String(signal.consensus_agreement)],
    ["Sources", signal.sources_count === null ? null : String(signal.sources_count)],
    ["Valid until", signal.valid_until === null ? null : moment(signal.valid_until)],
    ["Made", moment(signal.timestamp)],
    ["Published", moment(signal.server_timestamp * 1000)],
  ];
  return all.filter((fact): fact is [string, string] => fact[1] !== null);
}

function rewardToRisk({ entry_price: entry, take_profit: target, stop_loss: stop }: Signal): string | null {
  if (target === null || stop === null || stop === entry) return null;
  return `${(Math.abs(target - entry) / Math.abs(entry - stop)).toFixed(1)} : 1`;
}

function Proof({ signal, verification: { verdict, checks, problem } }: { signal: Signal; verification: Verification }) {
  const title = {
    unchecked: "Not checked",
    checking: "Checking…",
    verified: "Verified in this browser",
    broken: "This signal does not match its proof",
    impossible: "Could not be checked",
  }[verdict];
  return (
    <section className={`proof proof-${verdict}`} aria-label="Verification">
      <h2>
        <Shield state={verdict === "verified" ? "good" : verdict === "broken" ? "bad" : "empty"} />
        {title}
      </h2>
      {problem !== null && <p className="muted">{problem}</p>}
      <ul>
        {checks.map((check) => (
          <li key={check.name} className={check.holds ? "good" : "bad"}>
            {check.holds ? <Tick /> : <Cross />}
            <span>
              <span className="sr-only">{check.holds ? "Holds: " : "Fails: "}</span>
              {check.name}
            </span>
          </li>
        ))}
      </ul>
      <p className="hash">
        <span>SHA-256, by the producer</span>
        {signal.hash}
      </p>
    </section>
  );
}
