"""The `refine` task over HTTP: clicks in every form, labelmaps sent along and stored."""

import json

import jsonschema
import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.readers import read_labelmap, read_volume
from brain_tumor.cases.sequences import Sequence

from tests.helpers.server import (
    AFFINE,
    ThresholdSegmenter,
    expected_labels,
    parse_reply,
    write_label,
)
from tests.server.conftest import everything_below, refusal, same_affine
from tests.server.test_infer_tasks import SCHEMA

INSIDE_ET, OUTSIDE = (4, 6, 6), (12, 10, 10)


def run(client, params=None, image="FULL", files=None):
    data = {"params": json.dumps(params or {})}
    return client.post(f"/infer/refine?image={image}", data=data, files=files)


def result(reply, tmp_path):
    params, files = parse_reply(reply)
    jsonschema.validate(params, SCHEMA)
    (tmp_path / "refined.nrrd").write_bytes(files["image"])
    labels, affine = read_labelmap(tmp_path / "refined.nrrd")
    same_affine(affine, AFFINE)
    return params, labels


def label_file(tmp_path, labels):
    path = write_label(tmp_path / "sent.nii.gz", labels)
    return {"label": ("sent.nii.gz", path.read_bytes())}


def at(*voxels, label=None):
    extra = {} if label is None else {"label": label}
    return [{"ijk": list(voxel), **extra} for voxel in voxels]


class TestStart:
    def test_without_clicks_the_proposal_comes_back_and_says_so(self, client, tmp_path):
        params, labels = result(run(client), tmp_path)
        np.testing.assert_array_equal(labels, expected_labels())
        assert params["refinement"] == {
            "start": "proposal",
            "strokes": 0,
            "changed_voxels": 0,
            "changed_ml": 0.0,
        }
        assert any("nothing was changed" in warning for warning in params["warnings"])
        assert "made by a threshold" in params["warnings"]

    def test_a_labelmap_sent_along_is_corrected_instead(self, client, tmp_path):
        sent = np.zeros_like(expected_labels())
        sent[10:12, 10:12, 8:10] = 2
        clicks = {"clicks": {"positive": at((3, 3, 3), label=1)}}
        params, labels = result(run(client, clicks, files=label_file(tmp_path, sent)), tmp_path)
        assert labels[3, 3, 3] == 1
        assert (labels[10:12, 10:12, 8:10] == 2).all()
        assert params["refinement"]["start"] == "label"
        changed = int(np.count_nonzero(labels != sent))
        assert params["refinement"]["changed_voxels"] == changed
        # 5 microlitres a voxel
        assert params["refinement"]["changed_ml"] == pytest.approx(changed * 0.005)
        assert params["segmentation"]["volumes_ml"]["WT"] == pytest.approx(
            np.count_nonzero(labels) * 0.005
        )

    def test_a_stored_label_can_be_the_start(self, client, tmp_path):
        stored = np.zeros_like(expected_labels())
        stored[10:12, 10:12, 8:10] = 2
        path = write_label(tmp_path / "final.nii.gz", stored)
        reply = client.put(
            "/datastore/label?image=FULL&tag=final",
            files={"label": ("f.nii.gz", path.read_bytes())},
        )
        assert reply.status_code == 200
        params, labels = result(run(client, {"start": "final"}), tmp_path)
        np.testing.assert_array_equal(labels, stored)
        assert params["refinement"]["start"] == "label"

    def test_a_label_that_is_not_there_is_not_found(self, client):
        assert refusal(run(client, {"start": "final"}), 404, "not_found")

    def test_a_labelmap_on_another_grid_is_refused(self, client, tmp_path):
        wrong = np.zeros((16, 14, 11), dtype=np.uint8)
        message = refusal(run(client, files=label_file(tmp_path, wrong)), 400, "bad_geometry")
        assert "(16, 14, 11)" in message

    def test_values_of_no_scheme_are_refused(self, client, tmp_path):
        wrong = np.full_like(expected_labels(), 9)
        assert refusal(run(client, files=label_file(tmp_path, wrong)), 400, "bad_labels")

    def test_nothing_of_it_stays_and_it_is_no_proposal_of_a_model(
        self, client, app, studies, tmp_path
    ):
        before = set(everything_below(studies))
        sent = np.zeros_like(expected_labels())
        assert run(client, files=label_file(tmp_path, sent)).status_code == 200
        assert not list((studies / ".tumorlens" / "staging").glob("*"))
        assert not [p for p in set(everything_below(studies)) - before if "proposals" in p.parts]
        assert "proposed_by" not in app.datastore().get_image_info("FULL")


