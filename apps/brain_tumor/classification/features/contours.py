"""The longest contour line of a small image, without the overhead of a general tracer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.measure import find_contours

_TOP, _BOTTOM, _LEFT, _RIGHT = range(4)
_FROM_TO = {
    1: (_TOP, _LEFT),
    2: (_RIGHT, _TOP),
    3: (_RIGHT, _LEFT),
    4: (_LEFT, _BOTTOM),
    5: (_TOP, _BOTTOM),
    7: (_RIGHT, _BOTTOM),
    8: (_BOTTOM, _RIGHT),
    10: (_BOTTOM, _TOP),
    11: (_BOTTOM, _LEFT),
    12: (_LEFT, _RIGHT),
    13: (_TOP, _RIGHT),
    14: (_LEFT, _TOP),
}
"""Sides of a square of four pixels by which the contour comes in and leaves, by the pixels above
the level (1 upper left, 2 upper right, 4 lower left, 8 lower right): higher values on its left."""
_COMES_IN, _LEAVES = (
    np.array([_FROM_TO.get(code, (-1, -1))[end] for code in range(16)]) for end in (0, 1)
)
_DIAGONALS = (6, 9)


def longest_contour(image: npt.NDArray[np.float32], level: float) -> npt.NDArray[np.float64] | None:
    """The contour with the most vertices, by marching squares.

    Vertices, direction and start are those of `skimage.measure.find_contours`, which is asked
    itself where a square is ambiguous, a pixel lies exactly on the level, or the contour runs out
    of the image.

    Args:
        image: Shape (rows, columns).
        level: Value of the contour.

    Returns:
        Vertices in pixels (row, column), shape (n, 2), the last one that of the start if the
        contour is closed; None if there is none.

    References:
        Lorensen and Cline 1987, doi:10.1145/37401.37422 (marching cubes; here in the plane).
    """
    data = image.astype(np.float64)
    above = (data > level).view(np.uint8)
    code = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, :-1] + 8 * above[1:, 1:]
    crossed = np.flatnonzero((code != 0) & (code != 15))
    if len(crossed) == 0:
        return None
    kinds = code.ravel()[crossed]
    unclear = (kinds == _DIAGONALS[0]) | (kinds == _DIAGONALS[1])
    is_open = above[:: len(above) - 1].any() or above[:, :: above.shape[1] - 1].any()
    if is_open or unclear.any() or (data == level).any():
        contours = find_contours(data, level)  # type: ignore[no-untyped-call]
        return np.asarray(max(contours, key=len))
    rows, columns = np.divmod(crossed, code.shape[1])
    start = _edges(rows, columns, _COMES_IN[kinds], data.shape)
    end = _edges(rows, columns, _LEAVES[kinds], data.shape)
    segment_from = np.empty(2 * data.size, dtype=np.intp)
    segment_from[start] = np.arange(len(start))
    loop = _longest_loop(segment_from[end].tolist())
    return _points(data, start[loop + loop[:1]], level)


def _edges(
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    sides: npt.NDArray[np.intp],
    shape: tuple[int, ...],
) -> npt.NDArray[np.intp]:
    """Number of an edge between two pixels: that of its first pixel, twice, 1 more if vertical."""
    first = (rows + (sides == _BOTTOM)) * shape[1] + columns + (sides == _RIGHT)
    return np.asarray(2 * first + (sides >= _LEFT))


def _longest_loop(following: list[int]) -> list[int]:
    """Segments of the longest loop, from the one after its last in the order of the image."""
    seen = bytearray(len(following))
    longest: list[int] = []
    for last in range(len(following) - 1, -1, -1):
        if seen[last]:
            continue
        loop, at = [], following[last]
        while not seen[at]:
            seen[at] = 1
            loop.append(at)
            at = following[at]
        if (len(loop), -min(loop)) > (len(longest), -min(longest, default=0)):
            longest = loop
    return longest


def _points(
    data: npt.NDArray[np.float64], edges: npt.NDArray[np.intp], level: float
) -> npt.NDArray[np.float64]:
    """Where the level lies between the two pixels of each edge."""
    first, vertical = np.divmod(edges, 2)
    flat = data.ravel()
    here = flat[first]
    there = flat[first + np.where(vertical, data.shape[1], 1)]
    points = np.stack(np.divmod(first, data.shape[1]), axis=1).astype(np.float64)
    points[np.arange(len(points)), 1 - vertical] += (level - here) / (there - here)
    return np.asarray(points)
