"""Where the results of a cohort lie, and how a case appears there whole or not at all.

    <output>/cases/<case>/            labelmap.nii.gz, report.html and so on, and record.json
    <output>/failures/<case>.json     why a case came to nothing
    <output>/cohort.csv, .parquet     one row a case
    <output>/index.html               distributions, outliers, doubts, links to the reports

The folder of a case is filled out of sight and renamed; so what is there was finished, and two
workers that were given the same case leave one result.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.cases.files.durable import (
    make_folder,
    storage_errors,
    sync_file,
    sync_folder,
    write_durably,
)
from brain_tumor.cohorts.engine import Failure

CASES, FAILURES, STAGING = "cases", "failures", ".staging"
RECORD = "record.json"
REPORT_PAGE = "report.html"
TABLE_CSV, TABLE_PARQUET, PAGE = "cohort.csv", "cohort.parquet", "index.html"


@dataclass(frozen=True)
class CaseRecord:
    """What is kept of a finished case.

    Attributes:
        key: Changes with its files, with the models and with what was asked for.
        row: Its row of the table.
    """

    key: str
    row: Mapping[str, Any]


class ResultsFolder:
    """Results of a cohort; safe to share between threads, processes and machines.

    Args:
        path: The folder; made with the first result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, case_id: str) -> CaseRecord | None:
        """Record of a case; None if it is not finished."""
        try:
            text = (self.path / CASES / case_id / RECORD).read_text(encoding="utf-8")
            content = json.loads(text)
            return CaseRecord(str(content["key"]), dict(content["row"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def staged(self, case_id: str, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Folder to write the results of a case to; they appear when the block ends well.

        Args:
            case_id: Case.
            key: See `CaseRecord`.

        Yields:
            The folder, and the row to fill.

        Raises:
            StorageError: If the disk does not take them; then nothing changed.
        """
        staging = self.path / STAGING / f"{case_id}-{secrets.token_hex(6)}"
        with storage_errors(case_id):
            make_folder(staging)
        row: dict[str, Any] = {}
        try:
            yield staging, row
            with storage_errors(case_id):
                content = {"format": 1, "case": case_id, "key": key, "row": row}
                text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
                (staging / RECORD).write_text(text + "\n", encoding="utf-8")
                for path in staging.iterdir():
                    sync_file(path)
                sync_folder(staging)
                self._publish(staging, case_id, key)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def note_failure(self, case_id: str, failure: Failure) -> None:
        """Keep why a case came to nothing; what an earlier run made of it goes.

        Raises:
            StorageError: If it cannot be stored.
        """
        content = {"case": case_id, "message": failure.message, "remedy": failure.remedy}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_durably(self._failure_path(case_id), text.encode("utf-8", "replace"))
        self._remove(self.path / CASES / case_id)

    def clear_failure(self, case_id: str) -> None:
        """Forget an earlier failure of a case that is finished now."""
        self._failure_path(case_id).unlink(missing_ok=True)

    def failure(self, case_id: str) -> Failure | None:
        """Why a case came to nothing; None if it did not."""
        try:
            content = json.loads(self._failure_path(case_id).read_text(encoding="utf-8"))
            return Failure(str(content["message"]), str(content["remedy"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove_leftovers(self) -> None:
        """Remove what killed workers left half-written."""
        shutil.rmtree(self.path / STAGING, ignore_errors=True)

    def _failure_path(self, case_id: str) -> Path:
        return self.path / FAILURES / f"{case_id}.json"

    def _publish(self, staging: Path, case_id: str, key: str) -> None:
        """Put a complete folder in its place, unless somebody else has just finished the case."""
        place = self.path / CASES / case_id
        make_folder(place.parent)
        while True:
            try:
                os.rename(staging, place)  # noqa: PTH104  (Path.rename is documented alike)
                break
            except OSError:
                if not place.is_dir():
                    raise
            held = self.record(case_id)
            if held is not None and held.key == key:
                return
            self._remove(place)
        sync_folder(place.parent)

    def _remove(self, place: Path) -> None:
        """Remove a folder at once: it is renamed out of sight first."""
        gone = self.path / STAGING / f"gone-{secrets.token_hex(6)}"
        make_folder(gone.parent)
        with contextlib.suppress(FileNotFoundError):
            place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
