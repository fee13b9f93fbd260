"""Two annotators on one case, and a volume that is replaced while a label is drawn."""

import hashlib
import json

import numpy as np
import pytest

from tests.helpers.server import AFFINE, a_phantom, expected_labels, write_label
from tests.helpers.volumes import write_nifti
from tests.server.conftest import refusal


@pytest.fixture
def submit(client, tmp_path):
    """Submit a label; each call has other voxels."""
    made = []

    def submit(image="FULL", **told):
        labels = expected_labels()
        labels[1, 1, len(made)] = 2
        made.append(labels)
        content = write_label(tmp_path / f"{len(made)}.nii.gz", labels).read_bytes()
        return client.put(
            f"/datastore/label?image={image}",
            files={"label": ("label.nii.gz", content)},
            data={"params": json.dumps(told)},
        )

    return submit


def test_the_second_of_two_who_started_from_one_version_is_told(client, submit):
    assert submit(client_id="anna", base_version=0).json()["version"] == 1
    assert submit(client_id="anna", base_version=1).json()["version"] == 2
    said = refusal(submit(client_id="bea", base_version=1), 409, "conflict")
    assert "at version 2, saved by anna" in said
    assert "started from version 1" in said
    history = client.get("/datastore/label/history?label=FULL").json()["versions"]
    assert [v["version"] for v in history] == [1, 2]


def test_with_force_both_are_kept_and_the_reply_says_so(client, submit):
    submit(client_id="anna", base_version=0)
    reply = submit(client_id="bea", base_version=0, force=True).json()
    assert reply["version"] == 2
    assert reply["warnings"] == [
        "Version 1 was submitted after the version 0 that yours started from; both are kept."
    ]
    history = client.get("/datastore/label/history?label=FULL").json()["versions"]
    assert [v["saved_by"] for v in history] == ["anna", "bea"]
    assert "force" not in history[1]["info"]


def test_who_names_no_version_submits_as_before(submit):
    assert submit(client_id="anna").json()["warnings"] == []
    assert submit(client_id="bea").json()["version"] == 2


def test_the_removal_of_a_label_is_a_version_too(client, submit):
    submit(client_id="anna", base_version=0)
    assert client.delete("/datastore/label?id=FULL&tag=final").status_code == 200
    refusal(submit(client_id="bea", base_version=1), 409, "conflict")
    assert submit(client_id="bea", base_version=2).json()["version"] == 3


@pytest.mark.parametrize("value", ["1", 1.5, True, [1], -1])
def test_a_version_that_is_none_is_refused(submit, value):
    assert submit(base_version=value).status_code in (400, 409)


def replace_volume(studies, name):
    """The same grid with other voxels."""
    path = studies / f"{name}.nii.gz"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    write_nifti(path, a_phantom() + np.float32(1), AFFINE)
    return before, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_label_drawn_on_a_replaced_volume_is_refused(client, studies, submit):
    before, now = replace_volume(studies, "LONE")
    said = refusal(submit("LONE", image_sha256=before), 409, "conflict")
    assert "was replaced" in said
    assert submit("LONE", image_sha256=now).json()["version"] == 1
    assert submit("LONE", image_sha256=before, force=True).json()["version"] == 2


def test_the_volume_that_an_annotator_was_shown_counts_without_a_checksum(client, studies, submit):
    told = {"params": json.dumps({"client_id": "anna"})}
    path = "/infer/segmentation?image=LONE&output=json"
    assert client.post(path, data=told).status_code == 200
    replace_volume(studies, "LONE")
    refusal(submit("LONE", client_id="anna"), 409, "conflict")
    assert submit("LONE", client_id="bea").status_code == 200  # never saw the old one
    assert client.post(path, data=told).status_code == 200
    assert submit("LONE", client_id="anna").status_code == 200


def test_a_reserved_case_says_who_holds_it(client, submit):
    taken = {"image": "FULL", "client_id": "anna"}
    assert client.post("/cases/reserve", json=taken).status_code == 200
    reply = client.post("/cases/reserve", json={**taken, "client_id": "bea"})
    assert "reserved by anna" in refusal(reply, 503, "busy")
    assert submit(client_id="bea").json()["warnings"] == ["This case is reserved by anna."]
    assert submit(client_id="anna").json()["warnings"] == []
