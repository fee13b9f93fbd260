"""How each sequence of a case lies on the reference, and what was done about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from brain_tumor.cases.registration.images import COARSE_MM, CoarseImage, coarse_image
from brain_tumor.cases.registration.rigid import RegisteredPair, Registration
from brain_tumor.cases.registration.transform import (
    Matrix,
    RigidTransform,
    mean_distance_mm,
)
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

FITTING_MM = 1.0
FITTING_DEGREES = 1.0
"""Sequences that lie this close stay as they are, voxel by voxel."""
MAX_SHIFT_MM = 40.0
MAX_ANGLE_DEGREES = 30.0
"""Nobody moves farther between two sequences of one study."""
MAX_DISAGREEMENT_MM = 1.5
"""Between the motion onto the reference and the inverse of the motion back, mean over the brain."""
MIN_INFORMATION = 0.18
MIN_INFORMATION_STRIPPED = 0.45
"""Mutual information in nats under which two images are not of one person. Measured on 17 people,
moved by 10 mm and 8 degrees: 0.23-1.08 with skull and 0.69-1.41 without; of different people
0.12-0.25 with skull and 0.25-0.60 without."""
MIN_OVERLAP = 0.7
"""Share of the reference's brain that has to lie in the brain of the moved sequence."""
MIRRORED = "it is mirrored left to right"
MIRRORED_GAIN = 1.03
"""How many times more a sequence with left and right exchanged must tell of the reference. At 4 mm
29 sequences of 13 people tell 0.39-0.87 times as much once they are exchanged."""
CLEARLY_OFF_MM = 3.0
"""A sequence is only left out where it lies at least this far off in both directions' eyes."""


class FitStatus(StrEnum):
    """What was found about one sequence."""

    FITS = "fits"
    REGISTERED = "registered"
    LEFT_OUT = "left out"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, eq=False)
