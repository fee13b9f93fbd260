"""Which cases a cohort has: those of a folder, of a studies folder, or the rows of a list.

Whatever is large is read by the workers: a list is streamed, and the cases of a studies folder are
known by their names alone.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.cases.case_ids import case_id_from, check_case_id
from brain_tumor.cases.loading import LoadedCase, load_source, resolve_case
from brain_tumor.cases.sequences import Sequence, without_suffix
from brain_tumor.cases.source_trees import FoundCase, find_cases
from brain_tumor.cases.sources import CaseSource, case_of_named, find_case
from brain_tumor.cases.study_layout import (
    INDEX_NAME,
    RECORD_NAME,
    REFERENCE_SUFFIXES,
    SEQUENCES_FOLDER,
    reference_of,
    sequences_folder,
)
from brain_tumor.cohorts.engine import Failure
from brain_tumor.errors import InputError, SequenceError

CASE_COLUMN, PATH_COLUMN = "case", "path"
LIST_COLUMNS = (CASE_COLUMN, PATH_COLUMN, *(sequence.value for sequence in Sequence))
LIST_REMEDY = (
    f"Name the columns {', '.join(LIST_COLUMNS)}: a path, or a file a sequence; the case is its "
    "name and may be left out."
)


@dataclass(frozen=True)
class StoredCase:
    """A case of a studies folder.

    Attributes:
        studies: The folder.
    """

    studies: Path


@dataclass(frozen=True)
class ListedCase:
    """A case as a row of a list names it.

    Attributes:
        path: File or folder of the case; None if its sequences are named.
        sequences: File or DICOM folder of each sequence.
    """

    path: Path | None
    sequences: tuple[tuple[Sequence, Path], ...] = ()


@dataclass(frozen=True)
class CohortCase:
    """One case of a cohort, not yet read; small enough to be sent to a worker.

    Attributes:
        case_id: Valid id, the only one of its name in the cohort; its results lie below it.
        source: Where it is from; None if it is no case.
        failure: Why it is none.
    """

    case_id: str
    source: CaseSource | StoredCase | ListedCase | None
    failure: Failure | None = None


class Cohort:
    """Cases of a folder or a list; they may be gone through more than once.

    Args:
        source: A list (CSV), a studies folder, a folder of cases or a DICOM tree.

    Raises:
        InputError: If there is no case, or the list cannot be read.
    """

    def __init__(self, source: Path) -> None:
        self._source = source.resolve()
        self._found: list[FoundCase] | None = None
        if self._source.suffix.lower() == ".csv":
            self.count = sum(1 for _ in read_list(self._source))
        elif _is_studies_folder(self._source):
            self.count = sum(1 for _ in _stored_ids(self._source))
        else:
            self._found = find_cases(self._source)
            self.count = len(self._found)
        if not self.count:
            raise InputError(
                f"{source.name} names no case; expected a list, a studies folder or a folder of "
                "cases",
                remedy=LIST_REMEDY,
            )

    def __iter__(self) -> Iterator[CohortCase]:
        """Cases in an order that stays; each id occurs once."""
        taken: set[str] = set()
        for case in self._cases():
            case_id, number = case.case_id, 2
            while case_id in taken:
                case_id = f"{case.case_id[:58]}-{number}"
                number += 1
            taken.add(case_id)
            yield case if case_id == case.case_id else _doubled(case, case_id)

    def _cases(self) -> Iterator[CohortCase]:
        if self._found is not None:
            yield from map(_of_found, self._found)
        elif self._source.suffix.lower() == ".csv":
            yield from read_list(self._source)
        else:
            for case_id in _stored_ids(self._source):
                yield CohortCase(case_id, StoredCase(self._source))


def read_list(path: Path) -> Iterator[CohortCase]:
    """Cases of a list, row by row; relative paths begin at the list's folder.

    Raises:
        InputError: If it is no table with the columns of `LIST_COLUMNS`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            columns = [name.strip().lower() for name in rows.fieldnames or ()]
            unknown = set(columns) - set(LIST_COLUMNS)
            if unknown or not set(columns) - {CASE_COLUMN}:
                raise InputError(
                    f"{path.name} has the columns {', '.join(columns)[:200] or 'none'}; expected "
                    f"some of {', '.join(LIST_COLUMNS)}",
                    remedy=LIST_REMEDY,
                )
            rows.fieldnames = columns
            for row in rows:
                cells = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
                if any(cells.values()):
                    yield _of_row(cells, path.parent, rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path.name} cannot be read as a list of cases: {error}", remedy=LIST_REMEDY
        ) from error


