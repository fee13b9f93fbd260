"""Seeds defects into a copy of the extension, one at a time, and shows that the tests catch each.

    python -m slicer_extension.tests.mutations [words of a defect's name]

Takes some minutes; not part of `make test`. The tests must pass on a copy without any defect first,
and every defect must still fit the sources. Exit code 0 means that every defect was caught.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "slicer_extension",
    "docs",
    "CMakeLists.txt",
    "CONTRIBUTING.md",
    "LICENSE",
    "pyproject.toml",
)
PROCESSES = 2
LIB, PANELS = "TumorLensLib/", "TumorLensPanels/"


@dataclass(frozen=True)
class Defect:
    """A defect.

    Attributes:
        name: What is wrong.
        file: File of the module.
        old: Text that is replaced, once.
        new: What replaces it.
        tests: File of the tests that should notice.
        only: Which of them to run (pytest's -k).
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    only: str


DEFECTS = (
    Defect("a property is called like a method", PANELS + "case_panel.py",
           'self.ui.caseLabel.text = self.t("No case is open.")',
           'self.ui.caseLabel.text(self.t("No case is open."))', "test_flow.py", "connecting"),
    Defect("a signal is misspelt", PANELS + "case_panel.py", "currentNodeChanged(vtkMRMLNode*)",
           "currentNodeChange(vtkMRMLNode*)", "test_flow.py", "connecting"),
    Defect("a widget's name is misspelt", PANELS + "case_panel.py", "ui.openButton.clicked",
           "ui.openBtn.clicked", "test_flow.py", "connecting"),
    Defect("a property is misspelt", PANELS + "case_panel.py", "serverSection.collapsed = True",
           "serverSection.colapsed = True", "test_flow.py", "connecting"),
    Defect("a Qt constructor gets a keyword", PANELS + "controller.py", "self._timer = qt.QTimer()",
           "self._timer = qt.QTimer(interval=50)", "test_flow.py", "connecting"),
    Defect("a method is misspelt", PANELS + "see_panel.py", "self.workspace.heat.show(",
           "self.workspace.heat.shwo(", "test_flow.py", "together"),
    Defect("a worker touches a widget", PANELS + "case_panel.py", "info = bound.info()\n",
           "info = bound.info()\n            ui.serverLabel.text = 'asked'\n", "test_flow.py",
           "connecting"),
    Defect("a temporary node is left behind", LIB + "segments.py", "remove(temporary)", "pass",
           "test_segments.py", "temporary"),
    Defect("a request survives closing the scene", PANELS + "controller.py",
           "self.jobs.cancel_all()\n        self.correct_panel.release_editor()",
           "self.correct_panel.release_editor()", "test_behaviour.py", "drops_its_result"),
    Defect("edits are lost when the scene closes", PANELS + "controller.py",
           "self.correct_panel.save_now()\n        self.jobs.cancel_all()\n        self.correct",
           "self.jobs.cancel_all()\n        self.correct", "test_behaviour.py",
           "survive_closing"),
    Defect("the running analysis stays when another case is opened", PANELS + "case_panel.py",
           "controller.cancel_action()", "pass", "test_behaviour.py", "hurry"),
    Defect("a segment is known by its label value", LIB + "segments.py",
           "    if not segment.GetTag(TAG, text):\n        return None",
           "    return int(segment.GetLabelValue())", "test_segments.py", "stays_itself"),
    Defect("the weaker class wins where segments overlap", LIB + "segments.py",
           "for one in SCHEMES[scheme]:", "for one in reversed(SCHEMES[scheme]):",
           "test_segments.py", "wins"),
    Defect("axes are mixed up while reading", LIB + "volumefiles.py", "reshape(sizes[::-1])",
           "reshape(sizes)", "test_volumefiles.py", "nibabel"),
    Defect("left and right are swapped while writing", LIB + "volumefiles.py",
           "to_lps = np.diag([-1.0, -1.0, 1.0])", "to_lps = np.diag([1.0, -1.0, 1.0])",
           "test_volumefiles.py", "pynrrd"),
    Defect("the scale of the heat is forgotten", LIB + "overlays.py", " * np.float32(scale)", "",
           "test_overlays.py", "stored_steps"),
    Defect("cold looks hot", LIB + "colours.py", "enumerate(self.steps())",
           "enumerate(self.steps()[::-1, ::-1])", "test_overlays.py", "colour_table"),
    Defect("heat that failed its test looks like any other", LIB + "workspace.py",
           "trusted = analysis.heat.is_faithful is not False", "trusted = True", "test_tabs.py",
           "failed_its_test"),
    Defect("text is shown without its heatmap", PANELS + "question_panel.py",
           "self.ui.heatCheck.checked = True", "pass", "test_flow.py", "together"),
    Defect("slices jump to a mirrored point", LIB + "places.py", "jump_to(evidence.ras)",
           "jump_to(tuple(-v for v in evidence.ras))", "test_overlays.py", "jump_to_the_evidence"),
    Defect("tumour and background clicks are swapped", LIB + "refine.py",
           "yes, no = list(dict.fromkeys(positive)), list(dict.fromkeys(negative))",
           "no, yes = list(dict.fromkeys(positive)), list(dict.fromkeys(negative))",
           "test_logic.py", "clicks"),
    Defect("the proposal is submitted instead of the correction", PANELS + "correct_panel.py",
           "submit(client, case.name, label, info, said)",
           "submit(client, case.name, session.proposal, info, said)", "test_flow.py",
           "oblique"),
    Defect("nothing asks before sending", PANELS + "correct_panel.py",
           "        self.save_now()\n        if not self._may_send():\n            return\n",
           "        self.save_now()\n", "test_behaviour.py", "before_the_user_agreed"),
    Defect("a failed question in the background ends the analysis", PANELS + "controller.py",
           "            if action is not None:\n                self.session.failed()",
           "            self.session.failed()", "test_behaviour.py", "in_the_background"),
    Defect("every submission asks again", PANELS + "controller.py", "self.consent.give(address)",
           "pass", "test_behaviour.py", "asked_once"),
    Defect("a submitted correction is offered again", PANELS + "correct_panel.py",
           "controller.autosave.remove(str(controller.client.address), case.name)", "pass",
           "test_behaviour.py", "not_offered_again"),
    Defect("edits are not noticed", LIB + "workspace.py",
           'EDIT_EVENTS = ("SourceRepresentationModified", "SegmentAdded", "SegmentRemoved")',
           "EDIT_EVENTS = ()", "test_behaviour.py", "left_and_opened"),
    Defect("another grid is accepted", LIB + "workspace.py",
           "if not volumes.is_same_grid(data, image):", "if False:", "test_behaviour.py",
           "another_grid"),
    Defect("a slow request is never given up", LIB + "jobs.py",
           "if self.elapsed_s(job) > job.timeout_s:", "if False:", "test_logic.py", "deadline"),
    Defect("cancel leaves the connection open", LIB + "transport.py",
           "sock.shutdown(socket.SHUT_RDWR)", "pass", "test_client.py", "broken_off_at_once"),
    Defect("the token is not sent", LIB + "transport.py", "if self.token:", "if False:",
           "test_behaviour.py", "token"),
    Defect("server text is not escaped", LIB + "rationale.py", "text = escape(sentence.text)",
           "text = sentence.text", "test_reply.py", "escaped"),
    Defect("Dice is halved", LIB + "compare.py", "dice = 2.0 * both", "dice = 1.0 * both",
           "test_logic.py", "by_hand"),
    Defect("the editor hides the heatmap", PANELS + "correct_panel.py",
           "editor.autoShowSourceVolumeNode = False", "editor.autoShowSourceVolumeNode = True",
           "test_tabs.py", "keeps_the_heatmap"),
    Defect("a sentence has no Korean", LIB + "korean.py", '    "Explain again": "다시 설명",\n', "",
           "test_texts.py", "korean_one"),
    Defect("the legend shows heat that the views leave out", PANELS + "legend.py",
           "BAR if lower <= heat <= upper else HIDDEN_BAR", "BAR", "test_tabs.py",
           "which_colour_is_which_heat"),
    Defect("the legend stays when the heat is switched off", LIB + "overlays.py",
           "self.legend.SetVisibility(self.is_visible and self.has_legend)",
           "self.legend.SetVisibility(True)", "test_tabs.py", "legend_in_the_views"),
    Defect("uncertainty takes the heat's place", LIB + "overlays.py",
           "composite.SetNthLayerVolumeID(layer, self.node.GetID())",
           "composite.SetForegroundVolumeID(self.node.GetID())", "test_overlays.py",
           "at_the_same_time"),
    Defect("uncertainty is not graded", LIB + "colours.py",
           "x, at = np.linspace(0.0, 1.0, STEPS), np",
           "x, at = np.round(np.linspace(0.0, 1.0, STEPS)), np", "test_overlays.py",
           "graded"),
    Defect("the range of uncertainty is not applied", LIB + "overlays.py",
           "display.SetThreshold(self.lower, self.upper)", "display.SetThreshold(0.0, 1.0)",
           "test_overlays.py", "narrower_range"),
    Defect("the opacity of the uncertainty is that of the heat", LIB + "overlays.py",
           "composite.SetNthLayerOpacity(layer, self.opacity)",
           "composite.SetForegroundOpacity(self.opacity)", "test_overlays.py", "shine_through"),
    Defect("the layer of another module is overwritten", LIB + "overlays.py",
           "return next((n for n in taken if not composite.GetNthLayerVolumeID(n)), taken.stop)",
           "return taken.start", "test_overlays.py", "another_module"),
    Defect("an outline of doubt wipes out the changed voxels", LIB + "marks.py",
           "self._masks[kind] = mask", "self._masks = {kind: mask}", "test_tabs.py",
           "beside_changed"),
    Defect("a view that opens later stays empty", PANELS + "controller.py",
           "self.workspace.show_in_view(composite)", "pass", "test_tabs.py", "opens_later"),
    Defect("the gate's checks stay English", LIB + "rationale.py",
           "escape(t.told(check.name))", "escape(check.name)", "test_tabs.py",
           "korean_in_a_korean"),
    Defect("errors stay English", PANELS + "controller.py", "self.t.told(str(error).strip())",
           "str(error).strip()", "test_tabs.py", "korean_in_a_korean"),
    Defect("a sentence is told with another one's words", LIB + "told.py",
           "found.sort(key=lambda entry: -entry[0])", "found.sort(key=lambda entry: entry[0])",
           "test_server_texts.py", "with_their_values"),
    Defect("a strategy chosen on Teach is not used", PANELS + "strategy_panel.py",
           "            self._choose(name)\n", "            pass\n", "test_tabs.py",
           "either_tab"),
    Defect("every comparison of the gate looks passed", LIB + "training.py",
           'row.get("passed") is True', "True", "test_tabs.py", "compared_promoted"),
    Defect("a refinement cannot be undone", PANELS + "correct_panel.py",
           "            self.keep_for_undo()\n            workspace.show_correction(refined)",
           "            workspace.show_correction(refined)", "test_tabs.py", "points_refine"),
    Defect("a key presses another button", PANELS + "controller.py",
           '"Ctrl+Shift+G": "segmentsCheck"', '"Ctrl+Shift+G": "surfaceCheck"',
           "test_behaviour.py", "keys_press"),
    Defect("unsent corrections are not told in the list", LIB + "autosave.py",
           "return self.path(server, case).exists()", "return False", "test_behaviour.py",
           "left_and_opened"),
    Defect("a file is not packaged", "CMakeLists.txt", "  TumorLensLib/refine.py\n", "",
           "test_packaging.py", "everything"),
)  # fmt: skip


def source_of(defect: Defect, root: Path = ROOT) -> Path:
    """File that a defect changes."""
    return root / "slicer_extension" / "TumorLens" / defect.file


def misfits(defects: Iterable[Defect]) -> list[str]:
    """Names of defects whose text the sources no longer hold, so that nothing would be seeded."""
    return [d.name for d in defects if d.old not in source_of(d).read_text(encoding="utf-8")]


@contextmanager
def a_copy() -> Iterator[Path]:
    """Copy of what the extension's tests need."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__", "Screenshots")
            if source.is_dir():
                shutil.copytree(source, Path(folder) / name, ignore=ignored)
            else:
                shutil.copy(source, Path(folder) / name)
        yield Path(folder)


def run_tests(copy: Path, tests: str, only: str) -> tuple[int, str]:
    """Exit code of some tests in a copy, and the line that tells most about it."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += [str(copy / "slicer_extension" / "tests" / tests), "-k", only]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    told = next((line for line in lines if line.startswith("E  ")), lines[-1] if lines else "")
    return done.returncode, told.strip()


def fails_without(tests: str, defects: Iterable[Defect]) -> str:
    """What is wrong with the tests of a file when no defect is there; empty if they pass."""
    with a_copy() as copy:
        code, told = run_tests(copy, tests, " or ".join(d.only for d in defects))
    return "" if code == 0 else f"{tests}: {told}"


def is_caught(defect: Defect) -> tuple[Defect, bool, str]:
    """Seed a defect into a copy and run the tests that should notice."""
    with a_copy() as copy:
        path = source_of(defect, copy)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(defect.old, defect.new, 1), encoding="utf-8")
        code, told = run_tests(copy, defect.tests, defect.only)
    return defect, code == 1, told


def main(words: list[str]) -> int:
    """Try all defects whose name holds the words.

    Returns:
        0 if each was caught, 1 if one was missed, 2 if the list or the tests themselves are wrong.
    """
    chosen = [d for d in DEFECTS if all(word in d.name for word in words)]
    gone = misfits(chosen)
    if gone:
        sys.stderr.write(f"the sources no longer hold the text of: {'; '.join(gone)}\n")
        return 2
    if not chosen:
        sys.stderr.write("no defect has such a name\n")
        return 2
    by_tests = {d.tests: [o for o in chosen if o.tests == d.tests] for d in chosen}
    with ThreadPoolExecutor(PROCESSES) as pool:
        failing = [told for told in pool.map(fails_without, by_tests, by_tests.values()) if told]
        if failing:
            sys.stderr.write("tests fail without any defect: " + "; ".join(failing) + "\n")
            return 2
        missed = 0
        for defect, caught, told in pool.map(is_caught, chosen):
            missed += not caught
            sys.stdout.write(f"{'caught' if caught else 'MISSED'}  {defect.name}: {told[:120]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} defects were caught\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
