"""Row, summary, tables and page of a cohort: numbers by hand, hostile names as text."""

from __future__ import annotations

import csv
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from brain_tumor.cohorts.engine import Failure
from brain_tumor.cohorts.page import cohort_page
from brain_tumor.cohorts.rows import doubt_of, row_of_failure, row_of_report
from brain_tumor.cohorts.summary import MOST_LISTED, CohortSummary, modified_z_scores
from brain_tumor.cohorts.table import GROUP, write_tables

from tests.helpers.cohorts import a_report

HOSTILE = "<script>alert(1)</script>\"'&\u202e"


def found(prediction: str, probability: float) -> dict[str, Any]:
    rest = (1 - probability) / 2
    return {
        "prediction": prediction,
        "probabilities": {"glioma": probability, "meningioma": rest, "pituitary": rest},
        "prediction_set": ["glioma"],
        "reasons": [] if prediction == "glioma" else ["two types are as likely"],
        "out_of_distribution": {"score": 1.0, "threshold": 2.0, "is_out": False},
        "shape": {"longest_diameter_mm": 41.5, "sphericity": 0.7, "axes_mm": [20.0, 30.0, 40.0]},
    }


def a_row(case: str, volume_ml: float = 1.0, **changes: Any) -> dict[str, Any]:
    return {**row_of_report(a_report(case, volume_ml)), **changes}


def summed(rows: list[dict[str, Any]]) -> CohortSummary:
    summary = CohortSummary()
    for row in rows:
        summary.add(row)
    return summary


def test_a_row_holds_what_the_report_says() -> None:
    fits = [
        {"sequence": "t2", "status": "fits", "shift_mm": 0.4},
        {"sequence": "flair", "status": "registered", "shift_mm": 6.5},
        {"sequence": "t1", "status": "left out", "shift_mm": None},
    ]
    report = a_report(
        "P1",
        2.5,
        classification=found("glioma", 0.9),
        registration=fits,
        warnings=["one", "two"],
        heatmap={"faithfulness": {"passed": False}},
    )
    report["segmentation"]["presence"] = {"probability": 0.97, "found": True}
    row = row_of_report(report)
    assert row["WT_ml"] == 2.5
    assert row["longest_diameter_mm"] == 41.5
    assert row["middle_axis_mm"] == 30.0
    assert (row["type"], row["glioma_probability"]) == ("glioma", 0.9)
    assert row["fit"] == "t2 fits; flair registered; t1 left out"
    assert row["largest_shift_mm"] == 6.5
    assert (row["warning_count"], row["warnings"]) == (2, "one; two")
    assert row["models"] == "tiny 1.0.0"
    assert row["heat_passed"] is False
    assert (row["doubt"], row["doubt_reason"]) == (0.1, "glioma 90%")


def test_doubt_is_the_largest_of_type_and_presence() -> None:
    report = a_report("P1", classification=found("glioma", 0.95))
    assert doubt_of(report) == (0.05, "glioma 95%")
    report["segmentation"]["presence"] = {"probability": 0.75}
    assert doubt_of(report) == (0.5, "presence 75%")
    report["classification"] = found("undetermined", 0.4)
    assert doubt_of(report) == (1.0, "two types are as likely")


def test_a_head_without_a_tumour_is_not_doubted_for_lack_of_a_type() -> None:
    none = {"prediction": "undetermined", "probabilities": None, "reasons": ["no tumour"]}
    report = a_report("P1", classification=none)
    report["segmentation"]["presence"] = {"probability": 0.02}
    assert doubt_of(report)[0] == 0.04


def test_modified_z_scores_are_those_of_pencil_and_paper() -> None:
    # median 5, distances 4 3 2 1 0 1 2 3 95, their median 2: 0.6745 * 95 / 2
    scores = modified_z_scores(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 100]))
    assert scores[-1] == pytest.approx(32.03875)
    assert scores[4] == 0
    assert not modified_z_scores(np.array([1.0, 2, 3])).any()
    assert not modified_z_scores(np.full(20, 7.0)).any()
    assert math.isnan(modified_z_scores(np.array([math.nan, *range(9)]))[0])


