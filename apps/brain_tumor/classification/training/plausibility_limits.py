"""The limits of `plausibility`, derived from heads and from pictures that are none.

    python -m brain_tumor.classification.training.plausibility_limits --data DIR

Heads are every fifth slice of the collection and the axial, coronal and sagittal slices of the
volumes, with and without skull, as far as their pixels are fine enough to be read by the product.
A limit is the middle between the worst head and the best of what it has to keep out: noise for the
correlation, flat pictures and ramps for the detail, shaded bodies of the size of a head, with a
bright blob in them or without, for the share of turning edges. The command prints the figures as
JSON and fails if the limits in use do not lie between the two.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from brain_tumor.cases.grid.grids import axis_map
from brain_tumor.classification.case_slices import cut_patch
from brain_tumor.classification.model.plausibility import (
    LEAST_CORRELATION,
    LEAST_DETAIL,
    LEAST_TURNING,
    Plausibility,
    plausibility,
)
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    GBM_SPACING_MM,
    read_cheng_index,
    read_cheng_slice,
    read_t1c_volume,
)
from brain_tumor.segmentation.tumor_core.slices import ORIENTATION, SLICE_AXIS, Plane, plane_stack

COLLECTION_STEP = 5
SLICES_PER_PLANE = 8
MIDDLE = (0.3, 0.7)
"""Slices of a volume are taken from this part of its length: nearer its ends there is hardly a
head, and no tumour is read there."""
NOISE_PIXELS_MM = (1.0, 1.5)
SIDE = 160
SEED = 3

Picture = npt.NDArray[Any]


@dataclass(frozen=True)
class Limits:
    """What was measured, and the limits that follow.

    Attributes:
        heads: Number of heads.
        others: Number of pictures that are none.
        head_correlation: Least of the heads.
        head_detail: Least of the heads.
        other_correlation: Greatest of the pictures that correlation has to keep out (noise).
        other_detail: Greatest of those that detail has to keep out (flat pictures and ramps).
        head_turning: Least share of turning edges of the heads.
        other_turning: Greatest of those that it has to keep out (shaded bodies).
    """

    heads: int
    others: int
    head_correlation: float
    head_detail: float
    other_correlation: float
    other_detail: float
    head_turning: float
    other_turning: float

    @property
    def correlation(self) -> float:
        """Least neighbour correlation of what may be a head."""
        return 0.5 * (self.head_correlation + self.other_correlation)

    @property
    def detail(self) -> float:
        """Least detail of what may be a head."""
        return 0.5 * (self.head_detail + self.other_detail)

    @property
    def turning(self) -> float:
        """Least share of turning edges of what may be a head."""
        return 0.5 * (self.head_turning + self.other_turning)

    def between(self, correlation: float, detail: float, turning: float) -> bool:
        """Whether limits keep all heads in and all others out."""
        return (
            self.other_correlation < correlation <= self.head_correlation
            and self.other_detail < detail <= self.head_detail
            and self.other_turning < turning <= self.head_turning
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary, rounded."""
        names = (
            "head_correlation",
            "head_detail",
            "other_correlation",
            "other_detail",
            "head_turning",
            "other_turning",
            "correlation",
            "detail",
            "turning",
        )
        return {"heads": self.heads, "others": self.others} | {
            name: round(float(getattr(self, name)), 4) for name in names
        }


def limits_of(
    heads: Iterable[Plausibility],
    noise: Sequence[Plausibility],
    smooth: Sequence[Plausibility],
    shaded: Sequence[Plausibility] = (),
) -> Limits:
    """Limits that tell heads from noise, smooth pictures and shaded bodies.

    Args:
        heads: At least one.
        noise: What the correlation has to keep out.
        smooth: What the detail has to keep out.
        shaded: What the turning edges have to keep out.

    Raises:
        InputError: If there is no head.
    """
    found = list(heads)
    if not found:
        raise InputError("there are no slices of heads; expected cheng, t1ce_gbm or glioma3d")
    return Limits(
        heads=len(found),
        others=len(noise) + len(smooth) + len(shaded),
        head_correlation=min(one.correlation for one in found),
        head_detail=min(one.detail for one in found),
        other_correlation=max((one.correlation for one in noise), default=0.0),
        other_detail=max((one.detail for one in smooth), default=0.0),
        head_turning=min(one.turning for one in found),
        other_turning=max((one.turning for one in shaded), default=0.0),
    )


