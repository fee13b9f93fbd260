"""The per-case table of an evaluation: one row per case, subset of sequences and structure."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.errors import FileFormatError

CUBE_COLLECTION = "cubes"
WHOLE_COLLECTION = "wholes"


@dataclass(frozen=True)
class CaseRow:
    """Scores of one structure of one case from one subset of its sequences.

    Where the reference was made by algorithms (`expert` false) only volumes and false lesions
    are given: nothing there is a measurement of accuracy.

    Attributes:
        collection: `cubes` or `wholes`.
        expert: Whether experts drew the reference.
        case: Name of the case.
        patient: Unit of the split and of every interval.
        available: Sequences of the case, joined by `+`.
        sequences: Sequences that the model was given, joined by `+`.
        region: Value of `segmentation.metrics.Structure`.
        failure: Why there is no prediction; empty if there is one.
        tumour_ml: Reference volume of the whole tumour.
        enhancing_ml: Reference volume of the enhancing tumour.
        enhancing_probability: Mean probability of enhancement of the voxels of a cube that are
            outlined as it, in every row of the cube; None if there are none.
        state: Which masks hold anything (`segmentation.empty_masks.MaskState`).
        dice: See `segmentation.metrics.MaskScores`, as for all that follow.
    """

    collection: str
    expert: bool
    case: str
    patient: str
    available: str
    sequences: str
    region: str
    failure: str
    tumour_ml: float
    enhancing_ml: float
    enhancing_probability: float | None
    state: str
    dice: float | None
    iou: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    hd95_mm: float | None
    surface_dice: float | None
    reference_ml: float | None
    predicted_ml: float
    absolute_volume_difference_ml: float | None
    relative_volume_difference: float | None
    reference_lesions: int | None
    found_lesions: int | None
    ignored_lesions: int | None
    false_lesions: int
    false_lesions_ml: float
    largest_false_lesion_ml: float
    lesion_dice: float | None
    lesion_sensitivity: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)

    @property
    def is_complete(self) -> bool:
        """Whether the model was given all that the case has."""
        return self.sequences == self.available


KEPT_WITHOUT_EXPERT = frozenset(
    {"predicted_ml", "false_lesions", "false_lesions_ml", "largest_false_lesion_ml"}
)
"""Scores that a row keeps where the reference was made by algorithms."""


def join_sequences(sequences: Iterable[MriSequence]) -> str:
    """Names in channel order.

    Example:
        >>> join_sequences([MriSequence.FLAIR, MriSequence.T1C])
        't1c+flair'
    """
    chosen = set(sequences)
    return "+".join(s.value for s in MriSequence if s in chosen)


def write_rows(path: Path, rows: Sequence[CaseRow]) -> None:
    """Table as CSV; an undefined value is an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(CaseRow)])
        writer.writeheader()
        writer.writerows(row.to_json() for row in rows)


def read_rows(path: Path) -> list[CaseRow]:
    """Table from CSV, exactly as it was written: folds can be pooled and summarised again.

    Raises:
        FileFormatError: If a column is missing or a cell cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [_row(cells) for cells in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"{path.name} is not a table of cases: {error!r}") from error


def _optional(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda cell: None if cell == "" else convert(cell)


_READERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "str": str,
        "bool": lambda cell: {"True": True, "False": False}[cell],
        "int": int,
        "float": float,
        "int | None": _optional(int),
        "float | None": _optional(float),
    }
)


def _row(cells: Mapping[str, str]) -> CaseRow:
    return CaseRow(**{f.name: _READERS[str(f.type)](cells[f.name]) for f in fields(CaseRow)})
