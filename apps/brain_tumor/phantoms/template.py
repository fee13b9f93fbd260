"""The MNI152 average head that every phantom starts from, and its smooth deformations.

References:
    Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033 (ICBM 2009 non-linear templates, as
    shipped inside nilearn).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from brain_tumor.cases.grid.resampling import itk
from brain_tumor.phantoms.fields import (
    FloatArray,
    LatticeField,
    Points,
    Vector3,
    lattice_points,
    smooth_noise,
)

SELLA_MM: Vector3 = (0.0, 4.0, -35.0)
"""Centre of the pituitary gland in template space: below the chiasm, before the dorsum sellae."""

SKULL_CLOSING_MM = 10.0
SKULL_GAP_MM = 2.0
DISTANCE_STEP_MM = 2.0
HEAD_BOX_MM = ((-100.0, -134.0, -84.0), (100.0, 122.0, 112.0))
BRAIN_BOX_MM = ((-88.0, -124.0, -84.0), (88.0, 92.0, 96.0))
DEFORMATION_STEP_MM = 5.0


@dataclass(frozen=True, eq=False)
class Template:
    """MNI152 average brain as fields in its own millimetres.

    Attributes:
        tissues: Channels GM probability, WM probability, T1 detail (T1 minus what the
            probabilities predict, in units of the white matter), at 1 mm.
        distances: Channels distance to the brain surface and to the inner skull in mm, negative
            inside, at 2 mm.
    """

    tissues: LatticeField
    distances: LatticeField


@dataclass(frozen=True, eq=False)
class Deformation:
    """Map from patient to template space: template = matrix @ (x + displacement(x)).

    Attributes:
        matrix: Scale, shear and rotation, shape (3, 3).
        displacement: Three channels, mm.
    """

    matrix: npt.NDArray[np.float32]
    displacement: LatticeField

    def __call__(self, points: Points) -> Points:
        """Template positions of patient positions, both (N, 3) in mm."""
        moved: Points = (points + self.displacement(points).T) @ self.matrix.T
        return moved

    def inverse(self, points: Points, iterations: int = 12) -> Points:
        """Patient positions of template positions, by fixed-point iteration."""
        unmixed = points @ np.linalg.inv(self.matrix).T.astype(np.float32)
        found: Points = unmixed.copy()
        for _ in range(iterations):
            found = unmixed - self.displacement(found).T
        return found


def _template_file(name: str) -> Path:
    folder = Path(str(files("nilearn"))) / "datasets" / "data"
    return folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"


def _signed_distance_mm(mask: npt.NDArray[np.bool_], step_mm: float) -> FloatArray:
    image = itk.GetImageFromArray(mask.astype(np.uint8))
    distance = itk.GetArrayFromImage(itk.SignedMaurerDistanceMap(image, False, False, False))
    return np.asarray(distance * step_mm, dtype=np.float32)


@lru_cache(maxsize=1)
def template() -> Template:
    """Load the template and derive its distance fields; cached."""
    images: dict[str, Any] = {name: nib.load(_template_file(name)) for name in ("t1", "gm", "wm")}
    t1, gm, wm = (np.asarray(images[n].dataobj, dtype=np.float32) / 255 for n in images)
    affine = images["t1"].affine
    origin = (float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3]))
    brain = t1 > 0

    inside = brain & (gm + wm > 0.5)
    design = np.stack([gm[inside], wm[inside], np.ones(int(inside.sum()), np.float32)], axis=1)
    weights, *_ = np.linalg.lstsq(design, t1[inside], rcond=None)
    predicted = weights[0] * gm + weights[1] * wm + weights[2]
    white = float(weights[1] + weights[2])
    detail = np.where(inside, (t1 - predicted) / white, 0).astype(np.float32)

    # Distances on a coarser lattice, the neck continued below the field of view.
    step = int(DISTANCE_STEP_MM)
    below = 20
    padded = np.pad(brain, ((0, 1), (0, 1), (below, 1)), mode="edge")
    blocks = [n // step for n in padded.shape]
    trimmed = padded[: blocks[0] * step, : blocks[1] * step, : blocks[2] * step]
    share = trimmed.reshape(blocks[0], step, blocks[1], step, blocks[2], step).mean((1, 3, 5))
    surface = _signed_distance_mm(share > 0.5, DISTANCE_STEP_MM)
    grown = _signed_distance_mm(surface < SKULL_CLOSING_MM, DISTANCE_STEP_MM)
    skull = grown + np.float32(SKULL_CLOSING_MM - SKULL_GAP_MM)
    distances = np.stack([gaussian_filter(surface, 0.7), gaussian_filter(skull, 2.0)])
    block_origin = (origin[0] + 0.5, origin[1] + 0.5, origin[2] + 0.5 - below)
    return Template(
        tissues=LatticeField(np.stack([gm, wm, detail]), origin, 1.0),
        distances=LatticeField(distances, block_origin, DISTANCE_STEP_MM),
    )


def identity_deformation() -> Deformation:
    """The template itself."""
    zero = LatticeField(np.zeros((3, 2, 2, 2), np.float32), (-140.0, -140.0, -140.0), 280.0)
    return Deformation(np.eye(3, dtype=np.float32), zero)


def random_deformation(rng: np.random.Generator, strength: float = 1.0) -> Deformation:
    """Another head: size, shape and pose differ smoothly from the template.

    Args:
        rng: Source of chance.
        strength: 0 gives the template, 1 ordinary variation: 4 % of size along each axis, 3
            degrees of pose, 3 mm of smooth displacement.
    """
    scale = 1 + strength * rng.uniform(-0.045, 0.045, 3)
    x, y, z = np.deg2rad(strength * rng.uniform(-4, 4, 3))
    rotation = np.eye(3)
    for angle, (a, b) in zip((x, y, z), ((1, 2), (0, 2), (0, 1)), strict=True):
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        rotation = turn @ rotation
    coarse = smooth_noise(rng, 55.0, channels=3)
    fine = smooth_noise(rng, 20.0, channels=3)
    shape, origin, step = _deformation_lattice(2 * DEFORMATION_STEP_MM)
    nodes = lattice_points(shape, origin, step)
    values = np.float32(strength) * (3.2 * coarse(nodes) + 1.1 * fine(nodes))
    field = LatticeField(
        np.ascontiguousarray(values.reshape(3, *shape), dtype=np.float32), origin, step
    )
    return Deformation((rotation @ np.diag(scale)).astype(np.float32), field)


def _deformation_lattice(step_mm: float) -> tuple[tuple[int, int, int], Vector3, float]:
    count = int(260 / step_mm) + 1
    low = -0.5 * (count - 1) * step_mm
    return (count, count, count), (low, low, low), step_mm


def displaced(deformation: Deformation, push: LatticeField) -> Deformation:
    """Deformation of a head whose tissue was pushed.

    Args:
        deformation: The head before.
        push: Three channels: where the tissue now at x was before, minus x, in mm.
    """
    shape, origin, step = _deformation_lattice(DEFORMATION_STEP_MM)
    nodes = lattice_points(shape, origin, step)
    before = push(nodes)
    values = before + deformation.displacement(nodes + before.T)
    field = LatticeField(np.ascontiguousarray(values.reshape(3, *shape)), origin, step)
    return Deformation(deformation.matrix, field)
