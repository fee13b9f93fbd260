"""report.html in a real browser: what is seen, what the switches do, and what it asks for."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.explanation.page.figures import colour
from brain_tumor.explanation.page.page import write_page
from brain_tumor.labels import Label
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.helpers.page_reports import a_page_case, a_report

CHROMIUM = next(
    (
        found
        for found in map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        if found
    ),
    None,
)
PATIENCE_MS = 180_000
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report = a_report()
    report["warnings"].append("<img src=http://example.invalid/x onerror=\"document.title='x'\">")
    write_page(path, report, *a_page_case())
    return path


@pytest.fixture
def open_page(browser, page_file):
    """Function that opens the page; complaints and requests are collected on the way."""
    contexts = []

    def opened(**options):
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(page_file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def seen(page, selector):
    return np.asarray(
        Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    ).astype(int)


def near(picture, hexadecimal, tolerance=40):
    wanted = [int(hexadecimal[place : place + 2], 16) for place in (1, 3, 5)]
    return np.argwhere(np.abs(picture - wanted).max(axis=2) <= tolerance)


def test_the_page_keeps_its_own_policy_and_asks_for_nothing(open_page, page_file):
    page = open_page()
    assert page.complaints == []
    assert [u for u in page.asked if not u.startswith("data:")] == [page_file.as_uri()]
    assert page.title() == "P001: Glioma, probability 91 %"


@pytest.mark.parametrize("scripts", [True, False])
def test_outline_and_heat_can_be_switched_off(open_page, scripts):
    page = open_page(java_script_enabled=scripts)
    both = seen(page, "svg:has(.axial-0)")
    page.locator("label.for-heat").click()
    outline = near(seen(page, "svg:has(.axial-0)"), colour(Label.ED))
    width = both.shape[1]
    assert len(outline) > 50
    assert (outline[:, 1] > width / 2).all()  # the tumour is on the patient's left
    page.locator("label.for-outline").click()
    bare = seen(page, "svg:has(.axial-0)")
    assert len(near(bare, colour(Label.ED))) == 0
    spread = np.ptp(bare, axis=2).max()
    assert spread < 12 < np.ptp(both, axis=2).max()  # the scan itself is grey


def test_arrow_keys_go_through_the_slices_without_a_script(open_page):
    page = open_page(java_script_enabled=False)
    shown = page.locator("svg:has(.axial-0) .slice:visible text")
    before = shown.inner_html()
    page.locator("input[name=axial]:checked").press("ArrowRight")
    after = shown.inner_html()
    assert shown.count() == 1
    assert before.endswith("mm")
    assert before != after


def test_dragging_along_the_track_goes_to_its_ends(open_page):
    page = open_page()
    box = page.locator("input[name=sagittal] ~ .track").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 50, middle)
    page.mouse.up()
    stops = page.locator("input[name=sagittal]")
    assert stops.nth(stops.count() - 1).is_checked()


def test_the_planes_share_one_scale(open_page):
    page = open_page()
    scales = page.eval_on_selector_all(
        ".plane > svg",
        "all => all.map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)",
    )
    assert len(scales) == 3
    assert max(scales) / min(scales) < 1.01


def test_pointing_at_a_sentence_lights_up_its_evidence(open_page):
    page = open_page()
    ground = "row => getComputedStyle(row).backgroundColor"
    row = page.locator("#evidence-1")
    before = row.evaluate(ground)
    page.locator("#sentence-1").hover()
    assert row.evaluate(ground) != before
    page.locator("#sentence-2").hover()
    assert row.evaluate(ground) == before


def test_a_link_opens_the_folded_rows_that_it_leads_to(open_page):
    page = open_page()
    assert not page.locator("#evidence-4").is_visible()
    page.evaluate("location.hash = 'evidence-4'")
    page.locator("#evidence-4").wait_for(state="visible", timeout=5000)


def test_a_narrow_screen_needs_no_sideways_scrolling(open_page):
    page = open_page()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dark_screens_get_a_dark_page_and_paper_a_white_one(open_page):
    page = open_page(color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 23, 27)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator(".track").first.is_hidden()
    assert page.locator(".switches").is_hidden()


def test_print_unfolds_everything_and_fits_a4(open_page, tmp_path: Path):
    page = open_page(java_script_enabled=False)
    page.emulate_media(media="print")
    assert page.locator("#evidence-4").is_visible()
    content = page.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in content
