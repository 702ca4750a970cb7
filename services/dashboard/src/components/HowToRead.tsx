import { Down, Shield, Star, Up } from "./icons";

export function HowToRead() {
  return (
    <details className="panel how" open>
      <summary>How to read a signal</summary>
      <ul>
        <li>
          <span className="buy">
            <Up /> BUY
          </span>{" "}
          or{" "}
          <span className="sell">
            <Down /> SELL
          </span>
          : what the producer advises, at the <b>entry</b> price, hoping for the <b>target</b>, giving up at the{" "}
          <b>stop</b>.
        </li>
        <li>
          <b>Confidence</b> goes from 0 to 100. From 85 on a signal is{" "}
          <span className="gold">
            <Star /> premium
          </span>
          .
        </li>
        <li>
          <Shield state="good" /> means that this browser has recomputed the signal's hash and its place in the ledger.
          Open a signal to check it.
        </li>
        <li>New signals appear by themselves. Nothing needs to be reloaded.</li>
      </ul>
    </details>
  );
}
