"""Uploaded volumes that want to read, to fill or to stop the server."""

import io
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from brain_tumor.cases.volume import Volume
from brain_tumor.server.routes.overview import axial_picture

from tests.helpers.attacks import (
    dicom_files,
    meta_image,
    meta_images_that_name_a_file,
    nrrd_file,
    nrrds_that_name_a_file,
    nrrds_that_skip,
    volume_bombs,
)
from tests.server.conftest import everything_below, refusal

SECRET = b"T" * 32  # 84 84 84 ... as voxels


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    path.write_bytes(SECRET)
    return path


def infer(client, name, content):
    return client.post("/infer/segmentation?output=json", files={"file": (name, content)})


@pytest.mark.parametrize("spelling", [*meta_images_that_name_a_file("x")])
def test_a_meta_image_that_names_another_file_is_refused(client, secret, spelling):
    content = meta_images_that_name_a_file(secret)[spelling]
    for reply in (
        infer(client, "a_t1c.mha", content),
        client.put("/session/", files={"files": ("a_t1c.mha", content)}),
    ):
        if reply.status_code == 200:  # a session is read when it is used
            session = reply.json()["session_id"]
            reply = client.post(f"/infer/segmentation?output=json&session_id={session}")
        said = refusal(reply)
        assert "84" not in said
        assert "every voxel" not in said


@pytest.mark.parametrize("spelling", [*nrrds_that_name_a_file("x")])
def test_an_nrrd_that_names_another_file_is_refused(client, studies, secret, spelling):
    content = nrrds_that_name_a_file(secret)[spelling]
    before = everything_below(studies)
    said = refusal(infer(client, "a_t1c.nrrd", content))
    assert "84" not in said
    label = {"label": ("label.nrrd", content)}
    assert "84" not in refusal(client.put("/datastore/label?image=FULL", files=label))
    assert "84" not in refusal(
        client.put("/datastore/image?image=NEW", files={"file": ("a.nrrd", content)})
    )
    assert everything_below(studies) == before


@pytest.mark.parametrize("spelling", [*nrrds_that_skip()])
def test_an_nrrd_that_asks_to_skip_is_refused(client, spelling):
    assert "skip" in refusal(infer(client, "a_t1c.nrrd", nrrds_that_skip()[spelling]))


def test_what_the_attacks_are_made_of_is_read_when_it_is_honest(client):
    for name, content in {
        "a_t1c.mha": meta_image("ElementDataFile = LOCAL"),
        "a_t1c.nrrd": nrrd_file("line skip: 0"),
    }.items():
        reply = infer(client, name, content)
        assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("name", ["nifti", "nrrd", "meta image", "members without content"])
def test_a_bomb_is_refused_before_it_fills_the_memory(app, client, name):
    filename, content = volume_bombs()[name]
    assert len(content) < 2_500_000
    tracemalloc.start()
    try:
        refusal(infer(client, filename, content))
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    return dicom_files(tmp_path_factory.mktemp("dicom"))


@pytest.mark.parametrize(
    "name",
    [
        *("two thousand million frames", "frames of an enhanced file", "no frames"),
        *("65535 rows", "65535 by 65535", "rows twice", "no pixel data"),
        *("half of the pixel data", "empty pixel data", "32 bits", "nested without end"),
        "a length beyond the end",
    ],
)
def test_a_hostile_dicom_file_is_refused(client, dicom, name):
    started = time.process_time()
    said = refusal(infer(client, "a_t1c.dcm", dicom[name]))
    assert "Doe" not in said
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("t1c/a.dcm", dicom[name])
    reply = client.put("/session/", files={"files": ("a.zip", archive.getvalue())})
    session = reply.json()["session_id"]
    refusal(client.post(f"/infer/segmentation?output=json&session_id={session}"))
    assert time.process_time() - started < 20  # it once went on for ever


def test_a_small_picture_of_needles_takes_no_more_memory_than_others():
    array = np.zeros((8, 8, 3), np.float32)
    array[2:4, 2:4] = 1.0
    needles = Volume(array, np.diag([-0.001, 100.0, 1.0, 1.0]))  # 800,000 rows as they lie
    assert axial_picture(needles).size == (8, 4096)
