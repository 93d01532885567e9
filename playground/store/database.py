"""Opens the database and migrates it to the current schema. Knows no table."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

DATABASE_FILE = "playground.db"
MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(home: Path) -> Engine:
    """Open ``playground.db`` in ``home``, created or migrated first if needed (Alembic).

    Writers wait for each other up to five seconds; readers never wait (SQLite's WAL).
    """
    home.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{home / DATABASE_FILE}", connect_args={"timeout": 5})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return engine
