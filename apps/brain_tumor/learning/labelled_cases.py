"""Cases with masks to learn from or to be measured on: corrections, base data, phantoms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from brain_tumor.cases.case import Case
from brain_tumor.cases.phantom import PhantomSpec, make_phantom
from brain_tumor.cases.readers import read_labelmap
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cases.study_layout import REFERENCE_SUFFIXES
from brain_tumor.errors import GeometryError, InputError, StorageError
from brain_tumor.labels import LabelArray, TumorType
from brain_tumor.learning.job_folder import Correction, TrainingRequest
from brain_tumor.learning.promotion import Source
from brain_tumor.segmentation.training.brats import native_case
from brain_tumor.segmentation.training.folds import patient_fold

BRATS_FOLDER = "glioma3d"
LABELS_FOLDER = "labels/final"
HELD_OUT_FOLD = 0
REPLAY_SEEDS, BASE_SEEDS = 71_000, 72_000
THICK_MM = 3.0
_CHANNELS = {"t1": Sequence.T1, "t1ce": Sequence.T1C, "t2": Sequence.T2, "flair": Sequence.FLAIR}


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A case with its mask, read when it is needed.

    Attributes:
        name: Unique name, also a file name.
        patient: Patient; the unit of every split.
        source: Correction or base data.
        held_out: Whether nothing may learn from it.
        load: Reads the case and its labelmap, both on the reference grid.
        groups: Sub-groups beyond those that follow from the case.
    """

    name: str
    patient: str
    source: Source
    held_out: bool
    load: Callable[[], tuple[Case, LabelArray]]
    groups: dict[str, str] = field(default_factory=dict)


def corrected_cases(request: TrainingRequest) -> list[LabelledCase]:
    """Corrections of a request."""
    root = Path(request.studies)

    def loader(correction: Correction) -> Callable[[], tuple[Case, LabelArray]]:
        return lambda: _load_correction(root, correction)

    return [
        LabelledCase(
            f"{c.case_id}-{c.submission}", c.patient, Source.CORRECTIONS, c.held_out, loader(c)
        )
        for c in request.corrections
    ]


def base_cases(request: TrainingRequest) -> list[LabelledCase]:
    """Base data: what the model must not forget.

    The researcher's folder (`glioma3d/*.npz`, or volumes with `labels/final/` as in a studies
    folder), a fifth of its patients held out by a hash of their names; else phantoms.

    Raises:
        InputError: If the folder holds no labelled case.
    """
    if not request.replay:
        return list(_phantoms(request))
    folder = Path(request.replay)
    found = [*_brats_cases(folder), *_studies_cases(folder)]
    if not found:
        raise InputError(
            f"replay folder '{folder.name}' holds no labelled case; expected {BRATS_FOLDER}/*.npz "
            f"or volumes with {LABELS_FOLDER}/",
            remedy="Name another folder, or none to replay phantoms.",
        )
    return found


def groups_of(case: Case) -> dict[str, str]:
    """Sub-groups that follow from a case: its sequences, and how thick its slices are."""
    return {
        "sequences": "+".join(s.value for s in case.present),
        "slices": "thick" if max(case.spacing_mm) > THICK_MM else "thin",
    }


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
        for index, tumor in enumerate(islice(cycle(TumorType), count)):
            spec = PhantomSpec(
                seed=first + index,
                tumor=tumor,
                skull_stripped=index % 2 == 0,
                spacing_mm=(request.phantom_spacing_mm,) * 3,
                render_step_mm=request.phantom_spacing_mm,
            )
            name = f"phantom-{spec.seed}"
            groups = {"type": tumor.value}
            yield LabelledCase(name, name, Source.BASE, held_out, _phantom_loader(spec), groups)


def _phantom_loader(spec: PhantomSpec) -> Callable[[], tuple[Case, LabelArray]]:
    def load() -> tuple[Case, LabelArray]:
        phantom = make_phantom(spec)
        return phantom.case, phantom.labelmap

    return load


def _brats_cases(folder: Path) -> Iterator[LabelledCase]:
    for path in sorted((folder / BRATS_FOLDER).glob("*.npz")):
        yield _base(path.stem, _brats_loader(path))


def _brats_loader(path: Path) -> Callable[[], tuple[Case, LabelArray]]:
    def load() -> tuple[Case, LabelArray]:
        volumes, labels, _ = native_case(path)
        known = {_CHANNELS[name]: volume for name, volume in volumes.items()}
        reference = Sequence.T1C if Sequence.T1C in known else next(iter(known))
        return Case(path.stem, reference, known), labels

    return load


def _studies_cases(folder: Path) -> Iterator[LabelledCase]:
    for path in sorted((folder / LABELS_FOLDER).glob("*")):
        suffix = next((s for s in REFERENCE_SUFFIXES if path.name.endswith(s)), None)
        if suffix is not None and not path.name.startswith("."):
            yield _base(path.name[: -len(suffix)], _studies_loader(folder, path, suffix))


def _studies_loader(folder: Path, path: Path, suffix: str) -> Callable[[], tuple[Case, LabelArray]]:
    return lambda: _with_labels(resolve_case(folder, path.name[: -len(suffix)]).case, path)


def _base(name: str, load: Callable[[], tuple[Case, LabelArray]]) -> LabelledCase:
    held_out = patient_fold(name) == HELD_OUT_FOLD
    return LabelledCase(f"base-{name}", f"base-{name}", Source.BASE, held_out, load)
