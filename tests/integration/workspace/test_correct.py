"""Correcting: what is painted comes back voxel by voxel, and nothing is lost on the way."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.helpers.server import AFFINE, SHAPE, expected_labels
from tests.helpers.workspace_page import (
    GRIDS,
    PATIENCE_MS,
    analyse,
    crosshair_voxel,
    name_oneself,
    open_case,
    settled,
    stored_label,
    submit,
)

pytestmark = pytest.mark.integration
KEPT = "main[data-draft=kept]"


@pytest.mark.parametrize("case", ["LPS", "RAS"])
def test_a_painted_voxel_comes_back_exactly(open_page, server, case):
    affine = GRIDS[case]
    page = open_page()
    name_oneself(page)
    open_case(page, case)
    page.click("[data-tab=Correct]")
    size = page.get_by_role("slider", name="Size")
    size.focus()
    size.press("Home")  # one voxel
    page.locator("#views").focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    painted = crosshair_voxel(page, affine)
    page.keyboard.press("p")
    version = submit(page)
    expected = np.zeros(SHAPE, np.uint8)
    expected[painted] = 3
    found, found_affine = stored_label(server, case)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found_affine, affine, atol=1e-4)
    page.reload()
    page.wait_for_selector(f"main[data-open={case}]")
    assert submit(page) == version + 1  # what was reopened goes back as it came
    np.testing.assert_array_equal(stored_label(server, case)[0], expected)
    if case == "RAS":  # an older version is compared and brought back
        page.keyboard.press("p")
        assert submit(page) == version + 2
        assert np.count_nonzero(stored_label(server, case)[0]) > 1
        page.click("[data-act=history]")
        page.click(f"[data-version='{version}'] >> text=Outline differences")
        settled(page, f"main[data-outlined='{version}']")
        page.click("[data-act=history]")
        page.click(f"[data-version='{version}'] >> text=Bring back")
        page.click("dialog[open] button.primary")
        settled(page, f"main[data-submitted='{version + 3}']")
        np.testing.assert_array_equal(stored_label(server, case)[0], expected)


def test_ten_tasks_by_keyboard_alone(open_page, server):
    affine = GRIDS["OBLIQUE"]
    page = open_page()
    page.click = None  # nothing below uses the mouse
    keys = page.keyboard

    def tab_to(selector):
        for _ in range(80):
            keys.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    page.wait_for_selector("tr:has-text('OBLIQUE')")
    tab_to("#bar input")  # 1: say who you are
    keys.type("Lee")
    tab_to("input[type=search]")  # 2: find the case and open it
    keys.type("oblique")
    expect(page.locator(".cases tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
    tab_to("a[href='#/case/OBLIQUE']")
    keys.press("Enter")
    page.wait_for_selector("main[data-open=OBLIQUE]")
    keys.press("?")  # 3: look up the keys
    assert "Paint or erase" in page.inner_text("dialog[open]")
    keys.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    keys.press("a")  # 4: analyse
    settled(page, "main[data-analysed]")
    keys.press("g")  # 5: hide the segments, show them again, change the view
    assert not page.is_checked("[data-show=segments]")
    keys.press("g")
    keys.press("v")
    assert page.input_value("[data-choose=view]") == "axial"
    keys.press("2")  # 6: read why, and go to what a sentence rests on
    keys.press("e")
    page.wait_for_selector("[data-part=summary]")
    keys.press("PageDown")
    before = page.inner_text(".place")
    keys.press(".")
    assert page.locator(".marks circle").count() == 1
    assert page.inner_text(".place") != before
    keys.press("3")  # 7: paint a voxel, undo it, paint it again
    tab_to("input[type=range][aria-label=Size]")
    keys.press("Home")
    tab_to("[data-act=refine]")
    for key in ("ArrowLeft", *["ArrowUp"] * 4, "PageUp"):  # out of the core
        keys.press(key)
    painted = crosshair_voxel(page, affine)
    keys.press("p")
    keys.press("z")
    keys.press("p")
    keys.press("d")  # 8: outline what changed
    assert page.is_checked("[data-show=changes]")
    assert "1 voxels changed" in page.locator("#panel-Correct").inner_text()
    tab_to("[data-choose=type]")  # 9: say which type it is and what shows it
    keys.press("ArrowDown")
    assert page.input_value("[data-choose=type]") == "glioma"
    tab_to("input[placeholder='what shows it']")
    keys.type("a ring")
    tab_to("[data-act=submit]")  # 10: submit after the summary
    keys.press("s")
    assert "Type: glioma" in page.inner_text("dialog[open]")
    keys.press("Enter")
    settled(page, "main[data-submitted='1']")
    expected = np.isin(expected_labels(), (1, 3)).astype(np.uint8) * 4  # t1c alone: core
    expected[painted] = 4
    found, found_affine = stored_label(server, "OBLIQUE")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found_affine, affine, atol=1e-4)
    (typed,) = server.request("GET", "/corrections?image=OBLIQUE&kind=type").json()
    assert typed["annotator"] == "Lee"
    assert (typed["payload"]["type"], typed["payload"]["reason"]) == ("glioma", "a ring")


def test_points_refine_and_sentences_get_their_verdict(open_page, server):
    page = open_page()
    name_oneself(page)
    open_case(page, "LONE")
    analyse(page)
    page.keyboard.press("2")
    page.keyboard.press("e")
    page.wait_for_selector("[data-part=summary]")
    page.keyboard.press("3")
    page.keyboard.press("n")  # no tumour at the crosshair, which is inside of it
    page.keyboard.press("r")
    settled(page, "main[data-refined='1']")
    page.check("[data-show=strokes]")
    page.locator("#views").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    drawn = crosshair_voxel(page, AFFINE)
    page.keyboard.press("p")  # a stroke that says tumour
    page.keyboard.press("r")
    settled(page, "main[data-refined='2']")
    changed = page.locator("#panel-Correct p", has_text="voxels changed").inner_text()
    assert int(changed.split()[0]) >= 1
    page.select_option(".verdicts li:first-child select", "wrong")
    page.click("[data-act=submit]")
    told = page.inner_text("dialog[open]")
    assert "1 sentences are judged" in told
    assert "Started from the proposal" in told
    page.click("dialog[open] button.primary")
    settled(page, "main[data-submitted='1']")
    (judged,) = server.request("GET", "/corrections?image=LONE&kind=sentences").json()
    (sentence,) = judged["payload"]["sentences"]
    assert sentence["verdict"] == "wrong"
    found, _ = stored_label(server, "LONE")
    assert found[drawn] == 4
    (mask,) = server.request("GET", "/corrections?image=LONE&kind=mask").json()
    assert (mask["annotator"], mask["text_open"]) == ("Kim", True)


def test_two_tabs_are_told_of_each_other(open_page, server):
    page = open_page()
    name_oneself(page, "Kim")
    open_case(page, "TABS")
    other = page.context.new_page()
    other.goto(f"{server.url}/#/case/TABS")
    other.wait_for_selector("main[data-open=TABS]")
    for tab in (page, other):
        tab.locator("#views").focus()
        tab.keyboard.press("p")
    assert submit(page) == 1
    other.keyboard.press("s")
    assert "Kim submitted version 1 meanwhile" in other.inner_text("dialog[open]")
    other.click("dialog[open] button.primary")
    other.wait_for_selector("main[data-submitted='2']")


def test_unsent_work_survives_a_server_that_dies_in_the_middle_of_a_request(open_page, server):
    page = open_page()
    name_oneself(page)
    open_case(page, "SPARE")
    page.keyboard.press("3")
    page.locator("#views").focus()
    page.keyboard.press("p")
    page.wait_for_selector(KEPT)
    hold, entered = server.app / "hold", server.app / "entered"
    hold.touch()
    page.keyboard.press("a")
    page.click("dialog[open] button.primary")  # a new analysis replaces the edits: go on
    try:
        server.wait_for(entered)
        server.kill()
        page.wait_for_selector("#status.problem")
    finally:
        hold.unlink()
    assert "does not answer" in page.inner_text("#status")
    assert "kept" in page.inner_text("#status")
    server.start()
    page.reload()
    page.click("dialog[open] >> text=Bring back")
    page.wait_for_selector("main[data-open=SPARE]")
    assert submit(page) == 1
    found, _ = stored_label(server, "SPARE")
    assert 0 < np.count_nonzero(found) <= 7  # a ball of radius 1
