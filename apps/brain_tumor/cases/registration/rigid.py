"""Rigid registration of two volumes by mutual information, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from brain_tumor.cases.registration.images import (
    COARSE_MM,
    CoarseImage,
    coarse_image,
    fine_image,
    points_in,
)
from brain_tumor.cases.registration.mutual_information import BRAIN_RADIUS_MM, MutualInformation
from brain_tumor.cases.registration.transform import (
    Points,
    RigidTransform,
    angles_from_rotation,
)
from brain_tumor.cases.volume import Volume

COARSE_POINTS = 10_000
FINE_POINTS = 20_000
MAX_ITERATIONS = 60
FAR_APART_MM = 10.0
"""Brains whose middles are this far apart are also tried middle on middle."""

_SEED = 7


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a search for the best motion ended.

    Attributes:
        transform: From points of the fixed volume to those of the moving one.
        information: Mutual information there, nats.
        unmoved_information: Mutual information without any motion, nats.
    """

    transform: RigidTransform
    information: float
    unmoved_information: float


@dataclass(frozen=True, eq=False)
class RegisteredPair:
    """Two volumes made ready to be registered in both directions.

    Attributes:
        fixed: Volume that stays, with its coarse image.
        moving: Volume that moves, with its own.
    """

    fixed: Volume
    fixed_coarse: CoarseImage
    moving: Volume
    moving_coarse: CoarseImage

    @classmethod
    def of(cls, fixed: Volume, moving: Volume) -> RegisteredPair | None:
        """Pair of volumes; None where one of them holds too little of a head."""
        fixed_coarse, moving_coarse = coarse_image(fixed), coarse_image(moving)
        if fixed_coarse is None or moving_coarse is None:
            return None
        return cls(fixed, fixed_coarse, moving, moving_coarse)

    def swapped(self) -> RegisteredPair:
        """The same pair with the roles exchanged."""
        return RegisteredPair(self.moving, self.moving_coarse, self.fixed, self.fixed_coarse)

    def mirrored(self) -> RegisteredPair:
        """The same pair with left and right of the moving volume exchanged."""
        coarse = self.moving_coarse
        middle = coarse.image.affine[0, 3] + (coarse.brain.shape[0] - 1) * COARSE_MM / 2
        reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
        reflection[0, 3] = 2 * middle
        flipped = replace(
            coarse,
            image=replace(coarse.image, values=np.ascontiguousarray(coarse.image.values[::-1])),
            head=coarse.head[::-1],
            brain=coarse.brain[::-1],
        )
        moving = replace(self.moving, affine=reflection @ self.moving.affine)
        return RegisteredPair(self.fixed, self.fixed_coarse, moving, flipped)

    def coarse(self) -> Registration:
        """Best motion at 4 mm: within about half a millimetre, in a few hundredths of a second."""
        metric = self._coarse_metric()
        apart = self.moving_coarse.center_mm - self.fixed_coarse.center_mm
        starts = [np.zeros(6)]
        if np.linalg.norm(apart) > FAR_APART_MM:
            starts.append(np.concatenate([apart, np.zeros(3)]))
        found = [_search(metric, start) for start in starts]
        return max(found, key=lambda r: r.information)

    def coarse_both_ways(self, there: Registration) -> Registration:
        """The better of a coarse motion and the way back, seen from both volumes.

        One direction is now and then caught in a motion that the other does not believe in.

        Args:
            there: From `coarse`.
        """
        swapped = self.swapped()
        back_metric = swapped._coarse_metric()
        back = swapped.coarse()
        around = _search(self._coarse_metric(), _parameters(self._about_center(back.transform)))

        def seen_from_both(one: Registration) -> float:
            way_back = swapped._about_center(one.transform)
            return one.information - back_metric.loss(_parameters(way_back))[0]

        return max((there, around), key=seen_from_both)

    def _about_center(self, back: RigidTransform) -> RigidTransform:
        """Inverse of a motion, written as one about the brain of the fixed volume."""
        inverse, center = back.inverse(), self.fixed_coarse.center_mm
        return RigidTransform(inverse.rotation, inverse.apply(center[None])[0] - center, center)

    def _coarse_metric(self) -> MutualInformation:
        coarse = self.fixed_coarse
        generator = np.random.default_rng(_SEED)
        points = points_in(coarse.head, coarse.image.affine, COARSE_POINTS, generator)
        return MutualInformation(coarse.image, self.moving_coarse.image, points, coarse.center_mm)

    def fine_back(self, there: RigidTransform) -> Registration:
        """Best motion of the fixed volume at 2 mm near the inverse of one of the moving volume."""
        swapped = self.swapped()
        return swapped.fine(swapped._about_center(there))

    def fine(self, start: RigidTransform) -> Registration:
        """Best motion at 2 mm near another one."""
        generator = np.random.default_rng(_SEED)
        coarse = self.fixed_coarse
        points = points_in(coarse.brain, coarse.image.affine, FINE_POINTS, generator)
        metric = MutualInformation(
            fine_image(self.fixed, self.fixed_coarse.limits),
            fine_image(self.moving, self.moving_coarse.limits),
            points,
            start.center_mm,
        )
        return _search(metric, _parameters(start))


def _search(metric: MutualInformation, start: Points) -> Registration:
    found = minimize(
        metric.loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "gtol": 2e-4, "ftol": 1e-7, "maxls": 10},
    )
    unmoved, _ = metric.loss(np.zeros(6))
    return Registration(metric.transform(found.x), -float(found.fun), -unmoved)


def _parameters(transform: RigidTransform) -> Points:
    angles = angles_from_rotation(transform.rotation) * BRAIN_RADIUS_MM
    return np.concatenate([transform.shift_mm, angles])
