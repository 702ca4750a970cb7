/** Numbers and times as people read them. */

const DASH = "–";
const fine = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 5 });
const usual = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function price(value: number | null): string {
  if (value === null) return DASH;
  return value < 1 ? fine.format(value) : usual.format(value);
}

export function percent(ratio: number): string {
  return `${ratio >= 0 ? "+" : "−"}${Math.abs(ratio * 100).toFixed(1)} %`;
}

export function confidence(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** How long ago, in at most six characters; clocks may differ, so the future is now. */
export function age(seconds: number): string {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function moment(when: number | string): string {
  return dateTime.format(new Date(when));
}

export function milliseconds(value: number | null): string {
  if (value === null) return DASH;
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
