"""Erosion and dilation of masks by octagons.

A mask is held as one long integer, a bit a pixel, so that a step of a pixel in any direction is one
shift of all pixels at once, some ten times quicker than on arrays of such a size. Crosses and
squares in turn make an octagon.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from brain_tumor.classification.features.outline import MaskArray, padded


def erode(mask: MaskArray, steps: int) -> MaskArray:
    """Erosion by an octagon of about `steps` pixels; outside the image counts as background."""
    return erosions(mask, (steps,))[0]


def erosions(mask: MaskArray, steps: Sequence[int]) -> tuple[MaskArray, ...]:
    """Erosions of one mask by several numbers of steps, each going on from the one before.

    Args:
        mask: Shape (rows, columns).
        steps: Numbers of steps, ascending.
    """
    bits, done = _bits(mask), 0
    found = []
    for goal in steps:
        bits, done = _shrink(bits, mask.shape[1] + 1, done, goal), goal
        found.append(_mask(bits, mask.shape))
    return tuple(found)


def dilate(mask: MaskArray, steps: int) -> MaskArray:
    """Dilation by an octagon of about `steps` pixels."""
    return _mask(_grow(_bits(mask), mask.shape, steps), mask.shape)


def open_gaps(mask: MaskArray, steps: int) -> MaskArray:
    """Opening by an octagon: takes away what is narrower than two times `steps` pixels."""
    bits = _shrink(_bits(mask), mask.shape[1] + 1, 0, steps)
    return _mask(_grow(bits, mask.shape, steps), mask.shape)


def close_gaps(mask: MaskArray, steps: int) -> MaskArray:
    """Closing by an octagon: fills bays narrower than two times `steps` pixels."""
    wide = padded(mask, steps)
    bits = _shrink(_grow(_bits(wide), wide.shape, steps), wide.shape[1] + 1, 0, steps)
    return _mask(bits, wide.shape)[steps:-steps, steps:-steps]


def _bits(mask: MaskArray) -> int:
    """All pixels as bits, row after row; a bit of background ends every row."""
    rows, columns = mask.shape
    apart = np.zeros((rows, columns + 1), dtype=bool)
    apart[:, :columns] = mask
    return int.from_bytes(np.packbits(apart, bitorder="little").tobytes(), "little")


def _mask(bits: int, shape: tuple[int, ...]) -> MaskArray:
    """The mask of such bits."""
    rows, columns = shape
    count = rows * (columns + 1)
    data = np.frombuffer(bits.to_bytes(-(-count // 8), "little"), dtype=np.uint8)
    pixels = np.unpackbits(data, count=count, bitorder="little").reshape(rows, columns + 1)
    mask: MaskArray = pixels[:, :columns].astype(bool)
    return mask


@lru_cache(maxsize=64)
def _everywhere(shape: tuple[int, ...]) -> int:
    """The bits of all pixels of an image."""
    return _bits(np.ones(shape, dtype=bool))


def _grow(bits: int, shape: tuple[int, ...], steps: int) -> int:
    """Dilation by crosses and squares in turn."""
    row, inside = shape[1] + 1, _everywhere(tuple(shape))
    for step in range(steps):
        tall = bits | bits << row | bits >> row
        # A cross widens the original pixels, a square the already heightened ones.
        source = bits if step % 2 == 0 else tall
        bits = (tall | source << 1 | source >> 1) & inside
    return bits


def _shrink(bits: int, row: int, done: int, steps: int) -> int:
    """Erosion by the same octagon, from step `done` to `steps`."""
    for step in range(done, steps):
        low = bits & bits << row & bits >> row
        source = bits if step % 2 == 0 else low
        bits = low & source << 1 & source >> 1
    return bits
