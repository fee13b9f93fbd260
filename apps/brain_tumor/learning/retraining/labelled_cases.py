"""Cases to learn from or to be measured on: corrections, base data, phantoms."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.case import Case
from brain_tumor.cases.files.durable import file_sha256
from brain_tumor.cases.files.readers import read_labelmap
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cases.study_layout import REFERENCE_SUFFIXES, find_reference, told_patients
from brain_tumor.errors import (
    FileFormatError,
    GeometryError,
    InputError,
    NotFoundError,
    StorageError,
    TumorLensError,
)
from brain_tumor.labels import Label, LabelArray, TumorType
from brain_tumor.learning.gate.promotion import Source
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.registry.reloading import active_segmenter
from brain_tumor.learning.retraining.job_folder import Correction, TrainingRequest
from brain_tumor.learning.retraining.tuner import Truth
from brain_tumor.model_names import ModelName
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.segmentation.data.brats import native_case
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    ChengSlice,
    read_cheng_index,
    read_cheng_slice,
)
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.evaluation.tumor_core_cases import slice_case
from brain_tumor.segmentation.result import Segmenter

BRATS_FOLDER = "glioma3d"
LABELS_FOLDER = "labels/final"
TYPES_FILE = "types.csv"
"""Beside the volumes of a studies folder: columns `case` and `type`."""
PICTURES_FILE = Path("cheng/index.csv")
PICTURES_PER_PATIENT = 3
HELD_OUT_FOLD = 0
REPLAY_SEEDS, BASE_SEEDS = 71_000, 72_000
THICK_MM = 3.0
_CHANNELS = {"t1": Sequence.T1, "t1ce": Sequence.T1C, "t2": Sequence.T2, "flair": Sequence.FLAIR}


Load = Callable[[], tuple[Case, Truth]]


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A case with what is right about it, read when it is needed.

    Attributes:
        name: Unique name, also a file name.
        patient: Patient; the unit of every split.
        source: Correction or base data.
        held_out: Whether nothing may learn from it.
        load: Reads the case and the truth, both on the reference grid.
        groups: Sub-groups beyond those that follow from the case.
    """

    name: str
    patient: str
    source: Source
    held_out: bool
    load: Load
    groups: dict[str, str] = field(default_factory=dict)


def corrected_cases(request: TrainingRequest) -> list[LabelledCase]:
    """Corrections of a request."""
    outlines = _Outlines(request)
    return [
        LabelledCase(
            c.name,
            c.patient,
            Source.CORRECTIONS,
            c.held_out,
            _correction_loader(outlines, c),
            {"type": c.tumor_type} if c.tumor_type else {},
        )
        for c in request.corrections
    ]


def base_cases(request: TrainingRequest) -> list[LabelledCase]:
    """Base data: what the model must not forget.

    The researcher's folder, a fifth of its patients held out by a hash of their names; else
    phantoms. Cases that are corrected here, by the checksum of their volume or by the patient that
    the folder's index tells, are no base data: one of them could be held out.

    A folder holds `glioma3d/*.npz` (all of them gliomas), or volumes with `labels/final/` as in a
    studies folder and, for the tumour type, `types.csv`; for the type also `cheng/`, pictures with
    type and outline.

    Raises:
        InputError: If the folder holds no case that says something to the model.
    """
    if not request.replay:
        return list(_phantoms(request))
    folder = Path(request.replay)
    found = [*_brats_cases(folder), *_studies_cases(folder, CorrectedVolumes(request))]
    if request.model == ModelName.CLASSIFICATION:
        found = [*(one for one in found if one.groups), *_picture_cases(folder)]
    if not found:
        what = (
            f"{PICTURES_FILE} or {TYPES_FILE}, or "
            if request.model == ModelName.CLASSIFICATION
            else ""
        )
        raise InputError(
            f"replay folder '{folder.name}' holds no labelled case beside corrected ones; "
            f"expected {what}"
            f"{BRATS_FOLDER}/*.npz or volumes with {LABELS_FOLDER}/",
            remedy="Name another folder, or none to replay phantoms.",
        )
    return found


def measured_cases(folder: Path) -> list[LabelledCase]:
    """Every labelled case of a folder, as patients that no model here has learnt from.

    Args:
        folder: As for `base_cases`: `glioma3d/*.npz`, or volumes with `labels/final/`.

    Raises:
        InputError: If it holds none.
    """
    found = [*_brats_cases(folder), *_studies_cases(folder, CorrectedVolumes(None))]
    if not found:
        raise InputError(
            f"folder '{folder.name}' holds no labelled case; expected volumes with "
            f"{LABELS_FOLDER}/ or {BRATS_FOLDER}/*.npz",
            remedy="Put a labelmap of each case into labels/final/, named as its volume.",
        )
    return [replace(one, source=Source.CORRECTIONS, held_out=True) for one in found]


def base_phantoms(count: int, spacing_mm: float) -> list[LabelledCase]:
    """Phantoms to measure forgetting on, where there is no base data."""
    return list(_phantom_cases(BASE_SEEDS, count, spacing_mm, held_out=True))


