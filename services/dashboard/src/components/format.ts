/** Numbers and times as people read them. */

const DASH = "–";
/** Hours as the world's exchanges write them, whatever the language. */
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
const thisYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", ...CLOCK });
const anyYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", ...CLOCK });
const whole = new Intl.NumberFormat("en-US");
const MOST_DECIMALS = 12;
const formats = new Map<string, Intl.NumberFormat>();

function decimalFormat(least: number, most: number): Intl.NumberFormat {
  const key = `${least}-${most}`;
  const format =
    formats.get(key) ?? new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most });
  formats.set(key, format);
  return format;
}

/** How many decimals a price like this is quoted with: as many as it has, within what is usual for its size. */
export function decimals(value: number): number {
  const size = Math.floor(Math.log10(value)); // 2 for hundreds, −1 for tenths
  const [least, most] = size >= 1 ? [2, Math.max(2, 5 - size)] : size === 0 ? [4, 5] : [4, 4 - size];
  const text = value.toFixed(most).replace(/0+$/, "");
  return Math.min(MOST_DECIMALS, Math.max(least, text.length - text.indexOf(".") - 1));
}

/** A price, with as many decimals as `like` is quoted with: those of one signal stand in one form. */
export function price(value: number | null, like: number | null = value): string {
  if (value === null || like === null) return DASH;
  const digits = decimals(like);
  return decimalFormat(digits, digits).format(value);
}

/** A price with all that the producer gave, and no fewer decimals than `like` is quoted with. */
export function exactPrice(value: number, like = value): string {
  return decimalFormat(decimals(like), MOST_DECIMALS).format(value);
}

export function count(value: number): string {
  return whole.format(value);
}

export function percent(ratio: number): string {
  return `${ratio >= 0 ? "+" : "−"}${Math.abs(ratio * 100).toFixed(1)} %`;
}

/** Rounded down: what is below 85 never looks like premium. */
export function confidence(value: number): string {
  return (Math.floor(value * 10 + 1e-9) / 10).toFixed(1);
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
  const date = new Date(when);
  return (date.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(date);
}

export function milliseconds(value: number | null): string {
  if (value === null) return DASH;
  return value < 10 ? `${value.toFixed(1)} ms` : `${whole.format(Math.round(value))} ms`;
}
