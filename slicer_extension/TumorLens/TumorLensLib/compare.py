"""Before and after: what a correction changed, in millilitres, Dice and voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from TumorLensLib.labels import REGIONS, SCHEMES


@dataclass(frozen=True)
class Change:
    """Change of one class or region.

    Attributes:
        name: Class name or region.
        before_ml: Volume in the proposal.
        after_ml: Volume now.
        dice: Overlap of the two, 0-1; 1 when both are empty.
    """

    name: str
    before_ml: float
    after_ml: float
    dice: float


@dataclass(frozen=True)
class Comparison:
    """A correction against its proposal.

    Attributes:
        classes: By class, in the order of their values.
        regions: By region, those that unite several classes.
        changed_voxels: Voxels with another value than before.
        changed_ml: Their volume.
    """

    classes: tuple[Change, ...]
    regions: tuple[Change, ...]
    changed_voxels: int
    changed_ml: float


def region_volumes_ml(
    array: np.ndarray, spacing_mm: tuple[float, float, float], scheme: str
) -> dict[str, float]:
    """Millilitres of each region of a scheme."""
    counts = np.bincount(np.asarray(array).ravel(), minlength=5)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    return {
        region: float(sum(counts[value] for value in values)) * voxel_ml
        for region, values in REGIONS[scheme].items()
    }


def compare(
    before: np.ndarray, after: np.ndarray, spacing_mm: tuple[float, float, float], scheme: str
) -> Comparison:
    """Compare two labelmaps of one grid.

    Raises:
        ValueError: If they have different shapes.
    """
    if before.shape != after.shape:
        raise ValueError(f"labelmaps of {before.shape} and {after.shape} voxels cannot be compared")
    values = 5
    joint = np.bincount(
        before.ravel().astype(np.intp) * values + after.ravel(), minlength=values * values
    ).reshape(values, values)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0

    def change(name: str, of: tuple[int, ...]) -> Change:
        rows = list(of)
        was, now = int(joint[rows].sum()), int(joint[:, rows].sum())
        both = int(joint[np.ix_(rows, rows)].sum())
        dice = 2.0 * both / (was + now) if was + now else 1.0
        return Change(name, was * voxel_ml, now * voxel_ml, dice)

    changed = int(joint.sum() - np.trace(joint))
    classes = sorted(SCHEMES[scheme], key=lambda one: one.value)
    regions: Mapping[str, tuple[int, ...]] = REGIONS[scheme]
    return Comparison(
        tuple(change(one.name, (one.value,)) for one in classes),
        tuple(change(name, of) for name, of in regions.items() if len(of) > 1),
        changed,
        changed * voxel_ml,
    )
