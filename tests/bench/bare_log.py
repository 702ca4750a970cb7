"""A log on SQLite with nothing but a number and a body in each row, as durable as Tiercast's."""

import sqlite3


def bare_log(file: str) -> sqlite3.Connection:
    """Open it, or create it: a table `log`; a transaction is what is said to be one, else each statement is."""
    rows = sqlite3.connect(file, isolation_level=None)
    rows.execute("PRAGMA journal_mode=WAL")
    rows.execute("PRAGMA synchronous=FULL")
    rows.execute("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, body BLOB)")
    return rows
