"""The contract that every infer task of the app keeps, now and when more are registered."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from brain_tumor.cases.files.readers import read_labelmap, read_volume
from brain_tumor.explanation import type_heat
from brain_tumor.explanation.faithfulness.method_sanity import MethodSanity
from brain_tumor.explanation.heat.fusion import fuse_slices
from brain_tumor.explanation.heat.methods import HeatMethod
from brain_tumor.explanation.rationale import rationale
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import ProviderError
from brain_tumor.explanation.rationale.providers.registry import ComposerProvider
from brain_tumor.labels import label_names
from brain_tumor.server.http.validation import Parameter
from brain_tumor.server.tasks import explanation as explanation_task
from brain_tumor.server.tasks.admission import InferenceGate
from brain_tumor.server.tasks.base import TaskServices
from brain_tumor.server.tasks.explanation import AnalysisTask, ExplanationTask

from tests.helpers.region_network import ByContrast
from tests.helpers.second_readers import FixedReader
from tests.helpers.server import AFFINE, MODEL, Gate, ThresholdSegmenter, expected_labels
from tests.helpers.server import parse_reply as parse
from tests.helpers.type_reader import a_type_reader
from tests.helpers.volumes import write_nifti
from tests.server.conftest import InProcessApp, client_of, everything_below, refusal, same_affine

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "reply.schema.json").read_text(encoding="utf-8")
)


class RegionSegmenter(ThresholdSegmenter):
    """A threshold that names a network which sees the same."""

    def segment(self, case, *, mirrored=False):
        # on the working grid the z-score of the phantom is 1.5 to 2.2 in the enhancing tumour
        network = ByContrast(threshold=1.5, background=0.0, flair=0.0)
        return replace(super().segment(case, mirrored=mirrored), network=network)


class SlowProvider:
    """Says one true thing: the composer's first sentence; waits or fails if a test wants it to."""

    name = "endpoint"

    def __init__(self):
        self.calls, self.fails, self.gate = 0, False, None

    def phrase(self, facts, language):
        self.calls += 1
        if self.gate is not None:
            self.gate()
        if self.fails:
            raise ProviderError("no answer")
        return [compose(facts, language)[0].text]


def a_provider(monkeypatch):
    """A provider of words that a request may name."""
    provider = SlowProvider()
    choices = Parameter(
        (str,), default="composer", choices=("composer", "endpoint"), affects_result=False
    )
    for task in (ExplanationTask, AnalysisTask):
        monkeypatch.setattr(task, "parameters", {**task.parameters, "provider": choices})
    for module in (explanation_task, rationale):
        monkeypatch.setattr(
            module,
            "provider_of_environment",
            lambda name: provider if name == "endpoint" else ComposerProvider(),
        )
    return provider


TASKS = ["segmentation", "refine", "classification", "explanation", "analysis"]


def test_the_list_of_this_suite_is_the_list_of_the_app(client):
    assert sorted(client.get("/info/").json()["models"]) == sorted(TASKS)


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def run(client, task, image="FULL", params=None, **options):
    query = "&".join(f"{k}={v}" for k, v in {"image": image, **options}.items())
    data = {"params": json.dumps(params or {})}
    return client.post(f"/infer/{task}?{query}", data=data)


