"""The page itself: token, Korean, accessibility."""

from pathlib import Path

import pytest
from brain_tumor.learning.gate.paired import PairedDifference
from brain_tumor.learning.gate.promotion import Check, GateReport, GateRules
from brain_tumor.server.routes import page as page_routes

from slicer_extension.tests import server_texts, web_texts
from tests.helpers.workspace_page import TOKEN

pytestmark = pytest.mark.integration
PAGES = ("", "#/upload", "#/teach", "#/patient/FULL", "#/case/FULL")


def test_a_token_is_asked_for_and_kept_in_the_tab(open_page):
    page = open_page(knows_token=False)
    page.locator("dialog[open] input").fill(TOKEN)
    page.click("dialog[open] button.primary")
    page.wait_for_selector("text=FULL")
    page.reload()
    page.wait_for_selector("text=FULL")
    assert TOKEN not in page.evaluate("JSON.stringify(localStorage)")


def test_the_page_speaks_korean_as_the_panel_in_slicer_does(open_page):
    page = open_page(locale="ko-KR")
    page.wait_for_selector("text=서버의 증례")
    assert page.get_attribute("html", "lang") == "ko"
    web_texts.from_the_panel()  # makes the panel's modules importable
    from TumorLensLib.told import in_korean

    said = sorted({*server_texts.of_server(), *server_texts.of_server_errors()})
    told = page.evaluate(
        "async said => { const { told } = await import('/web/js/common/texts.js');"
        " return said.map(told); }",
        said,
    )
    assert len(said) > 100
    assert dict(zip(said, told, strict=True)) == {text: in_korean(text) for text in said}


def test_accessibility_has_no_serious_findings(open_page):
    axe = Path(page_routes.WEB) / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed (make web)")
    page = open_page()
    page.wait_for_selector("body[data-ready]")
    page.evaluate(axe.read_text(encoding="utf-8"))
    for address in PAGES:
        page.evaluate("hash => { location.hash = hash; }", address or "#/")
        page.wait_for_selector(f"body[data-ready='{address or '#/'}']")
        found = page.evaluate("axe.run().then(r => r.violations)")
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious]


def test_what_the_gate_compared_stands_beside_each_other(open_page):
    numbers = PairedDifference(7, 0.80, 0.85, 0.05, 0.01, 0.09, 0.02, -0.03)
    checks = (
        Check("corrections / mean", passed=True, reason="", difference=numbers),
        Check("base / ET", passed=False, reason="clearly worse on base / ET: nobody knows"),
    )
    report = GateReport(
        "segmentation", "1.0.0", "1.0.1", promote=False, reasons=(checks[1].reason,),
        checks=checks, scores=(), rules=GateRules(), left_out=(),
    )  # fmt: skip
    row = {"version": "1.0.1", "state": "candidate", "created": None, "parent": "1.0.0"}
    listed = {"segmentation": {"active": "1.0.0", "versions": [row]}}
    page = open_page()
    page.route("**/models", lambda route: route.fulfill(json=listed))
    page.route("**/promote", lambda route: route.fulfill(json=report.to_json()))
    page.evaluate("location.hash = '#/teach'")
    page.get_by_role("button", name="Would it pass?").click()
    told = page.inner_text("dialog[open]")
    assert "It would not pass." in told
    assert "nobody knows" in told
    compared = page.inner_text("[data-check='corrections / mean']").split("\t")
    assert compared[1:] == ["0.800 → 0.850", "+0.050 (+0.010, +0.090)", "7", "✓"]
    assert page.inner_text("[data-check='base / ET']").split("\t")[-1] == "✗"
