"""JSON that wants to destroy the index, to fill the memory, or to stop the event loop."""

import json

import pytest

from tests.helpers.server import ThresholdSegmenter, write_label, write_studies
from tests.server.conftest import InProcessApp, client_of, everything_below, refusal

DEEP = 900
POISON = {
    "half a character": r'"\ud800"',
    "half a character inside": r'["a", {"b": "x\udfffy"}]',
    "half a character as key": r'{"\udc00": 1}',
    "the end of text": r'"\u0000"',
    "33 deep": "[" * 33 + "]" * 33,
    "300 deep": "[" * 300 + "]" * 300,
    "900 deep": '{"a":' * DEEP + "1" + "}" * DEEP,
    "50000 deep": "[" * 50_000 + "]" * 50_000,
    "infinity": "1e999",
    "minus infinity": "-1e999",
    "named infinity": "Infinity",
    "no number": "NaN",
    "a number of 4000 digits": "9" * 4000,
    "a number of 6000 digits": "9" * 6000,
    "65 bits": str(2**64),
}
FORMS = {
    "image info": ("put", "/datastore/image/info?image=FULL", "info"),
    "label info": ("put", "/datastore/label/info?label=LONE&tag=final", "info"),
    "older label info": ("put", "/datastore/updatelabelinfo?label=LONE&tag=final", "params"),
    "new image": ("put", "/datastore/image?image=NEW", "params"),
    "new label": ("put", "/datastore/label?image=FULL", "params"),
    "inference": ("post", "/infer/segmentation?image=FULL", "params"),
    "clicks": ("post", "/infer/refine?image=FULL", "params"),
}
BODIES = {
    "/corrections/type": {"image": "FULL", "type": "glioma"},
    "/corrections/sentences": {"image": "FULL", "sentences": [{"text": "x", "verdict": "right"}]},
    "/corrections/review": {"submission": 1, "decision": "reviewed"},
    "/cases/reserve": {"image": "FULL", "client_id": "anna"},
    "/cases/reopen": {"image": "FULL"},
    "/activelearning/first": {},
    "/train/segmentation": {},
    "/batch/infer/segmentation": {},
    "/models/segmentation/promote": {"version": "1.0.0"},
    "/models/segmentation/rollback": {},
}


@pytest.fixture(scope="module")
def label(tmp_path_factory):
    """Label file of the phantom."""
    return write_label(tmp_path_factory.mktemp("label") / "label.nii.gz").read_bytes()


def prepared(studies, label):
    """Client of a server whose case LONE has a label, and whose case FULL has information."""
    client = client_of(InProcessApp(write_studies(studies), ThresholdSegmenter()))
    reply = client.put("/datastore/label?image=LONE", files={"label": ("label.nii.gz", label)})
    assert reply.status_code == 200
    told = {"info": json.dumps({"patient": "P7", "note": "keep this"})}
    assert client.put("/datastore/image/info?image=FULL", data=told).status_code == 200
    return client


@pytest.fixture(scope="module")
def shared(tmp_path_factory, label):
    """One server for the tests that must not change anything, and its studies folder."""
    studies = tmp_path_factory.mktemp("shared") / "studies"
    return prepared(studies, label), studies


@pytest.fixture
def labelled(studies, label):
    """A server of its own for tests that spoil something."""
    return prepared(studies, label)


def sent(client, route, told, label):
    """Reply to a form."""
    method, path, field = FORMS[route]
    part = {"new image": "file", "new label": "label"}.get(route)
    files = {part: ("sent.nii.gz", label)} if part else None
    return client.request(method, path, data={field: told}, files=files)


@pytest.mark.parametrize("route", FORMS)
def test_a_form_field_with_poison_is_refused(shared, label, route):
    client, studies = shared
    before = everything_below(studies)
    for poison in POISON.values():
        refusal(sent(client, route, f'{{"note": {poison}}}', label), code="bad_input")
    assert everything_below(studies) == before


@pytest.mark.parametrize("path", BODIES)
def test_a_body_with_poison_is_refused(shared, path):
    client, _ = shared
    for poison in POISON.values():
        for key in ("note", *BODIES[path]):
            rest = json.dumps({k: v for k, v in BODIES[path].items() if k != key})[1:-1]
            body = f'{{"{key}": {poison}{", " if rest else ""}{rest}}}'
            headers = {"content-type": "application/json"}
            refusal(client.post(path, content=body, headers=headers))
    assert client.get("/datastore/?output=all").status_code == 200


WRONG_TYPES = [None, True, 7, 1.5, "text", [], [1], {}, {"a": 1}, [[]], [{}], [None], ["x"]]


def told(value):
    """Names of values in the ids of tests."""
    return json.dumps(value)


