import { type SubmitEvent, useState } from "react";
import { claimsOf } from "../realtime/token";

/** Signing in with a pasted token, or with the whole link that carries one. */
export function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = text.trim().replace(/^.*#token=/, "");
    if (claimsOf(token) === null) setWrong(true);
    else onToken(token);
  };
  return (
    <form className="token-form" onSubmit={submit}>
      <label htmlFor="token">Access token</label>
      <textarea
        id="token"
        rows={3}
        spellCheck={false}
        autoComplete="off"
        placeholder="eyJ…"
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
  );
}
