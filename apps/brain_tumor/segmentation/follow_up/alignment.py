"""The head of an earlier date laid on that of a later one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.resampling import resample_array
from brain_tumor.cases.registration.fit import FitStatus, SequenceFit, fit_sequence
from brain_tumor.cases.registration.images import coarse_image
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

ScalarT = TypeVar("ScalarT", bound=np.generic)

PREFERRED = (Sequence.T1C, Sequence.T1, Sequence.FLAIR, Sequence.T2)
"""Which sequence of two dates is compared, the first that both have."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the earlier head has to move.

    Attributes:
        fit: How it lay on the later one; its matrix moves it there.
    """

    fit: SequenceFit

    @property
    def is_usable(self) -> bool:
        """Whether places of the two dates can be compared; unmeasured ones stay where they are."""
        return self.fit.status is not FitStatus.LEFT_OUT

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """RAS+ mm of the earlier date to RAS+ mm of the later one."""
        return np.eye(4) if self.fit.matrix is None else self.fit.matrix

    def on_later_grid(
        self, array: npt.NDArray[ScalarT], earlier: Case, later: Case, *, order: int
    ) -> npt.NDArray[ScalarT]:
        """Values of the earlier date on the grid of the later one.

        Args:
            array: On the grid of the earlier case.
            earlier: Earlier case.
            later: Later case.
            order: 0 for labels, 1 for intensities.
        """
        return resample_array(
            array, self.matrix @ earlier.affine, later.shape, later.affine, order=order
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        told = self.fit.to_json()
        kept = ("status", "shift_mm", "angle_degrees", "matrix")
        return {**{key: told[key] for key in kept}, "reason": self.fit.reason}


def align(earlier: Case, later: Case) -> Alignment:
    """Lay the head of an earlier date on that of a later one, by a rigid motion.

    Two visits may lie far apart in the scanner: where the heads do not meet, they are tried again
    with their middles on each other.
    """
    common = [s for s in PREFERRED if s in earlier.volumes and s in later.volumes]
    moving_name = common[0] if common else earlier.reference
    fixed_name = common[0] if common else later.reference
    moving, fixed = earlier.volumes[moving_name], later.volumes[fixed_name]
    own, base = coarse_image(moving), coarse_image(fixed)
    if own is None or base is None:
        return Alignment(SequenceFit(moving_name, fixed_name, FitStatus.NOT_MEASURED))
    fit = fit_sequence(moving, fixed, base, moving_name, fixed_name)
    if fit.status is FitStatus.LEFT_OUT:
        centred = np.eye(4)
        centred[:3, 3] = base.center_mm - own.center_mm
        shifted = Volume(moving.array, centred @ moving.affine)
        again = fit_sequence(shifted, fixed, base, moving_name, fixed_name)
        if again.matrix is not None:
            distance = float(np.linalg.norm(centred[:3, 3]))
            fit = replace(
                again,
                status=FitStatus.REGISTERED,
                shift_mm=distance,
                matrix=again.matrix @ centred,
            )
    return Alignment(fit)
