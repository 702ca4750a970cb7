"""The PostgreSQL that may be broken does what fault tests need of it."""

from tests.support.breakable import BreakablePostgres
from tiercast_local.sql import fetch_value


def test_committed_rows_survive_an_immediate_stop(breakable_postgres: BreakablePostgres) -> None:
    breakable_postgres.create_database("survivors")
    breakable_postgres.execute("CREATE TABLE kept AS SELECT generate_series(1, 100)", "survivors")

    breakable_postgres.stop_immediately()
    breakable_postgres.start()

    assert fetch_value(breakable_postgres.url("survivors"), "SELECT count(*) FROM kept") == 100
    breakable_postgres.drop_database("survivors")