def picture_case(
    case_id: str,
    image: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    pixel_mm: float = CHENG_PIXEL_MM,
) -> tuple[Case, LabelArray]:
    """A lone T1c picture as a case of one slice, with its outline as an undivided core.

    Args:
        case_id: Name of the case.
        image: Intensities, shape (rows, columns), upright.
        mask: Tumour, same shape.
        pixel_mm: Side of a pixel.
    """
    labels = (mask.T[:, :, None] * np.uint8(Label.CORE)).astype(np.uint8)
    return slice_case(case_id, image, pixel_mm), labels


def groups_of(case: Case) -> dict[str, str]:
    """Sub-groups that follow from a case: its sequences, and how thick its slices are."""
    return {
        "sequences": "+".join(s.value for s in case.present),
        "slices": "thick" if max(case.spacing_mm) > THICK_MM else "thin",
    }


class _Outlines:
    """Labelmaps of corrections: the annotator's, else what the segmenter in use finds.

    Args:
        request: Says where studies and models are.
    """

    def __init__(self, request: TrainingRequest) -> None:
        self.root = Path(request.studies)
        self._registry = ModelRegistry(Path(request.shipped), Path(request.store))
        self._segmenter: Segmenter | None = None
        self._found: dict[str, tuple[npt.NDArray[np.intp], LabelArray]] = {}

    def of(self, case: Case) -> LabelArray:
        """What the segmenter finds in a case; asked once a case, kept without its background."""
        if case.case_id not in self._found:
            if self._segmenter is None:
                self._segmenter = active_segmenter(self._registry)
            found = self._segmenter.segment(case).labelmap.ravel()
            inside = np.flatnonzero(found)
            self._found[case.case_id] = inside, found[inside]
        labels = np.zeros(case.shape, dtype=np.uint8)
        inside, values = self._found[case.case_id]
        labels.ravel()[inside] = values
        return labels


def _correction_loader(outlines: _Outlines, correction: Correction) -> Load:
    def load() -> tuple[Case, Truth]:
        kind = TumorType(correction.tumor_type) if correction.tumor_type else None
        if not correction.label_file:
            case = resolve_case(outlines.root, correction.case_id).case
            return case, Truth(outlines.of(case), kind)
        case, labels = _load_correction(outlines.root, correction)
        return case, Truth(labels, kind)

    return load


def _load_correction(root: Path, correction: Correction) -> tuple[Case, LabelArray]:
    """Case and labelmap of a correction.

    Raises:
        StorageError: If the label does not match its checksum.
        GeometryError: If the volume changed its grid since.
    """
    path = root / correction.label_file
    if hashlib.sha256(path.read_bytes()).hexdigest() != correction.label_sha256:
        raise StorageError(f"label of submission {correction.submission} fails its checksum")
    return _with_labels(resolve_case(root, correction.case_id).case, path)


def _with_labels(case: Case, path: Path) -> tuple[Case, LabelArray]:
    labels, _ = read_labelmap(path)
    if labels.shape != case.shape:
        raise GeometryError(
            f"label of case {case.case_id} has {labels.shape} voxels; expected {case.shape}"
        )
    return case, labels


def _phantoms(request: TrainingRequest) -> Iterator[LabelledCase]:
    """Phantoms to replay, and others to measure on; types, skull and contrast alternate."""
    for first, count, held_out in (
        (REPLAY_SEEDS, request.replay_phantoms, False),
        (BASE_SEEDS, request.base_phantoms, True),
    ):
        yield from _phantom_cases(first, count, request.phantom_spacing_mm, held_out=held_out)


def _phantom_cases(
    first: int, count: int, spacing_mm: float, *, held_out: bool
) -> Iterator[LabelledCase]:
    for index, tumor in enumerate(islice(cycle(TumorType), count)):
        spec = PhantomSpec(
            seed=first + index,
            tumor=tumor,
            skull_stripped=index % 2 == 0,
            spacing_mm=(spacing_mm,) * 3,
            render_step_mm=spacing_mm,
        )
        name = f"phantom-{spec.seed}"
        groups = {"type": tumor.value}
        yield LabelledCase(name, name, Source.BASE, held_out, _phantom_loader(spec), groups)


def _phantom_loader(spec: PhantomSpec) -> Load:
    def load() -> tuple[Case, Truth]:
        phantom = make_phantom(spec)
        return phantom.case, Truth(phantom.labelmap, phantom.tumor_type)

    return load


def _brats_cases(folder: Path) -> Iterator[LabelledCase]:
    for path in sorted((folder / BRATS_FOLDER).glob("*.npz")):
        yield _base(path.stem, path.stem, _brats_loader(path), TumorType.GLIOMA)


def _brats_loader(path: Path) -> Load:
    def load() -> tuple[Case, Truth]:
        try:
            volumes, labels, _ = native_case(path)
        except (BadZipFile, EOFError, KeyError, ValueError) as error:
            raise FileFormatError(f"{path.name} is no BraTS case ({error})") from error
        known = {_CHANNELS[name]: volume for name, volume in volumes.items()}
        reference = Sequence.T1C if Sequence.T1C in known else next(iter(known))
        return Case(path.stem, reference, known), Truth(labels, TumorType.GLIOMA)

    return load


def _studies_cases(folder: Path, corrected: CorrectedVolumes) -> Iterator[LabelledCase]:
    types, patients = _read_types(folder / TYPES_FILE), told_patients(folder)
    for path in sorted((folder / LABELS_FOLDER).glob("*")):
        suffix = next((s for s in REFERENCE_SUFFIXES if path.name.endswith(s)), None)
        if suffix is not None and not path.name.startswith("."):
            name = path.name[: -len(suffix)]
            patient, kind = patients.get(name, ""), types.get(name)
            if not corrected.holds(find_reference(folder, name), patient):
                yield _base(name, patient or name, _studies_loader(folder, path, name, kind), kind)


def _studies_loader(folder: Path, path: Path, name: str, kind: TumorType | None) -> Load:
    def load() -> tuple[Case, Truth]:
        case, labels = _with_labels(resolve_case(folder, name).case, path)
        return case, Truth(labels, kind)

    return load


def _read_types(path: Path) -> dict[str, TumorType]:
    """Type of each case of a studies folder; none without the file.

    Raises:
        FileFormatError: If a column is missing or a type is unknown.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row["case"]: TumorType(row["type"]) for row in csv.DictReader(stream)}
    except (KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"{path.name} of the replay folder is unusable: {error!r}") from error


def _picture_cases(folder: Path) -> Iterator[LabelledCase]:
    """Up to three pictures of each patient, spread over those that there are."""
    if not (folder / PICTURES_FILE).is_file():
        return
    groups: dict[str, list[ChengSlice]] = {}
    for row in read_cheng_index(folder):
        groups.setdefault(row.group, []).append(row)
    for group, rows in groups.items():
        count = min(PICTURES_PER_PATIENT, len(rows))
        for place in range(count):
            row = rows[(2 * place + 1) * len(rows) // (2 * count)]
            load = _picture_loader(folder, row)
            yield _base(
                f"picture-{row.index}", f"pictures-{group}", load, TumorType(row.tumor_type)
            )


def _picture_loader(folder: Path, row: ChengSlice) -> Load:
    def load() -> tuple[Case, Truth]:
        case, labels = picture_case(f"picture-{row.index}", *read_cheng_slice(folder, row))
        return case, Truth(labels, TumorType(row.tumor_type))

    return load


def _base(name: str, patient: str, load: Load, kind: TumorType | None) -> LabelledCase:
    held_out = patient_fold(patient) == HELD_OUT_FOLD
    groups = {} if kind is None else {"type": kind.value}
    return LabelledCase(f"base-{name}", f"base-{patient}", Source.BASE, held_out, load, groups)


class CorrectedVolumes:
    """Tells the cases of a replay folder that are corrected ones.

    Args:
        request: Names the corrections; None where there are none.
    """

    def __init__(self, request: TrainingRequest | None) -> None:
        corrections = () if request is None else request.corrections
        studies = Path() if request is None else Path(request.studies)
        cases = {correction.case_id for correction in corrections}
        volumes = (find_reference(studies, case) for case in cases)
        self._volumes = [path for path in volumes if path is not None]
        self._sizes = {path.stat().st_size for path in self._volumes}
        self._patients = {correction.patient for correction in corrections}

    def holds(self, volume: Path | None, patient: str) -> bool:
        """Whether a volume, or its patient, is corrected.

        Args:
            volume: Reference volume; None where there is none.
            patient: As the folder's index tells it; empty if it does not.
        """
        if patient and patient in self._patients:
            return True
        if volume is None or volume.stat().st_size not in self._sizes:
            return False  # files of different size differ: most are never read
        return file_sha256(volume) in self._digests

    @cached_property
    def _digests(self) -> set[str]:
        return {file_sha256(path) for path in self._volumes}


class LeftOut:
    """Reasons, by name of the case."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def load(self, one: LabelledCase) -> tuple[Case, Truth] | None:
        """Read a case; None, and noted, if it cannot be read.

        Raises:
            ModelError: If the outline is a model's, and the model is damaged.
        """
        if one.name in self._reasons:
            return None
        try:
            return one.load()
        except (InputError, NotFoundError, StorageError, OSError) as error:
            self.note(one, error)
            return None

    def note(self, one: LabelledCase, error: TumorLensError | OSError) -> None:
        """Leave a case out."""
        told = error.message if isinstance(error, TumorLensError) else error.strerror
        self._reasons[one.name] = told or type(error).__name__

    def of(self, cases: list[LabelledCase]) -> list[str]:
        """Which of some cases are left out, each with its reason."""
        names = [one.name for one in cases if one.name in self._reasons]
        return [f"{name} ({self._reasons[name]})" for name in names]
