import json

import numpy as np
import pytest

from tests.helpers.server import AFFINE, MODEL, SHAPE, expected_labels, write_label
from tests.helpers.volumes import write_nifti
from tests.server.conftest import everything_below, refusal


@pytest.fixture
def label(tmp_path):
    return write_label(tmp_path / "upload" / "label.nii.gz")


def submit(client, path, image="FULL", tag="final", name=None, **params):
    query = f"image={image}" + (f"&tag={tag}" if tag is not None else "")
    return client.put(
        f"/datastore/label?{query}",
        data={"params": json.dumps(params)},
        files={"label": (name or path.name, path.read_bytes())},
    )


def other_label(tmp_path, value=2):
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4:6, 4:6, 4:6] = value
    return write_label(tmp_path / "upload" / f"other{value}.nii.gz", labels)


def test_a_submitted_label_can_be_read_back(client, label):
    reply = submit(client, label, client_id="anna").json()
    assert (reply["image"], reply["label"]) == ("FULL", "FULL")
    assert (reply["tag"], reply["version"]) == ("final", 1)
    held = client.get("/datastore/label?label=FULL&tag=final")
    assert held.content == label.read_bytes()
    assert 'filename="FULL.nii.gz"' in held.headers["content-disposition"]
    assert client.head("/datastore/label?image=FULL&tag=final").status_code == 200
    assert client.head("/datastore/label?image=LONE&tag=final").status_code == 404
    info = client.get("/datastore/label/info?label=FULL&tag=final").json()
    assert (info["client_id"], info["version"]) == ("anna", 1)
    assert client.get("/datastore/").json()["completed"] == 1


def test_a_label_without_a_tag_is_final_as_on_stock_servers(client, label):
    assert submit(client, label, tag=None).json()["tag"] == "final"
    assert submit(client, label, tag="").json()["tag"] == "final"


def test_every_version_is_listed_and_can_be_brought_back(client, label, tmp_path):
    client.post("/infer/segmentation?image=FULL")
    submit(client, label, client_id="anna")
    submit(client, other_label(tmp_path), client_id="ben")
    listed = client.get("/datastore/label/history?label=FULL").json()["versions"]
    assert [(v["tag"], v["version"], v["saved_by"], v["current"]) for v in listed] == [
        ("final", 1, "anna", False),
        ("final", 2, "ben", True),
    ]
    assert listed[0]["proposed_by"] == MODEL.to_json()
    old = client.get("/datastore/label/version?label=FULL&tag=final&version=1")
    assert old.content == label.read_bytes()
    restored = client.post("/datastore/label/restore?label=FULL&tag=final&version=1&client_id=eve")
    assert restored.json()["restored_from"] == 1
    assert client.get("/datastore/label?label=FULL&tag=final").content == label.read_bytes()
    listed = client.get("/datastore/label/history?label=FULL&tag=final").json()["versions"]
    assert [v["saved_by"] for v in listed] == ["anna", "ben", "eve"]


def test_what_cannot_be_brought_back_is_refused(client, label):
    submit(client, label)
    address = "/datastore/label/restore?label=FULL&tag=final&version="
    assert "no version 7" in refusal(client.post(f"{address}7"), 404, "not_found")
    assert "version is 0" in refusal(client.post(f"{address}0"), 400)
    assert "version" in refusal(client.post(f"{address}x"), 400)
    refusal(client.get("/datastore/label/version?label=NOPE&tag=final&version=1"), 404)


def test_a_removed_label_can_be_brought_back(client, label):
    submit(client, label)
    assert client.delete("/datastore/label?id=FULL&tag=final").json() == {}
    refusal(client.get("/datastore/label?label=FULL&tag=final"), 404, "not_found")
    refusal(client.delete("/datastore/label?id=FULL&tag=final"), 404, "not_found")
    client.post("/datastore/label/restore?label=FULL&tag=final&version=1")
    assert client.get("/datastore/label?label=FULL&tag=final").content == label.read_bytes()


def test_information_is_merged_but_what_the_server_writes_stays(client, label):
    submit(client, label)
    address = "/datastore/label/info?label=FULL&tag=final"
    assert client.put(address, data={"info": '{"note": "ok"}'}).json() == {}
    old = "/datastore/updatelabelinfo?label=FULL&tag=final"
    client.put(old, data={"params": '{"more": 1}'})
    info = client.get(address).json()
    assert (info["note"], info["more"], info["version"]) == ("ok", 1, 1)
    assert "sha256" in refusal(client.put(address, data={"info": '{"sha256": "x"}'}))
    refusal(client.put(address, data={"info": "["}))


