import type { OpsSummary } from "../realtime/ops-summary";
import { count } from "./format";
import { Late, Tick } from "./icons";

/** What an operator should look at, or that there is nothing. */
export function OpsVerdict({ summary, before }: { summary: OpsSummary; before: OpsSummary | null }) {
  const wrong = concerns(summary, before);
  return (
    <section className={`verdict ${wrong.length > 0 ? "verdict-bad" : ""}`} aria-label="Verdict">
      {wrong.length > 0 ? <Late /> : <Tick />}
      <div role="status">
        {wrong.length === 0 ? (
          <p>Everything is in order: ingest is heard every second, and nothing lags or waits for a person.</p>
        ) : (
          <ul>
            {wrong.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

/** A lag counts when it is there twice in a row: in between, a replica is always a little behind. */
function concerns(summary: OpsSummary, before: OpsSummary | null): string[] {
  const { stale, dead_letters: dead, logs } = summary;
  const found: string[] = [];
  if (stale) found.push("Ingest is silent: clients are told that the newest signals may be missing.");
  for (const [name, log] of Object.entries(logs)) {
    if (log.missing > 0 && (before?.logs[name]?.missing ?? 0) > 0) {
      found.push(`This replica lags behind the log of ${name} by ${count(log.missing)}.`);
    }
  }
  if (dead === null) found.push("Ingest cannot be asked for its dead letters.");
  else if (dead > 0)
    found.push(`${count(dead)} dead ${dead === 1 ? "letter waits" : "letters wait"}: tiercast-ingest dead list`);
  return found;
}
