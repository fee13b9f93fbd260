"""Whatever happens to an export, each slice is imported in its place or named."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from brain_tumor.cases.files.readers import read_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import import_cases
from brain_tumor.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import grid

SLICES = 6
AFFINE = grid((1.0, 1.0, 3.0))
SERIES = {3: ("AX T1 PRE", Sequence.T1), 5: ("AX T1 POST", Sequence.T1C)}
OPERATIONS = ("drop", "copy", "rename", "new uid", "cut", "split", "header", "other modality")
steps = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 10_000)), min_size=0, max_size=6
)


@dataclass(frozen=True)
class Exported:
    """A file of an export and the slice that it holds."""

    path: Path
    series: int
    slice: int


def values_of(series: int, k: int) -> np.ndarray:
    return (np.arange(30).reshape(5, 6) + 100 * k + 1000 * series).astype(np.uint16)


def an_export(folder: Path) -> list[Exported]:
    files = []
    for number, (name, _) in SERIES.items():
        array = np.stack([values_of(number, k) for k in range(SLICES)], axis=-1)
        paths = write_dicom_series(
            folder / f"s{number}", array, AFFINE, description=name, number=number
        )
        files += [Exported(path, number, k) for k, path in enumerate(paths)]
    return files


def spoil(files: list[Exported], operation: str, seed: int, root: Path) -> list[Exported]:
    """Export after one mishap."""
    draw = random.Random(seed)
    if not files:
        return files
    chosen = draw.choice(files)
    path = chosen.path
    if operation == "drop":
        path.unlink()
        return [file for file in files if file is not chosen]
    if operation == "copy":
        copy = root / f"copy{seed}" / path.name
        copy.parent.mkdir(exist_ok=True)
        if copy.exists():
            return files
        shutil.copy(path, copy)
        return [*files, Exported(copy, chosen.series, chosen.slice)]
    if operation == "rename":
        new = path.with_name(f"IM{seed:05d}_{path.stem}")
        path.rename(new)
        return [f if f is not chosen else Exported(new, f.series, f.slice) for f in files]
    if operation == "cut":
        path.write_bytes(path.read_bytes()[: -draw.randint(1, 60)])
        return files
    if operation == "header":
        path.write_bytes(path.read_bytes()[: draw.randint(133, 400)])
        return files
    try:
        header = pydicom.dcmread(path)
        if operation == "new uid":
            header.SOPInstanceUID = generate_uid()
        elif operation == "split":
            header.SeriesInstanceUID = generate_uid()
        else:
            header.Modality = "CT"
        header.save_as(path)
    except Exception:  # noqa: BLE001 - cut already
        return files
    return files


def imported_at(studies: Path, case_id: str, file: Exported) -> bool:
    """True if the voxels of a slice stand where its header says."""
    sequence = SERIES[file.series][1]
    record = json.loads((studies / "sequences" / case_id / "case.json").read_text("utf-8"))
    path = studies / "sequences" / case_id / f"{sequence.value}.nii.gz"
    if record["reference"] == sequence.value:
        path = studies / f"{case_id}.nii.gz"
    if not path.exists():
        return False
    volume = read_volume(path)
    index = (np.linalg.inv(volume.affine) @ AFFINE @ [0, 0, file.slice, 1])[2]
    k = round(float(index))
    is_inside = 0 <= k < volume.shape[2] and abs(index - k) < 0.01
    return is_inside and np.array_equal(volume.array[:, :, k], values_of(file.series, file.slice))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(mishaps=steps)
def test_each_slice_is_imported_in_its_place_or_named(mishaps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root, studies = Path(scratch) / "P1", Path(scratch) / "studies"
        files = an_export(root)
        for operation, seed in mishaps:
            files = spoil(files, operation, seed, root)
        try:
            reports = import_cases(root, studies)
        except InputError as error:
            reports, text = [], f"{error.message} {error.remedy}"
        else:
            text = " ".join(" ".join((r.message, *r.warnings, *r.notes)) for r in reports)
        stored = [r.case_id for r in reports if r.sequences]
        assert stored or text.strip() or not files
        if not stored:  # the case is refused as a whole, with the reason
            return
        for file in files:
            is_named = file.path.name in text or f"series {file.series} (" in text
            is_named = is_named or f"{file.path.parent.name}/" in text
            is_there = any(imported_at(studies, case_id, file) for case_id in stored)
            assert is_there or is_named, (file, mishaps, text)
