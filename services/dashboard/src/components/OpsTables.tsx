import { TIERS } from "../realtime/frames";
import { HOPS, type OpsSummary } from "../realtime/ops-summary";
import { count, milliseconds } from "./format";

export function Connections({ connections, here }: { connections: OpsSummary["connections"]; here: string }) {
  return (
    <section className="panel scroll-x">
      <h2>Connections</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Replica</th>
            <th scope="col">Starter</th>
            <th scope="col">Pro</th>
            <th scope="col">Elite</th>
            <th scope="col">All</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(connections).map(([replica, tiers]) => (
            <tr key={replica}>
              <th scope="row">
                {replica}
                {replica === here && <span className="muted"> (answered)</span>}
              </th>
              {TIERS.map((tier) => (
                <td key={tier}>{count(tiers[tier])}</td>
              ))}
              <td>{count(sum(TIERS.map((tier) => tiers[tier])))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Logs({ logs }: { logs: OpsSummary["logs"] }) {
  return (
    <section className="panel scroll-x">
      <h2>Logs</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Log</th>
            <th scope="col">Published</th>
            <th scope="col">Applied here</th>
            <th scope="col">Lag</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(logs).map(([name, log]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{count(log.head)}</td>
              <td>{count(log.applied)}</td>
              <td className={log.missing > 0 ? "bad" : ""}>{count(log.missing)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Hops({ hops }: { hops: OpsSummary["hops"] }) {
  return (
    <section className="panel half scroll-x">
      <h2>Delivery, by part of the way (last minute)</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Signals</th>
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(hops).map(([hop, times]) => (
            <tr key={hop} className={hop === "received_written" ? "total" : undefined}>
              <th scope="row">{HOPS[hop] ?? hop}</th>
              <td>{count(times.count)}</td>
              <td>{milliseconds(times.p50_ms)}</td>
              <td>{milliseconds(times.p95_ms)}</td>
              <td>{milliseconds(times.p99_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
