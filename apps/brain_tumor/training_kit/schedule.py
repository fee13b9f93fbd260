"""Learning rates over a training, as shares of the peak."""

from __future__ import annotations

import math


def half_cosine(progress: float) -> float:
    """From 1 at the beginning to 0 at the end.

    Args:
        progress: Part of the schedule that is done; more than 1 counts as 1.

    References:
        Loshchilov and Hutter 2017, arXiv:1608.03983.
    """
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warm_up_then_cosine(step: int, steps: int, warm_up_steps: int) -> float:
    """Linear to 1 over the warm-up, then half a cosine over the steps that are left.

    Args:
        step: Steps that are done.
        steps: Of the whole schedule.
        warm_up_steps: Of its beginning.
    """
    if step < warm_up_steps:
        return (step + 1) / warm_up_steps
    return half_cosine((step - warm_up_steps) / max(steps - warm_up_steps, 1))


def warm_up_under_cosine(step: int, progress: float, warm_up_steps: int) -> float:
    """Half a cosine over progress, held down by a linear warm-up over steps.

    For schedules that a clock may end: progress is the share of steps or of minutes.

    Args:
        step: Steps that are done.
        progress: Part of the schedule that is done, 0 to 1.
        warm_up_steps: Of its beginning.
    """
    return min(1.0, (step + 1) / max(1, warm_up_steps)) * half_cosine(progress)
