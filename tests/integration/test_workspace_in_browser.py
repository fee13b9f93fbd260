"""The workspace in a real browser (software WebGL) against a real server."""

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.server.routes import page as page_routes
from playwright.sync_api import sync_playwright

from tests.helpers.server import (
    AFFINE,
    SHAPE,
    a_phantom,
    expected_labels,
    free_port,
    launcher_command,
    running,
    write_app,
    write_studies,
)
from tests.helpers.volumes import grid, write_nifti

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PATIENCE_MS = 180_000
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
TOKEN = "0123456789abcdefTOKEN"
GRIDS = {
    "OBLIQUE": AFFINE,  # flipped, tilted, 1 x 2 x 2.5 mm
    "LPS": grid((1.0, 1.0, 5.0), (9.0, 8.0, -7.0), flips=(-1, -1, 1)),
    "RAS": grid((1.5, 1.0, 1.0), (-9.0, -8.0, -7.0)),
}
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not page_routes.is_built(), reason="the page is not built (make web)"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Studies and app folder of the server."""
    folder = tmp_path_factory.mktemp("workspace")
    studies = write_studies(folder / "studies")
    for name, affine in GRIDS.items():
        write_nifti(studies / f"{name}.nii.gz", a_phantom(), affine)
    return studies, write_app(folder / "app", explains=True)


@pytest.fixture(scope="module")
def server(place):
    port = free_port()
    command = launcher_command(*place, "127.0.0.1", port)
    with running(command, port, studies=place[0], app_folder=place[1]) as started:
        yield started


@pytest.fixture
def open_page(browser):
    """Function that opens an address of a server and collects complaints and foreign requests."""
    contexts = []

    def opened(server, address="", **options):
        context = browser.new_context(viewport={"width": 1100, "height": 760}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.complaints, page.foreign = [], []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda r: note_foreign(page, server, r.url))
        page.goto(f"{server.url}/{address}")
        return page

    yield opened
    for context in contexts:
        context.close()


def note_foreign(page, server, url):
    if not url.startswith((f"{server.url}/", "data:", f"blob:{server.url}/")):
        page.foreign.append(url)


def name_oneself(page, name="Kim"):
    page.fill("#bar input", name)
    page.press("#bar input", "Tab")


def open_case(page, case):
    page.evaluate("hash => { location.hash = hash; }", f"#/case/{case}")
    page.wait_for_selector(f"main[data-open='{case}']")


def analyse(page):
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.wait_for_selector("main[data-analysed]")


def submit(page):
    page.click("[data-tab=Correct]")
    page.click("[data-act=submit]")
    page.click("dialog[open] button.primary")
    page.wait_for_selector("main[data-submitted], #status.problem")
    assert page.locator("#status.problem").count() == 0, page.inner_text("#status")
    return int(page.get_attribute("main", "data-submitted"))


def stored_label(server, case):
    reply = server.request("GET", f"/datastore/label?label={case}&tag=final")
    image = nib.Nifti1Image.from_bytes(
        gzip.decompress(reply.content) if reply.content[:2] == b"\x1f\x8b" else reply.content
    )
    return np.asarray(image.dataobj), image.affine


def voxel_at_crosshair(page, affine):
    ras = [float(x) for x in page.inner_text(".place").replace("mm", "").split()]
    return tuple(np.rint(np.linalg.inv(affine) @ [*ras, 1.0])[:3].astype(int))


def test_from_the_table_to_an_outline_in_two_clicks(open_page, server):
    page = open_page(server)
    page.click("text=FULL")
    page.wait_for_selector("main[data-open=FULL]")
    analyse(page)
    volume = page.inner_text("[data-volume=WT]")
    assert float(volume) == pytest.approx(216 * 5e-3, abs=0.05)  # 6x6x6 voxels of 5 microlitres
    assert (page.complaints, page.foreign) == ([], [])


@pytest.mark.parametrize("case", GRIDS)
def test_a_painted_voxel_comes_back_exactly(open_page, server, case):
    affine = GRIDS[case]
    page = open_page(server)
    name_oneself(page)
    open_case(page, case)
    analyse(page)
    page.keyboard.press("3")
    size = page.get_by_role("slider", name="Size")
    size.focus()
    size.press("Home")  # one voxel
    page.locator("#views").focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    painted = voxel_at_crosshair(page, affine)
    page.keyboard.press("p")
    assert submit(page) == 1
    expected = np.isin(expected_labels(), (1, 3)).astype(np.uint8) * 4  # t1c alone: core
    expected[painted] = 4
    found, found_affine = stored_label(server, case)
    assert found.shape == SHAPE
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found_affine, affine, atol=1e-4)
    page.reload()
    page.wait_for_selector(f"main[data-open={case}]")
    assert submit(page) == 2  # what was reopened goes back as it came
    again, _ = stored_label(server, case)
    np.testing.assert_array_equal(again, expected)


def test_a_click_on_a_sentence_jumps_and_draws(open_page, server):
    page = open_page(server)
    open_case(page, "FULL")
    analyse(page)
    page.click("[data-tab=Question]")
    assert page.locator(".sentences").count() == 0  # judge the images first
    page.click("[data-act=explain]")
    page.keyboard.press("PageUp")
    page.locator("[data-evidence=e1]").first.click()
    middle = [float(x) for x in page.inner_text(".place").replace("mm", "").split()]
    item = page.locator(".sentences li").first.inner_text()
    assert "mm" in item
    centre = AFFINE @ [5.5, 5.5, 5.5, 1.0]  # of the box of voxels 3 to 8
    np.testing.assert_allclose(middle, centre[:3], atol=3.0)
    assert page.locator(".marks circle").count() == 3


def test_unsent_work_survives_a_reload_and_a_server_that_goes_away(open_page, place, tmp_path):
    studies, app = place[0], write_app(tmp_path / "app", explains=True)
    own = tmp_path / "studies"
    shutil.copytree(studies, own, ignore=shutil.ignore_patterns(".tumorlens", "datastore*"))
    port = free_port()
    command = launcher_command(own, app, "127.0.0.1", port)
    with running(command, port, studies=own, app_folder=app) as server:
        page = open_page(server)
        name_oneself(page)
        open_case(page, "SPARE")
        page.keyboard.press("3")
        page.locator("#views").focus()
        page.keyboard.press("p")
        page.wait_for_selector("main[data-draft=kept]")
        server.kill()
        page.keyboard.press("s")
        page.click("dialog[open] button.primary")
        page.wait_for_selector("#status.problem")
        assert "does not answer" in page.inner_text("#status")
        assert "kept" in page.inner_text("#status")
    with running(command, port, studies=own, app_folder=app) as server:
        page.reload()
        page.click("dialog[open] >> text=Bring back")
        page.wait_for_selector("main[data-open=SPARE]")
        assert submit(page) == 1
        found, _ = stored_label(server, "SPARE")
        assert 0 < np.count_nonzero(found) <= 7  # a ball of radius 1


def test_two_tabs_are_told_of_each_other(open_page, server):
    page = open_page(server)
    name_oneself(page, "Kim")
    open_case(page, "LONE")
    other = page.context.new_page()
    other.goto(f"{server.url}/#/case/LONE")
    other.wait_for_selector("main[data-open=LONE]")
    for tab in (page, other):
        tab.locator("#views").focus()
        tab.keyboard.press("p")
    assert submit(page) == 1
    other.keyboard.press("s")
    assert "Kim submitted version 1 meanwhile" in other.inner_text("dialog[open]")
    other.click("dialog[open] button.primary")
    other.wait_for_selector("main[data-submitted='2']")


def test_a_dropped_study_is_kept_and_opened(open_page, server, tmp_path):
    page = open_page(server, "#/upload")
    paths = []
    for name in ("Visit_T1ce.nii.gz", "Visit_FLAIR.nii.gz"):
        paths.append(write_nifti(tmp_path / name, a_phantom() + 2, AFFINE))
    page.set_input_files("#pick-files", paths)
    assert page.locator("select[aria-label='Visit_T1ce.nii.gz']").input_value() == "t1c"
    page.get_by_label("Name of the case").fill("DROPPED")
    page.get_by_label("Patient (a key, no name)").fill(HOSTILE)
    page.get_by_role("button", name="Send to the server").click()
    page.wait_for_selector("main[data-open=DROPPED]")
    assert "missing: t1, t2" in page.inner_text(".warnings")
    page.evaluate("location.hash = '#/'")
    page.wait_for_selector("tr:has-text('DROPPED')")
    assert HOSTILE in page.inner_text("tr:has-text('DROPPED')")  # text, not markup
    assert page.title() == "TumorLens"
    assert (page.complaints, page.foreign) == ([], [])


def test_a_refusal_is_shown_with_its_remedy(open_page, server, tmp_path):
    page = open_page(server, "#/upload")
    broken = tmp_path / "t1c.nii.gz"
    broken.write_bytes(b"no volume")
    page.set_input_files("#pick-files", [broken])
    page.get_by_role("button", name="Send to the server").click()
    page.wait_for_selector("#status.problem")
    assert "t1c" in page.inner_text("#status")


def test_a_token_is_asked_for_and_kept_in_the_tab(open_page, place, tmp_path):
    studies, app = write_studies(tmp_path / "studies"), write_app(tmp_path / "app")
    port = free_port()
    command = launcher_command(studies, app, "127.0.0.1", port)
    secret = {"TUMORLENS_TOKEN": TOKEN}
    with running(
        command, port, studies=studies, app_folder=app, environment=secret, token=TOKEN
    ) as server:
        page = open_page(server)
        page.locator("dialog[open] input").fill(TOKEN)
        page.click("dialog[open] button.primary")
        page.wait_for_selector("text=FULL")
        page.reload()
        page.wait_for_selector("text=FULL")
        assert page.evaluate("JSON.stringify(localStorage)").find(TOKEN) == -1


def test_the_page_speaks_korean(open_page, server):
    page = open_page(server, locale="ko-KR")
    page.wait_for_selector("text=서버의 증례")
    assert page.get_attribute("html", "lang") == "ko"


@pytest.mark.parametrize("address", ["", "#/upload", "#/teach", "#/case/FULL"])
def test_accessibility_has_no_serious_findings(open_page, server, address):
    axe = Path(page_routes.WEB) / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed (make web)")
    page = open_page(server, address)
    page.wait_for_selector("body[data-ready]")
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(r => r.violations)")
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert serious == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious]
