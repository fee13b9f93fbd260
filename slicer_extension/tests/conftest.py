"""Shared by the extension's tests: the harness, the panel, and a server in this process."""

import os
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[1] / "TumorLens"
if str(MODULE) not in sys.path:
    sys.path.insert(0, str(MODULE))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


class Answers:
    """Dialogs that a test answers.

    Attributes:
        asked: Titles and texts so far.
        answer: What is answered; a callable gets title and text.
    """

    def __init__(self):
        self.asked = []
        self.answer = True

    def confirm(self, text, title, *, is_html=False):
        """Answer."""
        self.asked.append((title, text))
        return self.answer(title, text) if callable(self.answer) else self.answer

    @property
    def titles(self):
        """Titles so far."""
        return [title for title, _ in self.asked]


@pytest.fixture(scope="session")
def slicer_app():
    """The harness, once a process."""
    from slicer_extension.tests.harness import boot

    return boot.boot()


@pytest.fixture
def scene(slicer_app):
    """Empty scene with three slice views."""
    import slicer

    from slicer_extension.tests.harness import views

    if not hasattr(slicer_app, "slice_views"):
        slicer_app.slice_views = views.three_slice_views()
    slicer.mrmlScene.Clear()
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear()


@pytest.fixture
def slice_views(scene, slicer_app):
    """Red, Green and Yellow."""
    return slicer_app.slice_views


@pytest.fixture
def server():
    """Server with answers known by hand."""
    from slicer_extension.tests.fake_server import serving

    with serving() as fake:
        yield fake


@pytest.fixture
def answers():
    """What dialogs get."""
    return Answers()


@pytest.fixture
def panel(scene, answers, tmp_path):
    """The panel, fresh; a misspelt property fails the test."""
    import qt

    from slicer_extension.tests.harness import boot, pythonqt
    from slicer_extension.tests.panel_user import PanelUser

    qt.QSettings().clear()
    _, widget = boot.load_module(dialogs=answers, autosave_folder=tmp_path / "unsent")
    widget.parent.resize(480, 900)
    widget.parent.show()
    yield PanelUser(widget, answers)
    assert pythonqt.unknown_attributes(widget.parent) == []
    widget.cleanup()
    widget.parent.hide()
    widget.parent.deleteLater()
