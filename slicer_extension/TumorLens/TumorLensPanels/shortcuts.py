"""Keys of the panel; they work while the module is on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt
import slicer


class Shortcuts:
    """Keys that press buttons.

    Args:
        parent: Used when the application has no main window.
        keys: Function by key sequence.
    """

    def __init__(self, parent: qt.QWidget, keys: Mapping[str, Callable[[], None]]) -> None:
        self._parent, self._keys = parent, keys
        self._installed: list[tuple[qt.QShortcut, Callable[[], None]]] = []

    def install(self) -> None:
        """Listen."""
        self.remove()
        window = slicer.util.mainWindow() or self._parent
        for key, press in self._keys.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.activated.connect(press)
            self._installed.append((shortcut, press))

    def remove(self) -> None:
        """Stop listening."""
        for shortcut, press in self._installed:
            shortcut.activated.disconnect(press)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []
