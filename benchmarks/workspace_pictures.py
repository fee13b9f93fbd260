"""Pictures of the workspace for the documentation, of phantoms alone.

    python -m benchmarks.workspace_pictures [--folder docs]

Two dates of one made-up head, the second turned, moved and with a larger tumour, are read by the
shipped models on a real server.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import requests
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.studies import import_cases
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.phantoms.plans import TumorPlan
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.workspace import CHROMIUM, FLAGS, PATIENCE_MS, serving

PATIENT = "P-0042"
FIRST = TumorPlan(TumorType.GLIOMA, (28.0, -18.0, 32.0), radius_mm=14.0, rim_mm=4.0, oedema_mm=9.0)
DATES = {
    "visit-1": ("2026-01-12", PhantomSpec(seed=7, spacing_mm=(1.1, 1.1, 2.0), plan=FIRST)),
    "visit-2": (
        "2026-04-08",
        PhantomSpec(
            seed=7, spacing_mm=(1.0, 1.0, 2.0), oblique_deg=7.0, plan=replace(FIRST, radius_mm=18.0)
        ),
    ),
}
MOST_COLOURS = 128


def write_dates(folder: Path) -> None:
    """Both dates as studies of a server."""
    for name, (_, spec) in DATES.items():
        source = folder / "source" / name
        source.mkdir(parents=True)
        for sequence, volume in make_phantom(spec, case_id=name).case.volumes.items():
            write_volume(source / f"{name}_{sequence.value}.nii.gz", volume)
        import_cases(source, folder / "studies")


def keep(page: Page, path: Path) -> None:
    """Picture of a page with few colours, which keeps it small."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(MOST_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def take(page: Page, url: str, folder: Path) -> None:
    """All pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    page.goto(f"{url}/#/patient/{PATIENT}")
    page.wait_for_selector(f"body[data-measured='{PATIENT}']")
    page.click("[data-act=compare]")
    page.wait_for_selector("main[data-compared]")
    page.locator("[data-lesion='visit-2']").first.click()
    page.locator(".plot").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.plot').scrollIntoView()")
    keep(page, folder / "follow_up.png")
    page.goto(f"{url}/#/case/visit-2")
    page.wait_for_selector("main[data-open='visit-2']")
    page.keyboard.press("a")
    page.wait_for_selector("main[data-analysed]")
    page.keyboard.press("2")
    page.keyboard.press("e")
    page.wait_for_selector("[data-part=summary]")
    page.keyboard.press(".")
    page.locator("[data-part=heat]").scroll_into_view_if_needed()
    keep(page, folder / "workspace.png")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="workspace-pictures-"))
    try:
        write_dates(work)
        with serving(work / "studies") as url, sync_playwright() as driver:
            for name, (day, _) in DATES.items():
                info = json.dumps({"patient": PATIENT, "study_date": day})
                address = f"{url}/datastore/image/info?image={name}"
                requests.put(address, data={"info": info}, timeout=60).raise_for_status()
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(PATIENCE_MS)
            take(page, url, arguments.folder)
            browser.close()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
