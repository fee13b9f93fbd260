"""Questions to the user; tests put their own in place of them."""

from __future__ import annotations

import qt
import slicer


class Dialogs:
    """Modal questions; few, because each one interrupts."""

    def confirm(self, text: str, title: str, *, is_html: bool = False) -> bool:
        """Whether the user agrees.

        Args:
            text: Shown as it is, whatever a server or a file name writes into it.
            title: Of the window.
            is_html: Whether the text is markup of this panel, with everything else escaped.
        """
        box = self._box(text, title, is_html=is_html)
        return bool(box.exec_() == qt.QMessageBox.Ok)

    def _box(self, text: str, title: str, *, is_html: bool) -> qt.QMessageBox:
        box = qt.QMessageBox(slicer.util.mainWindow())
        box.setIcon(qt.QMessageBox.Question)
        box.setWindowTitle(title)
        box.setTextFormat(qt.Qt.RichText if is_html else qt.Qt.PlainText)
        box.setText(text)
        box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
        return box