class SequenceFit:
    """How one sequence lay on the reference.

    Attributes:
        sequence: The sequence.
        reference: What it was compared with.
        status: What was done.
        shift_mm: How far the middle of the brain lay off; None if it was not measured.
        angle_degrees: How far it was turned.
        matrix: 4x4, RAS+ mm: what moves the stored sequence onto the reference, identity if it
            fits, None if it was left out or not measured. In Slicer, the linear transform to put
            the volume under.
        reason: Why it was left out.
    """

    sequence: Sequence
    reference: Sequence
    status: FitStatus
    shift_mm: float | None = None
    angle_degrees: float | None = None
    matrix: Matrix | None = None
    reason: str = ""

    @property
    def sentence(self) -> str | None:
        """What a reader of the results must know; None where nothing was done."""
        name, onto = self.sequence.value, self.reference.value
        if self.status is FitStatus.REGISTERED:
            return (
                f"{name} lay {self.shift_mm:.1f} mm and {self.angle_degrees:.1f} degrees off "
                f"{onto}; it was registered to it"
            )
        if self.status is FitStatus.LEFT_OUT:
            return (
                f"{name} does not lie on {onto} and could not be registered to it "
                f"({self.reason}); it was left out"
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Entry of replies and reports."""
        return {
            "sequence": self.sequence.value,
            "reference": self.reference.value,
            "status": self.status.value,
            "shift_mm": None if self.shift_mm is None else round(self.shift_mm, 2),
            "angle_degrees": None if self.angle_degrees is None else round(self.angle_degrees, 2),
            "matrix": None if self.matrix is None else np.round(self.matrix, 6).tolist(),
        }


@dataclass(frozen=True, eq=False)
class FittedVolumes:
    """The sequences of a case that can be read together.

    Attributes:
        volumes: By sequence, each on its own grid. Those that were registered have another
            affine and the same voxels, so that they are interpolated once, when they come to the
            grid of the reference. Those that were left out are not there.
        fits: What was found about each sequence but the reference, in channel order.
    """

    volumes: Mapping[Sequence, Volume]
    fits: tuple[SequenceFit, ...]


def fit_sequences(volumes: Mapping[Sequence, Volume], reference: Sequence) -> FittedVolumes:
    """Measure how the sequences lie on the reference and register those that are off.

    A sequence is measured by a rigid registration at 4 mm. Where that finds it off by more than
    1 mm or 1 degree, a registration at 2 mm says how far, and is believed if the way back agrees.

    Args:
        volumes: One volume per sequence, each on its own grid.
        reference: Sequence that the others are registered to; it never moves.

    Returns:
        The sequences to go on with.
    """
    siblings = [s for s in Sequence if s in volumes and s is not reference]
    base = volumes[reference]
    coarse = coarse_image(base) if siblings else None
    if coarse is None:
        fits = tuple(SequenceFit(s, reference, FitStatus.NOT_MEASURED) for s in siblings)
        return FittedVolumes(dict(volumes), fits)

    def fit(sequence: Sequence) -> SequenceFit:
        return fit_sequence(volumes[sequence], base, coarse, sequence, reference)

    with ThreadPoolExecutor(max(1, min(len(siblings), os.cpu_count() or 1))) as pool:
        found = tuple(pool.map(fit, siblings))
    moved = dict(volumes)
    for one in found:
        if one.status is FitStatus.LEFT_OUT:
            del moved[one.sequence]
        elif one.status is FitStatus.REGISTERED and one.matrix is not None:
            volume = moved[one.sequence]
            moved[one.sequence] = replace(volume, affine=one.matrix @ volume.affine)
    return FittedVolumes(moved, found)


def fit_sequence(
    volume: Volume,
    base: Volume,
    base_coarse: CoarseImage,
    sequence: Sequence,
    reference: Sequence,
) -> SequenceFit:
    """How one sequence lies on the reference; see `fit_sequences`.

    Args:
        volume: The sequence.
        base: The reference.
        base_coarse: `coarse_image` of the reference.
        sequence: Name of the sequence.
        reference: Name of the reference.
    """
    own = coarse_image(volume)
    if own is None:
        return SequenceFit(sequence, reference, FitStatus.NOT_MEASURED)
    pair = RegisteredPair(base, base_coarse, volume, own)
    found = pair.coarse()
    if _is_mirrored(pair, found):
        left_out = _fit(sequence, reference, FitStatus.LEFT_OUT, found.transform)
        return replace(left_out, reason=MIRRORED)
    if not _is_off(found.transform):
        return _fit(sequence, reference, FitStatus.FITS, found.transform)
    found = pair.fine(pair.coarse_both_ways(found).transform)
    if not _is_off(found.transform):
        return _fit(sequence, reference, FitStatus.FITS, found.transform)
    back = pair.fine_back(found.transform)
    doubt = _doubt(pair, found, back)
    if doubt is None:
        return _fit(sequence, reference, FitStatus.REGISTERED, found.transform)
    if not (_is_clearly_off(found.transform) and _is_clearly_off(back.transform)):
        return SequenceFit(sequence, reference, FitStatus.NOT_MEASURED)
    return replace(_fit(sequence, reference, FitStatus.LEFT_OUT, found.transform), reason=doubt)


def _is_mirrored(pair: RegisteredPair, found: Registration) -> bool:
    """Whether left and right exchanged fit clearly better, at 4 mm and then at 2 mm.

    Args:
        pair: The sequence and its reference.
        found: From `RegisteredPair.coarse`.
    """
    mirrored = pair.mirrored()
    seen = mirrored.coarse()
    if seen.information < MIRRORED_GAIN * found.information:
        return False
    straight = pair.fine(found.transform).information
    return mirrored.fine(seen.transform).information > MIRRORED_GAIN * straight


def _fit(
    sequence: Sequence, reference: Sequence, status: FitStatus, transform: RigidTransform
) -> SequenceFit:
    # the transform takes points of the reference to the sequence; the sequence moves the other way
    matrix = {FitStatus.FITS: np.eye(4), FitStatus.REGISTERED: transform.inverse().matrix}.get(
        status
    )
    return SequenceFit(
        sequence, reference, status, transform.distance_mm, transform.angle_degrees, matrix
    )


def _is_off(transform: RigidTransform) -> bool:
    return transform.distance_mm > FITTING_MM or transform.angle_degrees > FITTING_DEGREES


def _is_clearly_off(transform: RigidTransform) -> bool:
    return transform.distance_mm > CLEARLY_OFF_MM or transform.angle_degrees > CLEARLY_OFF_MM


def _doubt(pair: RegisteredPair, found: Registration, back: Registration) -> str | None:
    """Why a registration is not to be believed; None if it is."""
    transform = found.transform
    if transform.distance_mm > MAX_SHIFT_MM or transform.angle_degrees > MAX_ANGLE_DEGREES:
        return (
            f"it would have to move by {transform.distance_mm:.0f} mm and "
            f"{transform.angle_degrees:.0f} degrees"
        )
    is_stripped = pair.fixed_coarse.is_stripped and pair.moving_coarse.is_stripped
    if found.information < (MIN_INFORMATION_STRIPPED if is_stripped else MIN_INFORMATION):
        return "the two do not show the same anatomy"
    points = _mask_points(pair.fixed_coarse)
    share = _share_inside(pair.moving_coarse, transform.apply(points))
    if share < MIN_OVERLAP:
        return f"only {share:.0%} of the brain would overlap"
    apart_mm = mean_distance_mm(transform, back.transform.inverse(), points)
    if apart_mm > MAX_DISAGREEMENT_MM:
        return f"the way there and the way back disagree by {apart_mm:.1f} mm"
    return None


def _mask_points(coarse: CoarseImage) -> Matrix:
    voxels = np.argwhere(coarse.brain)
    return voxels * COARSE_MM + coarse.image.affine[:3, 3]


def _share_inside(coarse: CoarseImage, points: Matrix) -> float:
    """Share of points in the brain of an image."""
    index = np.rint((points - coarse.image.affine[:3, 3]) / COARSE_MM).astype(int)
    shape = np.array(coarse.brain.shape)
    within = ((index >= 0) & (index < shape)).all(axis=1)
    hits = coarse.brain[tuple(index[within].T)]
    return float(np.count_nonzero(hits) / len(points))
