"""The unmodified client of the monailabel package, from info to training status."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.files.readers import read_labelmap
from monailabel.client import MONAILabelClient

from tests.helpers.server import expected_labels

pytestmark = pytest.mark.integration


@pytest.fixture
def client(server, tmp_path):
    return MONAILabelClient(server.url, tmpdir=str(tmp_path), client_id="anna")


def test_the_whole_flow(client, server, tmp_path):
    info = client.info()
    assert "segmentation" in info["models"]
    assert not client.auth_enabled()

    sample = client.next_sample("first", {})
    assert sample["id"] in {"FULL", "LONE", "SPARE"}
    assert Path(sample["path"]).is_file()

    file, params = client.infer("segmentation", "FULL", {"result_extension": ".nii.gz"})
    labels, _ = read_labelmap(Path(file))
    np.testing.assert_array_equal(labels, expected_labels())
    assert params["segmentation"]["model"] == "segmentation"

    saved = client.save_label("FULL", file, tag="review", params={"label_info": []})
    assert saved["image"] == "FULL"
    assert Path(client.download_label("FULL", "review")).read_bytes() == Path(file).read_bytes()
    entry = client.datastore()["objects"]["FULL"]["labels"]["review"]
    assert entry["info"]["client_id"] == "anna"

    assert client.train_status()["status"] == "IDLE"
    assert client.train_status(check_if_running=True) is False
    assert client.train_stop()["status"] == "IDLE"


def test_a_session(client, server, tmp_path):
    volume = shutil.copy(server.studies / "LONE.nii.gz", tmp_path / "my_t1c.nii.gz")
    session = client.create_session(str(volume))["session_id"]
    assert client.get_session(session)["name"] == session
    file, params = client.infer("segmentation", "whatever", {}, session_id=session)
    assert Path(file).is_file()
    assert params["case"] == session
    client.remove_session(session)


def test_an_upload_of_a_case(client, server, tmp_path):
    volume = shutil.copy(server.studies / "LONE.nii.gz", tmp_path / "case.nii.gz")
    name = f"UP-{server.url.rsplit(':', 1)[1]}"
    assert client.upload_image(str(volume), name)["image"] == name
    file, _ = client.infer("segmentation", name, {})
    assert Path(file).is_file()
    assert server.request("DELETE", f"/datastore/image?id={name}").status_code == 200


def test_a_refusal_reaches_the_user_as_a_sentence(client):
    from monailabel.client.client import MONAILabelClientException

    with pytest.raises(MONAILabelClientException) as caught:
        client.infer("segmentation", "NOPE", {})
    assert "no case 'NOPE'" in caught.value.msg
