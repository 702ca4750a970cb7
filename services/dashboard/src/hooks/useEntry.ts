import { useCallback, useEffect, useState } from "react";
import { sessionToken } from "../realtime/api";
import { fixedToken, SignedOut, type TokenSource } from "../realtime/token";
import { kept } from "../session";

/** Between two tries to ask a server that does not answer. */
const ASK_AGAIN_MS = 3_000;

/** Who is here. */
export type Entry =
  /** It is being found out; `problem` is what hinders that, `reason` why somebody who was here is not any more. */
  | { as: "unknown"; problem: string | null; reason: string | null }
  | { as: "nobody"; reason: string | null }
  | { as: "user"; source: TokenSource };

export interface UseEntry {
  entry: Entry;
  /** Sign in with a token. */
  enter: (token: string) => void;
  /** Sign out, because of `reason`. */
  leave: (reason: string | null) => void;
  /** Ask for the host application's session; resolves to whether there was one. */
  look: () => Promise<boolean>;
}

/**
 * Signs in by a token from the address, one kept in this tab, or the host application's session; the last is looked for again
 * whenever the page comes to the front, because people sign in elsewhere and come back.
 */
export function useEntry(handedOver: string | null): UseEntry {
  const [entry, setEntry] = useState<Entry>(() => firstEntry(handedOver));

  useEffect(() => {
    if (entry.as !== "unknown") return;
    let here = true;
    const ask = async () => {
      const found = await asked(entry.reason);
      if (!here) return;
      setEntry(found);
    };
    const again = setTimeout(() => void ask(), entry.problem === null ? 0 : ASK_AGAIN_MS);
    return () => {
      here = false;
      clearTimeout(again);
    };
  }, [entry]);

  const look = useCallback(async () => {
    const found = await asked(null);
    if (found.as === "user") setEntry(found);
    return found.as === "user";
  }, []);

  useEffect(() => {
    if (entry.as !== "nobody") return;
    const back = () => {
      if (document.visibilityState === "visible") void look();
    };
    window.addEventListener("focus", back);
    document.addEventListener("visibilitychange", back);
    return () => {
      window.removeEventListener("focus", back);
      document.removeEventListener("visibilitychange", back);
    };
  }, [entry.as, look]);

  return {
    entry,
    look,
    enter: (token) => {
      kept.set(token);
      setEntry({ as: "user", source: fixedToken(token) });
    },
    leave: (reason) => {
      kept.clear();
      setEntry({ as: "unknown", problem: null, reason });
    },
  };
}

function firstEntry(handedOver: string | null): Entry {
  if (handedOver !== null) kept.set(handedOver);
  const token = handedOver ?? kept.get();
  return token === null ? { as: "unknown", problem: null, reason: null } : { as: "user", source: fixedToken(token) };
}

async function asked(reason: string | null): Promise<Entry> {
  try {
    await sessionToken();
    return { as: "user", source: sessionToken };
  } catch (error) {
    if (error instanceof SignedOut) return { as: "nobody", reason: reason ?? error.reason };
    return { as: "unknown", problem: error instanceof Error ? error.message : String(error), reason };
  }
}
