import type { Api, LatestPage } from "../realtime/api";

/** Signals in one request when catching up; what the server gives at most. */
const PAGE = 1000;
/** More than that is not caught up with: the newest are what matters. */
const MOST_PAGES = 10;

export interface LatestOptions {
  limit: number;
  premiumOnly: boolean;
}

/** Everything since `after`, or the newest if that is unknown. */
export async function fetchLatest(
  api: Api,
  options: LatestOptions,
  after: string | null,
  abort?: AbortSignal,
): Promise<LatestPage> {
  if (after === null) return api.latest(options, abort);
  let page = await api.latest({ ...options, limit: PAGE, after }, abort);
  const signals = [...page.signals];
  for (let pages = 1; page.more && page.cursor !== null && pages < MOST_PAGES; pages += 1) {
    page = await api.latest({ ...options, limit: PAGE, after: page.cursor }, abort);
    signals.push(...page.signals);
  }
  return page.more ? api.latest(options, abort) : { ...page, signals };
}
