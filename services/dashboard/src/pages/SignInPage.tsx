import { type SubmitEvent, type ReactNode, useState } from "react";
import { claimsOf } from "../realtime/token";

interface Props {
  title: string;
  children: ReactNode;
  /** Why somebody who was signed in is not any more. */
  reason?: string | null;
  onToken: (token: string) => void;
}

/** For whom nobody has signed in: what to do. */
export function SignInPage({ title, children, reason, onToken }: Props) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = text.trim().replace(/^.*#token=/, "");
    if (claimsOf(token) === null) setWrong(true);
    else onToken(token);
  };
  return (
    <main className="sign-in">
      <h1>{title}</h1>
      {reason && (
        <p className="banner banner-warning" role="alert">
          {reason}
        </p>
      )}
      {children}
      <form onSubmit={submit}>
        <label htmlFor="token">Access token</label>
        <textarea
          id="token"
          rows={4}
          spellCheck={false}
          autoComplete="off"
          value={text}
          aria-invalid={wrong}
          aria-describedby="token-help"
          onChange={(event) => {
            setText(event.target.value);
            setWrong(false);
          }}
        />
        <p id="token-help" className={wrong ? "bad" : "muted"} role={wrong ? "alert" : undefined}>
          {wrong
            ? "This is no token: it should look like eyJ….eyJ….abc"
            : "It stays in this tab and goes nowhere but to this server."}
        </p>
        <button type="submit" className="primary">
          Continue
        </button>
      </form>
    </main>
  );
}
