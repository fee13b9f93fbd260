"""How numbers are written, and when a written number is true."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNIT_FACTORS: dict[str, tuple[str, float]] = {
    "": ("1", 1.0),
    "%": ("1", 0.01),
    "mm": ("mm", 1.0),
    "cm": ("mm", 10.0),
    "mm2": ("mm2", 1.0),
    "cm2": ("mm2", 100.0),
    "1/mm": ("1/mm", 1.0),
    "ml": ("mL", 1.0),
}
"""Written unit, lower case, to the unit of the facts and its factor."""

RELATIVE_ROUNDING = 0.05
NEARLY_CERTAIN = 0.99
"""A probability above it is told as "more than 99 %": no finite number of patients shows more."""
PERCENT_ROUNDING = 0.005


@dataclass(frozen=True)
class WrittenNumber:
    """A number as it stands in a sentence.

    Attributes:
        value: The number that was written.
        decimals: Digits after the point.
        unit: A key of `UNIT_FACTORS`.
    """

    value: float
    decimals: int = 0
    unit: str = ""

    @property
    def fact(self) -> float:
        """The written number in the unit of the facts."""
        return self.value * UNIT_FACTORS[self.unit][1]

    def states(self, fact: float, unit: str) -> bool:
        """Whether this is the fact, rounded to the written digits and not more coarsely than 5 %.

        Args:
            fact: Measured value.
            unit: Its unit.
        """
        written_unit, factor = UNIT_FACTORS[self.unit]
        if written_unit != unit:
            return False
        half_digit = 0.5 * 10.0**-self.decimals * factor
        error = abs(self.value * factor - fact)
        coarse = RELATIVE_ROUNDING * abs(fact)
        if self.unit == "%":
            coarse = max(coarse, PERCENT_ROUNDING)
        return error <= half_digit * (1 + 1e-6) and error <= coarse + 1e-9


def written(value: float, unit: str, *, percent: bool = False) -> WrittenNumber:
    """A value as the composer writes it: at least two significant digits, no false precision.

    Args:
        value: Finite value.
        unit: Unit of the facts.
        percent: Whether a share is written in per cent.
    """
    if percent and unit == "1":
        hundred = 100.0 * value
        decimals = 1 if 0.0 < abs(hundred) < 0.95 else 0
        return WrittenNumber(_round(hundred, decimals), decimals, "%")
    least = {"1": 2, "1/mm": 2}.get(unit, 1)
    decimals = least if abs(value) < 100.0 and unit in {"1", "1/mm"} else 0
    if unit in {"mm", "mL", "mm2"}:
        decimals = 1 if abs(value) < 10.0 else 0
    if value == 0.0:
        return WrittenNumber(0.0, 0, {"1": "", "mL": "ml"}.get(unit, unit))
    if 0.0 < abs(value) < 0.1 or (decimals == 1 and 0.0 < abs(value) < 0.95):
        decimals = max(decimals, 1 - math.floor(math.log10(abs(value))))
    rounded = _round(value, decimals)
    key = {"1": "", "mL": "ml"}.get(unit, unit)
    return WrittenNumber(rounded, decimals, key)


def number_text(number: WrittenNumber) -> str:
    """Number and unit as text, with a typographic minus and a space before the unit.

    Example:
        >>> number_text(written(0.345, "1", percent=True)), number_text(written(4.2, "mm"))
        ('34 %', '4.2 mm')
    """
    digits = f"{abs(number.value):.{number.decimals}f}"
    sign = "\N{MINUS SIGN}" if number.value < 0 else ""
    shown = {"": "", "%": " %", "mm2": " mm²", "cm2": " cm²", "ml": " mL"}
    return f"{sign}{digits}{shown.get(number.unit, ' ' + number.unit)}"


def _round(value: float, decimals: int) -> float:
    return round(value, decimals) + 0.0
