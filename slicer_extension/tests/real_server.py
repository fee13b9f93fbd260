"""The project's own server in a process of its own, with models whose answers are known by hand.

The segmenter reads labels off the intensities of the phantom; the classifier has random weights, so
that type, heat and words have the right form and mean nothing. What is retrained is a tiny network,
held by one replayed phantom; one candidate that the gate let pass is there from the start.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from TumorLensLib.volumefiles import VolumeData, write_nrrd

from slicer_extension.tests import phantoms

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE_S = 900.0
CASES = {
    "A-oblique": phantoms.OBLIQUE,
    "B-flipped": phantoms.affine((1.0, 2.0, 2.5), (0.0, 30.0, 5.0), flips=(-1, -1, 1)),
    "C-left": phantoms.affine((1.2, 2.2, 2.4), (4.0, -5.0, 6.0), (-15, 5, 40), (-1, 1, 1)),
    "D-next": phantoms.OBLIQUE,
    "E-last": phantoms.OBLIQUE,
}
REPLAYED = ("R-a", "R-known")
"""Base data: by the hash of its name the first one is kept for the gate, the second replayed."""
REPLAYED_GRID = phantoms.affine((1.0, 2.0, 2.5), (3.0, 9.0, 1.0))
"""Another one than that of any case: base data that hold a corrected volume are left out."""
APP = """
from dataclasses import replace
from pathlib import Path

from monailabel.interfaces.app import MONAILabelApp

from brain_tumor.bundles import ModelVersion, models_folder
from brain_tumor.server import app as server_app
from brain_tumor.server import serving
from tests.helpers import learning
from tests.helpers.server import ThresholdSegmenter
from tests.helpers.type_reader import a_type_reader

NAME, CURRENT, CANDIDATE = "segmentation", "0.1.0", "0.1.1"
learning.write_models(models_folder())


class Segmenter(ThresholdSegmenter):
    # Answers known by hand, in the name of the version that the registry has active.

    def __init__(self, registry):
        super().__init__()
        self._registry = registry

    @property
    def version(self):
        record = self._registry.active_record(NAME)
        return ModelVersion(NAME, record.version, record.sha256)

    def segment(self, case, *, mirrored=False):
        version = self.version
        return replace(super().segment(case, mirrored=mirrored), model=version)


class WholeApp(server_app.ServerApp, MONAILabelApp):
    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf)
        report = learning.gate(learning.BETTER, learning.KEPT)
        source = learning.write_bundle(Path(app_dir) / "candidate", version=CANDIDATE, seed=7)
        data, metrics = {"corrections": len(learning.BETTER)}, report.summary()
        self.registry.add(source, data=data, metrics=metrics, parent=CURRENT)
        self.registry.record_decision(NAME, CANDIDATE, report.to_json())

    def load_segmenter(self):
        return Segmenter(self.registry)

    def load_type_reader(self):
        return a_type_reader

    def on_init_complete(self):
        serving.serve_through_front(self)
        super().on_init_complete()
"""
SERVE = (
    "import sys; from pathlib import Path; from brain_tumor.server.launcher import serve; "
    "serve(Path(sys.argv[1]), '127.0.0.1', int(sys.argv[2]), app_folder=Path(sys.argv[3]))"
)


def write_volume(data: VolumeData, *paths: Path) -> None:
    """Write one volume into several NIfTI files."""
    import SimpleITK

    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = paths[0].parent / "volume.nrrd"
    temporary.write_bytes(write_nrrd(data))
    image = SimpleITK.ReadImage(str(temporary))
    temporary.unlink()
    for path in paths:
        SimpleITK.WriteImage(image, str(path))


def write_case(studies: Path, name: str, grid) -> None:
    """Case with four sequences, the reference being the contrast-enhanced one."""
    siblings = [studies / "sequences" / name / f"{s}.nii.gz" for s in ("t1", "t2", "flair")]
    write_volume(phantoms.image(grid), studies / f"{name}.nii.gz", *siblings)


@contextmanager
def serving(folder: Path):
    """Run the server on its cases; yields its address."""
    studies, app, replayed = folder / "studies", folder / "app", folder / "replayed"
    for name, grid in CASES.items():
        write_case(studies, name, grid)
    for name in REPLAYED:
        write_case(replayed, name, REPLAYED_GRID)
        write_volume(
            phantoms.labelmap(REPLAYED_GRID), replayed / "labels" / "final" / f"{name}.nii.gz"
        )
    app.mkdir()
    (app / "main.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "TUMORLENS_MODELS": str(folder / "models"),
        "TUMORLENS_REPLAY": str(replayed),
    }
    environment.pop("TUMORLENS_TOKEN", None)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(studies), str(port), str(app)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=app,
            env=environment,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/info/", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")
