"""Which of several T1 volumes was taken with contrast agent, told by their voxels."""

from __future__ import annotations

from collections.abc import Sequence as Items

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files.dicom_series import DicomSeries
from brain_tumor.cases.files.readers import read_dicom_series
from brain_tumor.cases.grid.resampling import resample_to
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError

BRIGHTER = 0.4
"""By how much an enhancing voxel exceeds the other image, as a share of the median brightness."""
MIN_ENHANCING_SHARE = 0.002
"""Share of the head that vessels, mucosa and tumour fill at least."""
CLEAR_RATIO = 3.0
"""How many times more voxels must be brighter in one image than in the other."""
ALIKE_SHARE = 0.0005

_TARGET_VOXELS = 200_000


def tell_native_from_enhanced(series: Items[DicomSeries]) -> list[DicomSeries] | None:
    """Series with contrast agent among T1 series of one head.

    Every series is compared with the first on a common grid, each divided by its median over the
    head. With contrast agent, vessels, mucosa and tumour are brighter and nothing is darker.

    Args:
        series: T1 series that are volumes, two or more.

    Returns:
        Those with contrast agent; none if all look alike; None if the images do not tell.
    """
    try:
        volumes = [read_dicom_series(one).volume for one in series]
        base = _coarse(volumes[0])
        others = [resample_to(volume, base.shape, base.affine) for volume in volumes[1:]]
    except InputError:
        return None
    balances = [0]
    for other in others:
        balance = enhancement_balance(base.array, other.array)
        if balance is None:
            return None
        balances.append(balance)
    highest = max(balances)
    if highest == min(balances):
        return []
    return [one for one, balance in zip(series, balances, strict=True) if balance == highest]


def enhancement_balance(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> int | None:
    """Which of two T1 images on one grid enhances.

    Args:
        one: Intensities, shape (I, J, K).
        other: Intensities of the same shape.

    Returns:
        1 if the other enhances, -1 if the first does, 0 if they look alike, None if neither.
    """
    head = (one > 0.5 * one.mean()) & (other > 0.5 * other.mean())
    if np.count_nonzero(head) < 100:
        return None
    difference = other[head] / np.median(other[head]) - one[head] / np.median(one[head])
    brighter = float((difference > BRIGHTER).mean())
    darker = float((difference < -BRIGHTER).mean())
    if max(brighter, darker) < ALIKE_SHARE:
        return 0
    if brighter >= MIN_ENHANCING_SHARE and brighter > CLEAR_RATIO * darker:
        return 1
    if darker >= MIN_ENHANCING_SHARE and darker > CLEAR_RATIO * brighter:
        return -1
    return None


def _coarse(volume: Volume) -> Volume:
    """Every n-th voxel, so that comparing is quick."""
    step = max(1, round((volume.array.size / _TARGET_VOXELS) ** (1 / 3)))
    array = volume.array[::step, ::step, ::step]
    return Volume(array, volume.affine @ np.diag([step, step, step, 1.0]))
