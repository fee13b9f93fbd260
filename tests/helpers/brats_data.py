"""A tiny data folder in the layout of the BraTS-derived training data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PATIENTS = ("BraTS20_Training_136", "Patient_B", "Patient_C")
BOX = ((40, 71), (50, 69), (60, 91))
"""Inclusive box of every patient's lesion on the stored (LPS) 128 grid."""


def write_brats_data(folder: Path) -> Path:
    """Three patients with one box-shaped lesion each, and one whole brain."""
    (folder / "brats20").mkdir(parents=True)
    (folder / "glioma3d").mkdir()
    masks = np.zeros((len(PATIENTS), 128, 128, 128), dtype=np.uint8)
    masks[(slice(None), *(slice(a, b + 1) for a, b in BOX))] = 2
    masks[:, 50:60, 55:65, 70:80] = 1
    masks[:, 52:56, 55:65, 70:80] = 4
    corner = [(a + b) // 2 - 16 for a, b in BOX]
    cube = masks[(slice(None), *(slice(c, c + 32) for c in corner))]
    image = np.full((len(PATIENTS), 4, 32, 32, 32), 82, dtype=np.uint8)  # z = 0.1
    image[:, 1][cube == 4] = 160  # z = 4 on t1ce
    image[:, 3][cube == 2] = 120  # z = 2 on flair
    image[:, :, :, :, :2] = 0  # two planes outside the brain
    np.savez(
        folder / "brats20/cubes.npz",
        image=image,
        label=cube,
        ids=np.array([f"{p}_lesion{i}" for i, p in enumerate(PATIENTS)]),
        bbox=np.array([[v for pair in BOX for v in pair]] * len(PATIENTS), dtype=np.int16),
    )
    np.savez(folder / "brats20/masks128.npz", seg=masks, ids=np.array(PATIENTS))
    (folder / "brats20/twins.json").write_text(
        json.dumps({"Whole_A": PATIENTS[0], "Whole_B": "Patient_B"})
    )
    for name in ("Whole_A", "Whole_B"):
        _write_whole(folder / "glioma3d" / f"{name}.npz")
    return folder


def _write_whole(path: Path) -> None:
    rng = np.random.default_rng(5)
    shape = (140, 180, 130)
    image = rng.integers(90, 110, (4, *shape)).astype(np.uint8)
    points = np.indices(shape)
    centre = np.array(shape).reshape(3, 1, 1, 1) / 2
    outside = (((points - centre) / centre) ** 2).sum(axis=0) > 1
    image[:, outside] = 0
    segmentation = np.zeros(shape, dtype=np.uint8)
    segmentation[100:120, 80:100, 50:70] = 4
    image[1, 100:120, 80:100, 50:70] = 250
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    low = np.array([50, 30, 10])
    affine[:3, 3] = [-50.0, 209.0, 10.0]
    np.savez(
        path,
        image=image,
        seg=segmentation,
        affine=affine,
        orig_shape=np.array([240, 240, 155]),
        crop_lo=low,
        modalities=np.array(["t1", "t1ce", "t2", "flair"]),
        seg_kind=np.array("expert"),
    )
