"""A small line chart, drawn with Qt alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import qt

WIDTH, HEIGHT, MARGIN = 380, 120, 26
NAMES_WIDTH = 110
"""Room on the right for the names of the lines."""
COLORS = ("#1f8fb3", "#d1642a", "#5a9e3d", "#a04fb5")


def draw(
    series: Mapping[str, Sequence[float | None]], labels: Sequence[str], text_color: str
) -> qt.QPixmap:
    """Chart of metrics over versions.

    Args:
        series: Values 0-1 by name, one for each label; None leaves a gap.
        labels: Below the axis.
        text_color: Colour of axis and text.
    """
    picture = qt.QPixmap(WIDTH, HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    values = [v for line in series.values() for v in line if v is not None]
    if not values:
        return picture
    low, high = min(values), max(values)
    pad = max(0.02, 0.1 * (high - low))
    low, high = low - pad, high + pad
    painter = qt.QPainter()
    painter.begin(picture)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    painter.setPen(qt.QPen(qt.QColor(text_color)))
    bottom, right = HEIGHT - MARGIN, WIDTH - NAMES_WIDTH - 8
    painter.drawLine(MARGIN + 12, 6, MARGIN + 12, bottom)
    painter.drawLine(MARGIN + 12, bottom, right, bottom)
    painter.drawText(2, 14, f"{high:.2f}")
    painter.drawText(2, bottom, f"{low:.2f}")
    span = max(len(labels) - 1, 1)
    xs = [MARGIN + 30 + (right - MARGIN - 50) * i / span for i in range(len(labels))]
    for x, label in zip(xs, labels, strict=True):
        painter.drawText(int(x) - 14, HEIGHT - 8, label)
    for index, (name, line) in enumerate(series.items()):
        color = COLORS[index % len(COLORS)]
        pen = qt.QPen(qt.QColor(color))
        pen.setWidth(2)
        painter.setPen(pen)
        last = None
        for x, value in zip(xs, line, strict=True):
            if value is None:
                last = None
                continue
            point = (int(x), int(bottom - (bottom - 10) * (value - low) / (high - low)))
            painter.drawEllipse(point[0] - 3, point[1] - 3, 6, 6)
            if last is not None:
                painter.drawLine(last[0], last[1], point[0], point[1])
            last = point
        painter.drawText(WIDTH - NAMES_WIDTH, 16 + 14 * index, name)
    painter.end()
    return picture
