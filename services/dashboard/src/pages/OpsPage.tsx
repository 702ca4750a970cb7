import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { milliseconds } from "../components/format";
import { Header } from "../components/Header";
import { Spark } from "../components/Spark";
import { Api, ApiError } from "../realtime/api";
import { TIERS } from "../realtime/frames";
import { fixedToken } from "../realtime/token";
import { HOPS, type OpsSummary, opsSchema } from "./ops-summary";
import { SignInPage } from "./SignInPage";

const EVERY_MS = 2_000;
/** Points of the curve: two minutes. */
const KEPT = 60;

/** For operators. The token stays in memory: a reload asks for it again. */
export function OpsPage({ handedOver }: { handedOver: string | null }) {
  const [token, setToken] = useState(handedOver);
  const [reason, setReason] = useState<string | null>(null);
  const refused = (why: string) => {
    setToken(null);
    setReason(why);
  };
  return (
    <>
      <Header page="ops" />
      {token === null ? (
        <SignInPage title="Operations" reason={reason} onToken={setToken}>
          <p>
            How the system does, for those who run it. Paste a token with the scope <code>ops</code>; it is kept in
            memory only, so a reload asks again. <code>make up</code> prints a link that brings one.
          </p>
        </SignInPage>
      ) : (
        <Summary token={token} onRefused={refused} />
      )}
    </>
  );
}

interface Seen {
  summary: OpsSummary;
  rates: number[];
}

function Summary({ token, onRefused }: { token: string; onRefused: (why: string) => void }) {
  const api = useMemo(() => new Api(fixedToken(token)), [token]);
  const { data, error } = useQuery<Seen>({
    queryKey: ["ops", token],
    queryFn: async ({ client }) => {
      const before = client.getQueryData<Seen>(["ops", token])?.rates ?? [];
      const summary = await api.json("/api/v1/ops/summary", opsSchema).catch((problem: unknown) => {
        if (problem instanceof ApiError && [401, 403].includes(problem.status)) onRefused(problem.message);
        throw problem;
      });
      return { summary, rates: [...before, summary.signals_per_second].slice(-KEPT) };
    },
    refetchInterval: EVERY_MS,
  });
  return (
    <main className="ops">
      <h1 className="sr-only">Operations</h1>
      {error !== null && (
        <p className="banner banner-warning" role="alert">
          {error.message}. What follows may be old; this page keeps trying.
        </p>
      )}
      {data !== undefined && <Panels {...data} />}
    </main>
  );
}

function Panels({ summary, rates }: Seen) {
  const total = Object.values(summary.connections).flatMap((tiers) => TIERS.map((tier) => tiers[tier]));
  return (
    <>
      <section className="panel third">
        <h2>Signals</h2>
        <p className="figure">
          {summary.signals_per_second.toFixed(1)} <small>a second</small>
        </p>
        <Spark values={rates} />
      </section>
      <section className="panel third">
        <h2>Users connected</h2>
        <p className="figure">
          {summary.users} <small>on {sum(total)} connections</small>
        </p>
        <p className={summary.stale ? "bad" : "muted"}>
          {summary.stale
            ? `Ingest is silent for ${Math.round(summary.silent_seconds)} s: clients are told`
            : "Ingest is heard every second"}
        </p>
      </section>
      <section className="panel third">
        <h2>Dead letters</h2>
        <p className="figure">
          {summary.dead_letters ?? "–"}{" "}
          <small>{summary.dead_letters === null ? "ingest cannot be asked" : "waiting"}</small>
        </p>
        <p className="muted">
          {summary.dead_letters ? "Look at them: tiercast-ingest dead list" : "Messages that can never be stored"}
        </p>
      </section>
      <div className="half stack">
        <Connections connections={summary.connections} here={summary.replica} />
        <Logs logs={summary.logs} />
      </div>
      <Hops hops={summary.hops} />
      <p className="muted span-all">
        Connections are those of all replicas; the other figures are of {summary.replica}, which answered.
      </p>
    </>
  );
}

function Connections({ connections, here }: { connections: OpsSummary["connections"]; here: string }) {
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
                <td key={tier}>{tiers[tier]}</td>
              ))}
              <td>{sum(TIERS.map((tier) => tiers[tier]))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Logs({ logs }: { logs: OpsSummary["logs"] }) {
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
              <td>{log.head}</td>
              <td>{log.applied}</td>
              <td className={log.missing > 0 ? "bad" : ""}>{log.missing}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Hops({ hops }: { hops: OpsSummary["hops"] }) {
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
            <tr key={hop}>
              <th scope="row">{HOPS[hop] ?? hop}</th>
              <td>{times.count}</td>
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
