"""Opens the database, migrates it to the current schema and hands out transactions. Knows no table.

SQLite in the home unless a URL names another. A writer takes SQLite's write lock at its beginning
(``BEGIN IMMEDIATE``), so that what it read before it wrote is still true; others wait for it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from playground.errors import DatabaseUnavailable, InvalidSettings, NoSpace

DATABASE_FILE = "playground.db"
LOCK_FILE = ".playground.db.migration"
MIGRATIONS = Path(__file__).parent / "migrations"
WAIT_S = 20.0
"""How long a writer waits for another."""
READS = "playground_reads"
ADVISORY_LOCK = 7_236_001
"""PostgreSQL's lock that one process holds while it migrates; any number that nobody else uses."""
FULL = ("disk is full", "no space left", "could not extend file")
LOCKED = ("database is locked", "database table is locked", "lock timeout", "deadlock detected")
READ_ONLY = ("readonly database", "read-only transaction")
DAMAGED = ("malformed", "not a database")


class Database:
    """The database of one home. May be used from any thread.

    Opening raises `InvalidSettings` for a URL that is none or whose driver is not installed, and
    `DatabaseUnavailable` where nothing answers.
    """

    def __init__(self, home: Path, url: str = "", *, wait_s: float = WAIT_S) -> None:
        self.engine = open_database(home, url, wait_s=wait_s)
        self._reads = sessionmaker(self.engine.execution_options(**{READS: True}))
        self._writes = sessionmaker(self.engine)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that only reads: it waits for nobody."""
        with database_errors(), self._reads() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction: all of it is kept, or nothing.

        Raises `DatabaseUnavailable` if another program holds the database for too long, and
        `NoSpace` if the disk is full.
        """
        with database_errors(), self._writes.begin() as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def database_errors() -> Iterator[None]:
    """Say in our own words why the database did not do it."""
    try:
        yield
    except DBAPIError as error:
        found = str(error.orig).lower()
        if any(words in found for words in FULL):
            raise NoSpace(
                "the disk of the database is full; this change was not saved, everything before "
                "it is. Make room and try again"
            ) from error
        if any(words in found for words in LOCKED):
            raise DatabaseUnavailable(
                "the database is locked by another program; this change was not saved. Try again"
            ) from error
        if any(words in found for words in READ_ONLY):
            raise DatabaseUnavailable("the database may only be read here") from error
        if any(words in found for words in DAMAGED):
            raise DatabaseUnavailable(f"the database's file is damaged: {error.orig}") from error
        if error.connection_invalidated or "connection" in found or "unable to open" in found:
            first = str(error.orig).strip().partition("\n")[0]
            raise DatabaseUnavailable(f"the database cannot be reached: {first}") from error
        raise


def open_database(home: Path, url: str = "", *, wait_s: float = WAIT_S) -> Engine:
    """Open the database of ``url``, or ``playground.db`` in ``home``; create or migrate it first.

    Writers wait for each other up to ``wait_s`` seconds; readers never wait (SQLite's WAL).
    """
    home.mkdir(parents=True, exist_ok=True)
    address = _address(home, url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address, connect_args={"timeout": wait_s})
        _prepare_sqlite(engine)
        alone: AbstractContextManager[object] = FileLock(home / LOCK_FILE)
    else:
        engine = create_engine(address, pool_pre_ping=True)
        alone = nullcontext()
    with database_errors(), alone, engine.begin() as connection:
        _migrate(connection)
    return engine


def _address(home: Path, url: str) -> URL:
    try:
        address = make_url(url) if url else URL.create("sqlite", database=str(home / DATABASE_FILE))
        if address.drivername in ("postgresql", "postgres"):
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise InvalidSettings(
                f"store.database_url: {address.get_backend_name()} is not supported; sqlite and "
                "postgresql are"
            )
        address.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidSettings(f"store.database_url: {error}") from error
    except ImportError as error:
        raise InvalidSettings(
            f"store.database_url: the driver {error.name} is not installed; "
            "pip install 'mistral-playground[postgresql]'"
        ) from error
    return address


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # we begin, not the driver
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if MigrationContext.configure(connection).get_current_revision() == _newest():
        return
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
def _newest() -> str | None:
    """Return the revision of the current schema; a server opens the database for each store."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()
