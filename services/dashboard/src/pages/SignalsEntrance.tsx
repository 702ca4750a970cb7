import { useEffect, useMemo, useState } from "react";
import { Header } from "../components/Header";
import { SessionProvider } from "../hooks/context";
import { sessionToken } from "../realtime/api";
import { fixedToken, type TokenSource } from "../realtime/token";
import { kept, newSession } from "../session";
import { SignalsPage } from "./SignalsPage";
import { SignInPage } from "./SignInPage";

type Entry = { as: "unknown" } | { as: "nobody"; reason: string | null } | { as: "user"; source: TokenSource };

/** Finds out who is here: by a token from the address, one kept in this tab, or the host application's session. */
export function SignalsEntrance({ handedOver }: { handedOver: string | null }) {
  const [entry, setEntry] = useState<Entry>(() => firstEntry(handedOver));

  useEffect(() => {
    if (entry.as !== "unknown") return;
    let here = true;
    sessionToken().then(
      () => here && setEntry({ as: "user", source: sessionToken }),
      () => here && setEntry({ as: "nobody", reason: null }),
    );
    return () => {
      here = false;
    };
  }, [entry]);

  if (entry.as === "user") {
    const leave = (reason: string | null) => {
      kept.clear();
      setEntry({ as: "nobody", reason });
    };
    return <SignedIn source={entry.source} onLeave={leave} />;
  }
  const enter = (token: string) => {
    kept.set(token);
    setEntry({ as: "user", source: fixedToken(token) });
  };
  return (
    <>
      <Header page="signals" />
      {entry.as === "unknown" ? (
        <main className="sign-in" aria-busy="true" />
      ) : (
        <SignInPage title="Live trading signals" reason={entry.reason} onToken={enter}>
          <p>
            Tiercast shows trading signals the moment they are published, as your subscription entitles you to them.
            Sign in with your provider and come back, or paste an access token below.
          </p>
          <p className="muted">
            On your own machine, <code>make up</code> prints a link for each tier, and{" "}
            <code>make token SUB=alice TIER=pro</code> a token.
          </p>
        </SignInPage>
      )}
    </>
  );
}

function SignedIn({ source, onLeave }: { source: TokenSource; onLeave: (reason: string | null) => void }) {
  const session = useMemo(() => newSession(source), [source]);
  return (
    <SessionProvider session={session}>
      <SignalsPage onLeave={onLeave} />
    </SessionProvider>
  );
}

function firstEntry(handedOver: string | null): Entry {
  if (handedOver !== null) kept.set(handedOver);
  const token = handedOver ?? kept.get();
  return token === null ? { as: "unknown" } : { as: "user", source: fixedToken(token) };
}
