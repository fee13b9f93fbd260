"""How long the panel takes on a case of 240x240x155 voxels, in the harness.

    python -m slicer_extension.tests.measure [--repeats N] [--json FILE]

Every step is repeated; the fastest run tells what it costs, the median how busy the machine was.
`thread` is processor time of the thread that draws the panel, `process` that of all threads: they
stay the same while other programs keep the processor busy, and wall clock does not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SHAPE_KJI = (155, 240, 240)
REPEATS = 5
WATCHED_S = 2.0
SHOWN_GOAL_MS, BLOCKED_GOAL_MS = 1500.0, 100.0


@dataclass(frozen=True)
class Cost:
    """What one run took, in milliseconds.

    Attributes:
        wall: Wall clock.
        thread: Processor time of the thread that draws the panel.
        process: Processor time of all threads.
    """

    wall: float
    thread: float
    process: float


class Stopwatch:
    """Measures a block."""

    def __enter__(self):
        """Start."""
        self._start = self._now()
        return self

    def __exit__(self, *_problem):
        """Stop."""
        spent = (after - before for before, after in zip(self._start, self._now(), strict=True))
        self.cost = Cost(*(1000.0 * seconds for seconds in spent))

    @staticmethod
    def _now():
        return time.perf_counter(), time.thread_time(), time.process_time()


def measured(act):
    """What an action costs, and what it returns."""
    with Stopwatch() as watch:
        result = act()
    return watch.cost, result


def a_case():
    """Head with a tumour of realistic size, oblique: image, labels and heat."""
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
    arrays = (image.astype(np.int16), labels, heat)
    return tuple(VolumeData(array, grid) for array in arrays)


def measure(repeats: int) -> dict[str, list[Cost]]:
    """Costs of every step; the reply is shown anew each time, the first one from scratch."""
    from slicer_extension.tests.harness import boot, views

    app = boot.boot()
    from TumorLensLib import multipart
    from TumorLensLib.client import InferReply
    from TumorLensLib.session import Action, Case
    from TumorLensLib.volumefiles import read_volume

    from slicer_extension.tests.fake_server import FakeServer, serving
    from slicer_extension.tests.panel_user import open_panel

    slices = views.three_slice_views((400, 400))
    user = open_panel(480, 900)
    image, labels, heat = a_case()
    fake = FakeServer(image.ijk_to_ras)
    controller, workspace = user.controller, user.workspace
    costs: dict[str, list[Cost]] = {}

    def note(step, act):
        cost, result = measured(act)
        costs.setdefault(step, []).append(cost)
        return result

    def draw():
        for view in slices:
            view.render()

    def watch():
        """Let the interface run while a request does; the longest step is the slowest block."""
        end = time.monotonic() + WATCHED_S
        steps = []
        while time.monotonic() < end:
            steps.append(measured(app.processEvents)[0])
        keys = ("wall", "thread", "process")
        costs.setdefault("longest step of the interface meanwhile", []).append(
            Cost(*(max(getattr(step, key) for step in steps) for key in keys))
        )

    def decode(body, kind):
        parts = multipart.decode(body, kind)
        params = next(json.loads(p.content) for p in parts if p.filename is None)
        files = {p.name: read_volume(p.content) for p in parts if p.filename is not None}
        return InferReply(params, files)

    def show(reply):
        user.session.begin(Action.ANALYSE)
        workspace.show_proposal(reply)
        controller.case_changed()
        controller.analysed()
        user.ui.explainButton.checked = True
        app.processEvents()
        draw()

    with serving(fake):
        user.connect(fake.url)
        fake.images["CASE-1"], fake.proposal, fake.heat = image, labels, heat
        params, files = fake.reply("analysis", "CASE-1", {})
        encoded = multipart.encode({"params": json.dumps(params)}, files)
        for _ in range(repeats):
            note("image to the views", lambda: workspace.open_case(Case("CASE-1"), image))
            controller.case_changed()
            draw()
            fake.hold.clear()
            note("click on Analyse returns", user.ui.analyseButton.click)
            watch()
            controller.on_cancel()
            fake.hold.set()
            reply = note("reply decoded, in the worker", lambda: decode(*encoded))
            note("decoded reply to everything drawn", lambda: show(reply))  # noqa: B023
            user.paint(3, (slice(60, 70), slice(100, 120), slice(100, 120)))
            label = note("labelmap of the segments (before a save)", workspace.current_label)
            note("comparison with the proposal", lambda: workspace.comparison(label))  # noqa: B023
            user.session.is_edited = False
    user.widget.cleanup()
    pairs = zip(
        costs["reply decoded, in the worker"],
        costs["decoded reply to everything drawn"],
        strict=True,
    )
    costs["REPLY RECEIVED TO EVERYTHING DRAWN"] = [
        Cost(a.wall + b.wall, a.thread + b.thread, a.process + b.process) for a, b in pairs
    ]
    return costs


def report(costs: dict[str, list[Cost]]) -> str:
    """Table: the fastest run, the median and the first one."""
    lines = [f"{'milliseconds':42s} {'wall: best':>10s} {'median':>7s} {'first':>7s}"
             f" {'thread':>7s} {'process':>8s}"]  # fmt: skip
    for step, runs in costs.items():
        wall = [run.wall for run in runs]
        lines.append(
            f"{step:42s} {min(wall):10.0f} {median(wall):7.0f} {wall[0]:7.0f}"
            f" {min(run.thread for run in runs):7.0f} {min(run.process for run in runs):8.0f}"
        )
    shown, blocked = costs["REPLY RECEIVED TO EVERYTHING DRAWN"], costs[
        "longest step of the interface meanwhile"
    ]  # fmt: skip
    for name, goal, runs in (
        ("shown", SHOWN_GOAL_MS, shown),
        ("longest block", BLOCKED_GOAL_MS, blocked),
    ):
        wall, process = min(run.wall for run in runs), min(run.process for run in runs)
        verdict = "reached" if wall < goal else "NOT reached"
        if wall >= goal > process:
            verdict = "reached by processor time alone: measure again on an idle machine"
        lines.append(f"{name}: {wall:.0f} ms wall, {process:.0f} ms processor; goal {goal:.0f} ms,"
                     f" {verdict}")  # fmt: skip
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="measure")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--json", type=Path, help="also write every run to this file")
    options = parser.parse_args(words)
    costs = measure(options.repeats)
    sys.stdout.write(report(costs))
    if options.json is not None:
        found = {step: [vars(run) for run in runs] for step, runs in costs.items()}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
