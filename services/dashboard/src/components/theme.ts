/** Dark or light: as the system has it, until somebody chooses. */

import { inThisBrowser } from "../storage";

export type Theme = "dark" | "light";

const kept = inThisBrowser("tiercast.theme");

export function storedTheme(): Theme | null {
  const stored = kept.get();
  return stored === "dark" || stored === "light" ? stored : null;
}

export function systemTheme(): Theme {
  return window.matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

/** Null goes back to the system's. */
export function applyTheme(theme: Theme | null): void {
  if (theme === null) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function chooseTheme(theme: Theme): void {
  kept.set(theme);
  applyTheme(theme);
}
