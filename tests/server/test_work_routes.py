import pytest
from brain_tumor.server.learning.strategies import FirstStrategy, RandomStrategy

from tests.helpers.server import MODEL, Gate, ThresholdSegmenter, write_label
from tests.server.conftest import InProcessApp, client_of, refusal

DEADLINE_S = 60


def label_case(client, tmp_path, image):
    path = write_label(tmp_path / "upload" / "label.nii.gz")
    reply = client.put(
        f"/datastore/label?image={image}", files={"label": ("l.nii.gz", path.read_bytes())}
    )
    assert reply.status_code == 200


class TestInfo:
    def test_it_lists_only_what_exists(self, client):
        info = client.get("/info/").json()
        tasks = ["segmentation", "refine", "classification", "explanation", "analysis"]
        assert list(info["models"]) == tasks
        trainers = ["classification", "segmentation", "tumor_core"]
        assert sorted(info["trainers"]) == trainers
        assert info["train_stats"] == {name: {} for name in trainers}
        strategies = ["combined", "disagreement", "diversity", "first", "random", "uncertainty"]
        assert sorted(info["strategies"]) == strategies
        assert info["scoring"] == {}
        assert info["datastore"] == {"total": 3, "completed": 0, "label_tags": {}}
        assert "not a medical device" in info["description"]

    def test_the_version_of_a_model_can_be_asked_for(self, client):
        info = client.get("/model/info/segmentation").json()
        assert info == {"checksum": MODEL.sha256, "models": [MODEL.to_json()]}
        refusal(client.get("/model/info/nope"), 404, "not_found")

    def test_the_choices_of_a_model_can_be_asked_for(self, client):
        info = client.get("/model/info/explanation").json()
        assert info["languages"] == ["en", "ko"]
        assert info["providers"][0] == "composer"
        assert info["methods"][0] == "gradcam++"
        assert [model["name"] for model in info["models"]] == ["segmentation", "classification"]

    def test_the_description_of_the_routes_is_ours(self, client):
        paths = client.get("/openapi.json").json()["paths"]
        assert "/infer/{model}" in paths
        assert not {"/reload", "/proxy/dicom/{path}", "/logs/"} & set(paths)


class TestNextSample:
    def test_first_goes_through_the_unlabelled_cases_by_name(self, client, tmp_path):
        order = []
        for _ in range(3):
            sample = client.post("/activelearning/first", json={"client_id": "anna"}).json()
            order.append(sample["id"])
            label_case(client, tmp_path, sample["id"])
        assert order == ["FULL", "LONE", "SPARE"]
        assert client.post("/activelearning/first").json() == {}

    def test_a_sample_has_what_stock_clients_read(self, client, studies):
        sample = client.post("/activelearning/first", json={"client_id": "anna"}).json()
        assert sample["path"] == str(studies / "FULL.nii.gz")
        assert sample["name"] == "FULL.nii.gz"
        assert sample["strategy"]["first"]["client_id"] == "anna"

    def test_random_serves_every_case_once_before_any_twice(self, client, app):
        # all three are handed out within the same second: time alone would not tell them apart
        app._strategies["random"] = RandomStrategy(seed=1)
        served = [client.post("/activelearning/random").json()["id"] for _ in range(3)]
        assert sorted(served) == ["FULL", "LONE", "SPARE"]

    def test_an_unknown_strategy_is_not_found_and_the_known_are_named(self, client):
        message = refusal(client.post("/activelearning/epistemic"), 404, "not_found")
        assert "diversity, first, random" in message

    @pytest.mark.parametrize("body", [{"image": "x"}, {"client_id": 3}, [1], "x"])
    def test_params_are_checked(self, client, body):
        assert refusal(client.post("/activelearning/first", json=body), 400)


class AStore:
    """Cases and when they were served."""

    def __init__(self, served):
        self.served = served

    def get_unlabeled_images(self, tag):
        return list(self.served)

    def get_image_info(self, image):
        return {"strategy": {"random": {"ts": self.served[image]}}}


