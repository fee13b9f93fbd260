"""A cohort in one process: what is read, skipped, refused, and written down."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from brain_tumor.cli import main
from brain_tumor.cohorts import run as running
from brain_tumor.cohorts.cases import Cohort, found_source, input_files
from brain_tumor.cohorts.engine import UNEXPECTED
from brain_tumor.cohorts.results import ResultsFolder
from brain_tumor.cohorts.rows import COLUMNS
from brain_tumor.cohorts.run import CohortProgress, cohort_settings, run_cohort
from brain_tumor.cohorts.worker import CohortSettings, process_case
from brain_tumor.errors import BusyError, InputError, ModelError
from filelock import FileLock

from tests.helpers.cohorts import FAULTY, load_bright, notes, write_case, write_models


def settings_of(folder: Path, **options: str) -> CohortSettings:
    return cohort_settings(folder / "out", folder / "models", load_bright, **options)


def run(folder: Path, source: str = "cases", **options: str) -> CohortProgress:
    return run_cohort(Cohort(folder / source), settings_of(folder, **options))


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / "cohort.csv").open(encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three cases of 10, 20 and 30 bright voxels."""
    write_models(tmp_path)
    for number in (1, 2, 3):
        write_case(tmp_path / "cases", f"P{number}", 10 * number)
    return tmp_path


def test_each_case_is_read_once_with_models_that_are_loaded_once(three: Path) -> None:
    told = run(three)
    assert (told.total, told.done, told.earlier, told.failed) == (3, 3, 0, 0)
    assert notes(three / "models") == ["loaded", "P1", "P2", "P3"]
    rows = table(three)
    assert [float(rows[f"P{n}"]["WT_ml"]) for n in (1, 2, 3)] == [0.01, 0.02, 0.03]
    assert rows["P2"]["report"] == "cases/P2/report.html"
    image = nib.load(three / "out" / "cases" / "P3" / "labelmap.nii.gz")
    assert np.count_nonzero(np.asarray(image.dataobj)) == 30
    assert not (three / "out" / ".staging").exists()


def test_what_is_done_is_not_read_again(three: Path) -> None:
    run(three)
    write_case(three / "cases", "P4", 40)
    told = run(three)
    assert (told.done, told.earlier) == (1, 3)
    assert notes(three / "models")[4:] == ["P4"]


def test_a_case_that_changed_is_read_again_and_one_that_only_moved_is_not(three: Path) -> None:
    run(three)
    write_case(three / "cases", "P1", 11)
    (three / "cases").rename(three / "elsewhere")
    told = run(three, "elsewhere")
    assert (told.done, told.earlier) == (1, 2)
    assert float(table(three)["P1"]["WT_ml"]) == 0.011


