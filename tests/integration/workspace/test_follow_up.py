"""Two dates of a patient beside each other."""

import json

import pytest

from tests.helpers.workspace_page import DATES, settled

pytestmark = pytest.mark.integration


def test_two_dates_are_ordered_drawn_and_compared(open_page, server):
    for case, day in DATES.items():
        info = json.dumps({"patient": "P1", "study_date": day if case == "DATE1" else ""})
        told = server.request("PUT", f"/datastore/image/info?image={case}", data={"info": info})
        assert told.status_code == 200
    page = open_page("#/patient/P1")
    settled(page, "body[data-measured=P1]")
    assert page.locator("tr[data-date]").first.get_attribute("data-date") == "DATE2"  # no day yet
    page.get_by_label("Day DATE2").fill(DATES["DATE2"])
    page.wait_for_selector("tbody tr:first-child[data-date=DATE1]")
    rows = server.request("GET", "/cases/overview").json()
    assert {row["id"]: row["study_date"] for row in rows}["DATE2"] == DATES["DATE2"]
    assert page.locator(".plot circle").count() == 6  # WT, TC and ET of two dates
    page.select_option("[data-choose=region]", "WT")
    page.click("[data-act=compare]")
    settled(page, "main[data-compared='DATE1 DATE2 WT']")
    whole = page.inner_text("[data-change=WT]")
    # 216 and 396 voxels of 5 microlitres
    assert whole.split("\t")[1:4] == ["1.1", "2.0", "+0.9 (+83 %)"]
    assert "more than two readings" in whole
    assert "may be no change" in page.inner_text("[data-change=TC]")  # the core is the same
    assert "0.54 mL" in page.inner_text("[data-kind=grown]")  # 108 voxels beyond the margin
    page.click("[data-part=grown]")
    page.click("[data-lesion=DATE2]")
    assert page.locator(".compared .marks line").count() >= 2
    assert "not measurable" in page.inner_text("[data-lesion=DATE2]")  # 4 by 8 mm
    assert (page.complaints, page.foreign) == ([], [])