def test_random_takes_those_served_longest_ago_and_is_reproducible():
    store = AStore({"b": 5, "a": 5, "c": 9})
    picks = [RandomStrategy(seed=7)({}, store)["id"] for _ in range(3)]
    assert len(set(picks)) == 1
    many = RandomStrategy(seed=7)
    assert {many({}, store)["id"] for _ in range(40)} == {"a", "b"}
    assert RandomStrategy()({}, AStore({})) is None
    assert FirstStrategy()({}, AStore({})) is None


class TestTraining:
    def test_an_idle_server_answers_stock_clients_without_an_error(self, client):
        assert client.get("/train/").json()["status"] == "IDLE"
        assert client.get("/train/?all=true").json() == []
        assert client.delete("/train/").json()["status"] == "IDLE"
        refusal(client.get("/train/?check_if_running=true"), 404, "not_found")

    def test_what_cannot_be_trained_is_not_found(self, client):
        message = refusal(client.post("/train/nope", json={}), 404, "not_found")
        assert "those that can: classification, segmentation, tumor_core" in message
        assert "no model is named" in refusal(client.post("/train/"), 400)

    @pytest.mark.parametrize(
        "params",
        [
            {"tracking_uri": "http://evil.example"},
            {"name": "../../x"},
            {"train_ds": "/etc"},
            {"model": "other"},
            {"max_epochs": 1, "dataset": "x"},
            {"max_epochs": 0},
            {"max_epochs": "many"},
            {"learning_rate": 5},
        ],
    )
    def test_a_training_takes_only_its_own_options(self, client, app, monkeypatch, params):
        monkeypatch.setattr(app.learning.jobs, "start", lambda request: pytest.fail("started"))
        refusal(client.post("/train/segmentation", json=params), 400, "bad_input")

    def test_without_corrections_there_is_nothing_to_learn(self, client):
        message = refusal(client.post("/train/segmentation"), 400, "bad_input")
        assert "0 corrections" in message


class TestBatches:
    def test_all_unlabelled_cases_get_an_original_label(self, client, app, tmp_path):
        label_case(client, tmp_path, "LONE")
        started = client.post("/batch/infer/segmentation", json={"client_id": "anna"}).json()
        assert (started["status"], started["total"]) == ("RUNNING", 2)
        assert app.batches.wait(DEADLINE_S)
        done = client.get("/batch/infer").json()
        assert (done["status"], done["done"], done["failed"]) == ("DONE", 2, 0)
        assert client.get("/datastore/").json()["label_tags"] == {"final": 1, "original": 2}
        refusal(client.get("/batch/infer?check_if_running=true"), 404)

    def test_one_bad_case_does_not_end_the_batch_and_is_named(self, client, app, studies):
        (studies / "BAD.nii.gz").write_bytes(b"x")
        client.post("/batch/infer/segmentation?images=all")
        assert app.batches.wait(DEADLINE_S)
        done = client.get("/batch/infer").json()
        assert (done["done"], done["failed"]) == (4, 1)
        assert done["details"][0].startswith("BAD: BAD.nii.gz")
        assert client.get("/datastore/").json()["label_tags"] == {"original": 3}

    def test_a_batch_can_be_stopped_after_its_current_case_and_there_is_one_at_a_time(
        self, studies
    ):
        gate = Gate()
        app = InProcessApp(studies, ThresholdSegmenter(gate))
        client = client_of(app)
        client.post("/batch/infer/segmentation?images=all")
        assert gate.entered.acquire(timeout=DEADLINE_S)
        assert client.get("/batch/infer?check_if_running=true").json()["status"] == "RUNNING"
        refusal(client.post("/batch/infer/segmentation"), 503, "busy")
        client.delete("/batch/infer")
        gate.leave.set()
        assert app.batches.wait(DEADLINE_S)
        done = client.get("/batch/infer").json()
        assert (done["status"], done["done"]) == ("STOPPED", 1)

    def test_unknown_models_and_selections_are_refused(self, client):
        refusal(client.post("/batch/infer/nope"), 404, "not_found")
        assert "images" in refusal(client.post("/batch/infer/segmentation?images=some"), 400)
        assert client.get("/batch/infer").json()["status"] == "IDLE"
