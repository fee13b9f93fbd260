"""Small charts as inline SVG: probabilities, ranges of the training patients, contributions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brain_tumor.explanation.page.markup import Markup, element
from brain_tumor.labels import TumorType

Quantiles = tuple[float, float, float]

_WIDTH = 160.0
_LEFT = 14.0
_ROW = 9.0


@dataclass(frozen=True)
class Range:
    """Reference range of a type.

    Attributes:
        tumor: The type.
        letter: Stands beside the line, so that colour is not needed to tell it.
        text: The range in words.
        quantiles: 5th, 50th and 95th percentile.
    """

    tumor: TumorType
    letter: str
    text: str
    quantiles: Quantiles


def probability_bar(share: float, kind: str) -> Markup:
    """Bar of 100 units for a probability.

    Args:
        share: 0-1.
        kind: Class that colours it.
    """
    length = 100.0 * min(1.0, max(0.0, share))
    return element(
        "svg",
        element("rect", class_="bar-ground", width=100, height=10, rx=1.5),
        element("rect", class_=f"fill-{kind}", width=length, height=10, rx=1.5),
        class_="bar",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def range_plot(value: float, ranges: tuple[Range, ...]) -> Markup:
    """Ranges of the types one below the other, and the measured value across them."""
    axis = Axis.holding([value, *(v for one in ranges for v in one.quantiles)])
    height = _ROW * len(ranges) + 4
    lines = []
    for row, one in enumerate(ranges):
        y = 2 + _ROW * (row + 0.5)
        low, middle, high = (axis.place(v) for v in one.quantiles)
        lines.append(
            element(
                "g",
                element("text", one.letter, x=0, y=y + 3, class_="letter"),
                element("line", x1=_LEFT, x2=_WIDTH, y1=y, y2=y, class_="axis"),
                element("line", x1=low, x2=max(high, low + 1), y1=y, y2=y, class_="range"),
                element("line", x1=middle, x2=middle, y1=y - 3.2, y2=y + 3.2, class_="median"),
                class_=f"stroke-{one.tumor.value}",
            )
        )
    x = axis.place(value)
    return element(
        "svg",
        lines,
        element("line", x1=x, x2=x, y1=0, y2=height, class_="here"),
        element("path", d=f"M{x - 3:.4g} 0h6l-3 4z", class_="here-mark"),
        class_="ranges",
        viewBox=f"0 0 {_WIDTH:g} {height:g}",
        role="img",
        aria_label="; ".join(r.text for r in ranges),
    )


def contribution_bar(change: float, largest: float) -> Markup:
    """Bar from the middle: to the right for the type, to the left against it.

    Args:
        change: Of the log-odds.
        largest: Absolute change that fills half the chart, > 0.
    """
    length = 50.0 * min(1.0, abs(change) / largest)
    start = 50.0 if change >= 0 else 50.0 - length
    return element(
        "svg",
        element(
            "rect", x=start, y=2, width=length, height=8, class_="for" if change >= 0 else "against"
        ),
        element("line", x1=50, x2=50, y1=0, y2=12, class_="zero"),
        class_="contribution",
        viewBox="0 0 100 12",
        aria_hidden="true",
    )


@dataclass(frozen=True)
class Axis:
    """Horizontal axis of a range plot.

    Attributes:
        low: Value at the left end.
        high: Value at the right end, above low.
    """

    low: float
    high: float

    @classmethod
    def holding(cls, values: Iterable[float]) -> Axis:
        """Axis with all values and a little air on both sides."""
        every = list(values)
        low, high = min(every), max(every)
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(low - margin, high + margin)

    def place(self, value: float) -> float:
        """Place of a value in the units of the chart."""
        share = (value - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT)
