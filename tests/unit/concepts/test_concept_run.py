"""From a run of the classifier to a bundle, its card and its readings, end to end and small."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from brain_tumor import bundles
from brain_tumor.bundles import CARD, WEIGHTS, ModelVersion, read_bundle
from brain_tumor.classification import scores
from brain_tumor.classification.case_slices import Patch
from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.classification.model.network import (
    EMBEDDING_PARTS,
    HybridNetwork,
    NetworkArguments,
)
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.classification.result import ClassificationResult, SliceReading
from brain_tumor.cli import main
from brain_tumor.concepts import encoders, generator
from brain_tumor.concepts.alignment import AlignmentPlan
from brain_tumor.concepts.card import METRICS, pages_of
from brain_tumor.concepts.consistency import ConsistencyPlan
from brain_tumor.concepts.evaluation import captured, evaluate_run
from brain_tumor.concepts.grounding import LEAST_PATIENTS
from brain_tumor.concepts.head import CONCEPTS, SymptomScale, read_concepts
from brain_tumor.concepts.prompts import Merging
from brain_tumor.concepts.reader import ConceptReader, disagreement_of
from brain_tumor.concepts.text_map import TEXT_MAP, read_text_map
from brain_tumor.concepts.training import class_files, fit, study
from brain_tumor.concepts.training.embeddings import finished_folds, read_part
from brain_tumor.concepts.training.export import renew_text_map, train_concepts, write_symptoms
from brain_tumor.concepts.training.fit import (
    PromptPlan,
    build_foundation,
    fit_prompts,
    predict,
    slice_weights,
)
from brain_tumor.concepts.training.new_class import LabelledSlices, with_new_class
from brain_tumor.concepts.vocabulary import Direction, Vocabulary, read_candidates
from brain_tumor.errors import FileFormatError, InputError, ModelError, NotFoundError
from brain_tumor.explanation.type_reader import NO_SYMPTOMS, load_type_reader
from brain_tumor.labels import TumorType
from brain_tumor.learning.retraining.candidates import write_candidate
from brain_tumor.learning.retraining.job_folder import TrainingRequest
from brain_tumor.learning.retraining.type_tuner import LEARNT_PARTS

from tests.helpers.concepts import EMBEDDING, NAMES, AToyTower, some_predictions, write_run
from tests.helpers.type_learning import write_classifier

SHORT = PromptPlan(steps=15, batch_size=64, learning_rate=5e-3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run folder with a bundle, trained in few steps."""
    run = tmp_path_factory.mktemp("run")
    write_run(run)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MERGING_PLAN", "CONTEXT_PLAN"):
            patch.setattr(study, name, SHORT)
        patch.setattr("brain_tumor.concepts.training.export.CONTEXT_PLAN", SHORT)
        patch.setattr(fit, "AlignmentPlan", partial(AlignmentPlan, steps=60, batch_size=128))
        patch.setattr(study, "ConsistencyPlan", partial(ConsistencyPlan, steps=15))
        patch.setattr(scores, "BOOTSTRAPS", 10)
        write_classifier(run / "classification")
        train_concepts(run, AToyTower())
    return run


def a_part(run):
    part = read_part(run, 0)
    plan = AlignmentPlan(steps=60, batch_size=128)
    base = build_foundation(
        part.known, part.names, read_candidates(), AToyTower(), plan, grounded=True
    )
    return part, base


def test_a_run_becomes_a_small_bundle_that_needs_no_text_tower(trained):
    bundle = trained / "concepts"
    assert (bundle / WEIGHTS).stat().st_size < 10_000_000
    model = read_concepts(bundle)
    assert model.version.name == "concepts"
    assert model.settings.vocabulary.kinds == tuple(kind.value for kind in TumorType)
    # the baked features give the logits of the trained prompts
    embedding = torch.from_numpy(read_part(trained, None).known.embedding[:, 0])
    guess = model.head(embedding).argmax(dim=1).numpy()
    assert (guess == read_part(trained, None).known.truth).mean() > 0.9