def test_a_wrong_type_in_any_key_of_a_body_is_no_failure_of_the_server(labelled):
    more = ("client_id", "minutes", "reason", "seconds_spent", "heat_open", "text_open", "model")
    keys = (*more, "label_tag", "labels", "note", "dry_run", "learning_rate")
    paths = [path for path in BODIES if not path.startswith("/batch")]  # that would begin to work
    for value in WRONG_TYPES:
        for path in paths:
            body = BODIES[path]
            for key in (*body, *keys):
                reply = labelled.post(path, json={**body, key: value})
                assert reply.status_code in {200, 400, 404, 503}, (path, key, value, reply.text)
            if not path.startswith("/train"):
                assert labelled.post(path, json=value).status_code < 500, (path, value)
        for key in ("text", "verdict", "evidence", "id", "comment"):
            judged = {"text": "x", "verdict": "right", key: value}
            body = {"image": "FULL", "sentences": [judged]}
            assert labelled.post("/corrections/sentences", json=body).status_code < 500


def test_a_wrong_type_in_any_key_of_a_form_is_no_failure_of_the_server(labelled, label):
    keys = {
        "image info": ("patient", "client_id", "label_info", "strategy", "note"),
        "label info": ("label_info", "client_id", "draft", "strategy", "patient"),
        "new label": ("label_info", "client_id", "seconds_spent", "heat_open", "draft", "params"),
        "inference": ("client_id", "result_extension", "save_label", "label_info", "uncertainty"),
        "clicks": ("clicks", "foreground", "background", "label", "start", "oedema"),
    }
    for value in WRONG_TYPES:
        for route, named in keys.items():
            for key in named:
                reply = sent(labelled, route, json.dumps({key: value}), label)
                assert reply.status_code in {200, 400, 404}, (route, key, value, reply.text)
        for key in ("ijk", "ras", "label"):
            one = {"ijk": [1, 2, 3], key: value}
            told = json.dumps({"clicks": {"positive": [one], "negative": value}})
            assert sent(labelled, "clicks", told, label).status_code < 500, (key, value)
    assert labelled.post("/activelearning/first", json={}).status_code == 200
    assert labelled.get("/datastore/?output=all").status_code == 200


def test_reserved_keys_are_refused_everywhere(shared, label):
    for key in ("strategy", "ts", "saved_at", "version", "sha256", "proposed_by"):
        for route in ("image info", "label info", "new image", "new label"):
            told = json.dumps({key: {"first": 1}})
            assert key in refusal(sent(shared[0], route, told, label), code="bad_input")


def test_information_is_bounded_for_each_case(labelled, studies):
    told = {"info": json.dumps({"note": "x" * 40_000})}
    assert labelled.put("/datastore/image/info?image=FULL", data=told).status_code == 200
    before = everything_below(studies)
    more = {"info": json.dumps({"second": "x" * 40_000})}
    said = refusal(labelled.put("/datastore/image/info?image=FULL", data=more))
    assert "65536" in said
    assert everything_below(studies) == before


def write_poisoned(studies, poison):
    """Index and backup as a server that took everything would have left them."""
    for name in ("datastore_v2.json", "datastore_v2.json.bak"):
        index = json.loads((studies / name).read_text())
        text = json.dumps(index, indent=2)
        spot = '"note": "keep this"'
        assert spot in text
        (studies / name).write_text(text.replace(spot, f'{spot}, "poison": {poison}'))


@pytest.mark.parametrize("poison", [r'"\ud800"', "[" * 300 + "]" * 300, "[" * 900 + "]" * 900])
def test_an_index_with_poison_in_it_is_mended_entry_by_entry(labelled, studies, segmenter, poison):
    write_poisoned(studies, poison)
    restarted = client_of(InProcessApp(studies, segmenter))
    held = restarted.get("/datastore/?output=all").json()["objects"]
    assert held["LONE"]["labels"]["final"]["info"]["version"] == 1
    if "[" not in poison:
        assert held["FULL"]["image"]["info"]["note"] == "keep this"
        assert "poison" not in held["FULL"]["image"]["info"]
    told = {"info": '{"more": 1}'}
    assert restarted.put("/datastore/image/info?image=FULL", data=told).status_code == 200


def test_one_damaged_entry_comes_from_the_backup_and_the_others_stay(labelled, studies, segmenter):
    path = studies / "datastore_v2.json"
    index = json.loads(path.read_text())
    index["objects"]["FULL"]["image"] = 7
    index["objects"]["LONE"]["image"]["info"]["newer"] = "than the backup"
    path.write_text(json.dumps(index))
    held = client_of(InProcessApp(studies, segmenter)).get("/datastore/?output=all").json()
    assert held["objects"]["FULL"]["image"]["info"]["note"] == "keep this"
    assert held["objects"]["LONE"]["image"]["info"]["newer"] == "than the backup"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_index_cut_off_keeps_its_sound_entries(labelled, studies, segmenter, share):
    path = studies / "datastore_v2.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    held = client_of(InProcessApp(studies, segmenter)).get("/datastore/?output=all").json()
    assert held["objects"]["FULL"]["image"]["info"]["patient"] == "P7"
    assert len(list(studies.glob("datastore_v2.damaged-*.json"))) == 1
