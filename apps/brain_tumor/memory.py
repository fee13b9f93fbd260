"""Giving memory back to the system between two cases."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """Glibc's `malloc_trim`, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def return_free_memory() -> None:
    """After an inference: glibc keeps hundreds of freed megabytes for each thread otherwise."""
    trim = _trim()
    if trim is not None:
        trim(0)
