import { useEffect, useState } from "react";
import { useWebSocket } from "../hooks/useWebSocket";
import { standing } from "./standing";

const NAME = "Tiercast";

/** The tab's title: what came while another tab was looked at, or that nothing comes live. */
export function TabTitle() {
  const { client, state, attempt } = useWebSocket();
  const [unseen, setUnseen] = useState(0);
  const offline = standing({ state, attempt }) === "Offline";

  useEffect(() => {
    const seen = () => {
      if (!document.hidden) setUnseen(0);
    };
    document.addEventListener("visibilitychange", seen);
    const forget = client.onFrame((frame) => {
      if (frame.type === "new_signal" && document.hidden) setUnseen((before) => before + 1);
    });
    return () => {
      document.removeEventListener("visibilitychange", seen);
      forget();
    };
  }, [client]);

  useEffect(() => {
    document.title = `${unseen > 0 ? `(${unseen}) ` : ""}${offline ? `Offline · ${NAME}` : NAME}`;
    return () => {
      document.title = NAME;
    };
  }, [unseen, offline]);
  return null;
}
