"""Two T1 series of which no name or header says which is native."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.contrast import enhancement_balance
from brain_tumor.cases.loading import load_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import SequenceError

from tests.helpers.dicom import write_dicom_series
from tests.helpers.phantoms import a_glioma_phantom, a_healthy_phantom
from tests.helpers.volumes import grid

SHAPE = (24, 26, 12)
HEAD = sum((i - n / 2) ** 2 for i, n in zip(np.indices(SHAPE), SHAPE, strict=True)) < 11**2
NATIVE = np.where(HEAD, np.random.default_rng(0).normal(300, 10, SHAPE), 0).astype(np.uint16)
ENHANCED = NATIVE.copy()
ENHANCED[10:14, 10:14, 5:7] *= 2  # 32 of some 4000 voxels
AFFINE = grid((8.0, 8.0, 10.0))


def write(folder: Path, *arrays: np.ndarray, **attributes: object) -> Path:
    for number, array in enumerate(arrays, 3):
        write_dicom_series(
            folder / str(number),
            array,
            AFFINE,
            description="t1_mprage_sag",
            number=number,
            **attributes,
        )
    return folder


@pytest.mark.parametrize("is_first", [True, False])
def test_the_one_with_bright_vessels_is_t1c(tmp_path: Path, is_first: bool) -> None:
    pair = (ENHANCED, NATIVE) if is_first else (NATIVE, ENHANCED)
    loaded = load_case(write(tmp_path, *pair))
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1].array, NATIVE)
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1C].array, ENHANCED)
    assert loaded.warnings[0].startswith("t1 and t1c: no name or header tells them apart")


def test_another_gain_changes_nothing(tmp_path: Path) -> None:
    loaded = load_case(write(tmp_path, NATIVE * 3, ENHANCED))
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.T1C].array, ENHANCED)


def test_a_repetition_is_no_t1c(tmp_path: Path) -> None:
    loaded = load_case(write(tmp_path, NATIVE, np.where(HEAD, NATIVE + 3, 0).astype(np.uint16)))
    assert loaded.case.present == (Sequence.T1,)
    assert "several T1 series look alike" in loaded.warnings[0]


def test_images_that_do_not_tell_are_asked_about(tmp_path: Path) -> None:
    other = np.where(HEAD, np.random.default_rng(1).normal(300, 200, SHAPE).clip(1), 0)
    with pytest.raises(SequenceError, match="neither names nor images tell apart") as refused:
        load_case(write(tmp_path, NATIVE, other.astype(np.uint16)))
    assert "--t1 and --t1c" in refused.value.remedy


def test_series_of_other_names_that_images_do_not_tell_are_native_with_a_warning(
    tmp_path: Path,
) -> None:
    other = np.where(HEAD, np.random.default_rng(1).normal(300, 200, SHAPE).clip(1), 0)
    pair = (NATIVE, other.astype(np.uint16))
    for number, (name, array) in enumerate(zip(("AX T1", "SAG T1"), pair, strict=True), 3):
        write_dicom_series(tmp_path / str(number), array, AFFINE, description=name, number=number)
    loaded = load_case(tmp_path)
    assert loaded.case.present == (Sequence.T1,)
    assert loaded.warnings[0].startswith("t1: neither names, headers nor images tell")


def test_phantoms_with_agent_are_told_from_those_without() -> None:
    for phantom in (a_glioma_phantom(), a_healthy_phantom()):
        volumes = phantom.case.volumes
        t1, t1c = volumes[Sequence.T1].array, volumes[Sequence.T1C].array
        assert enhancement_balance(t1, t1c) == 1
        assert enhancement_balance(t1c, t1) == -1
        assert enhancement_balance(t1, 2 * t1) == 0