def test_the_worst_doubts_come_first_and_equals_by_their_warnings() -> None:
    summary = summed(
        [
            a_row("sure"),
            a_row("some", doubt=0.3),
            a_row("most", doubt=0.9),
            a_row("warned", doubt=0.3, warning_count=2),
        ]
    )
    assert [row["case"] for row in summary.doubts] == ["most", "warned", "some"]


def test_only_the_worst_are_kept() -> None:
    summary = summed([a_row(f"P{n}", doubt=n / 1000) for n in range(500)])
    assert len(summary.doubts) == MOST_LISTED
    assert summary.doubts[0]["case"] == "P499"
    assert summary.doubts[-1]["case"] == "P300"


def test_a_huge_tumour_is_unusual() -> None:
    summary = summed([a_row(f"P{n}", 10.0 + n) for n in range(20)] + [a_row("huge", 900.0)])
    (one,) = summary.unusual()
    assert (one.case, one.column, one.value) == ("huge", "WT_ml", 900.0)


class Tags(HTMLParser):
    """Elements and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_takes_hostile_names_as_text() -> None:
    rows = [a_row(f"P{n}", 1.0 + n) for n in range(10)]
    rows.append(
        a_row(
            HOSTILE,
            doubt=1.0,
            doubt_reason=HOSTILE,
            type=HOSTILE,
            warnings=HOSTILE,
            models=HOSTILE,
            report=f"cases/{HOSTILE}/report.html",
        )
    )
    rows.append(row_of_failure(HOSTILE, Failure(HOSTILE, HOSTILE)))
    page = cohort_page(summed(rows), HOSTILE)
    tags = parsed(page)
    assert "script" not in tags.tags
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 7
    assert all(re.fullmatch(r"[A-Za-z0-9/._%-]+", link) for link in tags.links)
    assert re.search(r"default-src 'none'", page)


def test_links_lead_to_the_reports() -> None:
    page = cohort_page(summed([a_row("P1", doubt=0.5, report="cases/P1/report.html")]), "c")
    assert parsed(page).links == ["cohort.csv", "cohort.parquet", "cases/P1/report.html"]


def test_the_histogram_counts_every_case_once() -> None:
    page = cohort_page(summed([a_row(f"P{n}", seconds=float(n)) for n in range(40)]), "c")
    (chart,) = [part for part in page.split("<figure>") if "Seconds a case" in part]
    assert chart.count("40 cases, median 19.5, 0 to 39") == 2  # for readers and screen readers
    assert chart.count("<rect") == 20


def test_a_cohort_of_nothing_but_failures_has_a_page() -> None:
    page = cohort_page(summed([row_of_failure("P1", Failure("no volume", "scan"))]), "c")
    assert "1 cases: 0 read" in page
    assert "no volume" in page


def test_formulas_are_disarmed_in_the_csv_file_alone(tmp_path: Path) -> None:
    row = row_of_failure("P1", Failure("=cmd|' /C calc'!A0", "+1"))
    csv_path, parquet_path = tmp_path / "c.csv", tmp_path / "c.parquet"
    write_tables([row], csv_path, parquet_path)
    with csv_path.open(newline="") as stream:
        (read,) = csv.DictReader(stream)
    assert read["message"] == "'=cmd|' /C calc'!A0"
    assert pq.read_table(parquet_path).to_pylist()[0]["message"] == "=cmd|' /C calc'!A0"


def test_tables_are_written_group_by_group(tmp_path: Path) -> None:
    rows = (a_row(f"P{n}", float(n)) for n in range(GROUP + 1))
    write_tables(rows, tmp_path / "c.csv", tmp_path / "c.parquet")
    read = pq.ParquetFile(tmp_path / "c.parquet")
    assert read.num_row_groups == 2
    assert read.read().column("WT_ml").to_pylist()[-1] == GROUP
    assert len((tmp_path / "c.csv").read_text().splitlines()) == GROUP + 2


def test_a_table_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    def rows():
        yield a_row("P1")
        raise RuntimeError("cut off")

    write_tables([a_row("old")], tmp_path / "c.csv", tmp_path / "c.parquet")
    with pytest.raises(RuntimeError):
        write_tables(rows(), tmp_path / "c.csv", tmp_path / "c.parquet")
    assert "old" in (tmp_path / "c.csv").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"c.csv", "c.parquet"}
