import { useEffect, useState } from "react";

/** The time (milliseconds since 1970), again every `interval` milliseconds while `running`. */
export function useNow(interval = 1000, running = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    const tick = () => setNow(Date.now());
    const first = setTimeout(tick, 0); // it may have stood still for long
    const timer = setInterval(tick, interval);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [interval, running]);
  return now;
}
