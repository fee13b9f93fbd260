"""How the heatmap methods did in the sanity check of a classifier; kept in its bundle.

A method whose maps stay much the same when all weights are shuffled is refused as default; whoever
names it gets its heat, with that result. `explanation.training.sanity` measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.cascade import (
    MAX_RANK_CORRELATION,
)
from brain_tumor.explanation.heat.methods import (
    DEFAULT_METHOD,
    HeatMethod,
)

SANITY = Path("configs/heat_sanity.json")
DIGITS = 4


@dataclass(frozen=True)
class MethodSanity:
    """What shuffling all weights of a classifier does to the maps of each method.

    Attributes:
        correlations: Mean rank correlation of a method's maps with those of the shuffled network;
            a method that was not measured is not there.
    """

    correlations: Mapping[HeatMethod, float]

    def fails(self, method: HeatMethod) -> bool:
        """Whether maps of a method are known to show the pictures more than the network."""
        return abs(self.correlations.get(method, 0.0)) > MAX_RANK_CORRELATION

    def usable(self, asked: HeatMethod | None) -> HeatMethod:
        """Method that a request gets.

        Args:
            asked: Method that it names; None is the default.

        Raises:
            InputError: If it names none and the default fails.
        """
        if asked is not None:
            return asked
        if not self.fails(DEFAULT_METHOD):
            return DEFAULT_METHOD
        passing = [m.value for m in self.correlations if not self.fails(m)]
        correlation = self.correlations[DEFAULT_METHOD]
        raise InputError(
            f"no method is named, and the default '{DEFAULT_METHOD}' fails the sanity check of "
            f"this classifier (rank correlation {correlation:.2f} with shuffled weights; expected "
            f"at most {MAX_RANK_CORRELATION:g})",
            remedy=f"Name a method; those that pass: {', '.join(passing) or 'none'}.",
        )

    def to_json(self) -> dict[str, Any]:
        """Content of `SANITY`."""
        found = {m.value: round(value, DIGITS) for m, value in self.correlations.items()}
        return {"shuffled_correlation": found}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MethodSanity:
        """Read what `to_json` wrote.

        Raises:
            InputError: If a method is not known or its result is no number.
        """
        try:
            found = values["shuffled_correlation"].items()
            return cls({HeatMethod(name): float(value) for name, value in found})
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise InputError(f"sanity of heatmap methods cannot be read: {error}") from error


UNMEASURED = MethodSanity({})


def read_sanity(bundle: Path) -> MethodSanity:
    """Results that a bundle holds; none for a bundle without.

    Raises:
        InputError: If they cannot be understood.
        OSError: If they cannot be read.
        ValueError: If they are no JSON.
    """
    path = bundle / SANITY
    if not path.is_file():
        return UNMEASURED
    return MethodSanity.from_json(json.loads(path.read_text("utf-8")))
