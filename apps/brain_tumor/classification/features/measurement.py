"""A measured value with its unit, its place in the image, or the reason why it is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import InputError

PixelPlace = tuple[float, float]


@dataclass(frozen=True)
class Measurement:
    """One measured feature.

    Attributes:
        value: The number, or NaN if it could not be measured.
        unit: Unit of the value; "1" for a ratio or a count.
        place: (row, column) in pixels of the input image, 0 at the centre of the first pixel,
            where the value was read; None for a property of the whole outline.
        reason: Why the value is missing; empty exactly if it was measured.

    Raises:
        InputError: If a value is missing without a reason, or measured with one.
    """

    value: float
    unit: str
    place: PixelPlace | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if math.isfinite(self.value) == bool(self.reason):
            raise InputError(
                f"measurement of {self.value} {self.unit} has the reason '{self.reason}'; "
                "expected a reason exactly when the value is not a finite number"
            )

    @property
    def measured(self) -> bool:
        """Whether there is a value."""
        return not self.reason

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for replies and reports; a missing value is null."""
        return {
            "value": self.value if self.measured else None,
            "unit": self.unit,
            "place": list(self.place) if self.place else None,
            "reason": self.reason or None,
        }


def missing(unit: str, reason: str) -> Measurement:
    """A measurement that could not be made."""
    return Measurement(math.nan, unit, reason=reason)


def measured_or(
    value: float, unit: str, reason: str, *, place: PixelPlace | None = None
) -> Measurement:
    """A measurement if the value is finite, else a missing one with the reason."""
    value = float(value)
    return Measurement(value, unit, place) if math.isfinite(value) else missing(unit, reason)


def place_in_pixels(point_mm: npt.NDArray[np.float64], pixel_mm: tuple[float, float]) -> PixelPlace:
    """Pixel coordinates of a point (row, column) in mm."""
    return float(point_mm[0]) / pixel_mm[0], float(point_mm[1]) / pixel_mm[1]
