"""A server whose results can be worked out by hand: in this process, or as a real one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import requests
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine
from brain_tumor.labels import LabelScheme
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml

from tests.helpers.volumes import grid, write_nifti

SHAPE = (16, 14, 12)
SPACING_MM = (1.0, 2.0, 2.5)  # 5 microlitres a voxel
AFFINE = grid(SPACING_MM, (-20.0, 12.0, 3.0), flips=(-1, 1, 1), euler_degrees=(5.0, 10.0, 20.0))
TISSUE, NCR, ED, ET = 50.0, 100.0, 200.0, 300.0
MODEL = ModelVersion("segmentation", "0.0.1", "f" * 64)
START_DEADLINE_S = 420.0  # importing MONAI on two busy cores
HOLD_FILE = "hold"
ENTERED_FILE = "entered"
REPOSITORY = Path(__file__).resolve().parents[2]


def a_phantom() -> npt.NDArray[np.float32]:
    """Head with a tumour: NCR 2x2x2 in ET 4x4x4 in ED 6x6x6; 8, 56 and 152 voxels."""
    array = np.full(SHAPE, TISSUE, dtype=np.float32)
    array[3:9, 3:9, 3:9] = ED
    array[4:8, 4:8, 4:8] = ET
    array[5:7, 5:7, 5:7] = NCR
    array[0] = 0.0
    return array


def expected_labels() -> npt.NDArray[np.uint8]:
    """Labelmap of the phantom by hand."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:9, 3:9, 3:9] = 2
    labels[4:8, 4:8, 4:8] = 3
    labels[5:7, 5:7, 5:7] = 1
    return labels


class ThresholdSegmenter:
    """Reads labels off the t1c intensities; exact on the phantom, whatever its grid.

    Args:
        hold: Called before the work, so that a test can stop it there.
    """

    version = MODEL

    def __init__(self, hold: Any = None) -> None:
        self.calls = 0
        self.mirrored: list[bool] = []
        self._hold = hold

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Labels by intensity; the undivided core where t1c is alone."""
        self.calls += 1
        self.mirrored.append(mirrored)
        if self._hold is not None and case.case_id != "warm-up":
            self._hold()
        array = case.volumes[case.reference].array
        labels = np.zeros(case.shape, dtype=np.uint8)
        for intensity, value in ((NCR, 1), (ED, 2), (ET, 3)):
            labels[np.abs(array - intensity) < 25.0] = value
        scheme = LabelScheme.SUBREGIONS
        if case.present == (Sequence.T1C,):
            scheme = LabelScheme.CORE
            labels = np.where(np.isin(labels, (1, 3)), 4, 0).astype(np.uint8)
        return SegmentationResult(
            labelmap=labels,
            scheme=scheme,
            model=MODEL,
            reason="a test asked for it",
            volumes_ml=region_volumes_ml(labels, case.spacing_mm, scheme),
            uncertainty=(labels > 0).astype(np.float32) * 0.5,
            timings_s={"threshold": 0.001},
            warnings=("made by a threshold",),
        )


class Gate:
    """Stops a segmenter inside its work until a test lets it go."""

    def __init__(self) -> None:
        self.entered, self.leave = threading.Semaphore(0), threading.Event()

    def __call__(self) -> None:
        """Report, then wait."""
        self.entered.release()
        assert self.leave.wait(60), "the test never opened the gate"


class FileGate:
    """Same for a segmenter in another process: waits while a file exists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> None:
        """Report by a file, then poll."""
        if (self.folder / HOLD_FILE).exists():
            (self.folder / ENTERED_FILE).touch()
        while (self.folder / HOLD_FILE).exists():
            time.sleep(0.01)


def write_studies(studies: Path) -> Path:
    """Studies folder: FULL with four sequences, LONE and SPARE with a t1c alone."""
    t1c = a_phantom()
    write_nifti(studies / "FULL.nii.gz", t1c, AFFINE)
    for name in ("t1", "t2", "flair"):
        write_nifti(studies / "sequences" / "FULL" / f"{name}.nii.gz", t1c / 2, AFFINE)
    for name in ("LONE", "SPARE"):
        write_nifti(studies / f"{name}.nii.gz", t1c, AFFINE)
    return studies


