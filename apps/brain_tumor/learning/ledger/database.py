"""The database of the ledger: SQLite beside the studies, or PostgreSQL by address."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Dialect, Engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, SQLAlchemyError

from brain_tumor.errors import InputError, StorageError

logger = logging.getLogger(__name__)

LEDGER_ENV = "TUMORLENS_LEDGER"
LEDGER_FILE = "ledger.sqlite3"
MIGRATIONS = "brain_tumor.learning.ledger:migrations"
BUSY_PATIENCE_S = 30
CONNECT_PATIENCE_S = 10
DIALECTS = ("sqlite", "postgresql")


def ledger_url(environ: Mapping[str, str], folder: Path) -> str:
    """Address of the ledger: `$TUMORLENS_LEDGER`, else a file in a folder."""
    return environ.get(LEDGER_ENV) or f"sqlite:///{folder / LEDGER_FILE}"


def now_text() -> str:
    """Time in UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class LedgerDatabase:
    """Connections to the ledger, with the newest schema.

    Args:
        url: SQLAlchemy address.

    Raises:
        InputError: If the address is none, or of another kind of database, or the database does
            not hold Unicode.
        StorageError: If the database cannot be reached or brought up to date.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        with self.transaction() as connection:
            _check_encoding(connection)
            self._lock_out_others(connection, "schema")
            config = Config()
            config.set_main_option("script_location", MIGRATIONS)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def transaction(self, *, lock: str | None = None) -> Iterator[Connection]:
        """A transaction; on disk when the block has ended.

        Args:
            lock: Table that nobody else may write to meanwhile, for what is looked up first.

        Raises:
            InputError: If a value does not fit into its column.
            StorageError: If the database fails; then nothing changed.
        """
        try:
            with self.engine.begin() as connection:
                if lock is not None:
                    self._lock_out_others(connection, lock)
                yield connection
        except DataError as error:
            raise InputError(f"the ledger cannot hold a value: {str(error.orig)[:200]}") from error
        except DBAPIError as error:
            raise StorageError(
                f"the ledger failed: {str(error.orig)[:200]}",
                remedy="Free disk space or start the database, then send it again.",
            ) from error
        except SQLAlchemyError as error:
            raise StorageError(f"the ledger failed: {type(error).__name__}") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _lock_out_others(self, connection: Connection, name: str) -> None:
        """Wait for the turn; SQLite transactions have it from their beginning."""
        if self.engine.dialect.name == "postgresql":
            statement = sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))")
            connection.execute(statement, {"name": f"tumorlens:{name}"})


def _engine(url: str) -> Engine:
    """Engine of an address.

    Raises:
        InputError: If the address is none, of another kind of database, or its driver is missing.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in DIALECTS:
            raise InputError(
                f"{LEDGER_ENV} names a {parsed.get_backend_name()} database; "
                f"expected {' or '.join(DIALECTS)}"
            )
        engine = sa.create_engine(parsed, pool_pre_ping=True, json_serializer=_strict_json)
    except ArgumentError as error:
        raise InputError(f"{LEDGER_ENV} is no database address") from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"the driver for {LEDGER_ENV} is not installed: {error.name}",
            remedy="Install it: pip install 'tumorlens[postgresql]'.",
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    else:
        sa.event.listen(engine, "do_connect", _be_patient_with_postgresql)
        sa.event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _strict_json(value: object) -> str:
    """JSON that every database takes: SQLite would keep NaN, PostgreSQL refuses it."""
    return json.dumps(value, allow_nan=False)


def _check_encoding(connection: Connection) -> None:
    """Refuse a database that could not keep an annotator's name or note as written.

    Raises:
        InputError: If it does.
    """
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise InputError(
            f"{LEDGER_ENV} names a database with the encoding {encoding}; expected UTF8",
            remedy="Make it with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
        )


def _be_patient_with_postgresql(
    _dialect: Dialect, _record: Any, _arguments: list[Any], options: dict[str, Any]
) -> None:
    """Give up on a host that does not answer; the address may say otherwise."""
    options.setdefault("connect_timeout", CONNECT_PATIENCE_S)


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    """Durable commits whatever the server's default is, and patience with other writers.

    A default other than `off` (a wait for replicas, say) is left alone.
    """
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute(f"SET lock_timeout = '{BUSY_PATIENCE_S}s'")
    connection.autocommit = False


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Durable commits, foreign keys, patience; transactions begin when we say so."""
    connection.isolation_level = None
    for pragma in (
        "foreign_keys = ON",
        "synchronous = EXTRA",
        f"busy_timeout = {BUSY_PATIENCE_S * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """One writer at a time, from the first statement on."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
