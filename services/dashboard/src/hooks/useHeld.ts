import { useState } from "react";
import type { Signal, Tier } from "../realtime/frames";

/**
 * The newest signals, or those of the moment when somebody began to read: what moves under one's eyes cannot be read. A change of
 * tier ends that, because what was held may no longer be shown.
 */
export function useHeld(newest: readonly Signal[], reading: boolean, tier: Tier | null): readonly Signal[] {
  const [held, setHeld] = useState<{ signals: readonly Signal[]; tier: Tier | null } | null>(null);
  const holds = held !== null && reading && held.tier === tier;
  if (reading && !holds) setHeld({ signals: newest, tier });
  if (!reading && held !== null) setHeld(null);
  return holds ? held.signals : newest;
}
