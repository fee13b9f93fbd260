"""What corrections of another site gained over several runs of the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Interval = Callable[[list[float]], dict[str, float]]


def gains(runs: list[dict[str, Any]], interval: Interval) -> dict[str, dict[str, float]]:
    """Change on the shifted site and on base data, with replay and without.

    Args:
        runs: Scores before and after, of each run.
        interval: Mean of several runs with its interval.
    """
    return {
        name: interval([run[after] - run[before] for run in runs])
        for name, after, before in (
            ("gain", "shifted_after", "shifted_before"),
            ("base_change", "base_after", "base_before"),
            ("gain_without_replay", "shifted_without_replay", "shifted_before"),
            ("base_change_without_replay", "base_without_replay", "base_before"),
        )
    }
