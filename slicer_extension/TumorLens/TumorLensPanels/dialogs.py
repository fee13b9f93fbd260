"""Questions to the user; tests put their own in place of them."""

from __future__ import annotations

import slicer


class Dialogs:
    """Modal questions; few, because each one interrupts."""

    def confirm(self, text: str, title: str) -> bool:
        """Whether the user agrees."""
        return slicer.util.confirmOkCancelDisplay(text, windowTitle=title)
