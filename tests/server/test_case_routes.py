import hashlib
import io
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest

from tests.helpers.server import AFFINE, SHAPE, a_phantom, write_label
from tests.helpers.volumes import write_nifti
from tests.server.conftest import everything_below, refusal


def upload(client, path, image="", params=None, name=None, address="/datastore/image"):
    return client.put(
        f"{address}?image={image}",
        data={"params": json.dumps(params or {})},
        files={"file": (name or path.name, path.read_bytes())},
    )


@pytest.fixture
def volume(tmp_path):
    return write_nifti(tmp_path / "upload" / "NEW.nii.gz", a_phantom() + 1, AFFINE)


def test_an_uploaded_case_can_be_listed_and_read_back(client, volume):
    assert upload(client, volume, params={"PatientID": "x"}).json() == {"image": "NEW"}
    assert client.get("/datastore/").json()["total"] == 4
    assert "NEW" in client.get("/datastore/?output=all").json()["objects"]
    held = client.get("/datastore/image?image=NEW")
    assert held.content == volume.read_bytes()
    info = client.get("/datastore/image/info?image=NEW").json()
    assert (info["PatientID"], info["name"]) == ("x", "NEW.nii.gz")
    assert client.post("/infer/segmentation?image=NEW&output=json").json()["case"] == "NEW"


def test_the_old_address_and_a_chosen_id_work(client, volume):
    assert upload(client, volume, "P7", address="/datastore/").json() == {"image": "P7"}


def test_an_id_that_is_taken_is_refused_and_the_same_volume_is_not(client, volume, studies):
    upload(client, volume)
    assert upload(client, volume).json() == {"image": "NEW"}
    other = write_nifti(volume.parent / "other.nii.gz", a_phantom() + 2, AFFINE)
    assert "exists already" in refusal(upload(client, other, "NEW"), 400, "bad_input")


def bad_volumes():
    array = a_phantom()
    nan = array.copy()
    nan[3:9, 3:9, 3:9] = np.nan  # the tumour: too much to be a hole of a mask
    infinite = AFFINE.copy()
    infinite[0, 3] = np.inf
    good = nib.Nifti1Image(array, AFFINE).to_bytes()
    return {
        "NaN volume": (nib.Nifti1Image(nan, AFFINE), "NaN"),
        "2-D": (nib.Nifti1Image(array[:, :, 0], AFFINE), "dimensions"),
        "5-D": (nib.Nifti1Image(np.zeros((4, 4, 4, 2, 2), np.float32), AFFINE), "dimensions"),
        "4-D": (nib.Nifti1Image(np.zeros((4, 4, 4, 2), np.float32), AFFINE), "dimensions"),
        "empty volume": (nib.Nifti1Image(np.zeros(SHAPE, np.float32), AFFINE), "empty"),
        "non-finite affine": (nib.Nifti1Image(array, infinite), "affine|orientation"),
        "truncated": (good[: len(good) // 2], "cut short"),
        "no volume": (b"hello", "NIfTI"),
        "nothing": (b"", "empty"),
    }


BAD_VOLUMES = bad_volumes()


@pytest.mark.parametrize("name", BAD_VOLUMES)
def test_a_bad_volume_is_one_clear_sentence_on_every_way_in(client, studies, tmp_path, name):
    import re

    image, sentence = BAD_VOLUMES[name]
    path = tmp_path / "upload" / "bad.nii"
    path.parent.mkdir()
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        nib.save(image, path)
    before = everything_below(studies)
    replies = [
        upload(client, path),
        client.post("/infer/segmentation", files={"file": ("bad.nii", path.read_bytes())}),
    ]
    for reply in replies:
        message = refusal(reply, 400)
        assert re.search(sentence, message)
        assert "\n" not in message
    assert everything_below(studies) == before
    (studies / "BAD.nii").write_bytes(path.read_bytes())
    assert re.search(sentence, refusal(client.post("/infer/segmentation?image=BAD"), 400))


def test_a_truncated_gz_is_one_clear_sentence(client, volume, studies):
    volume.write_bytes(volume.read_bytes()[:-100])
    assert "cut short" in refusal(upload(client, volume), 400, "unreadable_file")
    assert "NEW" not in client.get("/datastore/?output=all").json()["objects"]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("../app/main", "x.py"),
        ("../app/main", "x.nii.gz"),
        ("main", "main.py"),
        ("a/b", "x.nii.gz"),
        (".hidden", "x.nii.gz"),
        ("", "../../main.py"),
        ("datastore_v2", "x.json"),
    ],
)
def test_an_upload_goes_nowhere_else(client, volume, tmp_path, image, name):
    before = everything_below(tmp_path)
    assert refusal(upload(client, volume, image, name=name), 400)
    assert everything_below(tmp_path) == before


def test_the_two_calls_that_ran_code_on_stock_servers_do_nothing(client, volume, tmp_path):
    before = everything_below(tmp_path)
    refusal(upload(client, volume, "../app/main", name="main.py"), 400)
    refusal(client.post("/reload"), 404)
    assert everything_below(tmp_path) == before


def test_a_removed_case_is_gone_for_clients_and_kept_on_disk(client, volume, studies):
    upload(client, volume)
    assert client.delete("/datastore/image?id=NEW").json() == {}
    refusal(client.get("/datastore/image?image=NEW"), 404, "not_found")
    refusal(client.delete("/datastore/?id=NEW"), 404, "not_found")
    (kept,) = (studies / "removed").glob("*NEW.nii.gz")
    assert kept.read_bytes() == volume.read_bytes()


def test_a_checksum_can_be_asked_for(client, studies):
    digest = hashlib.sha256((studies / "FULL.nii.gz").read_bytes()).hexdigest()
    address = "/datastore/image?image=FULL&check_sum="
    assert client.head(f"{address}{digest}").status_code == 200
    assert client.head(f"{address}SHA256:{digest.upper()}").status_code == 200
    assert client.head(f"{address}SHA256:00").status_code == 404
    assert client.head(f"{address}ROT13:00").status_code == 400


def test_information_about_a_case_is_merged(client):
    address = "/datastore/image/info?image=FULL"
    assert client.put(address, data={"info": '{"note": "x"}'}).json() == {}
    assert client.get(address).json()["note"] == "x"
    assert "path" in refusal(client.put(address, data={"info": '{"path": "/x"}'}))
    refusal(client.put("/datastore/image/info?image=NOPE", data={"info": "{}"}), 404)


def test_an_unknown_listing_is_refused(client):
    assert "output" in refusal(client.get("/datastore/?output=secrets"))


def test_the_dataset_is_sent_and_its_archive_removed(client, studies, tmp_path):
    refusal(client.get("/datastore/dataset"), 404, "not_found")
    label = write_label(tmp_path / "upload" / "label.nii.gz")
    client.put("/datastore/label?image=FULL", files={"label": ("l.nii.gz", label.read_bytes())})
    before = everything_below(studies)
    with zipfile.ZipFile(io.BytesIO(client.get("/datastore/dataset").content)) as archive:
        assert "label/FULL.nii.gz" in archive.namelist()
    assert everything_below(studies) == before
    pairs = client.get("/datastore/?output=train").json()
    assert [set(pair) for pair in pairs] == [{"image", "label"}]
    refusal(client.get("/datastore/dataset?limit_cases=-1"), 400)