BAD_LABELS = {
    "another geometry": (expected_labels(), np.eye(4), "mm away", "bad_geometry"),
    "another shape": (expected_labels()[2:], AFFINE, "voxels; expected", "bad_geometry"),
    "wrong values": (expected_labels() * 5, AFFINE, "values", "bad_labels"),
    "fractions": (expected_labels() / 2, AFFINE, "whole numbers", "bad_labels"),
    "two dimensions": (np.ones((4, 4), np.uint8), AFFINE, "dimensions", "bad_volume"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_a_bad_label_is_refused_with_its_reason_and_nothing_changes(
    client, studies, label, tmp_path, name
):
    labels, affine, sentence, code = BAD_LABELS[name]
    submit(client, label)
    before = everything_below(studies)
    path = write_label(tmp_path / "upload" / "bad.nii.gz", labels, affine)
    assert sentence in refusal(submit(client, path), 400, code)
    assert everything_below(studies) == before


@pytest.mark.parametrize("cut", [0, 10, 100, -20])
def test_a_cut_off_label_is_refused(client, label, cut, studies):
    label.write_bytes(label.read_bytes()[:cut])
    assert refusal(submit(client, label), 400)
    assert client.get("/datastore/").json()["completed"] == 0


@pytest.mark.parametrize("name", ["label.py", "label", "label.seg", "../../x.nii.gz/..", ".nii.gz"])
def test_a_label_file_must_have_a_volume_name(client, label, name):
    assert refusal(submit(client, label, name=name), 400)


@pytest.mark.parametrize(
    ("image", "tag", "status"),
    [
        ("NOPE", "final", 404),
        ("../FULL", "final", 400),
        ("FULL", "../../x", 400),
        ("FULL", "/abs/dir", 400),
        ("FULL", "a b", 400),
        ("%2e%2e", "final", 400),
    ],
)
def test_a_label_goes_nowhere_else(client, label, studies, tmp_path, image, tag, status):
    before = everything_below(tmp_path)
    assert refusal(submit(client, label, image=image, tag=tag), status)
    assert everything_below(tmp_path) == before


TRAVERSAL = "..%2f..%2fetc%2fpasswd"


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", f"/datastore/label?label={TRAVERSAL}&tag=final"),
        ("GET", f"/datastore/label?label=FULL&tag={TRAVERSAL}"),
        ("HEAD", f"/datastore/label?image={TRAVERSAL}&tag=final"),
        ("DELETE", f"/datastore/label?id={TRAVERSAL}&tag=final"),
        ("DELETE", f"/datastore/label?id=FULL&tag={TRAVERSAL}"),
        ("GET", f"/datastore/label/info?label={TRAVERSAL}&tag=final"),
        ("PUT", f"/datastore/label/info?label={TRAVERSAL}&tag=final"),
        ("PUT", f"/datastore/updatelabelinfo?label=FULL&tag={TRAVERSAL}"),
        ("GET", f"/datastore/label/history?label={TRAVERSAL}"),
        ("GET", f"/datastore/label/history?label=FULL&tag={TRAVERSAL}"),
        ("GET", f"/datastore/label/version?label={TRAVERSAL}&tag=final&version=1"),
        ("POST", f"/datastore/label/restore?label={TRAVERSAL}&tag=final&version=1"),
        ("GET", f"/datastore/image?image={TRAVERSAL}"),
        ("HEAD", f"/datastore/image?image={TRAVERSAL}"),
        ("DELETE", f"/datastore/image?id={TRAVERSAL}"),
        ("DELETE", f"/datastore/?id={TRAVERSAL}"),
        ("GET", f"/datastore/image/info?image={TRAVERSAL}"),
        ("PUT", f"/datastore/image/info?image={TRAVERSAL}"),
        ("POST", f"/infer/segmentation?image={TRAVERSAL}"),
        ("POST", f"/infer/{TRAVERSAL}?image=FULL"),
        ("GET", f"/session/{TRAVERSAL}"),
        ("DELETE", f"/session/{TRAVERSAL}"),
        ("POST", f"/activelearning/{TRAVERSAL}"),
        ("POST", f"/train/{TRAVERSAL}"),
        ("POST", f"/batch/infer/{TRAVERSAL}"),
        ("GET", f"/model/info/{TRAVERSAL}"),
    ],
)
def test_no_route_takes_a_path(client, studies, method, address):
    before = everything_below(studies)
    reply = client.request(method, address)
    assert reply.status_code in {400, 404}, reply.text
    if method != "HEAD":
        assert refusal(reply, reply.status_code)
    assert everything_below(studies) == before


def test_a_request_without_its_parameters_is_refused_by_name(client):
    assert "image" in refusal(client.put("/datastore/label"), 400, "bad_input")
    assert "tag" in refusal(client.get("/datastore/label?label=FULL"), 400, "bad_input")


def test_a_full_disk_is_told_and_the_old_label_stays(client, label, tmp_path, monkeypatch):
    import errno

    from brain_tumor.cases.files import durable

    submit(client, label)

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", refuse)
    message = refusal(submit(client, other_label(tmp_path)), 507, "storage")
    assert "disk is full" in message
    monkeypatch.undo()
    assert client.get("/datastore/label?label=FULL&tag=final").content == label.read_bytes()


def test_a_case_that_is_no_volume_any_more_is_told(client, studies, label):
    write_nifti(studies / "LONE.nii.gz", np.full(SHAPE, np.nan, np.float32), AFFINE)
    assert "NaN" in refusal(submit(client, label, image="LONE"), 400, "bad_volume")