class TestContract:
    def test_info_has_what_stock_clients_read(self, client, task):
        info = client.get("/info/").json()
        model = info["models"][task]
        assert set(model) == {"type", "labels", "dimension", "description", "config"}
        assert model["dimension"] == 3
        assert info["labels"] == label_names()
        # Smart Edit offers negative clicks where the model has a background
        extra = {"background": 0} if task == "refine" else {}
        assert model["labels"] == label_names() | extra
        assert "background" not in {name.lower() for name in info["labels"]}
        assert all(isinstance(v, bool | int | float | str) for v in model["config"].values())

    def test_the_reply_follows_the_documented_schema(self, client, task):
        for image in ("FULL", "LONE"):
            params, _ = parse(run(client, task, image))
            jsonschema.validate(params, SCHEMA)
            assert params["task"] == task
            assert params["case"] == image

    def test_the_reply_names_models_sequences_and_stages(self, client, task):
        params, _ = parse(run(client, task))
        assert params["models"][0] == MODEL.to_json()
        assert params["sequences"] == {
            "used": ["t1", "t1c", "t2", "flair"],
            "missing": [],
            "reference": "t1c",
        }
        assert {"load", "compute", "encode", "total"} <= set(params["timings_s"])
        assert "Research use only" in params["notice"]
        lone, _ = parse(run(client, task, "LONE"))
        assert lone["sequences"]["missing"] == ["t1", "t2", "flair"]

    def test_the_same_request_gives_the_same_answer_and_is_not_computed_again(
        self, client, task, segmenter
    ):
        first, first_files = parse(run(client, task))
        again, again_files = parse(run(client, task))
        assert segmenter.calls == 1
        assert (first.pop("cached"), again.pop("cached")) == (False, True)
        for params in (first, again):
            for key in ("timings_s", "files"):
                del params[key]
        assert first == again
        assert first_files == again_files

    def test_a_changed_file_is_computed_again(self, client, task, studies, segmenter):
        run(client, task)
        content = (studies / "sequences" / "FULL" / "t2.nii.gz").read_bytes()
        (studies / "sequences" / "FULL" / "t2.nii.gz").unlink()
        params, _ = parse(run(client, task))
        assert params["sequences"]["missing"] == ["t2"]
        assert params["cached"] is False
        (studies / "sequences" / "FULL" / "T2w.nii.gz").write_bytes(content)
        params, _ = parse(run(client, task))
        assert params["sequences"]["missing"] == []
        assert segmenter.calls == 3

    def test_a_new_model_version_is_computed_again(self, client, task, segmenter):
        run(client, task)
        segmenter.version = type(MODEL)("segmentation", "0.0.2", "e" * 64)
        assert parse(run(client, task))[0]["cached"] is False
        assert segmenter.calls == 2

    def test_json_and_image_can_be_asked_for_alone(self, client, task):
        assert run(client, task, output="json").json()["case"] == "FULL"
        image = run(client, task, output="image")
        if task == "classification":
            assert "no file" in refusal(image, 404)
            return
        assert image.headers["content-disposition"].startswith("attachment; filename=")
        assert image.content == next(iter(parse(run(client, task))[1].values()))

    @pytest.mark.parametrize(
        ("image", "status"),
        [
            ("NOPE", 404),
            ("..%2f..%2fetc%2fpasswd", 400),
            ("/etc/passwd", 400),
            ("%00", 400),
            ("sequences", 404),
            ("", 400),
        ],
    )
    def test_what_is_no_case_is_refused(self, client, task, image, status):
        assert refusal(run(client, task, image), status)

    @pytest.mark.parametrize(
        "params",
        [
            {"image": "/etc/passwd"},
            {"image": ["FULL"]},
            {"model": "other"},
            {"label_tag": "final"},
            {"label_tag": "../../x"},
            {"label": "/etc/passwd"},
            {"session": {"image": "/etc/passwd"}},
            {"result_extension": ".py"},
            {"result_dtype": "float64"},
            {"model_filename": "x.pt"},
            {"unheard_of": 1},
            {"description": "x"},
        ],
    )
    def test_params_that_are_not_the_clients_business_are_refused(self, client, task, params):
        assert "params" in refusal(run(client, task, params=params), 400, "bad_input")

    @pytest.mark.parametrize("text", ["{", "[]", "7", '{"a": NaN}'])
    def test_params_that_are_no_object_are_refused(self, client, task, text):
        reply = client.post(f"/infer/{task}?image=FULL", data={"params": text})
        assert "params" in refusal(reply, 400, "bad_input")

    @pytest.mark.parametrize("output", ["dicom", "all;rm", "ALL"])
    def test_an_unknown_output_is_refused(self, client, task, output):
        assert "output" in refusal(run(client, task, output=output))

    @pytest.mark.parametrize("session", ["../../x", "0", "00000000-0000-0000-0000-00000000000g"])
    def test_what_is_no_session_is_refused(self, client, task, session):
        assert "session_id" in refusal(run(client, task, session_id=session))

    def test_an_unknown_session_is_not_found(self, client, task):
        unknown = "00000000-0000-0000-0000-000000000000"
        assert "no session" in refusal(run(client, task, session_id=unknown), 404, "not_found")

    def test_a_label_file_is_refused_by_a_task_that_takes_none(self, app, client, task):
        if app.infer_task(task).takes_label:
            pytest.skip("this task corrects labelmaps")
        reply = client.post(f"/infer/{task}?image=FULL", files={"label": ("a.nii.gz", b"x")})
        assert "takes no label" in refusal(reply)


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(client):
    message = refusal(run(client, "nope"), 404, "not_found")
    assert "segmentation" in message
    refusal(run(client, "a%2fb"), 404)


