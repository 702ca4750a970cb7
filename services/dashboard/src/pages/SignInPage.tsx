import { useState } from "react";
import { TokenForm } from "../components/TokenForm";

interface Props {
  /** Why somebody who was signed in is not any more. */
  reason: string | null;
  onToken: (token: string) => void;
  /** Looks for a session of the host application; resolves to whether there was one. */
  onLook: () => Promise<boolean>;
}

/** For whom nobody has signed in: what to do, exactly. */
export function SignInPage({ reason, onToken, onLook }: Props) {
  return (
    <main className="sign-in">
      <h1>Live trading signals</h1>
      <p>
        Tiercast shows trading signals the moment they are published, as your subscription entitles you to them. You are
        not signed in here yet; one of these will do:
      </p>
      {reason !== null && (
        <p className="banner banner-warning" role="alert">
          {sentence(reason)}
        </p>
      )}
      <ol className="ways">
        <li>
          <h2>Sign in where you subscribe</h2>
          <p>
            Open your provider's site in another tab of this browser, sign in there, and come back to this tab: it
            notices by itself.
          </p>
          <LookAgain onLook={onLook} />
        </li>
        <li>
          <h2>Open the link you were given</h2>
          <p>
            It ends in <code>#token=…</code> and signs in this tab.
          </p>
        </li>
        <li>
          <h2>Paste an access token</h2>
          <TokenForm onToken={onToken} />
        </li>
      </ol>
      <p className="fine">
        On your own machine, <code>make up</code> prints a link for each tier, and{" "}
        <code>make token SUB=alice TIER=pro</code> a token.
      </p>
    </main>
  );
}

function LookAgain({ onLook }: { onLook: () => Promise<boolean> }) {
  const [told, setTold] = useState("");
  const look = async () => {
    setTold("");
    if (!(await onLook())) setTold(`This browser has no session at ${window.location.hostname} yet.`);
  };
  return (
    <p className="look-again">
      <button type="button" onClick={() => void look()}>
        Check now
      </button>
      <span className="muted" role="status">
        {told}
      </span>
    </p>
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
