"""Segmentations of 3D Slicer are read by their headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from brain_tumor.cases.files.readers import read_label, read_labelmap
from brain_tumor.errors import FileFormatError, LabelError

from tests.helpers.volumes import grid

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (6, 7, 8)
AFFINE = grid((1.0, 1.0, 2.0), (-3.0, 4.0, 5.0))
EDEMA = (
    "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^79654002^Edema~^^~Anatomic~^^~^^|"
)


def three_regions() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3], labels[3], labels[4] = 2, 1, 3
    return labels


def write(path: Path, array: np.ndarray, *segments: tuple[Any, ...]) -> Path:
    """Segmentation whose segments are (name, value, layer, tags)."""
    lps = LPS @ AFFINE
    directions: Any = lps[:3, :3].T
    if array.ndim == 4:
        directions = np.vstack([[np.nan] * 3, directions])
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "space directions": directions,
        "space origin": lps[:3, 3],
        "kinds": ["list"] * (array.ndim - 3) + ["domain"] * 3,
    }
    for number, (_, value, layer, tags) in enumerate(segments):
        header[f"Segment{number}_ID"] = f"Segment_{number}"
        header[f"Segment{number}_Name"] = f"name of {number}"  # pynrrd writes ASCII only
        header[f"Segment{number}_LabelValue"] = str(value)
        header[f"Segment{number}_Layer"] = str(layer)
        if tags:
            header[f"Segment{number}_Tags"] = tags
    nrrd.write(str(path), array, header)
    content = path.read_bytes()
    for number, (name, *_) in enumerate(segments):
        content = content.replace(f"name of {number}".encode(), name.encode())
    path.write_bytes(content)
    return path


def test_values_are_told_by_the_names_of_the_segments(tmp_path: Path) -> None:
    stored = np.choose(three_regions(), [0, 3, 1, 2]).astype(np.uint8)
    path = write(
        tmp_path / "a.seg.nrrd",
        stored,
        ("Oedema", 1, 0, ""),
        ("Enhancing Tumor", 2, 0, ""),
        ("necrotic_core", 3, 0, ""),
    )
    read = read_label(path)
    np.testing.assert_array_equal(read.values, three_regions())
    np.testing.assert_allclose(read.affine, AFFINE)
    assert read.is_named
    np.testing.assert_array_equal(read_labelmap(path)[0], three_regions())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((n, 1) for n in ("Necrosis", "NCR", "NCR/NET", "Nekrose", "괴사")),
        *((n, 2) for n in ("Edema", "peritumoral oedema", "Ödem", "ED", "부종", "SNFH")),
        *((n, 3) for n in ("ET", "enhancing tumour", "Enhancing_Lesion", "조영증강 종양")),
        *((n, 4) for n in ("Tumor Core", "TC", "tumour core")),
    ],
)
def test_names_in_use_are_known(tmp_path: Path, name: str, value: int) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2] = 7
    path = write(tmp_path / "a.seg.nrrd", array, (name, 7, 0, ""))
    assert set(np.unique(read_labelmap(path)[0])) == {0, value}


def test_a_name_that_says_nothing_is_told_by_its_terminology(tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2] = 1
    path = write(tmp_path / "a.seg.nrrd", array, ("Segment_1", 1, 0, EDEMA))
    assert (read_labelmap(path)[0][2] == 2).all()


def test_layers_are_merged(tmp_path: Path) -> None:
    layers = np.zeros((2, *SHAPE), np.uint8)
    layers[0, 1:3], layers[1, 3], layers[0, 4] = 1, 1, 2
    path = write(
        tmp_path / "a.seg.nrrd",
        layers,
        ("oedema", 1, 0, ""),
        ("necrosis", 1, 1, ""),
        ("enhancing", 2, 0, ""),
    )
    np.testing.assert_array_equal(read_labelmap(path)[0], three_regions())


def test_layers_that_overlap_are_refused_by_name(tmp_path: Path) -> None:
    layers = np.zeros((2, *SHAPE), np.uint8)
    layers[0, 1:3], layers[1, 2:4] = 1, 1
    path = write(tmp_path / "a.seg.nrrd", layers, ("oedema", 1, 0, ""), ("ET", 1, 1, ""))
    with pytest.raises(LabelError, match="'oedema' and 'ET' overlap in 56 voxels"):
        read_labelmap(path)


def test_a_segment_of_an_unknown_name_is_refused_by_name_if_it_has_voxels(tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2] = 1
    path = write(tmp_path / "a.seg.nrrd", array, ("oedema", 1, 0, ""), ("my notes", 2, 0, ""))
    assert (read_labelmap(path)[0] == 2 * array).all()
    array[3] = 2
    path = write(tmp_path / "b.seg.nrrd", array, ("oedema", 1, 0, ""), ("my notes", 2, 0, ""))
    with pytest.raises(LabelError, match="'my notes'"):
        read_labelmap(path)


def test_a_value_of_no_segment_is_refused(tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2] = 5
    path = write(tmp_path / "a.seg.nrrd", array, ("oedema", 1, 0, ""))
    with pytest.raises(LabelError, match=r"values \[5\] belong to no segment"):
        read_labelmap(path)


def test_a_damaged_value_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.seg.nrrd", three_regions(), ("oedema", "x", 0, ""))
    with pytest.raises(FileFormatError, match="segment 0 has no whole number"):
        read_labelmap(path)


def test_a_plain_nrrd_keeps_its_values(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd", three_regions())
    read = read_label(path)
    assert not read.is_named
    np.testing.assert_array_equal(read.values, three_regions())
