"""Triggers of a log's tables, for its migrations: entries that nobody can change, and a notice of each commit.

The triggers guard against mistakes, of people and of programs; who owns the database can drop them. That is what the hash chains
show.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

UniqueKey = Sequence[str]


def keep_append_only(
    connection: Connection,
    table: str,
    unique: Iterable[UniqueKey],
    *,
    deletable: str = "false",
    remedy: str = "its entries are never changed or deleted",
) -> None:
    """Have the database refuse UPDATE, DELETE and TRUNCATE on `table`.

    `deletable` is an SQL condition on OLD that lets a row go after all; `remedy` ends the message of a refusal. `unique` names the
    columns of the table's unique keys: SQLite's `INSERT OR REPLACE` deletes without asking the triggers for DELETE.
    """
    message = f"{table} is append-only: {remedy}"
    if connection.dialect.name == "postgresql":
        statements = _postgresql(table, message, deletable)
    else:
        statements = _sqlite(table, message, deletable, unique)
    for statement in statements:
        connection.exec_driver_sql(statement)


def drop_append_only(connection: Connection, table: str) -> None:
    """Undo `keep_append_only`."""
    if connection.dialect.name == "postgresql":
        statements = [f"DROP FUNCTION {table}_append_only() CASCADE"]
    else:
        statements = [f"DROP TRIGGER {table}_no_{name}" for name in ("update", "delete", "replace")]
    for statement in statements:
        connection.exec_driver_sql(statement)


def notify_of_commits(connection: Connection, head: str) -> None:
    """On PostgreSQL, have each commit that moves the head notify the channel of the head table's name. SQLite cannot."""
    if connection.dialect.name != "postgresql":
        return
    connection.exec_driver_sql(
        f"CREATE FUNCTION {head}_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" PERFORM pg_notify('{head}', NEW.seq::text); RETURN NULL; END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {head}_moved AFTER UPDATE ON {head}"
        f" FOR EACH ROW WHEN (NEW.seq > OLD.seq) EXECUTE FUNCTION {head}_moved()"
    )


def drop_notify_of_commits(connection: Connection, head: str) -> None:
    """Undo `notify_of_commits`."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP FUNCTION {head}_moved() CASCADE")


def _postgresql(table: str, message: str, deletable: str) -> list[str]:
    refuse = f"EXECUTE FUNCTION {table}_append_only()"
    body = (
        f"BEGIN IF TG_OP = 'DELETE' THEN IF {deletable} THEN RETURN OLD; END IF; END IF;"
        f" RAISE EXCEPTION '{message}'; END"
    )
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
    ]


def _sqlite(table: str, message: str, deletable: str, unique: Iterable[UniqueKey]) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    same = " OR ".join("(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")" for key in unique)
    taken = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - names that migrations write
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT ({deletable}) {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} {refuse}",
    ]
