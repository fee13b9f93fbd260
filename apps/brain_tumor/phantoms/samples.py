"""Sample studies: a studies folder of generated cases, one of each kind the product meets.

Next to the layout of `study_layout` it holds the truth, out of the server's sight::

    <studies>/ground_truth/<case_id>.nii.gz     exact labelmap
    <studies>/ground_truth/index.json           tumour type, centre and volumes of every case
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tqdm import tqdm

from brain_tumor.cases.files.durable import write_durably
from brain_tumor.cases.files.readers import read_volume
from brain_tumor.cases.files.writers import write_labelmap, write_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.study_layout import (
    RECORD_NAME,
    CaseRecord,
    digest,
    find_reference,
    find_siblings,
    read_record,
    sequences_folder,
    stored_digests,
)
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, StorageError
from brain_tumor.labels import Label, TumorType
from brain_tumor.phantoms.phantom import Phantom, PhantomSpec, make_phantom

logger = logging.getLogger(__name__)

GROUND_TRUTH_FOLDER = "ground_truth"
INDEX_NAME = "index.json"

SAMPLES: Mapping[str, PhantomSpec] = MappingProxyType(
    {
        "glioma-four-sequences": PhantomSpec(seed=7),
        "glioma-t1c-flair": PhantomSpec(seed=5, sequences=(Sequence.T1C, Sequence.FLAIR)),
        "meningioma-t1c": PhantomSpec(
            seed=6, tumor=TumorType.MENINGIOMA, sequences=(Sequence.T1C,), skull_stripped=False
        ),
        "pituitary-t1c": PhantomSpec(
            seed=2, tumor=TumorType.PITUITARY, sequences=(Sequence.T1C,), skull_stripped=False
        ),
        "glioma-thick-oblique": PhantomSpec(
            seed=11, spacing_mm=(0.9, 0.9, 5.0), oblique_deg=14.0, axcodes="LPS"
        ),
        "healthy-four-sequences": PhantomSpec(seed=4, tumor=None),
    }
)
"""Case id and content of the sample studies."""


def write_samples(
    folder: Path,
    *,
    progress: bool = True,
    on_ready: Callable[[str], object] | None = None,
    samples: Mapping[str, PhantomSpec] = SAMPLES,
) -> list[Path]:
    """Generate the sample studies; a study that is already complete is left alone.

    Args:
        folder: Studies folder, made when it does not exist.
        progress: Whether to draw a progress bar on stderr.
        on_ready: Called with the case id of each study that was made, when it is whole.
        samples: Case id and specification of each study.

    Returns:
        Reference volume of every study, in the order of samples.

    Raises:
        InputError: If a case with other voxels has the id of a sample study.
        StorageError: If a file cannot be written; complete studies stay.
    """
    truths = _read_index(folder)
    with tqdm(samples.items(), desc="Sample studies", unit="case", disable=not progress) as bar:
        for case_id, spec in bar:
            bar.set_postfix_str(case_id)
            if case_id in truths and _is_complete(folder, case_id, spec):
                logger.debug("sample study %s is complete", case_id)
                continue
            phantom = make_phantom(spec, case_id)
            volumes = _whole_numbers(phantom)
            _refuse_if_taken(folder, phantom, volumes)
            truths[case_id] = _truth(phantom)
            _write_truth(folder, phantom, truths)
            _write_study(folder, phantom, volumes)
            if on_ready is not None:
                on_ready(case_id)
    return [folder / f"{case_id}.nii.gz" for case_id in samples]


def _is_complete(folder: Path, case_id: str, spec: PhantomSpec) -> bool:
    """Whether every file is there; each one is written whole or not at all."""
    with suppress(StorageError):
        record = read_record(folder, case_id)
        return (
            record is not None
            and set(record.digests) == set(spec.sequences)
            and {*find_siblings(folder, case_id), record.reference} == set(spec.sequences)
            and find_reference(folder, case_id) is not None
            and _truth_path(folder, case_id).is_file()
        )
    return False


def _whole_numbers(phantom: Phantom) -> dict[Sequence, Volume]:
    """Volumes as stored: scanners write whole numbers, and they need half the space."""
    return {s: Volume(np.rint(v.array), v.affine) for s, v in phantom.case.volumes.items()}


def _refuse_if_taken(folder: Path, phantom: Phantom, volumes: Mapping[Sequence, Volume]) -> None:
    case = phantom.case
    there = find_reference(folder, case.case_id)
    if there is not None and digest(read_volume(there)) != digest(volumes[case.reference]):
        raise InputError(
            f"case id {case.case_id} is taken by a case with other voxels; it was not changed",
            remedy="Choose another folder for the sample studies, or remove that case.",
        )


def _write_study(folder: Path, phantom: Phantom, volumes: Mapping[Sequence, Volume]) -> None:
    """Siblings, record and, last, the reference volume, which makes the case visible."""
    case = phantom.case
    own = sequences_folder(folder, case.case_id)
    for sequence, volume in volumes.items():
        if sequence is not case.reference:
            write_volume(own / f"{sequence.value}.nii.gz", volume)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    record = CaseRecord(case.reference, stored_digests(volumes), made)
    write_durably(own / RECORD_NAME, record.to_bytes(case.case_id))
    if find_reference(folder, case.case_id) is None:
        write_volume(folder / f"{case.case_id}.nii.gz", volumes[case.reference])


def _write_truth(folder: Path, phantom: Phantom, truths: Mapping[str, Any]) -> None:
    path = _truth_path(folder, phantom.case.case_id)
    write_labelmap(path, phantom.labelmap, phantom.case.affine)
    text = json.dumps(truths, indent=2) + "\n"
    write_durably(path.with_name(INDEX_NAME), text.encode("utf-8"))


def _truth_path(folder: Path, case_id: str) -> Path:
    return folder / GROUND_TRUTH_FOLDER / f"{case_id}.nii.gz"


def _truth(phantom: Phantom) -> dict[str, Any]:
    voxel_ml = abs(float(np.linalg.det(phantom.case.affine[:3, :3]))) / 1000
    counts = np.bincount(phantom.labelmap.ravel(), minlength=len(Label))
    return {
        "tumor_type": phantom.tumor_type.value if phantom.tumor_type else None,
        "centre_ras_mm": [round(c, 1) for c in phantom.plan.centre_mm] if phantom.plan else None,
        "volumes_ml": {
            label.name: round(float(counts[label]) * voxel_ml, 3)
            for label in (Label.NCR, Label.ED, Label.ET)
        },
    }


def _read_index(folder: Path) -> dict[str, Any]:
    """Truths written before; a missing or damaged index counts as empty and is written anew."""
    path = folder / GROUND_TRUTH_FOLDER / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}
