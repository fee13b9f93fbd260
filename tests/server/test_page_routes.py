"""The page of the workspace and the routes that only it needs."""

import gzip
import io

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.server.http.access import AccessPolicy
from brain_tumor.server.routes import page
from PIL import Image

from tests.helpers.server import AFFINE, SHAPE, a_phantom, expected_labels, write_label
from tests.helpers.volumes import grid, write_nifti
from tests.server.conftest import client_of, everything_below, refusal, same_affine

TOKEN = "0123456789abcdefTOKEN"


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A page of three files; the real one needs npm."""
    folder = tmp_path / "web"
    for name, text in {
        "index.html": "<title>page</title>",
        "vendor/niivue.js": "export {}",
        "node_modules/x.js": "no",
        "secret.py": "no",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(page, "WEB", folder)
    return folder


def test_the_page_talks_to_its_own_server_alone(client, web):
    reply = client.get("/")
    assert (reply.status_code, reply.text) == (200, "<title>page</title>")
    policy = dict(p.split(" ", 1) for p in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' data:"
    assert policy["frame-ancestors"] == "'none'"


def test_files_are_packed_and_sent_again_only_when_they_changed(client, web):
    packed = client.get("/web/vendor/niivue.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = client.get("/web/vendor/niivue.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == packed.text == "export {}"
    assert "javascript" in plain.headers["content-type"]
    tag = {"If-None-Match": plain.headers["etag"]}
    assert client.get("/web/vendor/niivue.js", headers=tag).status_code == 304
    (web / "vendor" / "niivue.js").write_text("export const a = 1")
    assert client.get("/web/vendor/niivue.js", headers=tag).text == "export const a = 1"


@pytest.mark.parametrize(
    "path", ["/web/none.js", "/web/", "/web/vendor", "/web/secret.py", "/web/node_modules/x.js"]
)
def test_nothing_else_is_served(client, web, path):
    refusal(client.get(path), 404, "not_found")


def test_a_page_that_is_not_built_says_so_in_one_sentence(client, web):
    (web / "vendor" / "niivue.js").unlink()
    reply = client.get("/")
    assert reply.status_code == 503
    assert reply.text == page.NOT_BUILT
    assert client.get("/info/").status_code == 200


def test_the_page_comes_without_the_token_and_the_data_do_not(app, web):
    networked = AccessPolicy(token=TOKEN, any_address=True)
    client = client_of(app, networked, base_url="http://192.168.0.5:8000", client=("10.0.0.9", 1))
    assert client.get("/").status_code == 200
    assert client.get("/web/index.html").status_code == 200
    refusal(client.get("/cases/overview"), 401)
    refusal(client.put("/"), 401)
    refusal(client.get("/webs"), 401)


def test_the_overview_has_what_the_table_shows(client):
    client.post("/infer/analysis?image=FULL&output=json", data={"params": '{"client_id": "Kim"}'})
    client.post("/infer/segmentation?image=FULL&output=json")
    rows = {row["id"]: row for row in client.get("/cases/overview").json()}
    full, lone = rows["FULL"], rows["LONE"]
    assert full["sequences"] == ["t1", "t1c", "t2", "flair"]
    assert (full["reference"], full["status"], full["labels"]) == ("t1c", "predicted", [])
    result = full["result"]
    assert result["volumes_ml"]["WT"] == pytest.approx(216 * 5e-3)  # 6x6x6 voxels of 5 microlitres
    assert result["prediction"]  # told by the analysis; the later outline does not hide it
    assert result["task"] == "segmentation"
    assert (lone["sequences"], lone["status"], lone["result"]) == (["t1c"], "new", None)
    assert lone["patient"] == "LONE"


def test_sequences_tell_what_is_there_and_what_is_missing(client):
    told = client.get("/cases/sequences?image=LONE").json()
    assert told["sequences"] == ["t1c"]
    assert told["missing"] == ["t1", "t2", "flair"]
    assert any("t1c" in warning for warning in told["warnings"])
    refusal(client.get("/cases/sequences?image=NONE"), 404)


def test_the_reference_comes_as_it_is_stored(client, studies):
    held = client.get("/cases/volume?image=FULL&sequence=t1c")
    assert held.content == (studies / "FULL.nii.gz").read_bytes()
    refusal(client.get("/cases/volume?image=LONE&sequence=t2"), 404, "not_found")


def test_a_sequence_on_another_grid_comes_on_the_grid_of_the_reference(client, studies):
    shifted = grid((2.0, 2.0, 2.5), (-20.0, 12.0, 3.0), flips=(-1, 1, 1), euler_degrees=(5, 10, 20))
    path = studies / "sequences" / "FULL" / "t2.nii.gz"
    path.unlink()
    write_nifti(path, a_phantom()[::2], shifted)
    content = client.get("/cases/volume?image=FULL&sequence=t2").content
    found = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    assert found.shape == SHAPE
    same_affine(found.affine, AFFINE)


def test_a_label_comes_as_nifti_with_its_very_voxels(client, tmp_path):
    labels = expected_labels()
    content = write_label(tmp_path / "x.nii.gz", labels).read_bytes()
    empty = write_label(tmp_path / "y.nii.gz", np.zeros_like(labels)).read_bytes()
    client.put("/datastore/label?image=FULL&tag=final", files={"label": ("x.nii.gz", content)})
    reply = client.get("/cases/label?image=FULL&tag=final")
    found = nib.Nifti1Image.from_bytes(gzip.decompress(reply.content))
    np.testing.assert_array_equal(np.asarray(found.dataobj), labels)
    same_affine(found.affine, AFFINE)
    client.put("/datastore/label?image=FULL&tag=final", files={"label": ("x.nii.gz", empty)})
    first = client.get("/cases/label?image=FULL&tag=final&version=1")
    found = nib.Nifti1Image.from_bytes(gzip.decompress(first.content))
    np.testing.assert_array_equal(np.asarray(found.dataobj), labels)
    refusal(client.get("/cases/label?image=FULL&tag=final&version=3"), 404)
    refusal(client.get("/cases/label?image=LONE&tag=final"), 404)


def test_the_thumbnail_is_a_small_picture(client):
    reply = client.get("/cases/thumbnail?image=FULL")
    assert reply.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(reply.content))
    assert max(picture.size) <= 96
    assert np.ptp(np.asarray(picture)) > 100


def a_session(client, names, tmp_path):
    path = write_nifti(tmp_path / "up.nii.gz", a_phantom() + 1, AFFINE)
    files = [("files", (name, path.read_bytes())) for name in names]
    return client.put("/session/", files=files).json()["session_id"]


def keep(client, session, **more):
    body = {"session_id": session, "image": "NEW", **more}
    return client.post("/cases/import", json=body)


def test_a_session_can_be_looked_at_and_kept_with_all_its_sequences(client, tmp_path):
    session = a_session(client, ["t1c.nii.gz", "flair.nii.gz"], tmp_path)
    told = client.get(f"/cases/sequences?session_id={session}").json()
    assert told["sequences"] == ["t1c", "flair"]
    volume = client.get(f"/cases/volume?session_id={session}&sequence=flair").content
    found = nib.Nifti1Image.from_bytes(gzip.decompress(volume))
    np.testing.assert_array_equal(np.asarray(found.dataobj), a_phantom() + 1)
    reply = keep(client, session, patient="P7").json()
    assert (reply["image"], reply["sequences"]) == ("NEW", ["t1c", "flair"])
    rows = {row["id"]: row for row in client.get("/cases/overview").json()}
    assert rows["NEW"]["sequences"] == ["t1c", "flair"]
    assert rows["NEW"]["patient"] == "P7"
    refusal(client.get(f"/session/{session}"), 404)


def test_a_taken_id_is_refused_and_the_session_stays(client, tmp_path, studies):
    session = a_session(client, ["t1c.nii.gz"], tmp_path)
    before = everything_below(studies / "sequences")
    assert "taken" in refusal(keep(client, session, image="FULL"), 400)
    refusal(keep(client, session, image="../x"), 400)
    refusal(keep(client, "no-session"), 400)
    assert everything_below(studies / "sequences") == before
    assert client.get(f"/session/{session}").status_code == 200
