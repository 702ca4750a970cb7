import { type ReactNode, useState } from "react";
import { Gauge, Moon, Sun } from "./icons";
import { applyTheme, chooseTheme, storedTheme, systemTheme } from "./theme";

export function Header({ page, children }: { page: "signals" | "ops"; children?: ReactNode }) {
  return (
    <header className="bar">
      <a className="brand" href="/">
        <img src="/favicon.svg" alt="" width="26" height="26" />
        <span>Tiercast</span>
      </a>
      <nav aria-label="Pages">
        <a href="/" aria-current={page === "signals" ? "page" : undefined}>
          Signals
        </a>
        <a href="/ops" aria-current={page === "ops" ? "page" : undefined}>
          <Gauge /> <span>Operations</span>
        </a>
      </nav>
      <div className="bar-end">
        {children}
        <ThemeSwitch />
      </div>
    </header>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState(() => storedTheme() ?? systemTheme());
  const other = theme === "dark" ? "light" : "dark";
  const change = () => {
    chooseTheme(other);
    applyTheme(other);
    setTheme(other);
  };
  return (
    <button
      type="button"
      className="quiet square"
      onClick={change}
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
    >
      {theme === "dark" ? <Sun /> : <Moon />}
    </button>
  );
}
