"""Tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import qt


def prepare(table: qt.QTableWidget) -> None:
    """Rows are chosen as a whole and not edited."""
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.verticalHeader().setVisible(False)
    table.horizontalHeader().setStretchLastSection(True)


def fill(
    table: qt.QTableWidget,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    flexible: int | None = None,
) -> None:
    """Show rows; the chosen row stays if its first cell is still there.

    Args:
        table: Prepared with `prepare`.
        headers: Titles of the columns.
        rows: Cells as text.
        flexible: Column that is shortened where the others leave too little room; its cells are
            whole in their tool tips. Without one the last column takes what is left.
    """
    before = selected(table)
    rows = [tuple(str(cell) for cell in row) for row in rows]
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.setRowCount(len(rows))
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            item = qt.QTableWidgetItem(cell)
            item.setToolTip(plain_tip(cell))
            table.setItem(index, column, item)
    table.resizeColumnsToContents()
    if flexible is not None:
        header = table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(flexible, qt.QHeaderView.Stretch)
    for index, row in enumerate(rows):
        if before and row[0] == before:
            table.selectRow(index)


def plain_tip(text: str) -> str:
    """Tool tip that shows a text as it is, also where it looks like HTML."""
    return f"<qt>{escape(text)}</qt>" if text else ""


def selected(table: qt.QTableWidget, column: int = 0) -> str:
    """Text of a cell of the chosen row; empty without one."""
    item = table.item(table.currentRow(), column) if table.currentRow() >= 0 else None
    return item.text() if item is not None else ""


def fill_combo(combo: qt.QComboBox, entries: Iterable[tuple[str, str]]) -> None:
    """Choices of (shown text, value); the chosen value stays if it is still there.

    Signals are held back meanwhile.
    """
    before = combo.currentData
    blocked = combo.blockSignals(True)
    combo.clear()
    for text, value in entries:
        combo.addItem(text, value)
    index = combo.findData(before) if before is not None else 0
    combo.setCurrentIndex(max(index, 0) if combo.count else -1)
    combo.blockSignals(blocked)
