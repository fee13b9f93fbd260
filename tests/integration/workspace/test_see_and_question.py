"""Looking and asking: what is on screen, and what it rests on."""

import numpy as np
import pytest

from tests.helpers.server import AFFINE
from tests.helpers.workspace_page import HOSTILE, analyse, crosshair_mm, open_case, settled

pytestmark = pytest.mark.integration


def test_from_the_table_to_an_outline_in_two_clicks(open_page):
    page = open_page(draws_3d=True)
    page.click("text=FULL")
    page.wait_for_selector("main[data-open=FULL]")
    analyse(page)
    volume = page.inner_text("[data-volume=WT]")
    assert float(volume) == pytest.approx(216 * 5e-3, abs=0.05)  # 6x6x6 voxels of 5 microlitres
    assert page.inner_text("[data-fit=t1c]") == "reference"
    assert page.inner_text("[data-fit=flair]") == "fit not measured"  # no head of 16 voxels
    assert (page.complaints, page.foreign) == ([], [])


def test_a_second_sequence_stands_beside_the_first_and_moves_with_it(open_page):
    page = open_page()
    open_case(page, "FULL")
    page.select_option("[data-choose=beside]", "flair")
    page.wait_for_selector(".second .name:text-is('FLAIR')")
    for key in ("ArrowLeft", "PageUp"):
        page.keyboard.press(key)
    one = crosshair_mm(page)
    assert page.inner_text(".second .place") == page.inner_text(".first .place")
    box = page.locator("#beside").bounding_box()
    for share in (0.2, 0.35, 0.5, 0.65, 0.8):  # whichever of these lies in a slice
        place = {"x": box["width"] * 0.25, "y": box["height"] * share}
        page.locator("#beside").click(position=place)
        if crosshair_mm(page) != one:
            break
    assert crosshair_mm(page) != one  # a click into the second view moves the first
    assert page.inner_text(".second .place") == page.inner_text(".first .place")
    page.select_option("[data-choose=beside]", "")
    page.wait_for_selector("#beside", state="detached")
    assert (page.complaints, page.foreign) == ([], [])


def test_the_answer_comes_with_its_scope_and_a_summary_whose_sentences_lead_to_their_places(
    open_page,
):
    page = open_page()
    open_case(page, "FULL")
    analyse(page)
    page.click("[data-tab=Question]")
    assert "Metastasis" in page.inner_text(".scope")  # what is not among the known types
    assert page.locator("[data-part=set]").count() + page.locator(".warn").count() > 0
    assert page.locator(".sentences").count() == 0  # judge the images first
    page.click("[data-act=explain]")
    page.wait_for_selector("[data-part=summary]")
    summary = page.locator("[data-part=summary] li")
    assert 1 <= summary.count() <= 3
    assert page.get_attribute("[data-part=details]", "open") is None  # folded
    assert not page.locator("[data-part=details] li").first.is_visible()
    page.keyboard.press("PageUp")
    page.keyboard.press(".")  # to the first place that a sentence names
    centre = AFFINE @ [5.5, 5.5, 5.5, 1.0]  # of the box of voxels 3 to 8
    np.testing.assert_allclose(crosshair_mm(page), centre[:3], atol=3.0)
    assert page.locator(".marks circle").count() == 3
    # random weights: their heat fails its test, is grey and says so, here, above and beside it
    assert "do not rely on it" in page.inner_text("[data-part=heat]")
    assert "shown in grey" in page.inner_text(".warnings")
    page.click("[data-tab=See]")
    assert "shown in grey" in page.inner_text("[data-part=grey]")
    assert page.locator(".legend.grey").count() == 1


def test_heat_of_another_method_and_type_can_be_asked_for(open_page):
    page = open_page()
    open_case(page, "FULL")
    analyse(page)
    page.select_option("[data-choose=method]", "layercam")
    page.select_option("[data-choose=target]", "meningioma")
    page.click("[data-act=heat]")
    settled(page, "main[data-explained='layercam meningioma']")
    assert page.inner_text("[data-part=method]") == "Layer-CAM for meningioma"
    page.select_option("[data-choose=target]", "TC")
    assert page.locator("[data-choose=method]").is_disabled()  # one method explains outlines


def test_a_hostile_report_is_text(open_page):
    page = open_page()
    open_case(page, "FULL")

    def poison(route):
        reply = route.fetch()
        text = HOSTILE.replace('"', '\\"').encode()
        body = reply.body().replace(b'"text": "', b'"text": "' + text)
        body = body.replace(b'"warnings": [', b'"warnings": ["' + text + b'", ')
        headers = {k: v for k, v in reply.headers.items() if k.lower() != "content-length"}
        route.fulfill(status=200, headers=headers, body=body)

    page.route("**/infer/analysis*", poison)
    analyse(page)
    assert HOSTILE in page.inner_text(".warnings")
    page.click("[data-tab=Question]")
    page.click("[data-act=explain]")
    assert HOSTILE in page.locator("[data-part=summary] li").first.inner_text()
    page.click("[data-tab=Correct]")
    assert HOSTILE in page.locator(".verdicts li").first.inner_text()
    assert page.title() == "TumorLens"
    assert page.locator("main img[src=x]").count() == 0
    assert (page.complaints, page.foreign) == ([], [])