def look(image: Picture, pixel_mm: float) -> Plausibility:
    """Plausibility of a picture as the product would read it."""
    blank = np.zeros(image.shape, dtype=bool)
    return plausibility(cut_patch(lone_slice(image, blank, pixel_mm)).image)


def noise_pictures() -> Iterator[tuple[Picture, float]]:
    """Noise, everywhere and in the form of a head, with the sides of their pixels."""
    rng = np.random.default_rng(SEED)
    for pixel_mm in NOISE_PIXELS_MM:
        for _ in range(4):
            yield rng.normal(100.0, 30.0, (SIDE, SIDE)), pixel_mm
            ball = rng.normal(100.0, 20.0, (SIDE, SIDE))
            yield np.where(_radius() < 0.4 * SIDE, ball, 0.0), pixel_mm


def smooth_pictures() -> Iterator[tuple[Picture, float]]:
    """Flat discs and ramps with the sides of their pixels."""
    rows, columns = np.indices((SIDE, SIDE)).astype(float)
    yield np.zeros((SIDE, SIDE)), 1.5
    for edge in (0.3, 0.4, 0.45):
        yield np.where(_radius() < edge * SIDE, 100.0, 0.0), 1.5
    for tilt in (0.0, 0.5, 1.0):
        yield rows + tilt * columns, 1.5


def shaded_pictures() -> Iterator[tuple[Picture, float]]:
    """Shaded discs as large as a head, with a bright blob and without, with sides of pixels."""
    rows, columns = np.indices((SIDE, SIDE)) - 0.5 * (SIDE - 1)
    blob = 80.0 * np.exp(-((rows - 15) ** 2 + (columns - 20) ** 2) / (2 * 8.0**2))
    for edge in (0.3, 0.4, 0.45):
        for shade in (200.0 - _radius(), 120.0 + 0.6 * rows + 0.3 * columns):
            for inside in (shade, shade + blob):
                yield np.where(_radius() < edge * SIDE, inside, 0.0), 1.5


def heads(data: Path, *, progress: bool = True) -> Iterator[Plausibility]:
    """Plausibility of every head of the data folder that is looked at.

    Args:
        data: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        progress: Show a bar.
    """
    rows = read_cheng_index(data)[::COLLECTION_STEP]
    for row in tqdm(rows, desc="slices", disable=not progress):
        yield look(read_cheng_slice(data, row)[0], CHENG_PIXEL_MM)
    for folder in ("t1ce_gbm", "glioma3d"):
        for path in sorted((data / folder).glob("*.npz")):
            thick = folder == "t1ce_gbm"
            planes = (Plane.AXIAL,) if thick else tuple(SLICE_AXIS)
            yield from _volume(path, planes, GBM_SPACING_MM[0] if thick else 1.0)


def _volume(path: Path, planes: Sequence[Plane], pixel_mm: float) -> Iterator[Plausibility]:
    image, _, affine = read_t1c_volume(path)
    i, j, k = image.shape
    turned = axis_map((i, j, k), affine, ORIENTATION).apply(image)
    for plane in planes:
        stack = plane_stack(turned, plane)
        first, last = (round(share * (len(stack) - 1)) for share in MIDDLE)
        for number in np.unique(np.linspace(first, last, SLICES_PER_PLANE).round().astype(int)):
            yield look(stack[number], pixel_mm)


def _radius() -> npt.NDArray[np.float64]:
    rows, columns = np.indices((SIDE, SIDE)) - 0.5 * (SIDE - 1)
    return np.asarray(np.hypot(rows, columns))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: prints the figures; 1 if the limits in use are not between them."""
    parser = argparse.ArgumentParser(description="Limits of what can be a head.")
    parser.add_argument("--data", type=Path, required=True, help="folder with cheng and volumes")
    chosen = parser.parse_args(argv)
    found = limits_of(
        heads(chosen.data),
        [look(*picture) for picture in noise_pictures()],
        [look(*picture) for picture in smooth_pictures()],
        [look(*picture) for picture in shaded_pictures()],
    )
    fits = found.between(LEAST_CORRELATION, LEAST_DETAIL, LEAST_TURNING)
    in_use = {
        "correlation": LEAST_CORRELATION,
        "detail": LEAST_DETAIL,
        "turning": LEAST_TURNING,
        "fit": fits,
    }
    print(json.dumps(found.to_json() | {"in_use": in_use}, indent=2))  # noqa: T201
    return 0 if fits else 1


if __name__ == "__main__":
    raise SystemExit(main())
