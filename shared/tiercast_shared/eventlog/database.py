"""A database, SQLite or PostgreSQL, behind two kinds of session: reading and writing.

A session lives for one operation. What a driver says of a database that is away becomes `StorageUnavailable`; what it says of
a value becomes `Unstorable`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
import sqlalchemy
from sqlalchemy import Connection, Engine, Executable, Row, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_shared.errors import StorageUnavailable, TiercastError

LOCK_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_SECONDS = 4
"""A writer that is stopped in mid-transaction loses it before those who wait for its lock give up."""
CONNECT_TIMEOUT_SECONDS = 5


Result = TypeVar("Result")


class Unstorable(TiercastError):
    """A value that this database can never hold."""


class ConnectionLost(StorageUnavailable):
    """The connection broke, perhaps long ago while it was idle. A commit that was under way may or may not have happened."""


class Database:
    """Engines for one database URL; `open` is the way to get one."""

    def __init__(self, engine: AsyncEngine, local: "LocalWriter | None" = None) -> None:
        self.engine = engine
        self._local = local
        self._reading = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
        immediate = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._immediate = immediate
        self._writing = async_sessionmaker(immediate, class_=AsyncSession, expire_on_commit=False)
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single = immediate if engine.dialect.name == "sqlite" else autocommit

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, pool_size: int = 5, on_statement: Callable[[], None] | None = None
    ) -> AsyncIterator["Database"]:
        """Build engines for `url` (nothing connects yet) and dispose of them at the end.

        `on_statement` is told of each statement before it runs, except what begins and ends transactions.
        """
        engine = create_engine(_with_driver(make_url(url)), pool_size)
        local = LocalWriter(engine.url) if engine.dialect.name == "sqlite" else None
        if on_statement is not None:
            for each in (engine.sync_engine, *([local.engine] if local else [])):
                _count_statements(each, on_statement)
        try:
            yield cls(engine, local)
        finally:
            if local is not None:
                await asyncio.to_thread(local.close)
            await engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for one reading operation.

        Raises:
            StorageUnavailable: the database is away.
        """
        with translated_errors():
            async with self._reading() as session:
                yield session

    async def row(self, statement: Executable) -> Row[Any]:
        """The one row that a statement returns; for what is asked all the time, without a session's bookkeeping.

        Raises:
            StorageUnavailable: the database is away.
        """
        with translated_errors():
            async with self.engine.connect() as connection:
                return (await connection.execute(statement)).one()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session for one transaction, committed at the end of the block and rolled back when it raises.

        Raises:
            StorageUnavailable: the database is away.
            ConnectionLost: likewise, and the transaction may have been committed.
            Unstorable: a value does not fit.
        """
        with translated_errors():
            async with self._writing() as session, session.begin():
                yield session

    async def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in one transaction and commit it, or roll it back when it raises.

        The way for what is done often: `work` is plain code over statements, without a session's bookkeeping. Cancelled, it
        may yet be committed.

        Raises:
            StorageUnavailable: the database is away.
            ConnectionLost: likewise, and the transaction may have been committed.
            Unstorable: a value does not fit.
        """
        with translated_errors():
            if self._local is not None:
                return await self._local.run(work)
            async with self._immediate.begin() as connection:
                return await connection.run_sync(work)

    async def execute(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run one statement that commits by itself, and return its rows. It must be fit to run twice.

        A process that is stopped here holds no lock: on PostgreSQL there is no transaction around the statement.

        Raises:
            StorageUnavailable: the database is away.
            Unstorable: a value does not fit.
        """
        try:
            return await self._execute(statement)
        except ConnectionLost:  # most often a pooled connection that the server had closed long ago
            return await self._execute(statement)

    async def _execute(self, statement: Executable) -> Sequence[Row[Any]]:
        with translated_errors():
            async with self._single.begin() as connection:
                result = await connection.execute(statement)
                return result.all() if result.returns_rows else []

    @asynccontextmanager
    async def postgresql_connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the driver, outside any transaction, closed at the end.

        Raises:
            StorageUnavailable: the database is away.
        """
        with translated_errors():
            async with self.engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert isinstance(driver, asyncpg.Connection), "the database is PostgreSQL"
                try:
                    yield driver
                finally:
                    await connection.invalidate()


class LocalWriter:
    """Runs whole transactions on a SQLite file in a thread of its own.

    The asynchronous driver crosses threads several times for each statement, which costs thrice what the statements do.
    """

    def __init__(self, url: URL) -> None:
        self.engine = sqlalchemy.create_engine(
            url.set(drivername="sqlite"), pool_size=1, max_overflow=0, connect_args={"timeout": LOCK_TIMEOUT_SECONDS}
        ).execution_options(sqlite_begin="BEGIN IMMEDIATE")
        _prepare_sqlite(self.engine)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite writer")

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        with self.engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Wait for the transaction that is under way, and let the file go."""
        self._thread.shutdown()
        self.engine.dispose()


def _with_driver(url: URL) -> URL:
    asynchronous = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return url.set(drivername=asynchronous.get(url.drivername, url.drivername))


def create_engine(url: URL, pool_size: int) -> AsyncEngine:
    """An engine set up for durable commits and bounded waits."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(
            url, pool_size=pool_size, max_overflow=0, connect_args={"timeout": LOCK_TIMEOUT_SECONDS}
        )
        _prepare_sqlite(engine.sync_engine)
        return engine
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=LOCK_TIMEOUT_SECONDS,
        isolation_level="READ COMMITTED",
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": STATEMENT_TIMEOUT_SECONDS,
            "server_settings": {
                "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
                "jit": "off",
                "plan_cache_mode": "force_custom_plan",  # one made while the log was empty would be kept, and reads it all
            },
        },
    )


def _count_statements(engine: Engine, on_statement: Callable[[], None]) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):  # which on SQLite is ours
            on_statement()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # an accepted signal survives a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_SECONDS * 1000}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what drivers raise into `Unstorable` for bad values, and into `StorageUnavailable` for all the rest.

    A broken constraint is no bad value: who holds the head's lock has looked first, so it means that head and log disagree.
    """
    try:
        yield
    except (DataError, UnicodeError) as error:
        raise Unstorable(_first_line(error)) from error
    except DBAPIError as error:
        if isinstance(error.orig.__cause__ if error.orig else None, asyncpg.DataError):
            raise Unstorable(_first_line(error)) from error
        kind = ConnectionLost if error.connection_invalidated else StorageUnavailable
        raise kind(f"database: {_first_line(error)}") from error
    except (
        PoolTimeoutError,
        SQLAlchemyError,
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        raise StorageUnavailable(f"database: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error) or type(error).__name__
    return text.splitlines()[0]
