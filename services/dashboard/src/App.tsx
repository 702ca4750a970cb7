import { QueryClientProvider } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Breakdown } from "./components/Breakdown";
import { newQueryClient } from "./hooks/query-client";
import { OpsPage } from "./pages/OpsPage";
import { SignalsEntrance } from "./pages/SignalsEntrance";
import { takeFragmentToken } from "./session";

/** Taken once, before anything is drawn. */
const handedOverAtStart = takeFragmentToken(window);

export function App() {
  const [queries] = useState(newQueryClient);
  const [{ token, visit }, setHandedOver] = useState({ token: handedOverAtStart, visit: 0 });

  // a link that differs in its fragment only does not load the page anew
  useEffect(() => {
    const changed = () => {
      const another = takeFragmentToken(window);
      if (another === null) return;
      queries.clear();
      setHandedOver((before) => ({ token: another, visit: before.visit + 1 }));
    };
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, [queries]);

  const Page = window.location.pathname.replace(/\/+$/, "") === "/ops" ? OpsPage : SignalsEntrance;
  return (
    <QueryClientProvider client={queries}>
      <Breakdown key={visit}>
        <Page handedOver={token} />
      </Breakdown>
    </QueryClientProvider>
  );
}
