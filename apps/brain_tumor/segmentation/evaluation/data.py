"""Reading the cases that segmentation is measured on.

Layout of the data folder, each part optional: `brats20/cubes.npz` (lesion cubes on the working
grid), `glioma3d/*.npz` (whole cases at native resolution) and `brats20/twins.json` (whole case to
patient id, where the same patient is among the cubes). Any file in this layout can be read, of
any patient; nothing depends on its name except the patient, which decides the fold.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import case_on_reference_grid
from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray, Volume
from brain_tumor.errors import FileFormatError, NotFoundError, SequenceError
from brain_tumor.labels import LabelArray, from_brats
from brain_tumor.segmentation.data.brats import (
    CHANNEL_NAMES,
    OFFSET,
    QUANTUM,
    WEAK_MARK,
    to_ras,
)
from brain_tumor.segmentation.data.folds import patient_fold

CUBES = Path("brats20/cubes.npz")
TWINS = Path("brats20/twins.json")
WHOLES = Path("glioma3d")
CUBE_SPACING_MM = WORKING_SPACING_MM

logger = logging.getLogger(__name__)

_OPTIONAL = ("modalities", "has_seg", "seg_kind")
_LESION_SUFFIX = re.compile(r"_lesion\d+$")
_CHANNELS = {
    "t1": Sequence.T1,
    "t1ce": Sequence.T1C,
    "t1c": Sequence.T1C,
    "t2": Sequence.T2,
    "flair": Sequence.FLAIR,
}
_DEFAULT_CHANNELS = np.array(CHANNEL_NAMES)
_YEAR = re.compile(r"BraTS\D{0,2}(20)?(\d\d)\b", re.IGNORECASE)
_DEFAULT_YEAR = 2020


@dataclass(frozen=True, eq=False)
class EvaluationCube:
    """Real voxels around one lesion, normalised as for training.

    Attributes:
        name: Name of the cube.
        patient: Unit of the split and of every interval.
        image: Shape (4, I, J, K), float32, channels in the order of `Sequence`, RAS+ axes.
        labels: Expert labels, shape (I, J, K).
    """

    name: str
    patient: str
    image: ScalarArray
    labels: LabelArray

    @property
    def present(self) -> tuple[Sequence, ...]:
        """Sequences that hold anything."""
        return tuple(s for c, s in enumerate(Sequence) if self.image[c].any())

    def reduced(self, sequences: tuple[Sequence, ...]) -> ScalarArray:
        """Image with every other sequence set to 0, as a missing one is in a case."""
        keep = np.array([s in sequences for s in Sequence], dtype=np.float32)
        return np.asarray(self.image * keep[:, None, None, None], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class EvaluationWhole:
    """A whole brain at native resolution.

    Attributes:
        patient: Unit of the split and of every interval.
        case: All sequences of the case on their own grid, uncropped.
        labels: Reference labels, shape of the case.
        expert: Whether experts drew the labels; labels made by algorithms are never a
            measurement.
    """

    patient: str
    case: Case
    labels: LabelArray
    expert: bool

    def reduced(self, sequences: tuple[Sequence, ...]) -> Case:
        """The case with some of its sequences only."""
        name = self.case.case_id
        return case_on_reference_grid(name, {s: self.case.volumes[s] for s in sequences})


def count_cases(data: Path, fold: int | None) -> int:
    """Cubes and whole cases that an evaluation visits.

    Raises:
        NotFoundError: If the folder holds neither cubes nor whole cases.
        FileFormatError: If a file is damaged.
    """
    wholes = _whole_files(data, fold)
    cubes = _cube_indices(data, fold)
    if not (data / CUBES).is_file() and not any((data / WHOLES).glob("*.npz")):
        raise NotFoundError(
            f"data folder '{data.name}' holds neither {CUBES} nor {WHOLES}/*.npz",
            remedy="Give the folder that holds brats20/ and glioma3d/.",
        )
    return len(cubes) + len(wholes)


def read_cubes(data: Path, fold: int | None) -> Iterator[EvaluationCube]:
    """Cubes of the patients of a fold, or of all, in file order; none if there is no file.

    Raises:
        FileFormatError: If the file is damaged.
    """
    indices = _cube_indices(data, fold)
    if not indices:
        return
    arrays = _read(data / CUBES, ("image", "label", "ids"))
    order = _channel_order(arrays, CUBES.name)
    year = _edition(arrays["label"], "")
    for index in indices:
        name = str(arrays["ids"][index])
        stored = arrays["image"][index]
        image = np.zeros((len(Sequence), *stored.shape[1:]), dtype=np.float32)
        for channel, sequence in zip(stored, order, strict=True):
            image[list(Sequence).index(sequence)] = channel.astype(np.float32) * QUANTUM + OFFSET
        image[:, (stored == 0).all(axis=0)] = 0.0
        labels = from_brats(arrays["label"][index], year=year)
        yield EvaluationCube(name, _patient_of_cube(name), to_ras(image), to_ras(labels))


def read_wholes(data: Path, fold: int | None) -> Iterator[EvaluationWhole]:
    """Whole cases of the patients of a fold, or of all, by name; none if there is no folder.

    Raises:
        FileFormatError: If a file is damaged.
        SequenceError: If a file names an unknown sequence.
        LabelError: If a file holds unknown label values.
    """
    for path, patient in _whole_files(data, fold):
        whole = _read_whole(path, patient)
        if whole is None:
            logger.warning("a whole case has no reference labels and is not measured")
        else:
            yield whole


def _read_whole(path: Path, patient: str) -> EvaluationWhole | None:
    arrays = _read(path, ("image", "seg", "affine", "orig_shape", "crop_lo", "modalities"))
    if not arrays.get("has_seg", np.True_):
        return None
    kind = str(arrays.get("seg_kind", ""))
    low = arrays["crop_lo"].astype(int)
    shape = tuple(int(n) for n in arrays["orig_shape"])
    stored = from_brats(arrays["seg"], year=_edition(arrays["seg"], kind))
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(low, stored.shape, strict=True))
    affine = np.asarray(arrays["affine"], dtype=np.float64).copy()
    affine[:3, 3] -= affine[:3, :3] @ low
    labels = np.zeros(shape, dtype=np.uint8)
    labels[box] = stored
    volumes = {}
    for sequence, channel in zip(_channel_order(arrays, path.name), arrays["image"], strict=True):
        full = np.zeros(shape, dtype=np.float32)
        full[box] = channel
        volumes[sequence] = Volume(full, affine)
    return EvaluationWhole(
        patient=patient,
        case=case_on_reference_grid(path.stem, volumes),
        labels=labels,
        expert=WEAK_MARK.casefold() not in kind.casefold(),
    )


def _edition(seg: npt.NDArray[Any], kind: str) -> int:
    """BraTS edition whose label values a file uses: as it says, else as its values tell."""
    values = {int(v) for v in np.unique(seg)}
    if 3 not in values:
        return _DEFAULT_YEAR
    if 4 in values:
        return 2013
    named = _YEAR.search(kind)
    return 2000 + int(named.group(2)) if named else 2023


def _channel_order(arrays: dict[str, npt.NDArray[Any]], file: str) -> list[Sequence]:
    names = [str(name).lower() for name in arrays.get("modalities", _DEFAULT_CHANNELS)]
    unknown = [name for name in names if name not in _CHANNELS]
    if unknown:
        raise SequenceError(f"{file} names the sequences {unknown}; expected {sorted(_CHANNELS)}")
    return [_CHANNELS[name] for name in names]


def _cube_indices(data: Path, fold: int | None) -> list[int]:
    if not (data / CUBES).is_file():
        return []
    names = [str(name) for name in _read(data / CUBES, ("ids",))["ids"]]
    return [i for i, name in enumerate(names) if _in_fold(_patient_of_cube(name), fold)]


def _whole_files(data: Path, fold: int | None) -> list[tuple[Path, str]]:
    """Files of the fold, each with its patient."""
    twins: dict[str, str] = {}
    if (data / TWINS).is_file():
        try:
            table = json.loads((data / TWINS).read_text(encoding="utf-8"))
            twins = {str(name): str(patient) for name, patient in table.items()}
        except (ValueError, AttributeError) as error:
            raise FileFormatError(f"{TWINS.name} cannot be read: {error}") from error
    files = [(p, twins.get(p.stem, p.stem)) for p in sorted((data / WHOLES).glob("*.npz"))]
    return [(path, patient) for path, patient in files if _in_fold(patient, fold)]


def _in_fold(patient: str, fold: int | None) -> bool:
    return fold is None or patient_fold(patient) == fold


def _patient_of_cube(name: str) -> str:
    return _LESION_SUFFIX.sub("", name)


def _read(path: Path, needed: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of an npz file: those needed, and the optional ones that are there."""
    try:
        with np.load(path, allow_pickle=False) as file:
            optional = [name for name in _OPTIONAL if name in file and name not in needed]
            return {name: file[name] for name in (*needed, *optional)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path.name} cannot be read as evaluation data: {error}") from error
