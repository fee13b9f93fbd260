"""Cohorts of tiny cases, and a reader without models: what a worker writes can be worked out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from brain_tumor import NOTICE
from brain_tumor.cases.files.writers import write_labelmap
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cohorts.worker import CohortSettings
from brain_tumor.errors import VolumeError

from tests.helpers.volumes import SHAPE, write_nifti

BRIGHT = 500
FAULTY = 9999
DEADLY = 31000


class BrightReader:
    """Outlines what is brighter than `BRIGHT`: a voxel of 1 mm is 0.001 mL.

    A voxel of `FAULTY` makes it fail with a fault of the program, and one of `DEADLY` kills the
    process the first time that it is read.

    Args:
        folder: Where it notes what it read, a line a case.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note("loaded")

    def read(self, loaded: LoadedCase, folder: Path, loading_s: float) -> Mapping[str, Any]:
        values = loaded.case.volumes[loaded.case.reference].array
        self._note(loaded.case.case_id)
        if (values == FAULTY).any():
            raise KeyError("faulty")
        if (values == DEADLY).any() and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if values.max() == values.min() + 1:
            raise VolumeError("the head is empty", remedy="Scan again.")
        outline = (values > BRIGHT).astype(np.uint8)
        write_labelmap(folder / "labelmap.nii.gz", outline, loaded.case.affine)
        volume_ml = float(outline.sum()) / 1000
        report = a_report(loaded.case.case_id, volume_ml, warnings=loaded.warnings)
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        (folder / "report.html").write_text("<p>report</p>", encoding="utf-8")
        return report

    def _note(self, what: str) -> None:
        with (self._folder / "notes.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{what} {os.getpid()}\n")


def load_bright(settings: CohortSettings) -> BrightReader:
    """What `cohort_settings` takes; notes go beside the models."""
    return BrightReader(settings.models)


def notes(models: Path) -> list[str]:
    """What the readers noted: "loaded" with every process, and the case with every reading."""
    path = models / "notes.txt"
    if not path.exists():
        return []
    return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines()]


def write_models(folder: Path, content: bytes = b"1") -> Path:
    """A models folder with one file."""
    path = folder / "models" / "tiny" / "configs" / "metadata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parents[1] / "models").mkdir(exist_ok=True)
    (path.parents[1] / "models" / "weights.bin").write_bytes(content)
    return folder / "models"


def write_case(folder: Path, name: str, bright: int, *, value: int = 1000) -> Path:
    """A case with one t1c volume of which so many voxels are bright."""
    array = (np.arange(np.prod(SHAPE)) % 7 + 1).reshape(SHAPE).astype(np.int16)
    array.flat[:bright] = value
    write_nifti(folder / name / "t1c.nii.gz", array)
    return folder / name


def a_report(case: str, volume_ml: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Content of report.json, as far as a row is made of it."""
    report: dict[str, Any] = {
        "case": case,
        "segmentation": {"volumes_ml": {"WT": volume_ml}},
        "sequences": {"used": [Sequence.T1C.value], "missing": [], "reference": "t1c"},
        "registration": [],
        "models": [{"name": "tiny", "version": "1.0.0", "sha256": "0" * 64}],
        "warnings": [],
        "notice": NOTICE,
    }
    report |= changes
    return {**report, "warnings": list(report["warnings"])}
