"""What only a real PostgreSQL shows: its defaults, its locks, and its death."""

import os
import random
import threading
import time

import pytest
import sqlalchemy as sa
from brain_tumor.errors import InputError, StorageError
from brain_tumor.learning.ledger import database as ledger_database
from brain_tumor.learning.ledger.database import LedgerDatabase
from brain_tumor.learning.ledger.ledger import CaseRef, Kind, Ledger, NewSubmission, ReviewState

from tests.helpers.postgresql import PostgresqlServer, skip_without_postgresql


@pytest.fixture
def url(postgresql):
    return postgresql.new_database()


def mask(number, case="P1"):
    return NewSubmission(
        CaseRef(case, "a" * 64, case), Kind.MASK, tag="final", label_version=number
    )


def setting(database, name):
    with database.transaction() as connection:
        return connection.execute(sa.text(f"SHOW {name}")).scalar_one()


@pytest.mark.parametrize(("default", "ours"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_commits_are_durable_whatever_the_server_does_by_default(url, default, ours):
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
        connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = {default}"))
    admin.dispose()
    database = LedgerDatabase(url)
    assert setting(database, "synchronous_commit") == ours
    database.close()


def test_a_database_that_does_not_hold_unicode_is_refused(postgresql):
    url = postgresql.new_database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(InputError, match="encoding LATIN1; expected UTF8"):
        LedgerDatabase(url)


def test_a_server_that_is_not_there_is_a_storage_error_without_the_password():
    with pytest.raises(StorageError, match="ledger failed") as caught:
        LedgerDatabase("postgresql+psycopg://anna:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(caught.value)


def test_a_writer_that_never_ends_is_not_waited_for_forever(url, monkeypatch):
    monkeypatch.setattr(ledger_database, "BUSY_PATIENCE_S", 1)
    ledger = Ledger(LedgerDatabase(url))
    other = LedgerDatabase(url)
    with other.transaction(lock="submissions"), pytest.raises(StorageError, match="lock timeout"):
        ledger.submit(mask(1))
    assert ledger.submit(mask(1)).id > 0
    ledger.close()
    other.close()


def test_a_role_that_may_only_read_and_add_is_enough_once_the_tables_are_there(url):
    LedgerDatabase(url).close()
    owner = sa.create_engine(url)
    with owner.begin() as connection:
        for statement in (
            "CREATE ROLE clerk LOGIN",
            "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO clerk",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk",
        ):
            connection.execute(sa.text(statement))
    owner.dispose()
    database = LedgerDatabase(url.replace("tumorlens@", "clerk@"))
    ledger = Ledger(database)
    number = ledger.submit(mask(1)).id
    assert ledger.review(number, ReviewState.REVIEWED, "dora").state is ReviewState.REVIEWED
    with pytest.raises(StorageError, match="must be owner"), database.transaction() as connection:
        connection.execute(sa.text("DROP TRIGGER reviews_append_only ON reviews"))
    ledger.close()


def test_text_in_any_language_comes_back_as_written(url):
    ledger = Ledger(LedgerDatabase(url))
    number = ledger.submit(mask(1, "환자-1")).id
    reviewed = ledger.review(number, ReviewState.REJECTED, "김", "조영증강 테두리 누락")
    assert (reviewed.case_id, reviewed.reviews[0].note) == ("환자-1", "조영증강 테두리 누락")
    ledger.close()


def test_what_does_not_fit_into_a_column_is_an_input_error_and_changes_nothing(url):
    ledger = Ledger(LedgerDatabase(url))
    with pytest.raises(InputError, match="cannot hold a value"):
        ledger.submit(mask(1, "P" * 65))
    assert ledger.submissions() == []
    ledger.close()


def test_writers_at_once_get_numbers_and_sides_of_their_own(url):
    ledgers = [Ledger(LedgerDatabase(url)) for _ in range(4)]

    def write(ledger, first):
        for n in range(first, first + 5):
            ledger.submit(mask(1, f"P{n}"))
            ledger.submit(mask(1, "shared"))

    threads = [threading.Thread(target=write, args=(led, 5 * n)) for n, led in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ledgers[0].submissions()
    assert sorted(s.case_id for s in found) == sorted(["shared", *(f"P{n}" for n in range(20))])
    assert [s.part.value for s in found].count("hold_out") == 5
    for ledger in ledgers:
        ledger.close()


def test_killed_with_its_processes_the_database_keeps_what_was_acknowledged():
    skip_without_postgresql()
    server, moments = PostgresqlServer(), random.Random(2)
    try:
        server.start()
        ledger = Ledger(LedgerDatabase(server.new_database()))
        acknowledged: set[int] = set()

        def write(start):
            for number in range(start, start + 10**6):
                try:
                    acknowledged.add(ledger.submit(mask(number)).id)
                except StorageError:
                    return

        for attempt in range(int(os.environ.get("TUMORLENS_KILLS", "2"))):
            before = len(acknowledged)
            thread = threading.Thread(target=write, args=(10**7 * attempt,))
            thread.start()
            deadline = time.monotonic() + 120
            while len(acknowledged) < before + 5 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 0.2))
            server.kill()
            thread.join(120)
            server.start()
        # the same ledger goes on: no restart of ours
        assert len(acknowledged) >= 10
        assert acknowledged <= {s.id for s in ledger.submissions()}
        ledger.close()
    finally:
        server.close()
