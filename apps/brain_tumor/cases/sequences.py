"""MRI sequences and their recognition by name."""

from __future__ import annotations

from enum import StrEnum


class Sequence(StrEnum):
    """MRI sequence. The order of the members is the channel order of every network."""

    T1 = "t1"
    T1C = "t1c"
    T2 = "t2"
    FLAIR = "flair"
