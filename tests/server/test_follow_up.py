"""Two dates of a patient; volumes and parts counted in voxels of 5 microlitres."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from tests.helpers.server import AFFINE, ED, a_phantom, expected_labels, parse_reply, write_label
from tests.helpers.volumes import write_nifti
from tests.server.conftest import refusal


@pytest.fixture
def grown(studies):
    """A later date of FULL: oedema reaches 5 mm further along the first axis."""
    t1c = a_phantom()
    t1c[9:14, 3:9, 3:9] = ED
    write_nifti(studies / "GROWN.nii.gz", t1c, AFFINE)
    for name in ("t1", "t2", "flair"):
        write_nifti(studies / "sequences" / "GROWN" / f"{name}.nii.gz", t1c / 2, AFFINE)
    return t1c


def read(content):
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


def test_a_date_is_measured_as_the_model_outlines_it(client):
    told = client.get("/follow_up/measures?image=FULL").json()
    assert told["outlined_by"] == "model"
    expected = {"WT": 216 * 0.005, "TC": 64 * 0.005, "ET": 56 * 0.005}
    assert told["volumes_ml"] == pytest.approx(expected)
    assert told["second_reading_ml"] == pytest.approx(expected)  # a threshold reads the same twice
    (lesion,) = told["lesions"]
    # 4 voxels of 1 mm by 4 of 2 mm: diagonal sqrt(80), and sqrt(80) * 4 / 8 across
    assert lesion["longest_mm"] == pytest.approx(80**0.5)
    assert lesion["product_mm2"] == pytest.approx(40)
    assert told["sum_of_products_mm2"] == 0  # under 10 mm across: not measurable
    assert not lesion["is_measurable"]


def test_a_submitted_label_is_what_counts_and_the_model_is_the_second_reading(client, tmp_path):
    labels = expected_labels()
    labels[12, 12, 10] = 2
    content = write_label(tmp_path / "x.nii.gz", labels).read_bytes()
    client.put("/datastore/label?image=FULL&tag=final", files={"label": ("x.nii.gz", content)})
    told = client.get("/follow_up/measures?image=FULL").json()
    assert told["outlined_by"] == "final"
    assert told["volumes_ml"]["WT"] == pytest.approx(217 * 0.005)
    assert told["second_reading_ml"]["WT"] == pytest.approx(216 * 0.005)
    outline = read(client.get("/follow_up/outline?image=FULL").content)
    np.testing.assert_array_equal(np.asarray(outline.dataobj), labels)


def test_growth_is_outlined_on_the_later_grid(client, grown):
    reply = client.get("/follow_up/changes?earlier=FULL&later=GROWN&region=WT")
    told, files = parse_reply(reply)
    assert told["alignment"]["status"] == "not measured"  # a phantom of centimetres is no head
    whole, core, enhancing = told["regions"]
    assert [r["region"] for r in told["regions"]] == ["WT", "TC", "ET"]
    # 9 to 13 are new; 9 and 10 lie within 2 mm of what was there
    assert whole["volumes_ml"] == pytest.approx({"grown": 108 * 0.005, "new": 0, "gone": 0})
    assert core["parts"] == enhancing["parts"] == []
    (part,) = whole["parts"]
    assert part["change"] == "grown"
    expected = np.zeros(grown.shape, np.uint8)
    expected[11:14, 3:9, 3:9] = 1
    found = read(files["changes"])
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected)
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-4)
    assert expected[tuple(np.rint(np.linalg.inv(AFFINE) @ [*part["ras"], 1])[:3].astype(int))]


def test_dates_that_tell_other_regions_are_compared_in_what_both_tell(client):
    told = client.get("/follow_up/changes?earlier=LONE&later=FULL&region=TC")
    assert [r["region"] for r in parse_reply(told)[0]["regions"]] == ["TC"]
    only = client.get("/follow_up/changes?earlier=LONE&later=FULL&region=WT")
    assert only.headers["content-type"].startswith("application/json")


def test_the_earlier_date_comes_on_the_later_grid(client, studies):
    far = AFFINE.copy()
    far[:3, 3] += AFFINE[:3, 0] * 2  # two voxels along the first axis
    write_nifti(studies / "LATER.nii.gz", a_phantom(), far)
    content = client.get("/follow_up/volume?earlier=FULL&later=LATER&sequence=t1c").content
    found = read(content)
    np.testing.assert_allclose(found.affine, far, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(found.dataobj)[:-2], a_phantom()[2:])
    label = read(client.get("/follow_up/label?earlier=FULL&later=LATER").content)
    np.testing.assert_array_equal(np.asarray(label.dataobj)[:-2], expected_labels()[2:])


def test_what_is_not_there_is_said(client):
    refusal(client.get("/follow_up/measures?image=NONE"), 404)
    refusal(client.get("/follow_up/volume?earlier=LONE&later=FULL&sequence=t2"), 404)
    refused = client.get("/follow_up/changes?earlier=LONE&later=FULL&region=XX")
    assert "XX" in refusal(refused, 400)


def test_the_day_of_a_scan_is_kept_and_checked(client):
    def tell(day):
        info = {"info": json.dumps({"study_date": day})}
        return client.put("/datastore/image/info?image=LONE", data=info)

    assert tell("2026-03-31").status_code == 200
    rows = {row["id"]: row for row in client.get("/cases/overview").json()}
    assert (rows["LONE"]["study_date"], rows["FULL"]["study_date"]) == ("2026-03-31", None)
    assert "expected a date" in refusal(tell("31.3.2026"), 400)
    assert tell("").status_code == 200
    rows = {row["id"]: row for row in client.get("/cases/overview").json()}
    assert rows["LONE"]["study_date"] is None
