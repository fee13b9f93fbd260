"""How long the panel takes on a case of 240x240x155 voxels, in the harness.

    python -m slicer_extension.tests.measure

Prints milliseconds of wall clock and of processor; on a busy machine the second tells more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

SHAPE_KJI = (155, 240, 240)


class Answers:
    """Says yes."""

    def confirm(self, _text, _title):
        """Yes."""
        return True


def a_case():
    """Head with a tumour of realistic size, oblique."""
    import numpy as np
    from TumorLensLib.volumefiles import VolumeData

    from slicer_extension.tests import phantoms

    grid = phantoms.affine((1.0, 1.0, 1.0), (-120.0, -110.0, -70.0), (3, 5, 8), (-1, -1, 1))
    k, j, i = np.indices(SHAPE_KJI, dtype=np.float32)
    head = ((k - 77) / 70) ** 2 + ((j - 120) / 100) ** 2 + ((i - 120) / 80) ** 2 < 1
    distance = np.sqrt((k - 90) ** 2 + (j - 140) ** 2 + (i - 90) ** 2)
    labels = np.zeros(SHAPE_KJI, np.uint8)
    for value, radius in ((2, 35), (3, 22), (1, 14)):
        labels[distance < radius] = value
    image = np.where(head, 400 + 100 * np.sin(i / 5) * np.cos(j / 7), 0) + 200 * (labels == 3)
    heat = np.rint(255 * np.exp(-(distance**2) / 800)).astype(np.uint8)
    return (
        VolumeData(image.astype(np.int16), grid),
        VolumeData(labels, grid),
        VolumeData(heat, grid),
    )


def main() -> None:
    """Measure and print."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TumorLens"))
    from slicer_extension.tests.harness import boot, views

    app = boot.boot()
    from TumorLensLib.client import InferReply
    from TumorLensLib.session import Action, Case

    from slicer_extension.tests.fake_server import FakeServer, serving
    from slicer_extension.tests.panel_user import PanelUser

    slices = views.three_slice_views((400, 400))
    folder = Path(tempfile.mkdtemp())
    _, widget = boot.load_module(dialogs=Answers(), autosave_folder=folder)
    widget.parent.show()
    user = PanelUser(widget, None)
    image, labels, heat = a_case()
    fake = FakeServer(image.ijk_to_ras)
    controller, workspace = user.controller, user.workspace

    def measure(name, act):
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        sys.stdout.write(f"{name:46s} {1000 * wall:7.0f} ms wall {1000 * cpu:7.0f} ms processor\n")

    def draw():
        for view in slices:
            view.render()

    with serving(fake):
        user.connect(fake.url)
        measure("image to the views", lambda: workspace.open_case(Case("CASE-1"), image))
        controller.case_changed()
        draw()
        fake.images["CASE-1"], fake.proposal, fake.heat = image, labels, heat
        fake.hold.clear()
        measure("click on Analyse", user.ui.analyseButton.click)
        blocks = []
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            start = time.process_time()
            app.processEvents()
            blocks.append(time.process_time() - start)
        sys.stdout.write(f"longest step of the interface meanwhile        {1000 * max(blocks):.0f}"
                         " ms processor\n")  # fmt: skip
        controller.on_cancel()
        fake.hold.set()
        body, _ = fake.reply("analysis", "CASE-1", {})
        reply = InferReply(body, {"image": labels, "heatmap": heat})

        def show():
            user.session.begin(Action.ANALYSE)
            workspace.show_proposal(reply)
            controller.case_changed()
            controller.analysed()
            user.ui.explainButton.checked = True
            app.processEvents()
            draw()

        measure("reply received to everything drawn", show)
        user.paint(3, (slice(60, 70), slice(100, 120), slice(100, 120)))
        measure("labelmap of the segments (before a save)", workspace.current_label)
        label = workspace.current_label()
        measure("comparison with the proposal", lambda: workspace.comparison(label))
        user.session.is_edited = False
    widget.cleanup()


if __name__ == "__main__":
    main()
