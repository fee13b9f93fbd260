"""Cases on workers: a few processes of this machine, without models. About ten seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from brain_tumor.cohorts.cases import Cohort
from brain_tumor.cohorts.cluster import Cluster
from brain_tumor.cohorts.run import CohortProgress, cohort_settings, run_cohort
from brain_tumor.errors import InputError, NotFoundError

from tests.helpers.cohorts import DEADLY, FAULTY, load_bright, notes, write_case, write_models


def run(folder: Path, output: str, cluster: Cluster | None) -> CohortProgress:
    settings = cohort_settings(folder / output, folder / "models", load_bright)
    return run_cohort(Cohort(folder / "cases"), settings, cluster=cluster)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of the results but what tells how long it took."""
    names = ("labelmap.nii.gz", "report.json", "report.html")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name in names
    }


def test_workers_give_what_one_process_gives_even_if_one_is_killed(tmp_path: Path) -> None:
    write_models(tmp_path)
    for number in range(6):
        write_case(tmp_path / "cases", f"P{number}", 10 + number)
    write_case(tmp_path / "cases", "P6", 5, value=FAULTY)
    write_case(tmp_path / "cases", "A0", 5, value=DEADLY)
    told = run(tmp_path, "many", Cluster(workers=1))
    # a result that the killed worker had not handed over is found by the next one as done
    assert (told.total, told.done + told.earlier, told.failed) == (8, 7, 1)
    assert (tmp_path / "models" / "died").exists()
    read = notes(tmp_path / "models")
    assert read.count("A0") == 2  # by the worker that died, and by the next
    told = run(tmp_path, "one", None)
    assert (told.done, told.failed) == (7, 1)
    assert content(tmp_path / "many") == content(tmp_path / "one")
    assert len(content(tmp_path / "one")) == 7 * 3


def test_a_scheduler_that_is_not_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain_tumor.cohorts.cluster.CONNECT_S", 0.2)
    write_models(tmp_path)
    write_case(tmp_path / "cases", "P1", 1)
    with pytest.raises(NotFoundError, match="no scheduler answers at tcp") as raised:
        run(tmp_path, "out", Cluster(scheduler="tcp://127.0.0.1:9"))
    assert "dask scheduler" in raised.value.remedy


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    write_models(tmp_path)
    write_case(tmp_path / "cases", "P1", 1)
    with pytest.raises(InputError, match="Dask") as raised:
        run(tmp_path, "out", Cluster(workers=2))
    assert "tumorlens[cluster]" in raised.value.remedy
