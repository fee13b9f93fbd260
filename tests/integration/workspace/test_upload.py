"""Bringing a study in: dropped as files, folder, archive or DICOM; kept, forgotten, cancelled."""

import zipfile

import numpy as np
import pytest

from tests.helpers.dicom import write_dicom_series
from tests.helpers.server import AFFINE, SHAPE, a_phantom
from tests.helpers.volumes import write_nifti
from tests.helpers.workspace_page import HOSTILE, drop, settled

pytestmark = pytest.mark.integration


@pytest.fixture
def two_volumes(tmp_path):
    folder = tmp_path / "Visit 7"
    names = ("Visit_T1ce.nii.gz", "scan_B.nii.gz")
    return [write_nifti(folder / name, a_phantom() + 2, AFFINE) for name in names]


def send(page, name=""):
    if name:
        page.get_by_label("Name of the case").fill(name)
    page.get_by_role("button", name="Send to the server").click()


def test_dropped_files_are_told_corrected_cancelled_and_kept(open_page, two_volumes):
    page = open_page("#/upload")
    drop(page, *two_volumes)
    assert page.locator("select[aria-label='Visit_T1ce.nii.gz']").input_value() == "t1c"
    assert page.locator("select[aria-label='scan_B.nii.gz']").input_value() == ""
    page.select_option("select[aria-label='scan_B.nii.gz']", "flair")
    page.get_by_label("Patient (a key, no name)").fill(HOSTILE)
    page.get_by_label("Day of the scan").fill("2026-02-10")
    page.route("**/session/*", lambda route: None)  # the network holds it
    send(page, "DROPPED")
    page.wait_for_selector("#status.busy")
    page.click("#status button")
    page.wait_for_selector("#status:has-text('Cancelled')")
    page.unroute("**/session/*")
    send(page)
    settled(page, "main[data-open=DROPPED]")
    assert "missing: t1, t2" in page.inner_text(".warnings")
    page.evaluate("location.hash = '#/'")
    row = page.locator("tr:has-text('DROPPED')")
    row.wait_for()
    assert HOSTILE in row.inner_text()  # text, not markup
    assert "2026-02-10" in row.inner_text()
    row.get_by_title("Dates of this patient").click()
    page.wait_for_selector("tr[data-date=DROPPED]")
    assert page.inner_text("h1") == f"Patient {HOSTILE}"
    page.wait_for_selector("body[data-measured]")
    assert page.title() == "TumorLens"
    assert (page.complaints, page.foreign) == ([], [])


def test_a_dropped_folder_leaves_out_what_is_no_image(open_page, two_volumes):
    (two_volumes[0].parent / "notes.txt").write_text("seen")
    page = open_page("#/upload")
    drop(page, two_volumes[0].parent)
    assert page.locator(".files select").count() == 2
    assert "notes.txt" in page.inner_text(".files")
    send(page, "FOLDER")
    settled(page, "main[data-open=FOLDER]")
    assert page.locator("[data-sequence]").all_inner_texts() == ["T1C"]


def test_a_dropped_archive_is_kept_for_a_while_and_forgotten_at_once(
    open_page, server, two_volumes, tmp_path
):
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(two_volumes[0], "t1c.nii.gz")
        archive.write(two_volumes[1], "t2.nii.gz")
    page = open_page("#/upload")
    drop(page, path)
    page.get_by_label("Keep", exact=True).select_option("session")
    send(page)
    settled(page, "main[data-open]")
    session = page.get_attribute("main", "data-open")
    assert page.locator("[data-sequence]").all_inner_texts() == ["T1C", "T2"]
    assert server.request("GET", f"/session/{session}").status_code == 200
    page.click("[data-act=forget]")
    page.wait_for_selector("table.cases")
    assert server.request("GET", f"/session/{session}").status_code == 404


def test_a_dropped_dicom_study_is_recognised_by_its_headers(open_page, server, tmp_path):
    study = tmp_path / "DICOM"
    array = np.zeros(SHAPE, np.uint16)
    array[:] = a_phantom()
    write_dicom_series(study / "1", array, AFFINE, description="AX T1 POST", number=1)
    write_dicom_series(study / "2", array, AFFINE, description="AX FLAIR", number=2)
    page = open_page("#/upload")
    drop(page, study)
    assert "24 files" in page.inner_text(".files")
    send(page, "FROM-DICOM")
    settled(page, "main[data-open=FROM-DICOM]")
    assert page.locator("[data-sequence]").all_inner_texts() == ["T1C", "FLAIR"]


def test_a_refusal_is_shown_with_its_remedy_and_nothing_is_sent_twice(
    open_page, two_volumes, tmp_path
):
    page = open_page("#/upload")
    drop(page, two_volumes[0])
    sent = []
    page.on("request", lambda r: sent.append(r.url) if "/session/" in r.url else None)
    send(page, "FULL")
    page.wait_for_selector("#status.problem")
    assert "taken" in page.inner_text("#status")
    send(page, "ANOTHER")
    settled(page, "main[data-open=ANOTHER]")
    assert len(sent) == 1
    broken = tmp_path / "t1c.nii.gz"
    broken.write_bytes(b"no volume")
    page.evaluate("location.hash = '#/upload'")
    page.wait_for_selector("#drop")
    drop(page, broken)
    send(page)
    page.wait_for_selector("#status.problem")
    assert "t1c" in page.inner_text("#status")