def test_a_trained_reader_is_used_with_the_classifier_of_its_run(trained):
    reader = load_type_reader(trained / "classification", trained / "concepts")
    assert reader.symptoms is not None
    assert reader.warnings == ()
    assert (
        "train concepts --data DIR --output RUN --fold all" in pages_of(trained / "concepts").card
    )


def test_a_classifier_is_read_from_disk_once(trained, monkeypatch):
    read, whole = [], bundles.load_file
    monkeypatch.setattr(bundles, "load_file", lambda path: read.append(path) or whole(path))
    load_type_reader(trained / "classification", trained / "concepts")
    assert [path.parent.parent.name for path in read] == ["classification", "concepts"]


def a_retrained(classifier, folder, part):
    """Version of a classifier in which one weight of a part has moved by 1."""
    state = read_bundle(classifier).weights()
    name = next(
        name
        for name, value in state.items()
        if name.startswith(f"{part}.") and value.is_floating_point()
    )
    state[name].view(-1)[0] += 1.0
    request = TrainingRequest("job", "classification", "", "", "", ())
    told = dict.fromkeys(
        ("corrections", "what", "patients", "held_out", "replay", "fingerprint"), 0
    )
    write_candidate(folder, classifier, "0.1.1", state, request, told)
    return folder


def test_symptoms_outlive_a_retraining_but_not_another_encoder(trained, tmp_path):
    classifier, symptoms = trained / "classification", trained / "concepts"
    for part in LEARNT_PARTS:
        tuned = a_retrained(classifier, tmp_path / part, part)
        reader = load_type_reader(tuned, symptoms)
        assert reader.classifier.version.sha256 != read_bundle(classifier).version.sha256
        assert reader.symptoms is not None, part
        assert reader.warnings == ()
    for part in EMBEDDING_PARTS:
        other = load_type_reader(a_retrained(classifier, tmp_path / part, part), symptoms)
        assert other.symptoms is None, part
        assert other.warnings == (NO_SYMPTOMS,)


def test_every_part_of_the_network_is_before_or_after_the_embedding():
    parts = {
        name.split(".")[0] for name in HybridNetwork(NetworkArguments(("area_mm2",))).state_dict()
    }
    assert parts == {*EMBEDDING_PARTS, *LEARNT_PARTS, "feature_centre", "feature_scale"}


def test_every_variant_is_read_on_held_out_patients_only(trained):
    metrics = json.loads((trained / "concepts" / METRICS).read_text(encoding="utf-8"))
    assert metrics["folds"] == [0, 1]
    assert metrics["patients"] == 24  # every third of 20 triples is in one of the two folds
    assert {"grounded CoP + MeP", "CoP + MeP", "CoP + mean", "zero-shot, class names"} <= set(
        metrics["variants"]
    )
    assert set(metrics["few_shot"]) == {"1", "5", "20"}
    for fold in (0, 1):
        part = read_part(trained, fold)
        assert not set(part.known.patient) & set(part.held_out.patient)
    inverted = metrics["variants"]["zero-shot, mean: inverted"]["expert"]["accuracy"]
    assert inverted < metrics["variants"]["zero-shot, mean"]["expert"]["accuracy"]


