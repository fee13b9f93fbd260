"""The workspace in a real Chromium (software WebGL) against a real server, and its common steps."""

from __future__ import annotations

import gzip
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import requests
from brain_tumor.cases.volume import Affine

from tests.helpers.server import (
    AFFINE,
    ED,
    RunningServer,
    a_phantom,
    free_port,
    launcher_command,
    running,
    write_app,
    write_studies,
)
from tests.helpers.volumes import grid, write_nifti

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 180_000
VIEWPORT = {"width": 960, "height": 640}
TOKEN = "0123456789abcdefTOKEN"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
GRIDS = {
    "OBLIQUE": AFFINE,  # flipped, tilted, 1 x 2 x 2.5 mm
    "LPS": grid((1.0, 1.0, 5.0), (9.0, 8.0, -7.0), flips=(-1, -1, 1)),
    "RAS": grid((1.5, 1.0, 1.0), (-9.0, -8.0, -7.0)),
}
DATES = {"DATE1": "2026-01-05", "DATE2": "2026-03-31"}


class WorkspaceServer:
    """A server that can be killed and started again at the same address, with a token.

    Args:
        folder: Where its studies and its app go.
    """

    def __init__(self, folder: Path) -> None:
        self.studies = write_studies(folder / "studies")
        for name, affine in GRIDS.items():
            write_nifti(self.studies / f"{name}.nii.gz", a_phantom(), affine)
        write_nifti(self.studies / "TABS.nii.gz", a_phantom(), AFFINE)
        for name in DATES:
            t1c = a_phantom()
            if name == "DATE2":  # 5 mm more of oedema
                t1c[9:14, 3:9, 3:9] = ED
            write_nifti(self.studies / f"{name}.nii.gz", t1c, AFFINE)
            for other in ("t1", "t2", "flair"):
                siblings = self.studies / "sequences" / name
                write_nifti(siblings / f"{other}.nii.gz", t1c / 2, AFFINE)
        self.app = write_app(folder / "app", explains=True)
        self.port = free_port()
        self.running: RunningServer | None = None
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, again if need be."""
        command = launcher_command(self.studies, self.app, "127.0.0.1", self.port)
        self.running = self._stack.enter_context(
            running(
                command,
                self.port,
                studies=self.studies,
                app_folder=self.app,
                environment={"TUMORLENS_TOKEN": TOKEN},
                token=TOKEN,
            )
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.running is not None
        self.running.kill()

    def wait_for(self, path: Path) -> None:
        """Wait until a file is there: how the segmenter says that it has begun."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not path.exists():
            assert time.monotonic() < deadline, f"{path.name} never came"
            time.sleep(0.01)

    def close(self) -> None:
        """Stop it politely."""
        self._stack.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request with the token."""
        assert self.running is not None
        return self.running.request(method, path, **options)


def name_oneself(page: Any, name: str = "Kim") -> None:
    """Fill in the annotator's name."""
    page.fill("#bar input", name)
    page.press("#bar input", "Tab")


def open_case(page: Any, case: str) -> None:
    """Go to a case."""
    page.evaluate("hash => { location.hash = hash; }", f"#/case/{case}")
    page.wait_for_selector(f"main[data-open='{case}']")


def analyse(page: Any) -> None:
    """Analyse the open case."""
    page.get_by_role("button", name="Analyse", exact=True).click()
    settled(page, "main[data-analysed]")


def settled(page: Any, selector: str) -> None:
    """Wait for what has to come; a refusal that came instead fails the test."""
    page.wait_for_selector(f"{selector}, #status.problem")
    assert page.locator("#status.problem").count() == 0, page.inner_text("#status")


def submit(page: Any) -> int:
    """Submit the open correction; the version that it became."""
    page.click("[data-tab=Correct]")
    before = page.get_attribute("main", "data-submitted") or ""
    page.click("[data-act=submit]")
    page.click("dialog[open] button.primary")
    settled(page, f"main[data-submitted]:not([data-submitted='{before}'])")
    return int(page.get_attribute("main", "data-submitted"))


def stored_label(server: WorkspaceServer, case: str) -> tuple[npt.NDArray[Any], Affine]:
    """Voxels and affine of the label that the server holds."""
    content = server.request("GET", f"/datastore/label?label={case}&tag=final").content
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    image = nib.Nifti1Image.from_bytes(plain)
    return np.asarray(image.dataobj), image.affine


def crosshair_mm(page: Any) -> list[float]:
    """Where the crosshair is, RAS mm."""
    return [float(x) for x in page.inner_text(".place").replace("mm", "").split()]


def crosshair_voxel(page: Any, affine: Affine) -> tuple[int, ...]:
    """Voxel under the crosshair."""
    found = np.linalg.inv(affine) @ [*crosshair_mm(page), 1.0]
    return tuple(int(i) for i in np.rint(found)[:3])


def drop(page: Any, *paths: Path) -> None:
    """Drag files or folders from outside onto the page, as the desktop does it."""
    box = page.locator("#drop").bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    page.wait_for_selector(".files > *")
