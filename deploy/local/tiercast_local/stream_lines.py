"""Frames of the signal stream as lines for a terminal."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

TIER_STYLES = {"starter": "cyan", "pro": "magenta", "elite": "yellow"}
ACTION_STYLES = {"BUY": "bold green", "SELL": "bold red"}
NOTES = {
    "connected": ("connected as {user_tier}", "dim"),
    "tier_changed": ("tier: {previous_tier} -> {user_tier} ({reason})", "bold"),
    "resync_required": ("some signals were missed: {reason}", "bold red"),
    "stale": ("the source is silent; signals may be late", "yellow"),
    "fresh": ("the source is back", "green"),
    "reconnect": ("the server asks us to come back", "dim"),
    "error": ("error {code}: {message}", "bold red"),
}
RECOVERED = {None: "", True: ", nothing missed", False: ", but some signals were missed"}


def signal_line(frame: Mapping[str, Any], tier: str, now: float | None = None) -> Text:
    """Return one line for a `new_signal`: when, for whom, what, how sure, and how long it took from ingest."""
    signal = frame["data"]
    latency = (time.time() if now is None else now) - signal["server_timestamp"]
    return Text.assemble(
        (f"{datetime.now().astimezone():%H:%M:%S} ", "dim"),
        (f"{tier.upper():<8}", TIER_STYLES.get(tier, "")),
        f"{signal['symbol']:<8}",
        (f"{signal['action']:<5}", ACTION_STYLES.get(signal["action"], "")),
        f"{signal['entry_price']:>10.2f}",
        f"{signal['confidence']:>7.1f} ",
        (f"{signal['type']:<9}", "bold yellow" if signal["type"] == "PREMIUM" else ""),
        f"#{frame['seq']:<7}",
        ("replay" if frame.get("replay") else f"{latency * 1000:.1f} ms", "dim"),
    )


def note(frame: Mapping[str, Any]) -> Text | None:
    """Return one line for a frame a watcher should know of, None for the others."""
    if frame["type"] not in NOTES:
        return None
    words, style = NOTES[frame["type"]]
    return Text(f"-- {words.format_map(frame)}{RECOVERED[frame.get('recovered')]}", style=style)
