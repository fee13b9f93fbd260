"""Mutual information of two images under a rigid motion, with its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.cases.registration.images import GridImage
from brain_tumor.cases.registration.transform import (
    Points,
    RigidTransform,
    rotation_derivatives,
    rotation_from_angles,
)

BINS = 32
BRAIN_RADIUS_MM = 70.0
"""Turns angles into mm at the brain's surface, so that all six parameters are of one size."""

_TINY = 1e-9


class MutualInformation:
    """Mattes' mutual information between values at fixed points and an image moved under them.

    The fixed values count in one bin each, the moving ones in four by a cubic B-spline, so the sum

        MI = sum_ab p(a, b) ln(p(a, b) / (p(a) p(b)))

    has a derivative by each of the six parameters: three shifts in mm, then three angles times
    `BRAIN_RADIUS_MM`. The points never change, so neither does the function.

    Args:
        fixed: Image that stays.
        moving: Image that moves.
        points: Points in the fixed image, RAS mm, shape (N, 3).
        center_mm: Point that rotations leave in place.

    References:
        Mattes et al. 2003, doi:10.1109/TMI.2003.809072.
    """

    def __init__(
        self, fixed: GridImage, moving: GridImage, points: Points, center_mm: Points
    ) -> None:
        self._points = points
        self._offsets = points - center_mm
        self._center = center_mm
        here = _Sampler(fixed, with_gradient=False)(points)[0]
        self._fixed_bins = np.minimum((here * BINS).astype(int), BINS - 1)
        counts = np.bincount(self._fixed_bins, minlength=BINS) / len(points)
        self._fixed_entropy = -float((counts * np.log(counts + _TINY)).sum())
        self._sampler = _Sampler(moving, with_gradient=True)

    def transform(self, parameters: Points) -> RigidTransform:
        """The motion that six parameters stand for."""
        rotation = rotation_from_angles(parameters[3:] / BRAIN_RADIUS_MM)
        return RigidTransform(rotation, parameters[:3].copy(), self._center)

    def loss(self, parameters: Points) -> tuple[float, Points]:
        """Negative mutual information in nats, and its gradient, shape (6,)."""
        moved = self.transform(parameters)
        values = self._sampler(moved.apply(self._points))
        position = values[0] * (BINS - 1)
        lower = np.clip(position.astype(int), 0, BINS - 2)
        weights, slopes = _cubic_weights(position - lower)
        width = BINS + 3
        cells = self._fixed_bins * width + lower
        joint = np.zeros(BINS * width)
        for step, weight in enumerate(weights):
            joint += np.bincount(cells + step, weight, minlength=joint.size)
        joint = (joint / len(position)).reshape(BINS, width)
        ratio = np.log((joint + _TINY) / (joint.sum(axis=0) + _TINY))
        information = float((joint * ratio).sum()) + self._fixed_entropy
        # the changes of p sum to zero, so the derivative is the sum of dp ln(p(a, b) / p(b))
        flat = ratio.ravel()
        by_value = sum(flat[cells + step] * slope for step, slope in enumerate(slopes))
        forces = values[1:] * (by_value * ((BINS - 1) / len(position)))
        turned = rotation_derivatives(parameters[3:] / BRAIN_RADIUS_MM) @ self._offsets.T
        torques = (forces[None] * turned).sum(axis=(1, 2)) / BRAIN_RADIUS_MM
        return -information, -np.concatenate([forces.sum(axis=1), torques])


class _Sampler:
    """Trilinear values, and on request derivatives by mm, of an image at points in RAS mm."""

    def __init__(self, image: GridImage, *, with_gradient: bool) -> None:
        spacing_mm = float(image.affine[0, 0])
        maps = [image.values]
        if with_gradient:
            maps += [np.asarray(g) for g in np.gradient(image.values, spacing_mm)]
        self._maps = torch.from_numpy(np.stack(maps).astype(np.float32))[None]
        self._start = image.affine[:3, 3]
        self._scale = 2.0 / (spacing_mm * (np.array(image.values.shape) - 1))

    def __call__(self, points: Points) -> npt.NDArray[np.float64]:
        """Shape (1 or 4, N); the edge value holds outside."""
        place = ((points - self._start) * self._scale - 1.0)[:, ::-1]
        grid = torch.from_numpy(np.ascontiguousarray(place, dtype=np.float32))[None, None, None]
        sampled = F.grid_sample(self._maps, grid, padding_mode="border", align_corners=True)
        return np.asarray(sampled[0, :, 0, 0].numpy(), dtype=np.float64)


def _cubic_weights(
    f: Points,
) -> tuple[tuple[Points, Points, Points, Points], tuple[Points, Points, Points, Points]]:
    """Weights of four neighbouring bins by the cubic B-spline, and their derivatives."""
    g = 1.0 - f
    weights = (
        g**3 / 6,
        (3 * f**3 - 6 * f**2 + 4) / 6,
        (3 * g**3 - 6 * g**2 + 4) / 6,
        f**3 / 6,
    )
    slopes = (-(g**2) / 2, (3 * f - 4) * f / 2, -(3 * g - 4) * g / 2, f**2 / 2)
    return weights, slopes
