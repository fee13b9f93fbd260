"""What the five tabs have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt

if TYPE_CHECKING:
    from TumorLensPanels.controller import Controller


class Panel:
    """A tab.

    Args:
        controller: The whole panel.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.ui = controller.ui
        self.setup()

    @property
    def workspace(self) -> Any:
        """The open case in the scene."""
        return self.controller.workspace

    @property
    def session(self) -> Any:
        """State of the work."""
        return self.controller.workspace.session

    def t(self, english: str, **values: object) -> str:
        """Sentence in the language of the panel."""
        return self.controller.t(english, **values)

    def told(self, english: str) -> str:
        """What the server says in English, in the language of the panel."""
        return self.controller.t.told(english)

    def setup(self) -> None:
        """Connect signals."""

    def retranslate(self) -> None:
        """The language changed."""

    def on_connected(self) -> None:
        """A server answered."""

    def on_case(self) -> None:
        """The open case or its segments changed."""

    def on_analysis(self) -> None:
        """An analysis or explanation arrived."""

    def update(self) -> None:
        """Enable what fits the state."""

    @staticmethod
    def enable(fits: bool, *widgets: qt.QWidget) -> None:
        """Enable widgets, or not."""
        for widget in widgets:
            widget.enabled = bool(fits)
