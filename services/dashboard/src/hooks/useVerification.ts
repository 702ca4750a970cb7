import { useQuery } from "@tanstack/react-query";
import type { Signal } from "../realtime/frames";
import { type Check, verify } from "../realtime/verify";
import { useSession } from "./context";

export type Verdict = "unchecked" | "checking" | "verified" | "broken" | "impossible";

export interface Verification {
  verdict: Verdict;
  checks: Check[];
  /** Why it cannot be said. */
  problem: string | null;
}

/** Fetches a signal's proof and recomputes it here; only when `wanted`, and once for each signal. */
export function useVerification(signal: Signal, wanted: boolean): Verification {
  const { api } = useSession();
  const able = window.isSecureContext; // browsers keep their cryptography from pages that others could have changed
  const { data, error, isFetching } = useQuery({
    queryKey: ["proof", signal.id],
    queryFn: async () => verify(signal, await api.proof(signal.id)),
    enabled: wanted && able,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const checks = data ?? [];
  if (wanted && !able)
    return { verdict: "impossible", checks, problem: "Needs HTTPS: this browser checks nothing here" };
  if (data !== undefined) {
    return { verdict: data.every((check) => check.holds) ? "verified" : "broken", checks, problem: null };
  }
  if (isFetching) return { verdict: "checking", checks, problem: null };
  return { verdict: error === null ? "unchecked" : "impossible", checks, problem: error?.message ?? null };
}
