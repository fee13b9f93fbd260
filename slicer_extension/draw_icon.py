"""Draws the icon of the module: a lens over a tumour whose rim shines.

python slicer_extension/draw_icon.py
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui

ICON = Path(__file__).parent / "TumorLens" / "Resources" / "Icons" / "TumorLens.png"
SIZE = 128
BRAIN, FOLD = QtGui.QColor("#c9d3d8"), QtGui.QColor("#93a5ad")
OEDEMA, RIM, CORE = QtGui.QColor("#5bb565"), QtGui.QColor("#e4572e"), QtGui.QColor("#3273dc")
GLASS, HANDLE = QtGui.QColor("#263943"), QtGui.QColor("#263943")


def draw() -> QtGui.QImage:
    """The icon, 128 pixels wide."""
    image = QtGui.QImage(SIZE, SIZE, QtGui.QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QtGui.QPainter(image)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)

    def disc(color: QtGui.QColor, x: float, y: float, width: float, height: float) -> None:
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawEllipse(QtCore.QPointF(x, y), width / 2, height / 2)

    disc(BRAIN, 62, 62, 96, 112)
    painter.setPen(QtGui.QPen(FOLD, 4))
    painter.drawLine(62, 8, 62, 116)
    for x, y, start in ((16, 30, 60), (14, 62, 30), (72, 26, 100), (70, 84, 150)):
        painter.drawArc(QtCore.QRectF(x, y, 36, 26), start * 16, 150 * 16)
    disc(OEDEMA, 78, 68, 50, 46)
    disc(RIM, 78, 68, 34, 32)
    disc(CORE, 78, 68, 17, 16)
    painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
    painter.setPen(QtGui.QPen(GLASS, 7))
    painter.drawEllipse(QtCore.QPointF(78, 68), 32, 32)
    handle = QtGui.QPen(HANDLE, 12)
    handle.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
    painter.setPen(handle)
    painter.drawLine(103, 93, 119, 109)
    painter.end()
    return image


if __name__ == "__main__":
    application = QtGui.QGuiApplication([])
    ICON.parent.mkdir(parents=True, exist_ok=True)
    draw().save(str(ICON))
