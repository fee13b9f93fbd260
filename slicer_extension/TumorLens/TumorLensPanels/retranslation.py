"""Static texts of the .ui in the language of the panel."""

from __future__ import annotations

from typing import Any

from TumorLensLib.texts import Translator

TEXT_CLASSES = ("QLabel", "QPushButton", "QCheckBox", "ctkCollapsibleButton")
INPUT_CLASSES = ("QLineEdit",)


class Retranslation:
    """Remembers the English texts of the .ui and replaces them.

    Args:
        ui: Named widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._texts: list[tuple[Any, str, str]] = []
        for widget in vars(ui).values():
            if not hasattr(widget, "toolTip"):
                continue  # a layout or a spacer
            kind = widget.className()
            names = ["toolTip"]
            names += ["text"] if kind in TEXT_CLASSES else []
            names += ["placeholderText"] if kind in INPUT_CLASSES else []
            for name in names:
                english = str(getattr(widget, name) or "")
                if english:
                    self._texts.append((widget, name, english))
        self._tabs = [str(ui.tabs.tabText(index)) for index in range(ui.tabs.count)]

    def english(self) -> list[str]:
        """All texts of the .ui."""
        return [text for _, _, text in self._texts] + self._tabs

    def apply(self, t: Translator) -> None:
        """Show them in a language."""
        for widget, name, english in self._texts:
            setattr(widget, name, t(english))
        for index, english in enumerate(self._tabs):
            self._ui.tabs.setTabText(index, t(english))
