import { useEffect, useRef, useState } from "react";
import { useWebSocket } from "../hooks/useWebSocket";
import { standing } from "./standing";

const EVERY_MS = 15_000;

/** Tells screen readers how many signals came, not each of them, and when the connection stands otherwise than before. */
export function Announcer() {
  const { client, state, attempt } = useWebSocket();
  const word = standing({ state, attempt });
  const count = useRef(0);
  const [text, setText] = useState("");
  useEffect(
    () =>
      client.onFrame((frame) => {
        if (frame.type === "new_signal") count.current += 1;
      }),
    [client],
  );
  useEffect(() => {
    const timer = setInterval(() => {
      if (count.current > 0) setText(`${count.current} new ${count.current === 1 ? "signal" : "signals"}`);
      count.current = 0;
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <div className="sr-only" aria-live="polite">
        {text}
      </div>
      <div className="sr-only" aria-live="polite">
        Connection: {word}
      </div>
    </>
  );
}
