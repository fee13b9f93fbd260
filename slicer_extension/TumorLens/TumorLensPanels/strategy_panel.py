"""The strategy by which the server chooses the next case: one choice, shown on two tabs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qt

from TumorLensPanels import tables
from TumorLensPanels.panel import Panel

SETTING = "strategy"


class StrategyPanel(Panel):
    """Choosers of the strategy, on the tab Case beside its button and on the tab Teach."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        self.combos = (ui.strategyCombo, ui.teachStrategyCombo)
        ui.strategyCombo.currentIndexChanged.connect(lambda: self.on_chosen(ui.strategyCombo))
        ui.teachStrategyCombo.currentIndexChanged.connect(
            lambda: self.on_chosen(ui.teachStrategyCombo)
        )

    def on_connected(self) -> None:
        """List the strategies of the server; the one chosen last stays."""
        self._fill()
        self._choose(self.controller.setting(SETTING))

    def on_chosen(self, combo: qt.QComboBox) -> None:
        """A strategy was chosen on one of the tabs."""
        name = combo.currentData
        if name:
            self.controller.set_setting(SETTING, name)
            self._choose(name)

    def _fill(self) -> None:
        entries = [(self.t(name), name) for name in sorted(self._strategies())]
        for combo in self.combos:
            tables.fill_combo(combo, entries)
        self._describe()

    def _choose(self, name: str) -> None:
        for combo in self.combos:
            index = combo.findData(name)
            if index >= 0 and combo.currentIndex != index:
                blocked = combo.blockSignals(True)
                combo.setCurrentIndex(index)
                combo.blockSignals(blocked)
        self._describe()

    def _describe(self) -> None:
        """Say what the strategy looks for, in the words of the server."""
        about = self._strategies().get(self.ui.strategyCombo.currentData)
        words = str(about.get("description", "")) if isinstance(about, Mapping) else ""
        self.ui.strategyLabel.text = self.told(words)
        self.ui.strategyCombo.toolTip = tables.plain_tip(self.told(words))

    def _strategies(self) -> Mapping[str, Any]:
        listed = self.controller.server_info.get("strategies")
        return listed if isinstance(listed, Mapping) else {}

    def retranslate(self) -> None:
        """The language changed."""
        self._fill()

    def update(self) -> None:
        """Enable what fits the state."""
        self.enable(self.ui.teachStrategyCombo.count > 0, *self.combos)
