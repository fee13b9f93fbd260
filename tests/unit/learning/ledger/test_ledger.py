import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from brain_tumor.errors import BusyError, InputError, NotFoundError, StorageError
from brain_tumor.learning.ledger.database import MIGRATIONS, LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import (
    CaseRef,
    Kind,
    Ledger,
    NewSubmission,
    Part,
    ReviewState,
    corrected_masks,
    newest_masks,
    part_of_rank,
)
from brain_tumor.learning.ledger.schema import metadata

from tests.helpers.server import REPOSITORY

MODEL = {"name": "segmentation", "version": "0.1.0", "sha256": "f" * 64}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Address of an empty database: each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite3"
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def ledger(url):
    ledger = Ledger(LedgerDatabase(url))
    yield ledger
    ledger.close()


@pytest.fixture
def raw(url):
    """The database without our code in between."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def mask(case="P1", version=1, patient=None, annotator="anna", **more):
    return NewSubmission(
        CaseRef(case, "a" * 64, patient or case),
        Kind.MASK,
        annotator=annotator,
        tag="final",
        label_version=version,
        label_sha256="b" * 64,
        proposed_by=MODEL,
        **more,
    )


class TestSubmissions:
    def test_what_was_submitted_can_be_read_back(self, ledger):
        change = {"dice": 0.9, "labels": {"oedema": {"added_ml": 1.5}}}
        given = mask(seconds_spent=61.5, heat_open=True, text_open=False, change=change)
        written = ledger.submit(given)
        assert ledger.submission(written.id) == written
        assert (written.case_id, written.patient, written.annotator) == ("P1", "P1", "anna")
        assert (written.kind, written.state) == (Kind.MASK, ReviewState.SUBMITTED)
        assert (written.tag, written.label_version, written.label_sha256) == ("final", 1, "b" * 64)
        assert written.proposed_by == MODEL
        assert (written.seconds_spent, written.heat_open, written.text_open) == (61.5, True, False)
        assert written.change == change
        assert written.at.endswith("+00:00")

    def test_a_label_version_is_written_down_once(self, ledger):
        assert ledger.submit(mask()).id == ledger.submit(mask()).id
        assert ledger.submit(mask(version=2)).id != ledger.submit(mask()).id
        types = [ledger.submit(NewSubmission(mask().case, Kind.TYPE, payload={})) for _ in "ab"]
        assert len({t.id for t in types}) == 2

    def test_the_state_is_the_newest_decision_and_all_decisions_stay(self, ledger):
        number = ledger.submit(mask()).id
        ledger.review(number, ReviewState.REJECTED, "carl", "rim missing")
        after = ledger.review(number, ReviewState.REVIEWED, "dora")
        assert after.state is ReviewState.REVIEWED
        assert [(r.reviewer, r.decision.value, r.note) for r in after.reviews] == [
            ("carl", "rejected", "rim missing"),
            ("dora", "reviewed", ""),
        ]
        with pytest.raises(NotFoundError, match="no submission 99"):
            ledger.review(99, ReviewState.REVIEWED, "carl")
        with pytest.raises(InputError, match="draft"):
            ledger.review(number, ReviewState.DRAFT, "carl")

    def test_several_are_written_together_or_not_at_all(self, ledger):
        written = ledger.submit_all([mask("P1"), mask("P2"), mask("P1")])
        assert [one.case_id for one in written] == ["P1", "P2", "P1"]
        assert written[0].id == written[2].id  # the same version twice
        bad = NewSubmission(mask("P3").case, Kind.TYPE, payload={"x": float("nan")})
        with pytest.raises((InputError, StorageError, ValueError)):
            ledger.submit_all([mask("P3"), bad])
        assert {one.case_id for one in ledger.submissions()} == {"P1", "P2"}

    def test_they_can_be_searched(self, ledger):
        first = ledger.submit(mask("P1"))
        second = ledger.submit(mask("P2", state=ReviewState.DRAFT))
        third = ledger.submit(NewSubmission(mask("P2").case, Kind.TYPE, payload={"type": "glioma"}))
        ledger.review(first.id, ReviewState.REVIEWED, "carl")

        def found(**query):
            return [s.id for s in ledger.submissions(**query)]

        assert found() == [third.id, second.id, first.id]
        assert found(case_id="P2", kind=Kind.MASK) == [second.id]
        assert found(state=ReviewState.REVIEWED) == [first.id]
        assert found(state=ReviewState.DRAFT) == [second.id]
        assert found(limit=1) == [third.id]
        assert found(after=second.id) == [third.id]
        assert found(after=0, limit=2) == [first.id, second.id]

    def test_a_model_learns_from_the_newest_mask_unless_an_older_one_is_reviewed(self, ledger):
        ledger.submit(mask("P1", 1))
        newest = ledger.submit(mask("P1", 2))
        reviewed = ledger.submit(mask("P2", 1))
        ledger.review(reviewed.id, ReviewState.REVIEWED, "carl")
        ledger.submit(mask("P2", 2))
        rejected = ledger.submit(mask("P3", 1))
        ledger.review(rejected.id, ReviewState.REJECTED, "carl")
        ledger.submit(mask("P4", 1, state=ReviewState.DRAFT))
        ledger.submit(replace(mask("P5", 1), tag="second-look"))
        assert [s.id for s in corrected_masks(ledger.submissions())] == [newest.id, reviewed.id]

    def test_the_newest_mask_is_that_of_the_highest_version_whenever_it_was_written_down(
        self, ledger
    ):
        newest = ledger.submit(mask("P1", 2, at="2026-03-02T00:00:00.000+00:00"))
        late = ledger.submit(mask("P1", 1, at="2026-03-01T00:00:00.000+00:00"))
        assert (late.id > newest.id, late.at) == (True, "2026-03-01T00:00:00.000+00:00")
        assert [s.label_version for s in corrected_masks(ledger.submissions())] == [2]
        draft = ledger.submit(replace(mask("P1", 1, at="2026-03-03"), tag="second-look"))
        masks = ledger.submissions(kind=Kind.MASK)
        assert newest_masks(masks)["P1"] == draft
        assert newest_masks([m for m in masks if m != draft])["P1"] == newest


class TestSplit:
    def test_one_patient_in_four_is_held_out_and_stays_so(self, ledger):
        for n in range(40):
            ledger.submit(mask(f"P{n}"))
        parts = {s.case_id: s.part for s in ledger.submissions()}
        assert sum(part is Part.HOLD_OUT for part in parts.values()) == 10
        for block in range(10):
            four = [parts[f"P{n}"] for n in range(4 * block, 4 * block + 4)]
            assert four.count(Part.HOLD_OUT) == 1
        for n in range(40):
            assert ledger.submit(mask(f"P{n}", version=2)).part is parts[f"P{n}"]

    def test_all_cases_of_a_patient_are_on_one_side(self, ledger):
        parts = {ledger.submit(mask(f"P1-scan{n}", patient="P1")).part for n in range(8)}
        assert len(parts) == 1

    def test_a_case_that_was_seen_before_its_patient_was_told_can_be_corrected(self, ledger):
        ledger.results.add(
            case_id="P1",
            image_sha256="a" * 64,
            patient="P1",
            task="analysis",
            models=[MODEL],
            client=None,
            summary={},
        )
        written = ledger.submit(mask("P1", patient="told later"))
        assert (written.id, written.patient) == (1, "P1")
        assert [s.case_id for s in corrected_masks(ledger.submissions())] == ["P1"]

    def test_the_place_in_a_block_varies(self):
        places = {n % 4 for n in range(200) if part_of_rank(n) is Part.HOLD_OUT}
        assert places == {0, 1, 2, 3}


class TestCases:
    NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    def later(self, minutes):
        return self.NOW + timedelta(minutes=minutes)

    def test_a_reserved_case_is_not_given_to_another(self, ledger):
        ledger.cases.reserve("P1", "anna", 30, now=self.NOW)
        with pytest.raises(BusyError, match="reserved by anna until 2026-01-01T12:30"):
            ledger.cases.reserve("P1", "ben", 30, now=self.later(29))
        assert ledger.cases.reserve("P1", "anna", 60, now=self.later(29)).reserved_by == "anna"
        assert ledger.cases.reserve("P1", "ben", 30, now=self.later(90)).reserved_by == "ben"

    def test_only_its_holder_releases_it(self, ledger):
        ledger.cases.reserve("P1", "anna", 30, now=self.NOW)
        assert not ledger.cases.release("P1", "ben", now=self.later(1))
        assert ledger.cases.states(now=self.later(1))["P1"].reserved_by == "anna"
        assert ledger.cases.release("P1", "anna", now=self.later(2))
        assert ledger.cases.states(now=self.later(3))["P1"].reserved_by is None
        assert not ledger.cases.release("P1", "anna", now=self.later(4))

    def test_of_many_at_once_one_gets_the_case(self, ledger):
        got, refused = [], []

        def ask(client):
            try:
                got.append(ledger.cases.reserve("P1", client, 30).reserved_by)
            except BusyError:
                refused.append(client)

        threads = [threading.Thread(target=ask, args=(f"client{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(got), len(refused)) == (1, 7)

    def test_reopening_is_remembered(self, ledger):
        assert ledger.cases.reopen("P1", "carl").reopened_at is not None
        assert list(ledger.cases.states()) == ["P1"]


class TestResults:
    def add(self, ledger, case, patient, version="0.1.0", task="segmentation"):
        model = {**MODEL, "version": version, "sha256": version.replace(".", "") * 16}
        ledger.results.add(
            case_id=case,
            image_sha256="a" * 64,
            patient=patient,
            task=task,
            models=[model],
            client="anna",
            summary={"volumes_ml": {"WT": 12.5}},
        )

    def test_they_can_be_searched_by_patient_case_task_and_version(self, ledger):
        self.add(ledger, "S1", "Adams-7")
        self.add(ledger, "S2", "Adams-7", version="0.1.1")
        self.add(ledger, "S3", "Baker_%", task="analysis")

        def found(**query):
            return [row["case"] for row in ledger.results.search(**query)]

        assert found() == ["S3", "S2", "S1"]
        assert found(patient="adams") == ["S2", "S1"]
        assert found(patient="%") == ["S3"]
        assert found(task="analysis") == ["S3"]
        assert found(version="0.1.1") == found(version="011011") == ["S2"]
        assert found(since="2999") == []
        assert found(until="2999", limit=2) == ["S3", "S2"]
        row = ledger.results.search(case_id="S1")[0]
        assert (row["patient"], row["summary"]["volumes_ml"]["WT"]) == ("Adams-7", 12.5)
        assert set(ledger.results.newest()) == {"S1", "S2", "S3"}


def test_the_newest_scores_of_a_case_count(ledger):
    ledger.scores.add("P1", "a" * 64, "f" * 64, {"uncertainty": 0.2})
    ledger.scores.add("P1", "a" * 64, "e" * 64, {"uncertainty": 0.4})
    assert ledger.scores.newest()["P1"]["values"] == {"uncertainty": 0.4}


def fill(ledger):
    number = ledger.submit(mask()).id
    ledger.review(number, ReviewState.REVIEWED, "carl")
    ledger.cases.reserve("P1", "anna", 30)
    ledger.scores.add("P1", "a" * 64, "f" * 64, {})
    ledger.note_model("segmentation", "0.1.1", "promoted", "anna", {})
    TestResults().add(ledger, "P1", "P1")


class TestAppendOnly:
    @pytest.mark.parametrize("table", sorted(metadata.tables))
    def test_no_row_is_ever_changed_or_removed(self, ledger, raw, table):
        fill(ledger)
        column = sa.inspect(raw).get_columns(table)[0]["name"]
        statements = [f"UPDATE {table} SET {column} = 7", f"DELETE FROM {table}"]
        if raw.dialect.name == "postgresql":
            statements.append(f"TRUNCATE {table} CASCADE")
        for statement in statements:
            with (
                pytest.raises(sa.exc.DBAPIError, match="append-only"),
                raw.begin() as connection,
            ):
                connection.execute(sa.text(statement))
        with raw.begin() as connection:
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == 1


class TestSchema:
    def test_the_migrations_make_the_tables_that_the_code_uses(self, ledger):
        with ledger._database.transaction() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []

    def test_opening_again_changes_nothing(self, ledger, url):
        ledger.submit(mask())
        again = Ledger(LedgerDatabase(url))
        assert len(again.submissions()) == 1
        again.close()

    def test_a_ledger_of_the_first_version_is_brought_up_to_date(self, url, raw):
        with raw.begin() as connection:
            command.upgrade(config_of(connection), "0001")
            insert = metadata.tables["patients"].insert()
            connection.execute(insert.values(key="Adams", first_seen="2026"))
        ledger = Ledger(LedgerDatabase(url))
        with raw.begin() as connection:
            assert MigrationContext.configure(connection).get_current_revision() == "0002"
        assert ledger.submit(mask("P1", patient="Adams")).patient == "Adams"
        ledger.close()

    def test_many_that_open_an_empty_database_at_once_make_its_tables_once(self, url):
        made, failed = [], []

        def make():
            try:
                made.append(LedgerDatabase(url))
            except StorageError as error:
                failed.append(error)

        run_at_once(make for _ in range(6))
        assert failed == []
        for database in made:
            database.close()

    def test_the_address_comes_from_the_environment(self, tmp_path):
        assert ledger_url({}, tmp_path) == f"sqlite:///{tmp_path}/ledger.sqlite3"
        assert ledger_url({"TUMORLENS_LEDGER": "postgresql://h/d"}, tmp_path) == "postgresql://h/d"
        for url in ("mysql://h/d", "nonsense"):
            with pytest.raises(InputError, match="TUMORLENS_LEDGER"):
                LedgerDatabase(url)

    def test_a_database_that_cannot_be_written_is_a_storage_error(self, tmp_path):
        with pytest.raises(StorageError, match="ledger failed"):
            LedgerDatabase(f"sqlite:///{tmp_path}/missing/ledger.sqlite3")


def config_of(connection):
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.attributes["connection"] = connection
    return config


def run_at_once(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


WRITER = """
import sys
from brain_tumor.learning.ledger.ledger import *
from brain_tumor.learning.ledger.database import LedgerDatabase
ledger = Ledger(LedgerDatabase(sys.argv[1]))
print("ready", flush=True)
start = len(ledger.submissions())
for n in range(start, start + 100000):
    case = CaseRef(f"P{n}", "a" * 64, f"P{n}")
    written = ledger.submit(NewSubmission(case, Kind.MASK, tag="final", label_version=1))
    print(written.id, flush=True)
"""


def test_killed_at_random_moments_it_has_everything_that_it_acknowledged(url):
    moments = random.Random(5)
    acknowledged = set()
    for _ in range(int(os.environ.get("TUMORLENS_KILLS", "2"))):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout.readline() == "ready\n"
        acknowledged.add(int(process.stdout.readline()))
        time.sleep(moments.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        acknowledged |= {int(line) for line in process.stdout if line.endswith("\n")}
        process.wait(30)
    ledger = Ledger(LedgerDatabase(url))
    there = {s.id for s in ledger.submissions()}
    ledger.close()
    assert len(acknowledged) >= 2
    assert acknowledged <= there