def test_evaluating_again_reads_what_was_trained(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "BOOTSTRAPS", 10)
    monkeypatch.setattr(study, "fit_prompts", None)  # would fail if it trained again
    found = evaluate_run(trained, tmp_path / "out" / "metrics.json")  # and needs no text tower
    stored = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert stored["slices"] == found["slices"] == 72


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Run whose studies are made up at once, and how often that happened."""
    write_run(tmp_path, folds=(0,), final=False)
    made = []

    def study_prompts(_names, _known, held_out, _tower):
        made.append(len(held_out))
        return {"one": held_out.fused}

    monkeypatch.setattr(study, "study_prompts", study_prompts)
    monkeypatch.setattr(study, "study_reader", lambda *_: ({}, {"head_ms": 1.0}))
    return tmp_path, made


def test_a_study_of_other_slices_or_candidates_is_made_again(counted, monkeypatch):
    run, made = counted
    for _ in range(2):
        assert study.study_fold(run, 0, AToyTower()).notes["head_ms"] == 1.0
    assert made == [36]  # twelve patients of three slices
    some_predictions(range(3), 5).save(run / "fold0" / "predictions.npz")
    assert len(study.study_fold(run, 0, AToyTower()).truth) == 9
    assert made == [36, 9]
    fewer = Vocabulary(read_candidates().symptoms[1:])
    monkeypatch.setattr(study, "read_candidates", lambda: fewer)
    study.study_fold(run, 0, AToyTower())
    assert made == [36, 9, 9]


@pytest.mark.parametrize("torn", ["concepts.npz", "concepts.json"])
def test_a_study_that_was_interrupted_is_made_again(counted, torn):
    run, made = counted
    study.study_fold(run, 0, AToyTower())
    (run / "fold0" / torn).unlink()
    assert study.study_fold(run, 0, AToyTower()).notes["head_ms"] == 1.0
    assert made == [36, 36]
    (run / "fold0" / "concepts.json").write_text('{"head_')
    study.study_fold(run, 0, AToyTower())
    assert len(made) == 3


def test_the_card_is_that_of_its_bundle(trained):
    bundle = trained / "concepts"
    card = (bundle / CARD).read_text(encoding="utf-8")
    pages = pages_of(bundle)
    assert card == pages.card
    assert read_concepts(bundle).version.sha256 in card
    assert "CoP + MeP" in pages.experiments
    assert "{" not in (card + pages.experiments).replace("{-", "")


def test_a_reading_names_symptoms_with_words_and_proof(trained):
    reader = ConceptReader.load(trained / "concepts")
    slices = read_part(trained, None).known
    row = int(np.flatnonzero(slices.truth == 2)[0])
    values = dict(zip(NAMES, slices.features[row, 0].tolist(), strict=True))
    hybrid = {TumorType.GLIOMA: 0.8, TumorType.MENINGIOMA: 0.1, TumorType.PITUITARY: 0.1}
    found = reader.read(slices.embedding[row, 0], values, hybrid)
    assert math.isclose(sum(found.probabilities.values()), 1.0, abs_tol=1e-6)
    assert found.prediction == "pituitary"
    assert found.disagreement == pytest.approx(1 - found.probabilities["glioma"])
    assert found.disagrees
    own = [s for s in found.symptoms if s.kind == "pituitary"]
    assert sum(s.weight for s in own) == pytest.approx(1.0, abs=1e-5)
    for symptom in found.symptoms:
        assert tuple(w.word for w in symptom.words) == tuple(
            word.text
            for word in reader.model.words
            if found.symptoms[word.symptom].text == symptom.text
        )
        assert symptom.value == values[symptom.feature]
        assert symptom.conflict == (symptom.present != symptom.matched)
        assert symptom.matched == (symptom.score >= 0.5)
    agreed = np.mean([not s.conflict for s in found.symptoms])
    assert agreed > 0.6
    rows = found.to_json({found.symptoms[0].feature: "e7"})
    assert rows[0]["evidence"] == "e7"
    assert set(rows[0]) >= {"text", "class", "score", "matched", "evidence"}
    json.dumps(rows)


def test_what_was_not_measured_is_neither_present_nor_absent(trained):
    reader = ConceptReader.load(trained / "concepts")
    found = reader.read(np.zeros(EMBEDDING, dtype=np.float32), {})
    assert all(s.present is None and s.value is None and not s.conflict for s in found.symptoms)
    assert found.caption == ""
    assert found.disagreement is None
    assert not found.disagrees


def test_an_embedding_of_another_network_is_refused(trained):
    reader = ConceptReader.load(trained / "concepts")
    with pytest.raises(InputError, match=rf"expected \({EMBEDDING},\)"):
        reader.read(np.zeros(EMBEDDING + 1), {})


def a_slice_reading(embedding, side, value):
    """A square tumour of `side` pixels of 1 mm; every feature has the same value."""
    mask = np.zeros((40, 40), dtype=bool)
    mask[:side, :side] = True
    part = lone_slice(np.zeros((40, 40), dtype=np.float32), mask, 1.0)
    return SliceReading(
        part=part,
        patch=Patch(part.image, mask.astype(np.float32), np.eye(3)),
        features=FeatureVector({name: Measurement(value, "1") for name in FEATURE_IDS}),
        logits=np.zeros(3, dtype=np.float32),
        probabilities=dict.fromkeys(TumorType, 1 / 3),
        embedding=embedding,
        contributions=np.zeros((len(NAMES), 3), dtype=np.float32),
    )


def a_result(slices):
    return ClassificationResult(
        prediction=TumorType.GLIOMA,
        probabilities={TumorType.GLIOMA: 0.9, TumorType.MENINGIOMA: 0.1, TumorType.PITUITARY: 0.0},
        prediction_set=(TumorType.GLIOMA,),
        coverage=0.95,
        reasons=(),
        outlier=None,
        slices=slices,
        model=ModelVersion("classification", "0.1.0", "ab" * 32),
    )


def test_a_case_is_read_from_all_slices_and_described_by_the_largest(trained):
    reader = ConceptReader.load(trained / "concepts")
    known = read_part(trained, None).known
    rows = [int(np.flatnonzero(known.truth == kind)[0]) for kind in (0, 2)]
    small, large = (
        a_slice_reading(known.embedding[row, 0], side, value)
        for row, side, value in zip(rows, (4, 20), (1.0, 2.0), strict=True)
    )
    found = reader.read_case(a_result((small, large)))
    alone = reader.read(large.embedding, large.features)
    assert [s.score for s in found.symptoms] == [s.score for s in alone.symptoms]
    assert {s.value for s in found.symptoms} == {2.0}
    # weights are the roots of 16 and 400 mm2: 4 to 20 on the log-probabilities
    head = reader.model.head
    logits = head(torch.from_numpy(np.stack([small.embedding, large.embedding])))
    pooled = (logits.double().log_softmax(dim=1) * torch.tensor([[4.0], [20.0]])).sum(dim=0) / 24
    calibration = reader.model.settings.calibration
    expected = calibration.reported(calibration.probabilities(pooled.numpy()))
    assert expected.max() == pytest.approx(1 - 1 / (calibration.patients + 2))
    np.testing.assert_allclose(list(found.probabilities.values()), expected, atol=1e-6)
    assert found.disagreement == pytest.approx(1 - found.probabilities["glioma"])
    assert reader.read_case(a_result(())) is None


def test_damaged_bundles_are_model_errors(trained, tmp_path):
    import shutil

    bundle = tmp_path / "concepts"
    shutil.copytree(trained / "concepts", bundle)
    plain = json.loads((bundle / CONCEPTS).read_text(encoding="utf-8"))
    for change in ("scales", "calibration", "symptoms"):
        (bundle / CONCEPTS).write_text(json.dumps({k: v for k, v in plain.items() if k != change}))
        with pytest.raises(ModelError, match="unusable"):
            read_concepts(bundle)
    (bundle / CONCEPTS).write_text(json.dumps({**plain, "scales": plain["scales"][1:]}))
    with pytest.raises(ModelError, match="not as many limits"):
        read_concepts(bundle)
    (bundle / CONCEPTS).write_text(json.dumps({**plain, "image_width": 3}))
    with pytest.raises(ModelError, match="do not fit"):
        read_concepts(bundle)


def test_unfinished_runs_are_refused_with_the_command_that_helps(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        train_concepts(tmp_path, AToyTower())
    assert "tumorlens train classification" in caught.value.remedy
    write_run(tmp_path, folds=(0,))
    assert finished_folds(tmp_path) == (0,)
    with pytest.raises(NotFoundError, match="1 finished folds"):
        train_concepts(tmp_path, AToyTower())
    (tmp_path / "fold0" / "plan.json").write_text("{}")
    with pytest.raises(FileFormatError, match="names no features"):
        read_part(tmp_path, 0)


def test_the_second_stage_is_written_for_review(tmp_path):
    write_run(tmp_path)
    path = tmp_path / "symptoms.json"
    verdicts = write_symptoms(tmp_path, path)
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["patients"] == {"glioma": 20, "meningioma": 20, "pituitary": 20}
    assert sum(len(r) for r in plain["symptoms"].values()) == sum(v.kept for v in verdicts)
    assert LEAST_PATIENTS == 10
    assert generator.SYMPTOMS_PER_CLASS == 6


def test_few_shot_draws_whole_patients_of_every_class():
    from brain_tumor.concepts.training.embeddings import embedded

    slices = embedded(some_predictions(range(30), 3))
    rows = study.draw_patients(slices, 2, 0)
    assert len(rows) == 2 * 3 * 3  # two patients of three classes with three slices
    assert sorted(np.unique(slices.truth[rows], return_counts=True)[1]) == [6, 6, 6]


def test_classes_weigh_alike_whatever_their_number_of_slices():
    from brain_tumor.concepts.training.embeddings import embedded

    slices = embedded(some_predictions([0, 1, 2, 3, 6, 9], 3))
    weights = slice_weights(slices).numpy()
    for kind in range(3):
        assert weights[slices.truth == kind].sum() == pytest.approx(1 / 3)


def test_a_scale_is_a_logistic_curve():
    assert SymptomScale(2.0, -1.0).score(0.5) == 0.5
    assert SymptomScale(2.0, 0.0).score(math.log(3) / 2) == pytest.approx(0.75)


def test_errors_are_found_among_the_most_disagreed():
    hybrid = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    second = np.array([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])
    apart = disagreement_of(hybrid, second)
    np.testing.assert_allclose(apart, [0.2, 0.9, 0.3])
    assert captured(apart, np.array([False, True, False]), 1 / 3) == 1.0
    assert captured(apart, np.array([True, True, False]), 1 / 3) == 0.5


def test_a_new_class_is_added_by_words_and_learnt_from_few_patients(trained):
    part, base = a_part(trained)
    tower = AToyTower()
    symptoms = [
        ("bright spot with a thin wall", "ring_enhancement_index", Direction.HIGH),
        ("wide swelling all around", "surrounding_intensity", Direction.LOW),
    ]
    vocabulary = with_new_class(base.vocabulary, "metastasis", symptoms)
    assert vocabulary.kinds[-1] == "metastasis"
    rng = np.random.default_rng(0)
    far = rng.normal(0, 1, EMBEDDING) * 8
    new = (far + rng.normal(0, 0.5, (12, 2, EMBEDDING))).astype(np.float32)
    images = base.space.project_images(
        torch.from_numpy(np.concatenate([part.known.embedding, new]))
    )
    truth = torch.from_numpy(np.r_[part.known.truth, np.full(12, 3)])
    weights = torch.cat([slice_weights(part.known) * 0.75, torch.full((12,), 0.25 / 12)])
    zero = fit_prompts(
        images, truth, weights, vocabulary, tower, base.space,
        merging=Merging.MEAN, with_context=False,
    )  # fmt: skip
    assert predict(images[:, 0], zero, vocabulary).shape == (len(truth), 4)
    few = fit_prompts(
        images, truth, weights, vocabulary, tower, base.space,
        merging=Merging.PROMPT, with_context=False,
        plan=PromptPlan(steps=60, batch_size=128, learning_rate=5e-3),
    )  # fmt: skip
    guess = predict(images[:, 0], few, vocabulary).argmax(dim=1)
    assert (guess[-12:] == 3).float().mean().item() == 1.0
    assert (guess[:-12] == truth[:-12]).float().mean().item() > 0.85
    with pytest.raises(InputError, match="exists already"):
        with_new_class(vocabulary, "metastasis", symptoms)
    with pytest.raises(InputError, match="at least 2"):
        with_new_class(vocabulary, "abscess", symptoms[:1])
    with pytest.raises(InputError, match="names a class"):
        with_new_class(vocabulary, "abscess", [("an abscess wall", "area_mm2", Direction.LOW)] * 2)


METASTASIS = [
    {"text": "bright spot with a thin wall", "feature": "irregularity", "direction": "high"},
    {"text": "wide swelling all around", "feature": "area_mm2", "direction": "low"},
]


def labelled(run):
    """Slices of two patients of each known class, and of three of a class far from them."""
    known = read_part(run, None).known
    few = known.subset(np.isin(known.patient, [f"p{n}" for n in range(6)]))
    rng = np.random.default_rng(0)
    far = rng.normal(0, 1, EMBEDDING) * 8
    new = (far + rng.normal(0, 0.5, (9, EMBEDDING))).astype(np.float32)
    features = few.features[:9, 0].copy()
    features[:, NAMES.index("irregularity")] = 9.0  # known classes stay below 6
    kinds = [tuple(TumorType)[index].value for index in few.truth]
    return LabelledSlices(
        np.concatenate([few.embedding[:, 0], new]),
        np.concatenate([few.features[:, 0], features]),
        NAMES,
        np.array([*kinds, *["metastasis"] * 9]),
        np.array([*few.patient, *np.repeat(["m1", "m2", "m3"], 3)]),
    )


@pytest.fixture
def a_request(trained, tmp_path, monkeypatch):
    """Arguments of `concepts add-class` with everything it needs but a text tower."""
    monkeypatch.setattr(class_files, "read_labelled_cases", lambda table, models: labelled(trained))
    (tmp_path / "symptoms.json").write_text(json.dumps(METASTASIS))
    (tmp_path / "cases.csv").write_text("case,class\n")
    return [
        "concepts", "add-class", "metastasis", "--symptoms", str(tmp_path / "symptoms.json"),
        "--cases", str(tmp_path / "cases.csv"), "--models", str(trained),
        "--output", str(tmp_path / "new"),
    ]  # fmt: skip


def test_one_command_adds_a_class_to_a_bundle_that_the_server_loads(
    trained, a_request, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(class_files, "default_text_tower", AToyTower)
    before = (trained / "concepts" / WEIGHTS).read_bytes()
    assert main(a_request) == 0
    assert "glioma 2, meningioma 2, pituitary 2, metastasis 3" in capsys.readouterr().out
    reader = load_type_reader(trained / "classification", tmp_path / "new").symptoms
    assert reader.version.version == "0.1.2"
    assert (trained / "concepts" / WEIGHTS).read_bytes() == before
    assert reader.model.settings.vocabulary.kinds[-1] == "metastasis"
    slices = labelled(trained)
    right = 0
    for row in range(len(slices.kind)):
        measured = dict(zip(NAMES, slices.features[row].tolist(), strict=True))
        right += reader.read(slices.embedding[row], measured).prediction == slices.kind[row]
    assert right >= len(slices.kind) - 1
    spot = reader.read(slices.embedding[-1], dict.fromkeys(NAMES, 9.0), {TumorType.GLIOMA: 1.0})
    assert not spot.names_a_type
    assert spot.disagrees
    assert spot.symptoms[-2].present is True  # 9 is beyond a limit that only metastases reach
    assert [word.word for word in spot.symptoms[-1].words] == ["wide", "swelling", "all", "around"]
    # known symptoms and classes are read as before; the bound on certainty would hide it
    monkeypatch.setattr(Calibration, "reported", lambda _, probabilities: probabilities)
    old = ConceptReader.load(trained / "concepts")
    was, now = (r.read(slices.embedding[0], {}) for r in (old, reader))
    scores_now, scores_was = ([s.score for s in reading.symptoms] for reading in (now, was))
    np.testing.assert_allclose(scores_now[:-2], scores_was, atol=1e-5)
    first, second = (list(r.probabilities.values())[:3] for r in (was, now))
    np.testing.assert_allclose(np.divide(second, sum(second)), first, atol=1e-5)
    # and a class can be added to that, too
    assert read_text_map(tmp_path / "new").centre.shape == (16,)


def test_a_class_is_added_with_word_features_from_elsewhere(
    trained, a_request, tmp_path, monkeypatch
):
    words = tmp_path / "words.npz"
    encode = ["concepts", "encode-words", "metastasis", "--models", str(trained)]
    encode += ["--symptoms", str(tmp_path / "symptoms.json"), "--output", str(words)]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(class_files, "default_text_tower", AToyTower)
        assert main(encode) == 0
        assert main(a_request) == 0
    assert main([*a_request[:-1], str(tmp_path / "other"), "--words", str(words)]) == 0
    one, other = (read_concepts(tmp_path / name).head.state_dict() for name in ("new", "other"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value)


def test_what_is_missing_for_a_new_class_is_said_in_one_sentence(
    trained, a_request, tmp_path, monkeypatch, capsys
):
    def refused(arguments=a_request):
        assert main(arguments) == 2
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err

    monkeypatch.setattr(encoders, "TEXT_PACKAGES", ("no_such_package",))
    assert "MiniLM-L6 is not installed" in refused()
    monkeypatch.setattr(class_files, "default_text_tower", AToyTower)
    assert "exists already" in refused([*a_request[:2], "glioma", *a_request[3:]])
    whole = labelled(trained)
    lone = replace(whole, **{
        name: getattr(whole, name)[whole.kind != "pituitary"]
        for name in ("embedding", "features", "kind", "patient")
    })  # fmt: skip
    monkeypatch.setattr(class_files, "read_labelled_cases", lambda table, models: lone)
    assert "no labelled patient of pituitary" in refused()
    (tmp_path / "symptoms.json").write_text("[3]")
    assert "symptoms.json cannot be read" in refused()
    (tmp_path / "symptoms.json").write_text(json.dumps([{**METASTASIS[0], "feature": "taste"}] * 2))
    assert "taste" in refused()
    (tmp_path / "symptoms.json").write_text(json.dumps(METASTASIS))
    bare = tmp_path / "models"
    shutil.copytree(trained / "classification", bare / "classification")
    shutil.copytree(trained / "concepts", bare / "concepts")
    (bare / "concepts" / TEXT_MAP).unlink()
    here = [str(bare) if part == str(trained) else part for part in a_request]
    assert "text_map.safetensors" in refused(here)


def test_a_lost_text_map_is_made_again_from_the_run(trained, tmp_path, monkeypatch):
    bundle = tmp_path / "concepts"
    shutil.copytree(trained / "concepts", bundle)
    was = (bundle / TEXT_MAP).read_bytes()
    (bundle / TEXT_MAP).unlink()
    monkeypatch.setattr(fit, "AlignmentPlan", partial(AlignmentPlan, steps=60, batch_size=128))
    renew_text_map(trained, bundle, AToyTower())
    assert (bundle / TEXT_MAP).read_bytes() == was
    monkeypatch.setattr(fit, "AlignmentPlan", partial(AlignmentPlan, steps=2, batch_size=128))
    with pytest.raises(InputError, match="another image map"):
        renew_text_map(trained, bundle, AToyTower())


def test_the_command_line_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoders, "TEXT_PACKAGES", ("no_such_package_here",))
    place = ["--data", str(tmp_path), "--output", str(tmp_path / "x.json")]
    with pytest.raises(SystemExit):
        main(["evaluate", "concepts", *place])
    assert "required: --runs" in capsys.readouterr().err
    run = ["--runs", str(tmp_path)]
    for ignored in (["--fold", "1"], ["--models", str(tmp_path)]):
        with pytest.raises(SystemExit):
            main(["evaluate", "concepts", *place, *run, *ignored])
        assert "unrecognized arguments" in capsys.readouterr().err
    write_run(tmp_path / "run")
    assert main(["evaluate", "concepts", *place, "--runs", str(tmp_path / "run")]) == 2
    assert "tumorlens[text]" in capsys.readouterr().err
    output = ["--data", str(tmp_path), "--output", str(tmp_path / "run"), "--fold", "0"]
    assert main(["train", "concepts", *output]) == 2
    assert "not installed" in capsys.readouterr().err
