import { Component, type ReactNode } from "react";

/** What is shown instead of an empty page when this program has a mistake. */
export class Breakdown extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <main className="sign-in" role="alert">
        <h1>This page broke</h1>
        <p>That is a mistake in the page, not in your signals: nothing is lost.</p>
        <button type="button" className="primary" onClick={() => window.location.reload()}>
          Load it anew
        </button>
      </main>
    );
  }
}
