"""What a user does with the panel, step by step."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from slicer_extension.tests.harness.boot import load_module, spin


class Agreeing:
    """Dialogs of a user who says yes to everything."""

    def confirm(self, _text, _title, **_):
        """Yes."""
        return True


def open_panel(width, height):
    """The panel on screen for a user who agrees; the harness must be running."""
    folder = Path(tempfile.mkdtemp())
    _, widget = load_module(dialogs=Agreeing(), autosave_folder=folder)
    widget.parent.resize(width, height)
    widget.parent.show()
    return PanelUser(widget, None)


class PanelUser:
    """A user at the panel.

    Args:
        widget: The module's widget.
        answers: What dialogs get.
    """

    def __init__(self, widget, answers):
        self.widget, self.answers = widget, answers

    @property
    def controller(self):
        return self.widget.controller

    @property
    def ui(self):
        return self.controller.ui

    @property
    def workspace(self):
        return self.controller.workspace

    @property
    def session(self):
        return self.controller.session

    @property
    def status(self):
        return self.ui.statusLabel.text

    def wait(self, seconds=60.0):
        """Until nothing runs."""
        spin(lambda: not self.controller.jobs.is_running, seconds)

    def connect(self, url, token=""):
        self.ui.addressEdit.text = url
        self.ui.tokenEdit.text = token
        self.ui.connectButton.click()
        self.wait()
        return self

    def select(self, case):
        table = self.ui.casesTable
        rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
        table.selectRow(rows[case])
        return self

    def open(self, case):
        self.select(case)
        self.ui.openButton.click()
        self.wait()
        return self

    def analyse(self):
        self.ui.analyseButton.click()
        self.wait()
        return self

    def analyse_for(self, seconds):
        self.ui.analyseButton.click()
        self.wait(seconds)

    def follow(self, link):
        """Click a link of the explanation."""
        import qt

        self.ui.rationaleView.anchorClicked.emit(qt.QUrl(link))

    def paint_around(self, ras, value=3, radius=4):
        """Paint a ball of a class around a point."""
        from TumorLensLib.volumes import affine_of

        image = self.workspace.image
        i, j, k = np.linalg.solve(affine_of(image), [*ras, 1.0])[:3]
        size = image.GetImageData().GetDimensions()[::-1]
        grid = np.indices(size)
        centre = np.array([k, j, i]).reshape(3, 1, 1, 1)
        self.paint(value, ((grid - centre) ** 2).sum(axis=0) <= radius**2)

    def open_and_analyse(self, url, case="CASE-1"):
        return self.connect(url).open(case).analyse()

    def segment_id(self, value):
        from TumorLensLib.segments import segment_ids

        return segment_ids(self.workspace.segmentation)[value][0]

    def paint(self, value, where):
        """Set voxels (K, J, I) of a class, as a brush that overwrites would."""
        import slicer

        node, image = self.workspace.segmentation, self.workspace.image
        for other in (1, 2, 3):
            identity = self.segment_id(other)
            if (
                other != value
                and node.GetSegmentation()
                .GetSegment(identity)
                .GetRepresentation("Binary labelmap")
                .IsEmpty()
            ):
                continue
            array = np.array(slicer.util.arrayFromSegmentBinaryLabelmap(node, identity, image))
            array[where] = 1 if other == value else 0
            slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, identity, image)
        return self
