"""A classifier with random weights as a bundle, and cases whose type their size tells."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.cases.case import Case
from brain_tumor.classification.case_slices import tumour_slices
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.model.network import NetworkArguments
from brain_tumor.classification.pieces import tumour_mask
from brain_tumor.explanation.type_reader import PATIENTS, REFERENCE
from brain_tumor.labels import TYPES, LabelArray, TumorType
from brain_tumor.learning.registry.registry import CARD
from brain_tumor.learning.retraining.job_folder import Correction, JobFolder, TrainingRequest
from brain_tumor.learning.retraining.labelled_cases import picture_case
from safetensors.torch import save_file

from tests.helpers.learning import write_models
from tests.helpers.type_reader import a_type_reader
from tests.helpers.volumes import write_nifti

RADIUS = {TumorType.GLIOMA: 14, TumorType.MENINGIOMA: 10, TumorType.PITUITARY: 6}
CONTRAST = {TumorType.GLIOMA: 60, TumorType.MENINGIOMA: 90, TumorType.PITUITARY: 130}
SIDE, PIXEL_MM = 64, 3.0


@cache
def sized_case(number: int) -> tuple[Case, LabelArray, TumorType]:
    """Picture of a head with a disc whose radius and brightness tell the type."""
    kind = TYPES[number % 3]
    rng = np.random.default_rng(number)
    row, column = rng.integers(26, 38, 2)
    rows, columns = np.indices((SIDE, SIDE))
    head = np.hypot(rows - 32, (columns - 32) * 1.2) < 28
    mask = np.hypot(rows - row, columns - column) < RADIUS[kind] + rng.uniform(-0.4, 0.4)
    image = np.where(head, 90.0, 0.0) + np.where(mask & head, CONTRAST[kind], 0.0)
    image = np.where(head, image + rng.normal(0, 6, image.shape), 0.0).clip(0, 255)
    case, labels = picture_case(f"S{number}", image.astype(np.uint8), mask & head, PIXEL_MM)
    return case, labels, kind


def write_classifier(folder: Path, version: str = "0.1.0") -> Path:
    """Bundle of the classifier of the tests; its features are standardised for the sized cases."""
    reader = a_type_reader()
    network, features = reader.classifier.network, reader.classifier.features
    for file in (METADATA, WEIGHTS, CARD):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    save_file({**state, **_scaler(features)}, folder / WEIGHTS)
    arguments = NetworkArguments(features).to_json()
    metadata = {"name": "classification", "version": version, "network": arguments}
    (folder / METADATA).write_text(json.dumps(metadata))
    (folder / CARD).write_text(f"# classification {version}\n")
    reader.classifier.statistics.write(folder)
    (folder / REFERENCE).write_text(json.dumps(reader.reference.to_json()))
    (folder / PATIENTS).write_text(json.dumps(reader.patients.to_json()))
    return folder


@cache
def _scaler(features: tuple[str, ...]) -> dict[str, torch.Tensor]:
    values = []
    for number in range(3):
        case, labels, _ = sized_case(number)
        (part,) = tumour_slices(case.volumes[case.reference], tumour_mask(labels))
        values.append(slice_features(part.image, part.mask, part.pixel_mm).to_array(features))
    spread = torch.from_numpy(np.nan_to_num(np.std(values, axis=0)))
    centre = torch.from_numpy(np.nan_to_num(np.median(values, axis=0)))
    return {"feature_centre": centre, "feature_scale": spread.clamp(min=1e-3)}


def write_sized_studies(folder: Path, numbers: Iterable[int], *, base: bool = False) -> None:
    """Studies folder of sized cases; as base data with labels and types."""
    rows = []
    for number in numbers:
        case, labels, kind = sized_case(number)
        volume = case.volumes[case.reference]
        write_nifti(folder / f"{case.case_id}.nii.gz", volume.array, volume.affine)
        if base:
            write_nifti(folder / f"labels/final/{case.case_id}.nii.gz", labels, volume.affine)
        rows.append((case.case_id, kind.value))
    if base:
        with (folder / "types.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("case", "type"), *rows])


def type_corrections(folder: Path, count: int, *, held_out: int) -> list[Correction]:
    """Studies of sized cases with their types and masks as corrections."""
    write_sized_studies(folder, range(count))
    found = []
    for number in range(count):
        case, labels, kind = sized_case(number)
        file = f"history/{case.case_id}/final/000001.nii.gz"
        path = write_nifti(folder / file, labels, case.affine)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        is_held_out = number >= count - held_out
        name = case.case_id
        found.append(Correction(number + 1, name, name, is_held_out, file, digest, kind.value))
    return found


def write_typed_models(folder: Path) -> Path:
    """Models folder with tiny segmentation networks and the classifier."""
    write_classifier(write_models(folder) / "classification")
    return folder


def write_type_job(folder: Path, count: int = 4, held_out: int = 1, **more: object) -> JobFolder:
    """Training job of the tumour type over sized cases; quick."""
    quick = {"replay_phantoms": 1, "base_phantoms": 1, "phantom_spacing_mm": 6.0}
    options: dict[str, object] = {"max_epochs": 2, "steps_per_epoch": 2, **quick, **more}
    request = TrainingRequest(
        id="job",
        model="classification",
        studies=str(folder / "studies"),
        store=str(folder / "store"),
        shipped=str(write_typed_models(folder / "models")),
        corrections=tuple(type_corrections(folder / "studies", count, held_out=held_out)),
        **options,  # type: ignore[arg-type]
    )
    job = JobFolder(folder / "job")
    job.create(request)
    return job
