"""Reading whole heads with skull: `lgg/` (TCGA-LGG of TCIA with the masks of Buda et al. 2019).

Layout of the data folder: `lgg/index.csv`, `lgg/images/{patient}/{slice:02d}.jpg` (256 x 256, red,
green and blue are t1, flair and t1c of one axial slice) and `lgg/masks/{patient}/{slice:02d}.png`
(the whole tumour; no file where a slice shows none).

References:
    Buda et al. 2019, doi:10.1016/j.compbiomed.2019.05.002.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray, Volume
from brain_tumor.errors import FileFormatError
from brain_tumor.segmentation.data.folds import patient_fold

INDEX = Path("lgg/index.csv")
PIXEL_MM = 240 / 256
"""The set does not tell its voxel size: a field of view of 24 cm is a fair guess."""
EXTENT_MM = 135.0
"""Distance from the first slice to the last, a guess as well."""
CHANNELS = (Sequence.T1, Sequence.FLAIR, Sequence.T1C)
DARK, LEAST_TISSUE_SHARE = 20, 0.05
PERSON_LENGTH = len("TCGA_CS_4941")


@dataclass(frozen=True, eq=False)
class Head:
    """One patient.

    Attributes:
        patient: Name of the folder.
        person: BraTS 2020 id of the same person where there is one, else the TCGA id; persons
            decide the fold over all data sets.
        case: Sequences that are there, on one grid.
        whole_tumor: Expert mask, shape of the case.
    """

    patient: str
    person: str
    case: Case
    whole_tumor: npt.NDArray[np.bool_]

    @property
    def thickness_mm(self) -> float:
        """Distance of the slices."""
        return self.case.spacing_mm[2]


def heads_of_fold(data: Path, fold: int | None) -> Iterator[Head]:
    """Heads whose person is in a fold, or all; none if there is no index.

    Raises:
        FileFormatError: If the index or a slice is missing or damaged.
    """
    for rows in _patients(data):
        if fold is None or person_fold(_person(rows[0])) == fold:
            yield _read(data, rows)


def heads_beside_fold(data: Path, fold: int | None) -> Iterator[Head]:
    """Heads whose person is not in a fold; all if no fold is held out."""
    for rows in _patients(data):
        if fold is None or person_fold(_person(rows[0])) != fold:
            yield _read(data, rows)


def free_t1c_slices(head: Head) -> Iterator[tuple[int, ScalarArray]]:
    """Numbers and slices of the t1c that show a head and are not next to one with tumour."""
    if Sequence.T1C not in head.case.volumes:
        return
    array = head.case.volumes[Sequence.T1C].array
    near = ndimage.binary_dilation(head.whole_tumor.any(axis=(0, 1)))
    for number in np.flatnonzero(~near):
        picture = array[..., number]
        if np.count_nonzero(picture > DARK) >= LEAST_TISSUE_SHARE * picture.size:
            yield int(number), picture


def person_fold(person: str) -> int:
    """Fold of a person: that of their BraTS cases, if there are any."""
    return patient_fold(person)


def _patients(data: Path) -> list[list[dict[str, str]]]:
    if not (data / INDEX).is_file():
        return []
    by_patient: dict[str, list[dict[str, str]]] = {}
    try:
        with (data / INDEX).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                by_patient.setdefault(row["patient"], []).append(row)
    except (OSError, KeyError, csv.Error) as error:
        raise FileFormatError(f"{INDEX} cannot be read: {error}") from error
    return [sorted(rows, key=lambda row: int(row["slice"])) for rows in by_patient.values()]


def _person(row: dict[str, str]) -> str:
    return row["brats20_twin"] or row["patient"][:PERSON_LENGTH]


def _read(data: Path, rows: list[dict[str, str]]) -> Head:
    patient = rows[0]["patient"]
    images = data / "lgg" / "images" / patient
    masks = data / "lgg" / "masks" / patient
    slices, drawn = [], []
    try:
        for row in rows:
            name = f"{int(row['slice']):02d}"
            slices.append(np.asarray(Image.open(images / f"{name}.jpg").convert("RGB")))
            mask = masks / f"{name}.png"
            drawn.append(
                np.asarray(Image.open(mask).convert("L")) > 127
                if mask.is_file()
                else np.zeros(slices[-1].shape[:2], dtype=bool)
            )
    except OSError as error:
        raise FileFormatError(f"a slice of {patient} cannot be read: {error}") from error
    # rows run towards P and columns towards L: (column, row, slice) are the axes of an LPS grid
    stack = np.stack(slices).transpose(3, 2, 1, 0).astype(np.float32)
    affine = np.diag([-PIXEL_MM, -PIXEL_MM, EXTENT_MM / len(rows), 1.0])
    absent = {
        sequence
        for sequence, key in ((Sequence.T1, "t1_missing"), (Sequence.T1C, "t1c_missing"))
        if rows[0][key] == "True"
    }
    volumes = {
        sequence: Volume(channel, affine)
        for sequence, channel in zip(CHANNELS, stack, strict=True)
        if sequence not in absent
    }
    reference = Sequence.T1C if Sequence.T1C in volumes else Sequence.FLAIR
    return Head(
        patient=patient,
        person=_person(rows[0]),
        case=Case(patient, reference, volumes),
        whole_tumor=np.stack(drawn).transpose(2, 1, 0),
    )
