"""Fractal dimensions of a series, a curve in the plane and a surface in space.

NaN means that the dimension is undefined (a constant or too short series, no extent).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.delay_embedding import slope, varies
from brain_tumor.classification.features.outline import FloatArray, MaskArray

BOX_OFFSETS = 4
BOX_ANGLES = np.arange(6) * (math.pi / 12.0)
BOXES_PER_DIAMETER = np.array([6.0, 9.0, 13.0, 20.0, 30.0])
PETROSIAN_FACTOR = 0.4


def higuchi_dimension(
    series: npt.ArrayLike, *, longest_lag: int = 10, periodic: bool = False
) -> float:
    """Fractal dimension of a series: 1 (smooth) to 2 (white noise).

    The mean length L(k) of the series read every k samples falls as k^-D.

    Args:
        series: Shape (n,).
        longest_lag: Lags are 1 to this.
        periodic: Whether the series is a closed curve; lags then wrap round.

    References:
        Higuchi 1988, doi:10.1016/0167-2789(88)90081-4.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x) or len(x) < 2 * longest_lag:
        return math.nan
    n = len(x)
    lags = np.arange(1, longest_lag + 1)
    if periodic:
        ahead = np.concatenate([x, x[:longest_lag]])[lags[:, None] + np.arange(n)]
        return _higuchi_slope(lags, np.abs(ahead - x).sum(axis=1) / lags**2)
    lengths = np.empty(longest_lag)
    for at, lag in enumerate(lags):
        steps = np.abs(x[lag:] - x[:-lag])
        starts = np.arange(len(steps)) % lag
        counts = (n - 1 - np.arange(lag)) // lag
        sums = np.bincount(starts, weights=steps, minlength=lag)
        lengths[at] = float((sums * (n - 1) / (counts * lag**2)).mean())
    return _higuchi_slope(lags, lengths)


def _higuchi_slope(lags: npt.NDArray[np.int64], lengths: FloatArray) -> float:
    if not (lengths > 0).all():
        return math.nan
    return -slope(np.log(lags), np.log(lengths))


