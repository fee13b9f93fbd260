"""Sample studies: a studies folder of generated cases, one of each kind the product meets.

Layout of the folder::

    <case_id>.nii.gz                        reference volume (T1c)
    sequences/<case_id>/{t1,t2,flair}.nii.gz siblings, where the case has them
    sequences/<case_id>/case.json           which sequence the reference is, and where they are
    ground_truth/<case_id>.nii.gz           exact labelmap; never listed as a study
    ground_truth/index.json                 tumour type, centre and volumes of every case
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tqdm import tqdm

from brain_tumor.cases.durable import write_durably
from brain_tumor.cases.phantom import Phantom, PhantomSpec, make_phantom
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.cases.writers import write_labelmap, write_volume
from brain_tumor.labels import Label, TumorType

logger = logging.getLogger(__name__)

SEQUENCES_FOLDER = "sequences"
GROUND_TRUTH_FOLDER = "ground_truth"
CASE_FILE = "case.json"
INDEX_FILE = "index.json"

SAMPLES: Mapping[str, PhantomSpec] = MappingProxyType(
    {
        "glioma-four-sequences": PhantomSpec(seed=7),
        "glioma-t1c-flair": PhantomSpec(seed=5, sequences=(Sequence.T1C, Sequence.FLAIR)),
        "meningioma-t1c": PhantomSpec(
            seed=2, tumor=TumorType.MENINGIOMA, sequences=(Sequence.T1C,), skull_stripped=False
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
"""Name and content of the sample studies."""


@dataclass(frozen=True)
class SampleFiles:
    """Where the files of one sample study belong.

    Attributes:
        reference: Reference volume.
        siblings: The other sequences.
        case_file: Description of the case, written last of the study's own files.
        truth: Exact labelmap.
    """

    reference: Path
    siblings: Mapping[Sequence, Path]
    case_file: Path
    truth: Path

    def complete(self) -> bool:
        """Whether every file is there; each one is written whole or not at all."""
        needed = (self.reference, *self.siblings.values(), self.case_file, self.truth)
        return all(path.is_file() for path in needed)


def sample_files(folder: Path, case_id: str, spec: PhantomSpec) -> SampleFiles:
    """Paths of a sample study inside a studies folder."""
    own = folder / SEQUENCES_FOLDER / case_id
    siblings = {s: own / f"{s.value}.nii.gz" for s in Sequence if s in spec.sequences}
    del siblings[spec.reference]
    return SampleFiles(
        reference=folder / f"{case_id}.nii.gz",
        siblings=siblings,
        case_file=own / CASE_FILE,
        truth=folder / GROUND_TRUTH_FOLDER / f"{case_id}.nii.gz",
    )


def write_samples(
    folder: Path, *, progress: bool = True, samples: Mapping[str, PhantomSpec] = SAMPLES
) -> list[Path]:
    """Generate the sample studies; a study that is already complete is left alone.

    Args:
        folder: Studies folder, made when it does not exist.
        progress: Whether to draw a progress bar on stderr.
        samples: Case id and specification of each study.

    Returns:
        Reference volume of every study, in the order of samples.

    Raises:
        StorageError: If a file cannot be written; complete studies stay.
    """
    references = []
    truths: dict[str, Any] = _read_index(folder)
    with tqdm(samples.items(), desc="Sample studies", unit="case", disable=not progress) as bar:
        for case_id, spec in bar:
            bar.set_postfix_str(case_id)
            files = sample_files(folder, case_id, spec)
            references.append(files.reference)
            if files.complete() and case_id in truths:
                logger.debug("sample study %s is complete", case_id)
                continue
            phantom = make_phantom(spec, case_id)
            truths[case_id] = _truth(phantom)
            _write_study(phantom, files)
            _write_json(folder / GROUND_TRUTH_FOLDER / INDEX_FILE, truths)
    return references


def _write_study(phantom: Phantom, files: SampleFiles) -> None:
    for path in (files.reference, files.case_file, files.truth):
        path.parent.mkdir(parents=True, exist_ok=True)
    case = phantom.case
    write_labelmap(files.truth, phantom.labelmap, case.affine)
    for sequence, path in files.siblings.items():
        write_volume(path, _whole_numbers(case.volumes[sequence]))
    description = {
        "case_id": case.case_id,
        "reference": case.reference.value,
        "sequences": {s.value: path.name for s, path in files.siblings.items()},
        "generated": True,
    }
    _write_json(files.case_file, description)
    # The volume that makes the study visible comes last.
    write_volume(files.reference, _whole_numbers(case.volumes[case.reference]))


def _whole_numbers(volume: Volume) -> Volume:
    return Volume(np.rint(volume.array), volume.affine)


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
    path = folder / GROUND_TRUTH_FOLDER / INDEX_FILE
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_durably(path, text.encode("utf-8"))