class TestClicks:
    def test_a_positive_click_sets_its_voxel(self, client, tmp_path):
        params, labels = result(
            run(client, {"clicks": {"positive": at(OUTSIDE, label=2)}}), tmp_path
        )
        assert labels[OUTSIDE] == 2
        assert params["refinement"]["strokes"] == 1
        assert params["refinement"]["changed_voxels"] > 0

    def test_a_negative_click_removes_and_far_labels_stay(self, client, tmp_path):
        sent = expected_labels()
        sent[OUTSIDE] = 3
        reply = run(client, {"clicks": {"negative": at(OUTSIDE)}}, files=label_file(tmp_path, sent))
        _, labels = result(reply, tmp_path)
        assert labels[OUTSIDE] == 0

    def test_a_click_in_mm_is_the_click_on_its_voxel(self, client, tmp_path):
        point = (AFFINE @ [*OUTSIDE, 1.0])[:3].tolist()
        by_mm = {"clicks": {"positive": [{"ras": point, "label": 2}]}}
        by_voxel = {"clicks": {"positive": at(OUTSIDE, label=2)}}
        _, one = result(run(client, by_mm), tmp_path)
        _, other = result(run(client, by_voxel), tmp_path)
        np.testing.assert_array_equal(one, other)

    def test_a_click_that_leaves_the_label_open_gets_the_likeliest(self, client, tmp_path):
        empty = np.zeros_like(expected_labels())
        reply = run(
            client, {"clicks": {"positive": at(INSIDE_ET)}}, files=label_file(tmp_path, empty)
        )
        _, labels = result(reply, tmp_path)
        assert labels[INSIDE_ET] == 3

    def test_a_negative_click_on_a_label_leaves_what_else_is_likely(self, client, tmp_path):
        sent = np.where(expected_labels() > 0, 3, 0).astype(np.uint8)
        oedema = (3, 5, 5)
        reply = run(
            client,
            {"clicks": {"negative": at(oedema, label=3)}},
            files=label_file(tmp_path, sent),
        )
        _, labels = result(reply, tmp_path)
        assert labels[oedema] == 2

    def test_deepgrow_clients_are_understood(self, client, tmp_path):
        stock = {
            "label": "oedema",
            "foreground": [list(OUTSIDE)],
            "background": [],
            "start": "proposal",
        }
        _, labels = result(run(client, stock), tmp_path)
        assert labels[OUTSIDE] == 2
        stock |= {"label": "enhancing tumour", "foreground": [], "background": [list(INSIDE_ET)]}
        _, labels = result(run(client, stock), tmp_path)
        assert labels[INSIDE_ET] != 3

    def test_deepedit_clients_are_understood(self, client, tmp_path):
        stock = {
            "label": "oedema",
            "necrotic core": [],
            "oedema": [list(OUTSIDE)],
            "enhancing tumour": [],
            "tumour core": [],
            "background": [list(INSIDE_ET)],
        }
        _, labels = result(run(client, stock), tmp_path)
        assert labels[OUTSIDE] == 2
        assert labels[INSIDE_ET] == 0

    def test_a_core_is_corrected_in_its_own_scheme(self, client, tmp_path):
        params, labels = result(
            run(client, {"clicks": {"positive": at(OUTSIDE)}}, image="LONE"), tmp_path
        )
        assert labels[OUTSIDE] == 4
        assert params["segmentation"]["scheme"] == "core"
        wrong = {"clicks": {"positive": at(OUTSIDE, label=3)}}
        assert refusal(run(client, wrong, image="LONE"), 400, "bad_labels")

    @pytest.mark.parametrize(
        "params",
        [
            {"clicks": {"positive": [{"ijk": [1, 2]}]}},
            {"clicks": {"positive": [{"ijk": [1, 2, "3"]}]}},
            {"clicks": {"positive": [{"ijk": [1, 2, 3], "ras": [1, 2, 3]}]}},
            {"clicks": {"positive": [{"label": 3}]}},
            {"clicks": {"positive": [[1, 2, 3]]}},
            {"clicks": {"positive": [{"ijk": [1, 2, 3], "label": 7}]}},
            {"clicks": {"positive": [{"ijk": [1, 2, 3], "label": True}]}},
            {"clicks": {"positive": {"ijk": [1, 2, 3]}}},
            {"clicks": {"maybe": []}},
            {"clicks": []},
            {"foreground": [[1, 2, 3, 4]]},
            {"foreground": [1, 2, 3]},
            {"oedema": "here"},
            {"label": "spleen"},
            {"clicks": {"positive": [{"ijk": [1, 2, 3]}] * 65}},
        ],
    )
    def test_what_is_no_click_is_refused(self, client, segmenter, params):
        assert "params" in refusal(run(client, params), 400, "bad_input")
        assert segmenter.calls == 0

    def test_a_click_outside_the_volume_is_refused(self, client):
        message = refusal(run(client, {"clicks": {"positive": at((16, 0, 0))}}), 400, "bad_input")
        assert "outside the volume" in message


