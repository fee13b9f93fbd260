import json

import numpy as np
import pytest
from brain_tumor.errors import StorageError
from brain_tumor.learning.ledger.ledger import corrected_masks

from tests.helpers.server import (
    AFFINE,
    MODEL,
    SHAPE,
    ThresholdSegmenter,
    a_phantom,
    expected_labels,
    parse_reply,
    write_label,
)
from tests.helpers.volumes import write_nifti
from tests.server.conftest import InProcessApp, client_of, refusal

KEYS = {"name": "", "version": "_version", "sha256": "_sha256"}
"""Keys of a model, by the end of those of a result."""


def submit(client, folder, image="FULL", labels=None, tag="final", **params):
    path = write_label(folder / "upload" / "label.nii.gz", labels)
    fields = {"params": json.dumps(params)}
    return client.put(
        f"/datastore/label?image={image}&tag={tag}",
        files={"label": ("l.nii.gz", path.read_bytes())},
        data=fields,
    )


def listed(client, **query):
    reply = client.get("/corrections", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def grown_labels():
    """The phantom's labels with 4 more voxels of oedema: 20 microlitres."""
    labels = expected_labels()
    labels[9, 3:5, 3:5] = 2
    return labels


class TestMasks:
    def test_a_submitted_label_is_in_the_ledger_with_its_change(self, client, tmp_path):
        client.post("/infer/segmentation?image=FULL")
        told = {"seconds_spent": 42, "heat_open": True, "client_id": "anna"}
        reply = submit(client, tmp_path, labels=grown_labels(), **told)
        assert reply.status_code == 200
        (found,) = listed(client)
        assert (found["case_id"], found["kind"], found["state"]) == ("FULL", "mask", "submitted")
        assert (found["annotator"], found["proposed_by"]) == ("anna", MODEL.to_json())
        assert (found["label_version"], found["label_sha256"]) == (1, reply.json()["sha256"])
        assert (found["seconds_spent"], found["heat_open"], found["text_open"]) == (42, True, None)
        oedema = found["change"]["labels"]["oedema"]
        assert oedema == {"before_ml": 0.76, "after_ml": 0.78, "added_ml": 0.02, "removed_ml": 0.0}
        assert found["change"]["dice"] == pytest.approx(2 * 216 / (216 + 220))
        assert found["change"]["box"] == [[9, 3, 3], [9, 4, 4]]

    def test_without_a_proposal_there_is_no_change_to_tell(self, client, tmp_path):
        submit(client, tmp_path)
        (found,) = listed(client)
        assert (found["proposed_by"], found["change"]) == (None, None)

    def test_what_a_model_proposed_is_no_correction(self, client):
        client.post("/infer/segmentation?image=FULL", data={"params": '{"save_label": true}'})
        assert client.get("/datastore/").json()["label_tags"] == {"original": 1}
        assert listed(client) == []

    def test_a_restored_label_is_a_submission_of_who_restored_it(self, client, tmp_path):
        submit(client, tmp_path, client_id="anna")
        submit(client, tmp_path, labels=grown_labels(), client_id="ben")
        client.post("/datastore/label/restore?label=FULL&tag=final&version=1&client_id=carl")
        assert [(s["annotator"], s["label_version"]) for s in listed(client)] == [
            ("carl", 3),
            ("ben", 2),
            ("anna", 1),
        ]

    @pytest.mark.parametrize(
        "params", [{"seconds_spent": "long"}, {"seconds_spent": -1}, {"heat_open": 1}]
    )
    def test_nonsense_about_the_effort_is_refused_before_anything_is_stored(
        self, client, tmp_path, params
    ):
        assert refusal(submit(client, tmp_path, **params), 400, "bad_input")
        assert client.get("/datastore/").json()["completed"] == 0

    def test_a_ledger_that_fails_leaves_the_label_and_says_so(
        self, client, app, tmp_path, monkeypatch
    ):
        def fail(_new):
            raise StorageError("the ledger failed: disk I/O error")

        monkeypatch.setattr(app.learning.ledger, "submit", fail)
        refusal(submit(client, tmp_path), 507, "storage")
        monkeypatch.undo()
        assert listed(client) == []
        assert app.learning.labels.sync() == 1
        assert [s["label_version"] for s in listed(client)] == [1]
        assert app.learning.labels.sync() == 0

    def test_labels_from_before_the_ledger_are_written_down(self, app, client, studies, tmp_path):
        write_label(studies / "labels" / "final" / "LONE.nii.gz")
        client.get("/datastore/")
        assert app.learning.labels.sync() == 1
        (found,) = listed(client)
        assert (found["case_id"], found["annotator"]) == ("LONE", None)

    def test_a_version_that_missed_the_ledger_keeps_its_place_and_time(
        self, client, app, tmp_path, monkeypatch
    ):
        def fail(_new):
            raise StorageError("the ledger failed: disk I/O error")

        with monkeypatch.context() as failing:
            failing.setattr(app.learning.ledger, "submit", fail)
            refusal(submit(client, tmp_path, client_id="anna"), 507, "storage")
        submit(client, tmp_path, labels=grown_labels(), client_id="ben")
        (written,) = listed(client)
        client.post(
            "/corrections/review", json={"submission": written["id"], "decision": "reviewed"}
        )
        assert app.learning.labels.sync() == 1
        late, newest = listed(client)
        assert (late["label_version"], newest["label_version"]) == (1, 2)
        saved = [v.saved_at for v in app.datastore().history.versions("FULL", "final")]
        assert [late["at"], newest["at"]] == saved
        (row,) = [r for r in client.get("/cases/status").json() if r["id"] == "FULL"]
        assert row["status"] == "reviewed"
        client.post("/corrections/review", json={"submission": late["id"], "decision": "reviewed"})
        assert [s.label_version for s in corrected_masks(app.learning.ledger.submissions())] == [2]

    def test_what_another_program_wrote_before_a_save_is_written_down_first(
        self, client, studies, tmp_path
    ):
        submit(client, tmp_path, client_id="anna")
        write_label(studies / "labels" / "final" / "FULL.nii.gz", grown_labels())
        submit(client, tmp_path, client_id="ben")
        told = [(s["label_version"], s["annotator"]) for s in listed(client)]
        assert told == [(3, "ben"), (2, None), (1, "anna")]


class TestTypesAndSentences:
    def test_a_type_is_kept_with_its_reason_and_the_classifier_that_was_wrong(self, client):
        params, _ = parse_reply(client.post("/infer/classification?image=LONE"))
        client.post("/infer/segmentation?image=LONE")  # says nothing about the type
        body = {"image": "LONE", "type": "meningioma", "reason": "dural tail", "client_id": "anna"}
        reply = client.post("/corrections/type", json=body).json()
        (found,) = listed(client, kind="type")
        assert found == reply
        assert found["payload"] == {"type": "meningioma", "reason": "dural tail"}
        assert [m["name"] for m in params["models"]] == ["segmentation", "classification"]
        assert found["proposed_by"] == params["models"][1]

    def test_a_type_of_a_case_that_no_classifier_read_corrects_no_model(self, client):
        client.post("/infer/segmentation?image=LONE")
        reply = client.post("/corrections/type", json={"image": "LONE", "type": "glioma"})
        assert reply.json()["proposed_by"] is None

    def test_verdicts_on_sentences_are_kept(self, client):
        sentences = [
            {"text": "The rim enhances.", "verdict": "right", "evidence": ["e1"]},
            {"text": "It crosses the midline.", "verdict": "wrong", "comment": "it does not"},
        ]
        body = {"image": "FULL", "sentences": sentences, "client_id": "anna", "model": "analysis"}
        client.post("/corrections/sentences", json=body)
        (found,) = listed(client, image="FULL", kind="sentences")
        assert found["payload"]["sentences"][1] == {**sentences[1], "evidence": []}
        assert found["proposed_by"]["name"] == "analysis"
        client.post("/infer/segmentation?image=FULL")
        reply = client.post("/corrections/sentences", json={**body, "model": "segmentation 0.0.1"})
        assert reply.json()["proposed_by"] == MODEL.to_json()

    @pytest.mark.parametrize(
        "body",
        [
            {"type": "glioma"},
            {"image": "FULL"},
            {"image": "FULL", "type": "cyst"},
            {"image": "FULL", "type": "glioma", "reason": 3},
            {"image": "FULL", "type": "glioma", "extra": 1},
            {"image": "../FULL", "type": "glioma"},
            [],
        ],
    )
    def test_bad_types_are_refused(self, client, body):
        refusal(client.post("/corrections/type", json=body), 400, "bad_input")
        assert listed(client) == []

    @pytest.mark.parametrize(
        "sentences",
        [
            None,
            [],
            [{"text": "x", "verdict": "maybe"}],
            [{"text": "", "verdict": "right"}],
            [{"text": "x", "verdict": "right", "evidence": "e1"}],
            [{"text": "x", "verdict": "right", "path": "/etc"}],
            ["x"],
        ],
    )
    def test_bad_verdicts_are_refused(self, client, sentences):
        body = {"image": "FULL", "sentences": sentences}
        refusal(client.post("/corrections/sentences", json=body), 400, "bad_input")

    def test_a_case_that_does_not_exist_is_not_found(self, client):
        refusal(client.post("/corrections/type", json={"image": "NO", "type": "glioma"}), 404)


class TestList:
    def test_pages_follow_each_other_by_the_last_number(self, client):
        numbers = []
        for answer in ("glioma", "meningioma", "pituitary", "other", "none"):
            body = {"image": "FULL", "type": answer}
            numbers.append(client.post("/corrections/type", json=body).json()["id"])
        assert [s["id"] for s in listed(client, limit=2)] == numbers[:2:-1]  # newest first
        pages, after = [], 0
        while page := listed(client, after=after, limit=2):
            pages.append([s["id"] for s in page])
            after = page[-1]["id"]
        assert pages == [numbers[:2], numbers[2:4], numbers[4:]]
        assert listed(client, after=10**30) == []
        refusal(client.get("/corrections?after=-1"), 400, "bad_input")
        refusal(client.get("/corrections?after=x"), 400)


class TestReviews:
    def test_a_reviewer_decides_and_the_state_follows(self, client, tmp_path):
        submit(client, tmp_path, client_id="anna")
        (number,) = [s["id"] for s in listed(client)]
        body = {"submission": number, "decision": "rejected", "note": "rim", "client_id": "carl"}
        assert client.post("/corrections/review", json=body).json()["state"] == "rejected"
        assert [s["id"] for s in listed(client, state="rejected")] == [number]
        assert listed(client, state="submitted") == []
        (decision,) = listed(client)[0]["reviews"]
        assert (decision["reviewer"], decision["note"]) == ("carl", "rim")

    def test_unknown_submissions_and_decisions_are_refused(self, client):
        body = {"submission": 9, "decision": "reviewed"}
        refusal(client.post("/corrections/review", json=body), 404, "not_found")
        refusal(client.post("/corrections/review", json={**body, "decision": "draft"}), 400)
        refusal(client.post("/corrections/review", json={"decision": "reviewed"}), 400)
        refusal(client.get("/corrections?state=lost"), 400)
        refusal(client.get("/corrections?limit=0"), 400)


class TestAgreement:
    def test_annotators_are_compared_pair_by_pair(self, client, tmp_path):
        submit(client, tmp_path, client_id="anna")
        submit(client, tmp_path, labels=grown_labels(), client_id="ben")
        submit(client, tmp_path, labels=np.zeros_like(expected_labels()), client_id="carl")
        rejected = listed(client)[0]["id"]
        client.post("/corrections/review", json={"submission": rejected, "decision": "rejected"})
        found = client.get("/corrections/agreement?image=FULL").json()
        assert found["annotators"] == ["anna", "ben"]
        (pair,) = found["masks"]
        assert pair["annotators"] == ["anna", "ben"]
        assert pair["dice"]["WT"] == pytest.approx(2 * 216 / (216 + 220))
        assert pair["dice"]["ET"] == 1.0

    def test_drafts_rejected_ones_and_other_tags_do_not_count(self, client, tmp_path):
        submit(client, tmp_path, client_id="anna")
        submit(client, tmp_path, client_id="ben")
        empty = np.zeros_like(expected_labels())
        submit(client, tmp_path, labels=empty, client_id="anna", draft=True)
        submit(client, tmp_path, labels=empty, client_id="ben", tag="second-look")
        submit(client, tmp_path, labels=empty, client_id="ben")
        rejected = listed(client)[0]["id"]
        client.post("/corrections/review", json={"submission": rejected, "decision": "rejected"})
        submit(client, tmp_path, client_id="carl", draft=True)
        found = client.get("/corrections/agreement?image=FULL").json()
        assert found["annotators"] == ["anna", "ben"]
        assert found["masks"][0]["dice"]["tumour"] == 1.0

    def test_masks_on_different_grids_are_named(self, client, studies, tmp_path):
        submit(client, tmp_path, image="LONE", client_id="anna")
        for number, shift_mm in enumerate((0.0, 5.0)):
            affine = AFFINE.copy()
            affine[0, 3] += shift_mm
            cut = np.s_[: SHAPE[0] - 1 + number]  # first another shape, then another place
            write_nifti(studies / "LONE.nii.gz", a_phantom()[cut], affine)
            path = write_label(tmp_path / f"{number}.nii.gz", expected_labels()[cut], affine)
            client.put(
                "/datastore/label?image=LONE",
                files={"label": ("l.nii.gz", path.read_bytes())},
                data={"params": '{"client_id": "ben"}'},
            )
            reply = client.get("/corrections/agreement?image=LONE")
            assert refusal(reply, 400, "bad_geometry") == (
                "the masks of anna and ben for case 'LONE' lie on different grids; expected one"
            )

    def test_a_rejected_type_does_not_count(self, client):
        for who, answer in (("anna", "glioma"), ("ben", "glioma"), ("ben", "pituitary")):
            body = {"image": "FULL", "type": answer, "client_id": who}
            number = client.post("/corrections/type", json=body).json()["id"]
        client.post("/corrections/review", json={"submission": number, "decision": "rejected"})
        types = client.get("/corrections/agreement").json()["types"]
        assert types["answers"] == {"FULL": ["glioma", "glioma"]}

    def test_types_have_a_kappa_and_the_last_answer_counts(self, client):
        for who, case, answer in (
            ("anna", "FULL", "pituitary"),
            ("anna", "FULL", "glioma"),
            ("ben", "FULL", "glioma"),
            ("anna", "LONE", "meningioma"),
            ("ben", "LONE", "meningioma"),
        ):
            body = {"image": case, "type": answer, "client_id": who}
            client.post("/corrections/type", json=body)
        types = client.get("/corrections/agreement").json()["types"]
        assert (types["kappa"], types["cases"]) == (1.0, 2)


class TestCases:
    def status(self, client, image="FULL"):
        (row,) = [r for r in client.get("/cases/status").json() if r["id"] == image]
        return row

    def test_a_case_goes_from_new_to_reviewed_and_back(self, client, tmp_path):
        assert self.status(client)["status"] == "new"
        client.post("/infer/segmentation?image=FULL")
        assert self.status(client)["status"] == "predicted"
        submit(client, tmp_path, draft=True)
        assert self.status(client)["status"] == "corrected"
        submit(client, tmp_path)
        assert self.status(client)["status"] == "submitted"
        number = listed(client)[0]["id"]
        body = {"submission": number, "decision": "reviewed"}
        client.post("/corrections/review", json=body)
        assert self.status(client)["status"] == "reviewed"
        assert self.status(client)["updated"] >= listed(client)[0]["at"]
        client.post("/cases/reopen", json={"image": "FULL", "client_id": "carl"})
        assert self.status(client)["status"] == "corrected"
        submit(client, tmp_path)
        assert self.status(client)["status"] == "submitted"
        assert [r["id"] for r in client.get("/cases/status").json()] == ["FULL", "LONE", "SPARE"]

    def test_two_clients_cannot_reserve_one_case(self, client):
        body = {"image": "FULL", "client_id": "anna", "minutes": 30}
        assert client.post("/cases/reserve", json=body).json()["reserved_by"] == "anna"
        message = refusal(client.post("/cases/reserve", json={**body, "client_id": "ben"}), 503)
        assert "reserved by anna" in message
        assert self.status(client)["reserved_by"] == "anna"
        query = "/cases/reserve?image=FULL&client_id="
        assert client.delete(f"{query}ben").json()["released"] is False
        assert client.delete(f"{query}anna").json()["released"] is True
        assert self.status(client)["reserved_by"] is None

    def test_who_asks_at_the_same_moment_gets_another_case(self, client, app, monkeypatch):
        reserve, cases = app.learning.ledger.cases.reserve, app.learning.ledger.cases
        taken = []

        def late(image, who, minutes):
            if who == "anna" and image in ("FULL", "LONE"):  # ben is a moment faster, twice
                taken.append(image)
                reserve(image, "ben", minutes)
            return reserve(image, who, minutes)

        monkeypatch.setattr(cases, "reserve", late)
        ask = {"client_id": "anna"}
        reply = client.post("/activelearning/first", json=ask)
        assert (reply.status_code, reply.json()["id"], taken) == (200, "SPARE", ["FULL", "LONE"])
        assert self.status(client, "SPARE")["reserved_by"] == "anna"
        cases.release("SPARE", "anna")
        reserve("SPARE", "carl", 30)
        assert client.post("/activelearning/first", json=ask).json() == {}

    @pytest.mark.parametrize(
        "body",
        [
            {"image": "FULL"},
            {"image": "FULL", "client_id": "a", "minutes": 0},
            {"image": "FULL", "client_id": "a", "minutes": "30"},
            {"image": "", "client_id": "a"},
        ],
    )
    def test_bad_reservations_are_refused(self, client, body):
        refusal(client.post("/cases/reserve", json=body), 400, "bad_input")


class TestResults:
    def test_every_result_of_a_stored_case_is_on_record(self, client, app, studies):
        client.put("/datastore/image/info?image=FULL", data={"info": '{"patient": "Adams"}'})
        client.post("/infer/segmentation?image=FULL", data={"params": '{"client_id": "anna"}'})
        client.post("/infer/segmentation?image=LONE")
        (found,) = client.get("/results?patient=adam").json()
        assert (found["case"], found["patient"], found["client"]) == ("FULL", "Adams", "anna")
        assert found["model_sha256"] == MODEL.sha256
        expected = pytest.approx({"WT": 1.08, "TC": 0.32, "ET": 0.28})
        assert found["summary"]["volumes_ml"] == expected
        assert [r["case"] for r in client.get("/results").json()] == ["LONE", "FULL"]
        assert client.get("/results?version=9.9.9").json() == []
        refusal(client.get("/results?limit=5000"), 400)

    def tell(self, client, image, **info):
        return client.put(f"/datastore/image/info?image={image}", data={"info": json.dumps(info)})

    def test_a_patient_that_is_told_too_late_is_refused(self, client, app, tmp_path):
        assert self.tell(client, "LONE", patient="Adams").status_code == 200
        assert self.tell(client, "LONE", patient="Baker").status_code == 200  # nothing happened yet
        client.post("/infer/segmentation?image=LONE")
        submit(client, tmp_path)
        for image, held in (("LONE", "Baker"), ("FULL", "FULL")):
            message = refusal(self.tell(client, image, patient="Clark"), 400, "bad_input")
            assert message == (
                f"case '{image}' was inferred or corrected as one of patient '{held}' already; "
                "its patient cannot become 'Clark'"
            )
        assert app.datastore().get_image_info("LONE")["patient"] == "Baker"
        assert self.tell(client, "LONE", patient="Baker", site="A").status_code == 200
        assert self.tell(client, "LONE", site="B").status_code == 200
        refusal(self.tell(client, "LONE", patient=""), 400, "bad_input")
        assert [r["case"] for r in client.get("/results?patient=baker").json()] == ["LONE"]
        assert client.get("/results?patient=clark").json() == []

    def test_neither_can_a_case_come_back_as_another_patient(self, client, studies):
        client.post("/infer/segmentation?image=LONE")
        content = (studies / "LONE.nii.gz").read_bytes()
        client.delete("/datastore/image?id=LONE")

        def add(**info):
            return client.put(
                "/datastore/image?image=LONE",
                files={"file": ("LONE.nii.gz", content)},
                data={"params": json.dumps(info)},
            )

        refusal(add(patient="Clark"), 400, "bad_input")
        assert client.get("/datastore/").json()["total"] == 2
        assert add().status_code == 200

    def test_every_model_that_took_part_has_a_row(self, client):
        params, _ = parse_reply(client.post("/infer/explanation?image=LONE"))
        rows = client.get("/results?task=explanation").json()
        told = [{k: r[f"model{p}"] for k, p in KEYS.items()} for r in rows]
        assert told[::-1] == params["models"]
        assert len(told) >= 2
        assert len({(r["at"], r["case"], str(r["summary"])) for r in rows}) == 1
        classifier = params["models"][1]
        (found,) = client.get(f"/results?version={classifier['sha256']}").json()
        assert found["model"] == "classification"

    def test_they_survive_the_server(self, client, studies):
        client.post("/infer/segmentation?image=FULL")
        again = client_of(InProcessApp(studies, ThresholdSegmenter()))
        assert len(again.get("/results").json()) == 1

    def test_a_ledger_that_fails_does_not_spoil_a_result(self, client, app, monkeypatch):
        def fail(**_given):
            raise StorageError("the ledger failed")

        monkeypatch.setattr(app.learning.ledger.results, "add", fail)
        assert client.post("/infer/segmentation?image=FULL").status_code == 200
