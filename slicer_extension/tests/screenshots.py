"""Pictures of the panel with the slice views beside it, as the README shows them.

    python -m slicer_extension.tests.screenshots http://127.0.0.1:8000 CASE
    python -m slicer_extension.tests.screenshots IMAGE.nii.gz LABELS.nii.gz

The first form needs a server with that case, for example `make run`; the second shows made-up
answers of the test server for a study, such as one of the sample studies and its ground truth.
Views and panel are those of the harness, so frames and icons of desktop Slicer are missing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

SCREENSHOTS = Path(__file__).resolve().parents[1] / "Screenshots"
PANEL_WIDTH, HEIGHT, TALL, VIEW = 500, 960, 1240, 470
DARK_WINDOW = "#323232"
KOREAN = "ko"


def main(url: str, case: str, folder: Path = SCREENSHOTS) -> None:
    """Make all pictures."""
    from slicer_extension.tests.harness import boot, views
    from slicer_extension.tests.panel_user import open_panel

    app = boot.boot()
    slices = views.three_slice_views((VIEW, VIEW))
    surface = views.ThreeDView(size=(VIEW, VIEW))
    user = open_panel(PANEL_WIDTH, HEIGHT)
    widget = user.widget
    studio = Studio(app, user, slices, surface, folder)
    folder.mkdir(parents=True, exist_ok=True)
    ui = user.ui
    ui.clientEdit.text = "anna"
    user.connect(url)
    user.open(case)
    studio.shoot("case", 0)
    user.analyse_for(900)
    ui.surfaceCheck.checked = True
    ui.fillSlider.value = 0.2
    user.workspace.go_to_highest(user.workspace.heat)
    ui.heatCheck.checked = True
    ui.uncertainCheck.checked = True
    studio.shoot("see", 1)
    ui.uncertainCheck.checked = False
    ui.explainButton.checked = True
    first = next((e for e in user.workspace.analysis.evidence if e.ras), None)
    if first is not None:
        user.follow(f"evidence:{first.id}")
    studio.shoot("question", 2)
    studio.dark(True)
    studio.shoot("dark", 2)
    studio.dark(False)
    ui.languageCombo.setCurrentIndex(ui.languageCombo.findData(KOREAN))
    ui.againButton.click()
    user.wait(900)
    studio.shoot("korean", 2)
    ui.languageCombo.setCurrentIndex(ui.languageCombo.findData("en"))
    ui.heatCheck.checked = False
    user.workspace.evidence.clear()
    user.paint_around(user.workspace.heat.highest_ras())
    user.controller.see_panel.on_surface()
    ui.changesCheck.checked = True
    studio.shoot("correct", 3)
    ui.submitButton.click()
    user.wait(300)
    ui.changesCheck.checked = False
    widget.parent.resize(PANEL_WIDTH, TALL)
    ui.tabs.setCurrentIndex(4)
    user.wait()
    ui.historyButton.click()
    user.wait()
    candidates = [n for n, v in enumerate(user.controller.teach_panel.versions) if not v.is_active]
    if candidates:
        ui.modelsTable.selectRow(candidates[-1])
        ui.tryButton.click()
    studio.shoot("teach", 4)
    user.session.is_edited = False
    widget.cleanup()


class Studio:
    """Puts panel and views into one picture."""

    def __init__(self, app, user, slices, surface, folder):
        self._app, self._user, self._folder = app, user, folder
        self._slices, self._surface = slices, surface

    def dark(self, on: bool) -> None:
        """Switch the colours of the application."""
        import qt

        style = self._app.qt_application
        palette = qt.QPalette(qt.QColor(DARK_WINDOW)) if on else style.style().standardPalette()
        style.setPalette(palette)
        self._user.controller.root.setPalette(palette)
        self._user.controller.set_language(self._user.controller.t.language)

    def shoot(self, name: str, tab: int) -> None:
        """Write one picture."""
        import qt

        self._user.ui.tabs.setCurrentIndex(tab)
        self._user.wait()
        for _ in range(5):
            self._app.processEvents()
        panel = self._user.widget.parent.grab()
        height = max(2 * VIEW, panel.height())
        picture = qt.QPixmap(panel.width() + 2 * VIEW + 4, height)
        picture.fill(qt.QColor("#000000"))
        painter = qt.QPainter()
        painter.begin(picture)
        painter.drawPixmap(0, 0, panel)
        for index, view in enumerate((self._slices[0], self._surface, *self._slices[1:])):
            with tempfile.TemporaryDirectory() as temporary:
                path = str(Path(temporary) / "view.png")
                view.render()
                view.save(path)
                x = panel.width() + 2 + (index % 2) * (VIEW + 2)
                painter.drawPixmap(x, (index // 2) * (VIEW + 2), qt.QPixmap(path))
        painter.end()
        picture.save(str(self._folder / f"{name}.png"))


def with_made_up_answers(image: Path, labels: Path) -> None:
    """Make all pictures from a study; type, heat and words are made up."""
    from slicer_extension.tests.harness import boot

    boot.boot()
    import numpy as np
    from TumorLensLib.volumefiles import VolumeData, read_volume

    from slicer_extension.tests import phantoms
    from slicer_extension.tests.fake_server import FakeServer, serving

    volume, truth = read_volume(image.read_bytes()), read_volume(labels.read_bytes())
    case = image.name.split(".")[0]
    fake = FakeServer(volume.ijk_to_ras)
    fake.images = {case: volume, **fake.images}
    fake.statuses = {case: "new", "P017": "submitted", "P021": "reviewed", "P030": "corrected"}
    fake.reserved = {"P030": "ben"}
    fake.extent_mm = 42.0
    fake.proposal = VolumeData(truth.array.astype(np.uint8), truth.ijk_to_ras)
    rim = np.argwhere(truth.array == 3)
    middle = rim.mean(axis=0)
    peak = rim[np.abs(rim - (np.add(middle, (0, 8, 8)))).sum(axis=1).argmin()]
    distance = ((np.indices(truth.array.shape) - peak.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)
    heat = np.exp(-distance / 300.0) * (0.35 + 0.65 * np.isin(truth.array, (1, 3)))
    fake.heat = VolumeData(np.rint(255 * heat).astype(np.uint8), truth.ijk_to_ras)
    phantoms.PEAK_IJK = tuple(int(v) for v in peak[::-1])
    doubt = np.where((truth.array == 2) & (distance < 900), 180, 0).astype(np.uint8)
    phantoms.uncertainty = lambda grid: VolumeData(doubt, grid)
    fake.training = {
        "status": "RUNNING",
        "details": ["epoch 6/12: loss 0.41", "epoch 7/12: loss 0.39"],
        "request": {"model": "segmentation"},
    }
    fake.corrections = [
        {"id": n, "at": f"2026-01-0{n}T10:24:00", "case_id": c, "part": "train", "kind": k,
         "state": s, "annotator": a}
        for n, c, k, s, a in (
            (1, "P017", "mask", "reviewed", "ben"),
            (2, "P021", "mask", "submitted", "anna"),
            (3, "P021", "type", "submitted", "anna"),
        )
    ]  # fmt: skip
    with serving(fake):
        main(fake.url, case)


if __name__ == "__main__":
    if sys.argv[1].startswith("http"):
        main(sys.argv[1], sys.argv[2])
    else:
        with_made_up_answers(Path(sys.argv[1]), Path(sys.argv[2]))
