"""The self-test that desktop Slicer runs, here in the harness."""

import sys
import unittest

import pytest

from slicer_extension.tests.conftest import MODULE

pytestmark = pytest.mark.slicer


def test_the_desktop_self_test_passes(panel, monkeypatch):
    import slicer

    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda _name: panel.widget)
    monkeypatch.syspath_prepend(str(MODULE / "Testing" / "Python"))
    suite = unittest.defaultTestLoader.loadTestsFromName("TumorLensSelfTest")
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures + result.errors


def test_reload_and_test_finds_it(panel, monkeypatch):
    import slicer
    import TumorLens

    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda _name: panel.widget)
    monkeypatch.syspath_prepend(str(MODULE / "Testing" / "Python"))
    TumorLens.TumorLensTest().runTest()


def test_the_module_describes_itself(panel):
    import types

    import TumorLens

    parent = types.SimpleNamespace(path=str(MODULE / "TumorLens.py"))
    TumorLens.TumorLens(parent)
    assert parent.categories == ["Active Learning"]
    assert "Research use only" in parent.helpText
