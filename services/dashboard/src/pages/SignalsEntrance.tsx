import { useMemo } from "react";
import { Header } from "../components/Header";
import { SessionProvider } from "../hooks/context";
import { useEntry } from "../hooks/useEntry";
import type { TokenSource } from "../realtime/token";
import { newSession } from "../session";
import { SignalsPage } from "./SignalsPage";
import { SignInPage } from "./SignInPage";

/** The signals for whom is signed in, else the way to sign in. */
export function SignalsEntrance({ handedOver }: { handedOver: string | null }) {
  const { entry, enter, leave, look } = useEntry(handedOver);
  if (entry.as === "user") return <SignedIn source={entry.source} onLeave={leave} />;
  return (
    <>
      <Header page="signals" />
      {entry.as === "nobody" ? (
        <SignInPage reason={entry.reason} onToken={enter} onLook={look} />
      ) : (
        <main className="sign-in" aria-busy="true">
          <h1 className="sr-only">Live trading signals</h1>
          {entry.problem !== null && (
            <p className="banner banner-warning" role="alert">
              {entry.problem}. This page keeps trying.
            </p>
          )}
        </main>
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
