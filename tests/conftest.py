"""Fixtures that are dear to make and shared by the whole run."""

from collections.abc import Iterator

import pytest

from tests.helpers.postgresql import PostgresqlServer, skip_without_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server."""
    skip_without_postgresql()
    server = PostgresqlServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
