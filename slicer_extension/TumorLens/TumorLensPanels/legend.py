"""The colours of the heat from 0 to 1 and which of them are shown, drawn with Qt alone."""

from __future__ import annotations

import numpy as np
import qt

WIDTH, HEIGHT, MARGIN, BAR = 300, 34, 14, 16
HIDDEN_BAR = 4
NUMBER_WIDTH = 36
"""Room of a number, so that neighbours do not overlap."""


def draw(colours: np.ndarray, lower: float, upper: float, text_color: str) -> qt.QPixmap:
    """Bar of colours; heat outside the range is a thin line, because the views leave it out.

    Args:
        colours: RGB 0-1 of each step, shape (steps, 3).
        lower: Heat from which it is shown.
        upper: Heat up to which it is shown.
        text_color: Colour of frame and numbers.
    """
    picture = qt.QPixmap(WIDTH, HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(picture)
    span = WIDTH - 2 * MARGIN
    for x in range(span):
        heat = x / (span - 1)
        red, green, blue = (int(255 * v) for v in colours[round(heat * (len(colours) - 1))])
        height = BAR if lower <= heat <= upper else HIDDEN_BAR
        painter.fillRect(MARGIN + x, BAR - height, 1, height, qt.QColor(red, green, blue))
    painter.setPen(qt.QPen(qt.QColor(text_color)))
    painter.drawLine(MARGIN, BAR, MARGIN + span - 1, BAR)
    for heat, text in numbers(lower, upper):
        x = MARGIN + round(heat * (span - 1))
        painter.drawLine(x, BAR, x, BAR + 3)
        box = qt.QRect(x - NUMBER_WIDTH // 2, BAR + 3, NUMBER_WIDTH, HEIGHT - BAR - 3)
        painter.drawText(box, qt.Qt.AlignCenter, text)
    painter.end()
    return picture


def numbers(lower: float, upper: float) -> list[tuple[float, str]]:
    """Numbers below the bar: both ends, and the range where there is room between them.

    Example:
        >>> numbers(0.3, 1.0)
        [(0.0, '0'), (0.3, '0.30'), (1.0, '1')]
    """
    room = NUMBER_WIDTH / (WIDTH - 2 * MARGIN)
    found = [(0.0, "0"), (1.0, "1")]
    for value in (lower, upper):
        if all(abs(value - other) >= room for other, _ in found):
            found.append((value, f"{value:.2f}"))
    return sorted(found)
