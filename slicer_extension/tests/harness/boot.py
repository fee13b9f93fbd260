"""Start the harness and load the module as desktop Slicer would."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import types
from pathlib import Path

from slicer_extension.tests.harness import pythonqt

EXTENSION = Path(__file__).resolve().parents[2]
MODULE_FOLDER = EXTENSION / "TumorLens"


def boot():
    """Application, scene, widgets; once a process. Returns `slicer.app`."""
    os.environ.setdefault("XDG_CONFIG_HOME", tempfile.mkdtemp(prefix="config-"))
    qt = pythonqt.install()
    application = qt.QApplication.instance() or qt.QApplication(["Slicer"])
    import slicer
    from slicer import util

    if hasattr(slicer, "app"):
        return slicer.app
    application.setOrganizationName("harness")
    application.setApplicationName("Slicer")
    qt.QSettings().clear()
    from slicer_extension.tests.harness import application as desktop
    from slicer_extension.tests.harness import scripted

    slicer.util = sys.modules["slicer.util"] = util
    util.mainWindow = lambda *_: None
    app = desktop.Application(qt)
    app.qt_application = application
    scripted.install()
    from slicer_extension.tests.harness import widgets

    widgets.install()
    if str(MODULE_FOLDER) not in sys.path:
        sys.path.insert(0, str(MODULE_FOLDER))
    return app


def load_module(**options):
    """Module and widget, set up and entered.

    Args:
        options: Passed to the widget's constructor; desktop Slicer passes none.
    """
    import qt
    import slicer

    path = str(MODULE_FOLDER / "TumorLens.py")
    python = importlib.import_module("TumorLens")
    slicer.util.modulePath = lambda _name: path
    module = python.TumorLens(types.SimpleNamespace(path=path, title="", icon=None))
    parent = slicer.qMRMLWidget()
    parent.setLayout(qt.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    widget = python.TumorLensWidget(parent, **options)
    widget.setup()
    widget.enter()
    return module, widget


def spin(condition, seconds=20.0):
    """Let the interface run until a condition holds.

    Raises:
        AssertionError: If it does not in time.
    """
    import time

    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the interface did not get there in time"
        slicer.app.processEvents()
        time.sleep(0.002)
