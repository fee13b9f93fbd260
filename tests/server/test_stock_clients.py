"""What unmodified clients of MONAI Label send is understood."""

import json

import pytest
from brain_tumor.errors import InputError
from brain_tumor.server.http.access import AccessPolicy
from brain_tumor.server.launcher import serve

from tests.server.conftest import client_of, refusal

TOKEN = "0123456789abcdef"


def test_a_stock_client_logs_in_with_the_token_as_password(app):
    client = client_of(app, AccessPolicy(token=TOKEN))
    assert client.get("/auth/").json()["enabled"] is True
    assert client.get("/auth").json()["enabled"] is True
    form = {"username": "anna", "password": TOKEN, "grant_type": "password"}
    told = client.post("/auth/token", data=form).json()
    assert told == {"access_token": TOKEN, "token_type": "bearer"}
    headers = {"Authorization": f"{told['token_type']} {told['access_token']}"}
    assert client.get("/info/", headers=headers).status_code == 200


@pytest.mark.parametrize("password", ["", "0123456789abcdeF", TOKEN + "x", "é" * 16, "0" * 5000])
def test_a_wrong_password_logs_nobody_in(app, password):
    client = client_of(app, AccessPolicy(token=TOKEN))
    reply = client.post("/auth/token", data={"username": "anna", "password": password})
    assert "password" in refusal(reply, 401, "unauthorised")
    assert TOKEN not in reply.text
    refusal(client.get("/info/"), 401, "unauthorised")


def test_without_a_token_there_is_nothing_to_log_in_to(client):
    assert client.get("/auth/").json()["enabled"] is False
    told = client.post("/auth/token", data={"username": "a", "password": "b"}).json()
    assert told == {"access_token": None, "token_type": None}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reset_state", True),
        ("reset_state", "true"),
        ("roi", [0, 1, 2, 3, 4, 5]),
        ("largest_cc", False),
        ("restore_label_idx", False),
        ("operation", "add"),
        ("device", "cuda:0"),
    ],
)
@pytest.mark.parametrize("model", ["segmentation", "refine"])
def test_what_only_other_models_know_is_ignored(client, model, key, value):
    told = {"params": json.dumps({key: value})}
    path = f"/infer/{model}?image=FULL&output=json"
    reply, plain = client.post(path, data=told), client.post(path)
    assert reply.status_code == 200, reply.text
    assert reply.json()["segmentation"] == plain.json()["segmentation"]
    assert reply.json()["cached"] or plain.json()["cached"]


def test_smart_edit_offers_negative_clicks_and_they_remove(client):
    models = client.get("/info/").json()["models"]
    assert models["refine"]["labels"]["background"] == 0
    assert "background" not in models["segmentation"]["labels"]
    clicks = {"background": [[4, 4, 4]], "oedema": [], "enhancing tumour": []}
    told = {"params": json.dumps(clicks)}
    reply = client.post("/infer/refine?image=FULL&output=json", data=told).json()
    assert reply["refinement"]["strokes"] == 1
    assert reply["refinement"]["changed_voxels"] > 0


@pytest.mark.parametrize("studies", ["ftp://pacs/x", "dicomweb://x"])
def test_an_address_is_no_studies_folder(tmp_path, monkeypatch, studies):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="expected a folder") as refused:
        serve(Path(studies))
    assert "tumorlens import" in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_ohif_is_refused_with_what_to_use_instead(client):
    for path in ("/ohif/", "/ohif/index.html"):
        reply = client.get(path)
        refusal(reply, 404, "not_found")
        assert "Slicer" in reply.json()["remedy"]