class TestSegmentation:
    def test_the_labelmap_is_exact_and_on_the_reference_grid(self, client, tmp_path):
        params, files = parse(run(client, "segmentation", params={"result_extension": ".nrrd"}))
        (tmp_path / "a.nrrd").write_bytes(files["image"])
        labels, affine = read_labelmap(tmp_path / "a.nrrd")
        np.testing.assert_array_equal(labels, expected_labels())
        same_affine(affine, AFFINE)
        section = params["segmentation"]
        assert section["scheme"] == "subregions"
        assert section["labels"] == {"necrotic core": 1, "oedema": 2, "enhancing tumour": 3}
        # 216, 64 and 56 voxels of 5 microlitres
        assert section["volumes_ml"] == pytest.approx({"WT": 1.08, "TC": 0.32, "ET": 0.28})
        assert params["label_names"] == label_names()

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd"])
    def test_the_client_chooses_the_format(self, client, tmp_path, suffix):
        params, files = parse(run(client, "segmentation", params={"result_extension": suffix}))
        assert params["files"][0]["filename"].endswith(suffix)
        assert "FULL" not in params["files"][0]["filename"]
        (tmp_path / f"a{suffix}").write_bytes(files["image"])
        labels, affine = read_labelmap(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(labels, expected_labels())
        same_affine(affine, AFFINE)

    def test_a_lone_t1c_gives_the_undivided_core(self, client, tmp_path):
        params, files = parse(run(client, "segmentation", "LONE"))
        (tmp_path / "a.nrrd").write_bytes(files["image"])
        labels, _ = read_labelmap(tmp_path / "a.nrrd")
        wanted = np.isin(expected_labels(), (1, 3)) * 4
        np.testing.assert_array_equal(labels, wanted)
        assert params["segmentation"]["scheme"] == "core"
        assert params["segmentation"]["labels"] == {"tumour core": 4}
        assert params["segmentation"]["volumes_ml"] == pytest.approx({"TC": 0.32})

    def test_warnings_of_files_and_model_arrive_together(self, client):
        params, _ = parse(run(client, "segmentation", "LONE"))
        assert any("taken as t1c" in warning for warning in params["warnings"])
        assert "made by a threshold" in params["warnings"]

    def test_the_uncertainty_comes_as_a_further_part_after_the_labelmap(self, client, tmp_path):
        reply = run(client, "segmentation", params={"uncertainty": True})
        params, files = parse(reply)
        assert list(files) == ["image", "uncertainty"]
        assert [f["name"] for f in params["files"]] == ["image", "uncertainty"]
        (tmp_path / "u.nrrd").write_bytes(files["uncertainty"])
        steps, _ = read_labelmap(tmp_path / "u.nrrd")
        assert set(np.unique(steps)) == {0, 128}
        assert params["uncertainty"]["scale"] == pytest.approx(1 / 255)
        assert "uncertainty" not in parse(run(client, "segmentation"))[0]

    def test_a_mirrored_outline_is_read_on_request_and_kept_apart(self, client, segmenter):
        begun = len(segmenter.mirrored)
        requests = ({}, {"mirrored": True}, {"mirrored": False}, {"mirrored": True})
        replies = [parse(run(client, "segmentation", params=params))[0] for params in requests]
        assert [reply["cached"] for reply in replies] == [False, False, True, True]
        assert segmenter.mirrored[begun:] == [False, True]

    def test_a_result_is_saved_as_the_original_label_on_request(self, client, app):
        run(client, "segmentation", params={"save_label": True, "label_tag": "original"})
        assert app.datastore().status()["label_tags"] == {"original": 1}
        info = app.datastore().get_label_info("FULL", "original")
        assert info["model"] == "segmentation"
        assert list(info["params"]["label_names"]) == list(label_names())
        assert app.datastore().get_labeled_images() == []

    def test_the_next_label_knows_which_model_proposed(self, client, app):
        run(client, "segmentation")
        assert app.datastore().get_image_info("FULL")["proposed_by"] == MODEL.to_json()

    def test_an_uploaded_volume_is_used_and_forgotten(self, client, studies, app):
        before = everything_below(studies)
        content = (studies / "LONE.nii.gz").read_bytes()
        reply = client.post(
            "/infer/segmentation", files={"file": ("scan_flair.nii.gz", content, "x/y")}
        )
        params, files = parse(reply)
        assert params["case"] == "upload"
        assert params["sequences"]["used"] == ["flair"]
        assert files["image"]
        assert everything_below(studies) == before
        assert app.datastore().get_labeled_images() == []

    @pytest.mark.parametrize("name", ["notes.txt", "../../x.py", "a.nii.gz"])
    def test_a_failing_upload_leaves_nothing_behind(self, client, studies, name, tmp_path):
        before = everything_below(tmp_path)
        reply = client.post("/infer/segmentation", files={"file": (name, b"not a volume")})
        assert refusal(reply, 400)
        assert everything_below(tmp_path) == before

    def test_a_failing_model_leaves_nothing_behind_and_tells_no_secret(
        self, client, segmenter, studies, monkeypatch
    ):
        monkeypatch.setattr(segmenter, "segment", lambda case, **_: 1 // 0)
        before = everything_below(studies)
        content = (studies / "LONE.nii.gz").read_bytes()
        reply = client.post("/infer/segmentation", files={"file": ("t1c.nii.gz", content)})
        assert "reference" in refusal(reply, 500, "internal")
        assert everything_below(studies) == before


class ReadTwiceApp(InProcessApp):
    """The app with a second reader that sees a meningioma in everything."""

    def load_type_reader(self):
        self.second = FixedReader(glioma=0.05, meningioma=0.9, pituitary=0.05)
        reader = replace(a_type_reader(), symptoms=self.second, warnings=("made for another",))
        return lambda: reader


@pytest.mark.parametrize("task", ["classification", "explanation", "analysis"])
class TestSecondReader:
    @pytest.fixture
    def app(self, studies, segmenter):
        return ReadTwiceApp(studies, segmenter)

    def test_it_is_asked_once_and_its_answer_is_in_the_reply(self, client, app, task):
        params, _ = parse(run(client, task))
        jsonschema.validate(params, SCHEMA)
        assert app.second.calls == 1
        assert params["second_reader"]["prediction"] == "meningioma"
        assert [model["name"] for model in params["models"]][1:] == ["classification", "concepts"]
        assert "made for another" in params["warnings"]

    def test_without_it_neither_symptoms_nor_warnings_of_it_are_told(self, client, app, task):
        run(client, task)
        params, _ = parse(run(client, task, params={"second_reader": False}))
        jsonschema.validate(params, SCHEMA)
        assert params["cached"] is False
        assert app.second.calls == 1
        assert not {"second_reader", "symptoms"} & set(params)
        assert [model["name"] for model in params["models"]][1:] == ["classification"]
        assert "made for another" not in params["warnings"]
        assert not any("second reader" in warning for warning in params["warnings"])
        assert not any("symptom" in str(item["feature"]) for item in params.get("evidence", []))

    @pytest.mark.parametrize("value", ["perhaps", 1, 0.5, [], {"a": 1}, None])
    def test_what_is_neither_yes_nor_no_is_refused(self, client, task, value):
        message = refusal(run(client, task, params={"second_reader": value}))
        assert message == (f"params.second_reader is a {type(value).__name__}; expected bool")


def test_symptoms_are_evidence_that_sentences_are_checked_against(studies, segmenter):
    params, _ = parse(run(client_of(ReadTwiceApp(studies, segmenter)), "explanation"))
    seen, unseen = params["symptoms"]
    items = {item["id"]: item for item in params["evidence"]}
    assert items[seen["item"]]["name"] == "smooth round outline"
    assert items[seen["item"]]["value"] == seen["score"] == 0.9
    assert items[unseen["item"]]["value"] == unseen["score"] == 0.1
    assert items[seen["evidence"]]["feature"] == "irregularity"
    (told,) = [s for s in params["rationale"]["sentences"] if "second reader sees" in s["text"]]
    assert told["evidence"] == [seen["item"], seen["evidence"]]
    assert params["rationale"]["checks"]["removed"] == 0


class TestBusy:
    def test_a_server_with_enough_work_says_so(self, studies):
        gate = Gate()
        app = InProcessApp(studies, ThresholdSegmenter(gate))
        services = TaskServices(InferenceGate(at_once=1, waiting=0), app.services.cache)
        app._infers["segmentation"]._services = services
        client, replies = client_of(app), []
        thread = threading.Thread(target=lambda: replies.append(run(client, "segmentation")))
        thread.start()
        assert gate.entered.acquire(timeout=60)
        refused = run(client, "segmentation", "LONE")
        assert "1 inferences run or wait" in refusal(refused, 503, "busy")
        assert refused.headers["retry-after"] == "5"
        gate.leave.set()
        thread.join(60)
        assert parse(replies[0])[0]["case"] == "FULL"
        # what is known already needs no place
        assert parse(run(client, "segmentation"))[0]["cached"] is True

    def test_a_second_request_for_the_same_case_waits_and_gets_the_first_ones_result(self, studies):
        gate = Gate()
        segmenter = ThresholdSegmenter(gate)
        client, replies = client_of(InProcessApp(studies, segmenter)), []
        threads = [
            threading.Thread(target=lambda: replies.append(run(client, "segmentation")))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        assert gate.entered.acquire(timeout=60)
        gate.leave.set()
        for thread in threads:
            thread.join(60)
        assert segmenter.calls == 1
        assert sorted(parse(reply)[0]["cached"] for reply in replies) == [False, True, True]


def test_the_stock_contract_of_infer_still_holds(app):
    result = app.infer({"model": "segmentation", "image": "FULL"})
    path = Path(result["file"])
    try:
        labels, _ = read_labelmap(path)
        np.testing.assert_array_equal(labels, expected_labels())
        assert result["params"]["case"] == "FULL"
    finally:
        path.unlink()


def test_the_stock_contract_of_infer_takes_no_path(app):
    from brain_tumor.errors import InputError

    with pytest.raises(InputError):
        app.infer({"model": "segmentation", "image": "/etc/passwd"})


class TestExplanation:
    def test_the_heatmap_lies_on_the_reference_grid_and_reaches_one(self, client, tmp_path):
        params, files = parse(run(client, "explanation", params={"result_extension": ".nii.gz"}))
        assert list(files) == ["heatmap"]
        (tmp_path / "h.nii.gz").write_bytes(files["heatmap"])
        heat = read_volume(tmp_path / "h.nii.gz")
        assert heat.shape == expected_labels().shape
        same_affine(heat.affine, AFFINE)
        section = params["heatmap"]
        assert (float(heat.array.min()) >= 0, float(heat.array.max())) == (
            True,
            pytest.approx(section["range"][1]),
        )

    def test_analysis_sends_the_labelmap_first_then_the_heat(self, client, tmp_path):
        params, files = parse(run(client, "analysis", params={"uncertainty": True}))
        assert list(files) == ["image", "heatmap", "uncertainty"]
        (tmp_path / "a.nrrd").write_bytes(files["image"])
        labels, affine = read_labelmap(tmp_path / "a.nrrd")
        np.testing.assert_array_equal(labels, expected_labels())
        same_affine(affine, AFFINE)
        assert params["segmentation"]["volumes_ml"]["TC"] == pytest.approx(0.32)
        assert [model["name"] for model in params["models"]] == ["segmentation", "classification"]

    def test_the_outline_is_drawn_once_for_all_tasks(self, client, segmenter):
        for task in ("segmentation", "classification", "explanation", "analysis"):
            run(client, task)
        assert segmenter.calls == 1

    def test_every_sentence_names_evidence_that_is_there(self, client):
        params, _ = parse(run(client, "explanation"))
        known = {item["id"] for item in params["evidence"]}
        assert params["rationale"]["sentences"]
        for sentence in params["rationale"]["sentences"]:
            assert set(sentence["evidence"]) <= known

    def test_the_runner_up_and_korean_can_be_asked_for(self, client):
        first, _ = parse(run(client, "explanation"))
        second, _ = parse(
            run(client, "explanation", params={"target": "runner_up", "language": "ko"})
        )
        assert first["heatmap"]["target"] != second["heatmap"]["target"]
        text = " ".join(s["text"] for s in second["rationale"]["sentences"])
        assert any("가" <= letter <= "힣" for letter in text)

    def test_heat_of_a_region_explains_the_outline_and_not_the_type(self, studies):
        segmenter = RegionSegmenter()
        client = client_of(InProcessApp(studies, segmenter))
        by_type, _ = parse(run(client, "analysis"))
        params, files = parse(run(client, "analysis", params={"target": "ET"}))
        jsonschema.validate(params, SCHEMA)
        heat = params["heatmap"]
        assert (heat["method"], heat["target"]) == ("layercam", "ET")
        assert heat["range"] == [0, 1]
        assert list(files) == ["image", "heatmap"]
        checks = heat["faithfulness"]["region"]
        assert (checks["name"], checks["peak_inside"]) == ("ET", True)
        assert heat["faithfulness"]["deletion_auc"] is None
        assert params["classification"] == by_type["classification"]
        assert {item["heat"] for item in params["evidence"]} == {None}
        said = " ".join(s["text"] for s in params["rationale"]["sentences"])
        assert "heat" not in said.lower()
        assert by_type["heatmap"]["faithfulness"]["region"] is None

    def test_a_region_of_an_undivided_core_is_refused(self, client):
        message = refusal(run(client, "explanation", "LONE", params={"target": "ET"}), 400)
        assert "target is the region ET" in message
        assert "scheme 'core'" in message

    def test_a_region_is_explained_by_no_other_method_than_its_own(self, client, segmenter):
        params = {"target": "WT", "method": "gradcam++"}
        message = refusal(run(client, "analysis", params=params), 400, "bad_input")
        assert "method is 'gradcam++'; expected 'layercam'" in message
        assert segmenter.calls == 0

    def test_a_default_method_that_ignores_the_weights_is_refused_before_the_work(
        self, studies, segmenter
    ):
        bad = MethodSanity({HeatMethod.GRADCAM_PLUS_PLUS: 0.9, HeatMethod.GRADCAM: 0.1})

        class App(InProcessApp):
            def load_type_reader(self):
                return lambda: replace(a_type_reader(), sanity=bad)

        client = client_of(App(studies, segmenter))
        for task in ("explanation", "analysis"):
            message = refusal(run(client, task), 400, "bad_input")
            assert "the default 'gradcam++' fails the sanity check" in message
        assert segmenter.calls == 0
        named, _ = parse(run(client, "explanation", params={"method": "gradcam++"}))
        checks = named["heatmap"]["faithfulness"]
        assert (checks["passed"], checks["shuffled_correlation"]) == (False, 0.9)
        assert "it shows the pictures, not what was learnt" in checks["reasons"][-1]
        other, _ = parse(run(client, "explanation", params={"method": "gradcam"}))
        assert other["heatmap"]["faithfulness"]["shuffled_correlation"] == 0.1
        # the type itself needs no heat
        assert parse(run(client, "classification"))[0]["case"] == "FULL"

    @pytest.mark.parametrize(
        "params",
        [
            {"method": "guided"},
            {"target": "metastasis"},
            {"language": "fr"},
            {"provider": "http://evil"},
        ],
    )
    def test_an_unknown_choice_is_refused_by_name(self, client, params):
        message = refusal(run(client, "explanation", params=params), 400, "bad_input")
        assert next(iter(params)) in message

    def test_words_that_stand_in_for_a_failed_provider_are_not_kept(self, client, monkeypatch):
        provider = a_provider(monkeypatch)
        provider.fails = True
        for _ in range(2):
            params, _files = parse(run(client, "explanation", params={"provider": "endpoint"}))
            assert params["cached"] is False
            assert params["rationale"]["provider"] == "composer"
            (problem,) = params["rationale"]["checks"]["problems"]
            assert problem == "endpoint: no answer; the composer's text is shown"
        provider.fails = False
        for cached in (False, True):
            params, _files = parse(run(client, "explanation", params={"provider": "endpoint"}))
            assert (params["cached"], params["rationale"]["provider"]) == (cached, "endpoint")
        assert provider.calls == 3

    def test_while_a_provider_phrases_the_processor_is_free_for_others(self, app, monkeypatch):
        provider, client, replies = a_provider(monkeypatch), client_of(app), []
        provider.gate = Gate()
        app._infers["explanation"]._services = services = TaskServices(
            InferenceGate(at_once=1, waiting=0), app.services.cache
        )
        app._infers["segmentation"]._services = services
        asked = {"provider": "endpoint"}
        thread = threading.Thread(
            target=lambda: replies.append(run(client, "explanation", params=asked))
        )
        thread.start()
        assert provider.gate.entered.acquire(timeout=60)
        other, _ = parse(run(client, "segmentation", "LONE"))
        assert other["case"] == "LONE"
        # and for the same case: heat and the composer's words come while the others are made
        first, _ = parse(run(client, "explanation"))
        assert (first["rationale"]["provider"], first["cached"]) == ("composer", True)
        provider.gate.leave.set()
        thread.join(60)
        later, _ = parse(replies[0])
        assert later["rationale"]["provider"] == "endpoint"
        assert later["heatmap"] == first["heatmap"]

    def test_other_words_for_the_same_heat_compute_nothing_anew(self, client, monkeypatch):
        made = []
        monkeypatch.setattr(
            type_heat, "fuse_slices", lambda *given: made.append(1) or fuse_slices(*given)
        )
        a_provider(monkeypatch)
        english, _ = parse(run(client, "analysis"))
        korean, _ = parse(run(client, "analysis", params={"language": "ko"}))
        phrased, _ = parse(run(client, "analysis", params={"provider": "endpoint"}))
        assert len(made) == 1
        assert [p["rationale"]["language"] for p in (english, korean, phrased)] == [
            "en",
            "ko",
            "en",
        ]
        assert phrased["rationale"]["provider"] == "endpoint"
        assert phrased["timings_s"]["heatmap"] == english["timings_s"]["heatmap"]

    def test_a_provider_that_is_set_up_wrongly_is_refused_before_the_work(
        self, client, segmenter, monkeypatch
    ):
        parameters = {
            **ExplanationTask.parameters,
            "provider": Parameter((str,), default="composer", choices=("composer", "endpoint")),
        }
        monkeypatch.setattr(ExplanationTask, "parameters", parameters)
        monkeypatch.setenv("TUMORLENS_LLM_URL", "localhost:11434")
        reply = run(client, "explanation", params={"provider": "endpoint"})
        assert "is not usable; expected http(s)" in refusal(reply, 400, "bad_input")
        assert segmenter.calls == 0

    def test_a_case_without_a_tumour_is_undetermined_and_says_so(self, client, studies):
        flat = np.full(expected_labels().shape, 50.0, dtype=np.float32)
        flat[0] = 0.0
        write_nifti(studies / "PLAIN.nii.gz", flat, AFFINE)
        params, _ = parse(run(client, "analysis", "PLAIN"))
        jsonschema.validate(params, SCHEMA)
        assert params["classification"]["prediction"] == "undetermined"
        assert params["classification"]["probabilities"] is None
        assert params["heatmap"]["range"] == [0, 0]
        assert params["heatmap"]["faithfulness"]["passed"] is False
        assert "No tumour was found" in params["classification"]["reasons"][0]
