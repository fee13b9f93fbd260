"""Reading volumes without a tumour: `healthy/{scanner}_{sequence}.nii.gz`, whole heads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brain_tumor.cases.case import Case
from brain_tumor.cases.loading import load_case
from brain_tumor.segmentation.data.folds import patient_fold

FOLDER = Path("healthy")


def healthy_of_fold(data: Path, fold: int | None) -> Iterator[Case]:
    """Healthy heads of a fold, or all, one sequence each; none if there is no folder.

    Raises:
        FileFormatError: If a volume is damaged.
    """
    yield from (_load(path) for path in _files(data) if fold is None or _fold(path) == fold)


def healthy_beside_fold(data: Path, fold: int | None) -> Iterator[Case]:
    """Healthy heads that are not in a fold."""
    yield from (_load(path) for path in _files(data) if fold is None or _fold(path) != fold)


def _files(data: Path) -> list[Path]:
    return sorted((data / FOLDER).glob("*.nii.gz"))


def _fold(path: Path) -> int:
    """Fold of the person: both sequences of one person share the first word of their names."""
    return patient_fold(path.name.split("_")[0])


def _load(path: Path) -> Case:
    return load_case(path).case