def write_label(
    path: Path, labels: npt.NDArray[Any] | None = None, affine: Affine = AFFINE
) -> Path:
    """Label file; by default the right one of the phantom."""
    return write_nifti(path, expected_labels() if labels is None else labels, affine)


APP_SOURCE = """
from pathlib import Path

from monailabel.interfaces.app import MONAILabelApp

from brain_tumor.server import app as server_app
from brain_tumor.server import serving
from tests.helpers import server as helpers


class ThresholdApp(server_app.ServerApp, MONAILabelApp):
    def load_segmenter(self):
        return helpers.ThresholdSegmenter(helpers.FileGate(Path(self.app_dir)))

    def on_init_complete(self):
        serving.serve_through_front(self)
        super().on_init_complete()
"""


EXPLAINING = """
    def load_type_reader(self):
        from tests.helpers.type_reader import a_type_reader

        return a_type_reader
"""


def write_app(folder: Path, *, explains: bool = False) -> Path:
    """App folder whose segmenter is a threshold; one that explains tells meaningless types."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(APP_SOURCE + (EXPLAINING if explains else ""))
    return folder


@dataclass
class RunningServer:
    """A server process.

    Attributes:
        url: Where it answers.
        process: The process.
        studies: Its studies folder.
        app_folder: Its app folder; gate files go there.
        log: What it printed.
        token: What to send, if anything.
    """

    url: str
    process: subprocess.Popen[bytes]
    studies: Path
    app_folder: Path
    log: Path
    token: str | None = None

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; the reply comes within a minute or the test fails."""
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return requests.request(
            method, f"{self.url}{path}", headers=headers, timeout=120, **options
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def stop(self) -> None:
        """End it politely."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


def free_port() -> int:
    """Port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launcher_command(studies: Path, app: Path, host: str, port: int) -> list[str]:
    """What `tumorlens serve` does, with another app folder."""
    code = (
        "import sys; from pathlib import Path; from brain_tumor.server.launcher import serve; "
        "serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), app_folder=Path(sys.argv[4]))"
    )
    return [sys.executable, "-c", code, str(studies), host, str(port), str(app)]


def stock_command(studies: Path, app: Path, host: str | None, port: int) -> list[str]:
    """`monailabel start_server`; without a host it listens on all addresses."""
    command = [sys.executable, "-m", "monailabel.main", "start_server"]
    command += ["--app", str(app), "--studies", str(studies), "--port", str(port)]
    return command + (["--host", host] if host else [])


@contextmanager
def running(
    command: list[str],
    port: int,
    *,
    studies: Path,
    app_folder: Path,
    environment: Mapping[str, str] | None = None,
    token: str | None = None,
) -> Iterator[RunningServer]:
    """Start a server process, wait until it answers, and stop it afterwards."""
    log = app_folder / f"server-{port}.log"
    settings = {
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH")))
        ),
        "OMP_NUM_THREADS": "1",
        "TUMORLENS_SCORING_BUDGET": "0",
        **(environment or {}),
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            cwd=app_folder,
        )
    server = RunningServer(
        f"http://127.0.0.1:{port}", process, studies, app_folder, log, token=token
    )
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        server.stop()


def _wait_until_it_answers(server: RunningServer) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            requests.get(f"{server.url}/info/", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"server did not start:\n{server.log.read_text()[-4000:]}")


def parse_reply(reply: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """JSON and files by part name of a multipart reply of httpx or requests."""
    kind = reply.headers["content-type"]
    if kind.startswith("application/json"):
        return reply.json(), {}
    boundary = kind.split("boundary=")[1].encode()
    params: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for chunk in reply.content.split(b"--" + boundary)[1:-1]:
        head, _, body = chunk.partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0].decode()
        if b"filename=" in head:
            files[name] = body[:-2]
        else:
            params = json.loads(body)
    return params, files
