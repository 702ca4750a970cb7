import { useState } from "react";
import { inThisBrowser } from "../storage";
import { Down, Shield, Star, Up } from "./icons";

const kept = inThisBrowser("tiercast.how-to-read");

/** Open until somebody knows it. */
export function HowToRead() {
  const [open] = useState(() => kept.get() !== "closed");
  return (
    <details
      className="panel how"
      open={open}
      onToggle={(event) => kept.set(event.currentTarget.open ? "open" : "closed")}
    >
      <summary>How to read a signal</summary>
      <ul>
        <li>
          <span className="buy">
            <Up /> BUY
          </span>{" "}
          or{" "}
          <span className="sell">
            <Down /> SELL
          </span>{" "}
          at the <b>entry</b> price, take the profit at the <b>target</b>, give up at the <b>stop</b>.
        </li>
        <li>
          <b>Confidence</b> goes to 100; from 85 on a signal is{" "}
          <span className="gold">
            <Star /> premium
          </span>
          .
        </li>
        <li>
          <Shield state="good" /> Open a signal, and this browser checks it against the ledger.
        </li>
        <li>New signals appear by themselves, marked for ten seconds.</li>
      </ul>
    </details>
  );
}