def _of_row(cells: dict[str, str], base: Path, line: int) -> CohortCase:
    named = tuple((s, base / cells[s.value]) for s in Sequence if cells.get(s.value))
    given = cells.get(PATH_COLUMN, "")
    first = given or next((path.name for _, path in named), "")
    told = cells.get(CASE_COLUMN) or without_suffix(Path(first).name)
    case_id = case_id_from(told) if told else f"line-{line}"
    if bool(given) == bool(named):
        what = "both a path and sequences" if given else "neither a path nor a sequence"
        failure = Failure(f"line {line} names {what}; expected one of them", LIST_REMEDY)
        return CohortCase(case_id, None, failure)
    return CohortCase(case_id, ListedCase(base / given if given else None, named))


def _of_found(found: FoundCase) -> CohortCase:
    if found.source is not None:
        return CohortCase(check_case_id(found.source.case_id), found.source)
    error = found.error or SequenceError(f"{found.name} holds no sequence")
    return CohortCase(case_id_from(found.name), None, Failure(error.message, error.remedy))


def _doubled(case: CohortCase, case_id: str) -> CohortCase:
    failure = Failure(
        f"the name {case.case_id} occurs more than once; the first case has it",
        "Give every case a name of its own.",
    )
    return CohortCase(case_id, None, case.failure or failure)


def _is_studies_folder(folder: Path) -> bool:
    if (folder / INDEX_NAME).is_file():
        return True
    records = (folder / SEQUENCES_FOLDER).glob(f"*/{RECORD_NAME}")
    return next(records, None) is not None


def _stored_ids(studies: Path) -> Iterator[str]:
    """Names of the reference volumes, sorted."""
    with os.scandir(studies) as entries:
        names = {
            entry.name.removesuffix(suffix)
            for entry in entries
            for suffix in REFERENCE_SUFFIXES
            if entry.name.endswith(suffix) and not entry.name.startswith(".") and entry.is_file()
        }
    yield from sorted(names)


# What a worker does with a case.


def found_source(case: CohortCase) -> CaseSource | StoredCase:
    """Sequences of a case.

    Raises:
        InputError: If its files are no case.
    """
    source = case.source
    if isinstance(source, ListedCase):
        if source.path is not None:
            return find_case(source.path)
        return case_of_named(source.sequences[0][1].parent, dict(source.sequences))
    if source is None:
        raise SequenceError(f"{case.case_id} holds no sequence")
    return source


def input_files(case_id: str, source: CaseSource | StoredCase) -> dict[str, tuple[Path, ...]]:
    """Files that a case is read from, by what they are.

    Raises:
        NotFoundError: If a stored case is gone.
    """
    if isinstance(source, StoredCase):
        beside = sequences_folder(source.studies, case_id)
        siblings = sorted(p for p in beside.iterdir() if p.is_file()) if beside.is_dir() else []
        files = [reference_of(source.studies, case_id), *siblings]
        return {path.name: (path,) for path in files if not path.name.startswith(".")}
    parts: dict[str, tuple[Path, ...]] = {}
    for sequence, one in source.sequences.items():
        every = (one, *source.alternatives.get(sequence, ()))
        for number, part in enumerate(every):
            lone = CaseSource(source.case_id, {sequence: part})
            kind = getattr(part, "index", "")
            parts[f"{sequence.value}/{number}/{kind}"] = lone.files
    return parts


def load(case_id: str, source: CaseSource | StoredCase, *, registration: bool) -> LoadedCase:
    """Read a case.

    Raises:
        InputError: If it cannot be used.
    """
    if isinstance(source, StoredCase):
        return resolve_case(source.studies, case_id, registration=registration)
    return load_source(source, case_id=case_id, registration=registration)