class TestScribbles:
    def test_scribbles_are_followed(self, client, tmp_path):
        drawn = np.zeros_like(expected_labels())
        drawn[10:13, 10, 10] = 2
        drawn[4, 6, 5:8] = 255
        path = write_label(tmp_path / "s.nii.gz", drawn)
        files = {"scribbles": ("s.nii.gz", path.read_bytes())}
        params, labels = result(run(client, files=files), tmp_path)
        assert (labels[10:13, 10, 10] == 2).all()
        assert (labels[4, 6, 5:8] == 0).all()
        assert params["refinement"]["strokes"] == 2

    def test_a_task_that_corrects_nothing_refuses_them(self, client):
        reply = client.post(
            "/infer/segmentation?image=FULL", files={"scribbles": ("a.nii.gz", b"x")}
        )
        assert "takes no label" in refusal(reply)


class TestCache:
    def test_the_network_runs_once_for_all_clicks(self, client, segmenter):
        assert client.post("/infer/segmentation?image=FULL").status_code == 200
        for voxel in (OUTSIDE, INSIDE_ET):
            params, _ = parse_reply(run(client, {"clicks": {"positive": at(voxel, label=2)}}))
            assert params["cached"] is False
        assert segmenter.calls == 1

    def test_another_labelmap_is_another_request(self, client, tmp_path):
        sent = expected_labels()
        first, _ = parse_reply(run(client, files=label_file(tmp_path, sent)))
        again, _ = parse_reply(run(client, files=label_file(tmp_path, sent)))
        sent[0, 0, 0] = 1
        other, _ = parse_reply(run(client, files=label_file(tmp_path, sent)))
        assert [p["cached"] for p in (first, again, other)] == [False, True, False]


def test_the_settings_that_clients_show_are_plain(client):
    model = client.get("/info/").json()["models"]["refine"]
    assert model["config"] == {"start": "proposal"}
    assert model["type"] == "deepedit"


def test_the_task_can_be_called_without_a_server(app, studies):
    case = Case("a", Sequence.T1C, {Sequence.T1C: read_volume(studies / "FULL.nii.gz")})
    task = app.infer_task("refine")
    options = task.check_options({"clicks": {"positive": at(OUTSIDE, label=4)}})
    refined = task.compute(case, options).segmentation
    assert refined.labelmap[OUTSIDE] == 4
    assert refined.model == ThresholdSegmenter.version