def katz_dimension(series: npt.ArrayLike, *, periodic: bool = False) -> float:
    """Katz's fractal dimension of a series: ln n / (ln n + ln(d / L)).

    n is the number of steps, L the sum of their absolute sizes, d the largest departure from the
    first value. A monotone series has 1.

    References:
        Katz 1988, doi:10.1016/0010-4825(88)90041-8.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    steps = np.abs(np.diff(x, append=x[:1]) if periodic else np.diff(x))
    reach = float(np.abs(x - x[0]).max())
    if reach <= 0.0:
        return math.nan
    logs = math.log(len(steps))
    below = logs + math.log(reach / float(steps.sum()))
    return logs / below if below > 0.0 else math.nan


def petrosian_dimension(series: npt.ArrayLike, *, periodic: bool = False) -> float:
    """Petrosian's fractal dimension, from the number of sign changes of the difference.

    References:
        Petrosian 1995, doi:10.1109/CBMS.1995.465426.
    """
    x = np.asarray(series, dtype=float)
    if not varies(x):
        return math.nan
    steps = np.diff(x, append=x[:1]) if periodic else np.diff(x)
    after = np.roll(steps, -1) if periodic else steps[1:]
    turns = int(np.count_nonzero(steps[: len(after)] * after < 0.0))
    logs = math.log10(len(x))
    return logs / (logs + math.log10(len(x) / (len(x) + PETROSIAN_FACTOR * turns)))


def box_counting_dimension(
    points_mm: FloatArray, box_mm: npt.ArrayLike, *, closed: bool = False
) -> float:
    """Box-counting dimension of a set of points in the plane or in space.

    For each box size the grid is shifted to `BOX_OFFSETS` places along the diagonal. The least
    number of occupied boxes counts, as in the definition; for a closed curve or surface, which
    has no ends to be cut off, the mean number, which varies less.

    Args:
        points_mm: Shape (n, d); d is 2 or 3. Neighbouring points must lie closer than the
            smallest box.
        box_mm: Box sizes, at least two.
        closed: Whether the points sample a closed curve or surface.

    Returns:
        Slope of ln N against ln(1 / size), or NaN if the set has no extent.
    """
    points = np.asarray(points_mm, dtype=float)
    sizes = np.asarray(box_mm, dtype=float)
    if len(points) == 0 or len(sizes) < 2:
        return math.nan
    points = points - points.min(axis=0)
    if float(points.max()) <= 0.0:
        return math.nan
    shifts = np.arange(BOX_OFFSETS) / BOX_OFFSETS
    numbers = np.array([[_occupied_boxes(points / size + by) for by in shifts] for size in sizes])
    counts = numbers.mean(axis=1) if closed else numbers.min(axis=1)
    return -slope(np.log(sizes), np.log(counts))


def curve_box_dimension(points_mm: FloatArray) -> float:
    """Box-counting dimension of a closed outline, at 1/6 to 1/30 of its mean diameter.

    The boxes are counted on grids turned by `BOX_ANGLES`, so that the result depends little on
    how the outline lies.

    Args:
        points_mm: Points in order along the outline, shape (n, 2).

    References:
        Mandelbrot 1982, The Fractal Geometry of Nature, chapter 5.
    """
    centred = points_mm - points_mm.mean(axis=0)
    diameter = 2.0 * float(np.linalg.norm(centred, axis=1).mean())
    if diameter <= 0.0:
        return math.nan
    closed = np.vstack([centred, centred[:1]])
    steps = np.arange(2)[:, None] / 2.0
    dense = (closed[:-1, None, :] + steps * np.diff(closed, axis=0)[:, None, :]).reshape(-1, 2)
    sizes = diameter / BOXES_PER_DIAMETER
    cosine, sine = np.cos(BOX_ANGLES)[:, None], np.sin(BOX_ANGLES)[:, None]
    rows, columns = dense.T
    turned = np.stack([cosine * rows + sine * columns, cosine * columns - sine * rows])
    turned -= turned.min(axis=2, keepdims=True)
    # All grids at once: (coordinate, size, angle, point). The shift is that of `_occupied_boxes`.
    cells = (turned[:, None] / sizes[:, None, None] + 1e-9).astype(np.int32)
    side = int(cells.max()) + 1
    grids = np.arange(len(sizes) * len(BOX_ANGLES)).reshape(len(sizes), -1, 1)
    occupied = np.zeros((len(sizes), len(BOX_ANGLES) * side**2), dtype=bool)
    occupied.ravel()[(grids * side + cells[0]) * side + cells[1]] = True
    counts = [np.count_nonzero(grid) for grid in occupied]
    return -slope(np.log(sizes), np.log(counts))


def surface_box_dimension(mask: MaskArray, spacing_mm: tuple[float, float, float]) -> float:
    """Box-counting dimension of the surface of a mask in space, 2 for a smooth one.

    Boxes run from three voxels to a third of the extent.

    Args:
        mask: Shape (I, J, K).
        spacing_mm: Voxel size along I, J, K.

    Returns:
        The dimension, or NaN if the mask is smaller than nine voxels across.
    """
    inside = np.pad(np.asarray(mask) != 0, 1)
    inner = inside.copy()
    for axis in range(3):
        inner &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
    spacing = np.asarray(spacing_mm, dtype=float)
    points = np.argwhere(inside & ~inner) * spacing
    if len(points) == 0:
        return math.nan
    smallest = 3.0 * float(spacing.max())
    largest = float(np.ptp(points, axis=0).max() + spacing.max()) / 3.0
    if largest < 1.5 * smallest:
        return math.nan
    return box_counting_dimension(points, np.geomspace(smallest, largest, 6), closed=True)


def _occupied_boxes(scaled: FloatArray) -> int:
    """Number of unit boxes that hold a point.

    Args:
        scaled: Points in units of the box, shape (n, d), none negative.
    """
    # The tiny shift keeps points that lie on a grid line, up to rounding, on one side of it.
    cells = (scaled + 1e-9).astype(np.int64)
    code = cells[:, 0]
    for axis in range(1, cells.shape[1]):
        code = code * (int(cells[:, axis].max()) + 1) + cells[:, axis]
    occupied = np.zeros(int(code.max()) + 1, dtype=bool)
    occupied[code] = True
    return int(np.count_nonzero(occupied))
