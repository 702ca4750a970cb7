import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { count, milliseconds } from "../components/format";
import { Header } from "../components/Header";
import { Connections, Hops, Logs, sum } from "../components/OpsTables";
import { OpsVerdict } from "../components/OpsVerdict";
import { Spark } from "../components/Spark";
import { TokenForm } from "../components/TokenForm";
import { Api, ApiError } from "../realtime/api";
import { TIERS } from "../realtime/frames";
import { type OpsSummary, opsSchema } from "../realtime/ops-summary";
import { fixedToken } from "../realtime/token";

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
        <main className="sign-in">
          <h1>Operations</h1>
          {reason !== null && (
            <p className="banner banner-warning" role="alert">
              {reason}
            </p>
          )}
          <p>
            How the system does, for those who run it. Paste a token with the scope <code>ops</code>; it is kept in
            memory only, so a reload asks again. <code>make up</code> prints a link that brings one.
          </p>
          <TokenForm onToken={setToken} />
        </main>
      ) : (
        <Summary token={token} onRefused={refused} />
      )}
    </>
  );
}

interface Seen {
  summary: OpsSummary;
  before: OpsSummary | null;
  /** Signals a second, oldest first. */
  rates: number[];
}

function Summary({ token, onRefused }: { token: string; onRefused: (why: string) => void }) {
  const api = useMemo(() => new Api(fixedToken(token)), [token]);
  const { data, error } = useQuery<Seen>({
    queryKey: ["ops", token],
    queryFn: async ({ client }) => {
      const last = client.getQueryData<Seen>(["ops", token]);
      const summary = await api.json("/api/v1/ops/summary", opsSchema).catch((problem: unknown) => {
        if (problem instanceof ApiError && [401, 403].includes(problem.status)) onRefused(problem.message);
        throw problem;
      });
      const rates = [...(last?.rates ?? []), summary.signals_per_second].slice(-KEPT);
      return { summary, before: last?.summary ?? null, rates };
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

function Panels({ summary, before, rates }: Seen) {
  const total = Object.values(summary.connections).flatMap((tiers) => TIERS.map((tier) => tiers[tier]));
  const way = summary.hops.received_written;
  const dead = summary.dead_letters;
  const replicas = Object.keys(summary.connections).length;
  return (
    <>
      <OpsVerdict summary={summary} before={before} />
      <section className="panel quarter">
        <h2>Signals</h2>
        <p className="figure">
          {summary.signals_per_second.toFixed(1)} <small>a second</small>
        </p>
        <Spark values={rates} points={KEPT} />
      </section>
      <section className="panel quarter">
        <h2>Delivery</h2>
        <p className="figure">
          {milliseconds(way?.p50_ms ?? null)} <small>median</small>
        </p>
        <p className="muted">{milliseconds(way?.p99_ms ?? null)} at p99</p>
      </section>
      <section className="panel quarter">
        <h2>Users</h2>
        <p className="figure">
          {count(summary.users)} <small>connected</small>
        </p>
        <p className="muted">
          {some(sum(total), "connection")}, {some(replicas, "replica")}
        </p>
      </section>
      <section className="panel quarter">
        <h2>Dead letters</h2>
        <p className={`figure ${dead ? "bad" : ""}`}>
          {dead === null ? "–" : count(dead)} <small>{dead === null ? "unknown" : "waiting"}</small>
        </p>
        <p className="muted">Messages that can never be stored</p>
      </section>
      <div className="half stack">
        <Connections connections={summary.connections} here={summary.replica} />
        <Logs logs={summary.logs} />
      </div>
      <Hops hops={summary.hops} />
      <p className="muted span-all">
        Connections and users are those of all replicas; the other figures are of {summary.replica}, which answered.
      </p>
    </>
  );
}

function some(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}