@pytest.mark.parametrize("change", ["models", "depth", "version"])
def test_everything_is_read_again_for_other_models_or_other_questions(
    three: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    run(three)
    if change == "models":
        write_models(three, b"2")
    if change == "version":
        monkeypatch.setattr("brain_tumor.cohorts.worker.__version__", "99.0.0")
    told = run(three, depth="segment" if change == "depth" else "analyse")
    assert (told.done, told.earlier) == (3, 0)


def test_the_card_of_a_model_may_change(three: Path) -> None:
    run(three)
    card = three / "models" / "tiny" / "docs" / "README.md"
    card.parent.mkdir()
    card.write_text("new words")
    assert run(three).earlier == 3


def test_a_failure_is_a_sentence_and_the_rest_is_read(three: Path) -> None:
    write_case(three / "cases", "P0", 3, value=FAULTY)
    (three / "cases" / "P4").mkdir()
    (three / "cases" / "P4" / "t1c.nii.gz").write_bytes(b"no volume")
    told = run(three)
    assert (told.done, told.failed) == (3, 2)
    rows = table(three)
    assert list(rows) == ["P0", "P1", "P2", "P3", "P4"]
    assert (rows["P0"]["status"], rows["P0"]["message"]) == ("failed", UNEXPECTED)
    assert "t1c.nii.gz" in rows["P4"]["message"]
    assert rows["P4"]["remedy"]
    write_case(three / "cases", "P4", 40)
    told = run(three)
    assert (told.done, told.earlier, told.failed) == (1, 3, 1)
    assert table(three)["P4"]["status"] == "done"
    assert not (three / "out" / "failures" / "P4.json").exists()


def test_a_case_that_fails_now_does_not_show_what_it_was(three: Path) -> None:
    run(three)
    write_case(three / "cases", "P2", 3, value=FAULTY)
    run(three)
    assert table(three)["P2"]["status"] == "failed"
    assert not (three / "out" / "cases" / "P2").exists()


def test_both_tables_hold_the_same(three: Path) -> None:
    write_case(three / "cases", "P0", 3, value=FAULTY)
    run(three)
    rows = table(three)
    parquet = pq.read_table(three / "out" / "cohort.parquet").to_pylist()
    assert [row["case"] for row in parquet] == list(rows)
    for row in parquet:
        for column in COLUMNS:
            text = rows[row["case"]][column]
            if row[column] is None:
                assert text == ""
            elif isinstance(row[column], float):
                assert float(text) == row[column]
            else:
                assert text == str(row[column])


def test_a_list_names_cases_by_path_or_by_sequence(three: Path) -> None:
    (three / "cohort.csv").write_text(
        "case,path,t1c,flair\n"
        "first,cases/P1,,\n"
        ",cases/P2,,\n"
        "both,cases/P3,cases/P3/t1c.nii.gz,\n"
        "named,,cases/P1/t1c.nii.gz,cases/P3/t1c.nii.gz\n"
        "first,cases/P3,,\n"
        ",,,\n"
        "gone,cases/P9,,\n",
        encoding="utf-8-sig",
    )
    told = run(three, "cohort.csv")
    rows = table(three)
    assert list(rows) == ["first", "P2", "both", "named", "first-2", "gone"]
    assert (told.total, told.done, told.failed) == (6, 3, 3)
    assert float(rows["first"]["WT_ml"]) == 0.01
    assert rows["both"]["message"] == "line 4 names both a path and sequences; expected one of them"
    assert rows["first-2"]["message"].startswith("the name first occurs more than once")
    assert rows["gone"]["message"].startswith("P9 does not exist")


@pytest.mark.parametrize(
    "text",
    ["", "who,what\n1,2\n", "case\nP1\n", 'path\n"P1', "path\nP\x00".replace("\x00", "\xff")],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cohort.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"cohort\.csv") as raised:
        list(Cohort(tmp_path / "cohort.csv"))
    assert "case, path, t1, t1c, t2, flair" in raised.value.remedy


def test_a_studies_folder_is_known_by_its_records(three: Path) -> None:
    for name in ("P1", "P2"):
        source = three / "cases" / name
        assert main(["import", str(source), "--studies", str(three / "s"), "--quiet"]) == 0
    cohort = Cohort(three / "s")
    assert [case.case_id for case in cohort] == ["P1", "P2"]
    first = next(iter(cohort))
    assert set(input_files("P1", found_source(first))) == {"P1.nii.gz", "case.json"}
    assert run(three, "s").done == 2


def test_two_runs_on_one_folder_do_not_meet(three: Path) -> None:
    (three / "out").mkdir()
    with FileLock(three / "out" / ".lock"), pytest.raises(BusyError, match="another process"):
        run(three)


def test_a_worker_with_other_models_refuses_to_work(three: Path) -> None:
    settings = settings_of(three)
    write_models(three, b"2")
    with pytest.raises(ModelError, match="other models"):
        process_case(next(iter(Cohort(three / "cases"))), settings)


def test_the_second_of_two_workers_with_one_case_leaves_what_the_first_made(
    tmp_path: Path,
) -> None:
    results = ResultsFolder(tmp_path / "out")
    with results.staged("P1", "key") as (late, row):
        row["case"] = "late"
        (late / "labelmap").write_text("late")
        with results.staged("P1", "key") as (early, other):
            other["case"] = "early"
            (early / "labelmap").write_text("early")
    assert (tmp_path / "out" / "cases" / "P1" / "labelmap").read_text() == "early"
    record = results.record("P1")
    assert record is not None
    assert record.row == {"case": "early"}
    with results.staged("P1", "another key") as (folder, row):
        row["case"] = "new"
        (folder / "labelmap").write_text("new")
    assert (tmp_path / "out" / "cases" / "P1" / "labelmap").read_text() == "new"


def test_what_was_cut_off_in_the_middle_is_read_again(three: Path) -> None:
    results = ResultsFolder(three / "out")

    def cut_off() -> None:
        with results.staged("P1", "key") as (folder, _):
            (folder / "labelmap.nii.gz").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert results.record("P1") is None
    assert run(three).done == 3


def test_the_command_line_says_what_it_did(
    three: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain_tumor.cohorts.reading.load_reader", load_bright)
    write_case(three / "cases", "P0", 3, value=FAULTY)
    command = ["cohort", str(three / "cases"), "--output", str(three / "out")]
    command += ["--models", str(three / "models")]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert f"P0: {UNEXPECTED}" in told
    assert "4 cases: 3 read now, 0 earlier, 1 failed" in told
    assert main([*command, "--json"]) == 0
    assert '"done_earlier": 3' in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--workers", "--threads"])
def test_a_number_that_makes_no_sense_is_refused(
    three: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    command = ["cohort", str(three / "cases"), "--output", str(three / "out"), option, "0"]
    assert main(command) == 2
    assert f"{option} is 0; expected 1 or more" in capsys.readouterr().err


def test_the_page_is_written_beside_the_tables(three: Path) -> None:
    run(three)
    page = (three / "out" / "index.html").read_text(encoding="utf-8")
    assert re.search(r"3 cases: 3 read, none failed", page)
    assert running.PAGE == "index.html"
