from pathlib import Path

import numpy as np
import pytest
import torch
from brain_tumor.bundles import WEIGHTS, read_bundle
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.case_slices import tumour_slices
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.outliers import OutlierModel
from brain_tumor.classification.model.training_statistics import read_statistics
from brain_tumor.classification.pieces import tumour_mask
from brain_tumor.labels import TumorType
from brain_tumor.learning.ledger.database import LedgerDatabase
from brain_tumor.learning.ledger.ledger import (
    CaseRef,
    Kind,
    Ledger,
    NewSubmission,
    ReviewState,
    corrected_types,
)
from brain_tumor.learning.registry.registry import CARD, ModelRegistry
from brain_tumor.learning.retraining.job import run_job
from brain_tumor.learning.retraining.job_folder import JobStatus
from brain_tumor.learning.retraining.labelled_cases import base_cases, corrected_cases, picture_case
from brain_tumor.learning.retraining.loop import Schedule, fine_tune
from brain_tumor.learning.retraining.tuner import Examples, Truth, write_arrays
from brain_tumor.learning.retraining.type_tuner import (
    LEARNT_PARTS,
    TypeTuner,
    disturbed,
    read_typed_example,
    type_scores,
    with_corrected,
)
from safetensors.torch import load_file

from tests.helpers.type_learning import sized_case, write_classifier, write_type_job

GLIOMA, MENINGIOMA, PITUITARY = TumorType
PER_CASE = 4


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors; more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("bundle") / "classification")


def write_examples(tuner, folder, kinds, seed):
    """Cases made of numbers: every type has its own pooled appearance, the parent's answers."""
    rng = np.random.default_rng(seed)
    looks = np.random.default_rng(5).normal(size=(3, 384)).astype(np.float32)
    paths = []
    for number, kind in enumerate(kinds):
        pooled = looks[kind] + 0.1 * rng.normal(size=(PER_CASE, 384)).astype(np.float32)
        features = rng.normal(size=(PER_CASE, len(tuner._features))).astype(np.float32)
        with torch.inference_mode():
            said = tuner._teacher.name_pooled(torch.from_numpy(pooled), torch.from_numpy(features))
        taught = torch.stack([said.fused, said.deep, said.measured]).numpy()
        path = folder / f"{seed}-{number}.npz"
        write_arrays(path, pooled=pooled, features=features, taught=taught, kind=np.array(kind))
        paths.append(path)
    return paths


def tune(tuner, corrections, replay, folder, steps=60):
    folder.mkdir(exist_ok=True)
    fine_tune(
        tuner,
        Examples(corrections, replay),
        Schedule(1, steps, 3e-3, seed=1),
        folder / "checkpoint.pt",
        on_step=lambda report: None,
        on_epoch=lambda epoch, network: None,
        shall_stop=lambda: False,
    )


def said_of(tuner, paths):
    """Probabilities of the tuned network on the slices of examples."""
    tuner.network.eval()
    found = []
    for path in paths:
        one = read_typed_example(path)
        with torch.inference_mode():
            named = tuner._whole.name_pooled(one.pooled, one.features)
        found.append(named.fused.softmax(dim=1).numpy())
    return np.stack(found)


class TestScores:
    def test_accuracy_and_likelihood_are_each_from_0_to_1(self):
        even = dict.fromkeys(TumorType, 1 / 3)
        sure = {GLIOMA: 1.0, MENINGIOMA: 0.0, PITUITARY: 0.0}
        assert type_scores(sure, GLIOMA) == {"accuracy": 1.0, "log_likelihood": 1.0}
        assert type_scores(sure, PITUITARY) == {"accuracy": 0.0, "log_likelihood": 0.0}
        # 1 - ln 3 / ln 100
        assert type_scores(even, GLIOMA)["log_likelihood"] == pytest.approx(0.7614394, abs=1e-6)

    def test_a_close_call_may_turn_but_a_sure_answer_may_not(self):
        def loss(before, after):
            pair = [type_scores({GLIOMA: p, PITUITARY: 1 - p}, GLIOMA) for p in (before, after)]
            old, new = (sum(s.values()) / 2 for s in pair)
            return old - new

        assert loss(0.6, 0.4) < TypeTuner.rules.patient_margin < loss(0.95, 0.05)


class TestStatistics:
    def test_three_corrected_cases_of_a_type_make_their_kind_known(self):
        known = OutlierModel(np.zeros((3, 2)), np.eye(2), 1.5)
        far = np.array([[10.0, 0.0]])
        places = [np.array([x, 0.0]) for x in (9.0, 10.0, 11.0, -10.0, -10.0)]
        extended = with_corrected(known, places, [0, 0, 0, 1, 1])
        assert extended.means[3:].tolist() == [[10.0, 0.0]]
        assert known.distance(far)[0] == pytest.approx(10 / np.sqrt(2))
        assert (known.is_outlier(far)[0], extended.is_outlier(far)[0]) == (True, False)
        assert extended.is_outlier(-far)[0]  # two meningiomas are not enough
        assert with_corrected(known, [], []).means.tolist() == known.means.tolist()

    def test_a_candidate_keeps_calibration_and_limit(self, bundle, tmp_path):
        tuner = TypeTuner(bundle)
        paths = write_examples(tuner, tmp_path, [0, 0, 0], seed=2)
        tuner.complete(tmp_path / "candidate", Examples(paths, []))
        before, after = read_statistics(bundle), read_statistics(tmp_path / "candidate")
        assert after.case_calibration == before.case_calibration
        assert after.slice_calibration == before.slice_calibration
        assert after.outliers.threshold == before.outliers.threshold
        assert len(after.outliers.means) == len(before.outliers.means) + 1


class TestLearning:
    def test_only_the_layers_after_the_embedding_learn(self, bundle):
        tuner = TypeTuner(bundle)
        parts = {name.split(".")[0] for name in tuner.network.state_dict()}
        assert parts == set(LEARNT_PARTS)
        tuner.network.train()
        whole = tuner._whole
        frozen = (whole.encoder, whole.decoder, whole.lesion, whole.lateral, whole.embed)
        assert not any(m.training for part in frozen for m in part.modules())
        assert not any(p.requires_grad for part in frozen for p in part.parameters())
        assert all(p.requires_grad for p in tuner.network.parameters())

    def test_undecided_layers_lose_ln_3_for_each_head_by_its_weight(self, bundle, tmp_path):
        tuner = TypeTuner(bundle)
        paths = write_examples(tuner, tmp_path, [0, 1, 2], seed=3)
        for last in (tuner._whole.fuse[3], tuner._whole.deep_head, tuner._whole.measured_head):
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.zeros_(last.bias)
        loss = tuner.loss(paths, [], np.random.default_rng(0))
        assert float(loss.detach()) == pytest.approx((1 + 0.5 + 0.5) * np.log(3), rel=1e-5)
        for path in paths:  # a teacher as undecided adds nothing, the known type half of that again
            one = read_typed_example(path)
            none = np.zeros_like(one.taught.numpy())
            write_arrays(
                tmp_path / f"even-{path.name}",
                pooled=one.pooled.numpy(),
                features=one.features.numpy(),
                taught=none,
                kind=np.array(one.kind),
            )
        even = sorted(tmp_path.glob("even-*"))
        both = tuner.loss(paths, even, np.random.default_rng(0))
        assert float(both.detach()) == pytest.approx(1.5 * float(loss.detach()), rel=1e-5)

    def test_corrected_types_are_learnt_and_replay_keeps_the_other_answers(self, bundle, tmp_path):
        plain, held = TypeTuner(bundle), TypeTuner(bundle)
        first = write_examples(plain, tmp_path / "first", [0], seed=6)
        usual = int(said_of(plain, first).mean(axis=(0, 1)).argmax())
        wanted = (usual + 1) % 3
        corrections = write_examples(plain, tmp_path, [wanted] * 3, seed=4)
        replay = write_examples(plain, tmp_path, [usual] * 4, seed=6)
        before = said_of(plain, replay)[..., usual].mean()
        tune(plain, corrections, [], tmp_path / "plain")
        tune(held, corrections, replay, tmp_path / "held")
        for tuner in (plain, held):
            assert (said_of(tuner, corrections).argmax(axis=2) == wanted).all()
        assert said_of(plain, replay)[..., usual].mean() < before - 0.1  # forgotten
        assert said_of(held, replay)[..., usual].mean() > before - 0.02

    def test_every_type_is_drawn_as_often_as_the_others(self, bundle, tmp_path):
        tuner = TypeTuner(bundle)
        paths = write_examples(tuner, tmp_path, [0, *[1] * 9], seed=7)
        rng = np.random.default_rng(1)
        kinds = [one.kind for _ in range(60) for one, _ in tuner._draw(paths, rng)]
        assert np.mean(kinds) == pytest.approx(0.5, abs=0.05)

    def test_features_are_blurred_and_lost_at_random(self):
        features = torch.zeros(4000, 3)
        found = disturbed(features, torch.tensor([1.0, 2.0, 0.0]), np.random.default_rng(3))
        lost = torch.isnan(found)
        assert float(lost.all(dim=1).float().mean()) == pytest.approx(0.12, abs=0.02)
        assert float(lost.float().mean()) == pytest.approx(0.12 + 0.88 * 0.08, abs=0.02)
        spread = [float(column[~column.isnan()].std()) for column in found.T]
        assert spread == pytest.approx([0.15, 0.3, 0.0], abs=0.02)


class TestExamples:
    def test_an_example_says_what_the_classifier_says(self, bundle, tmp_path):
        case, labels, kind = sized_case(1)
        tuner = TypeTuner(bundle)
        assert tuner.prepare(case, Truth(labels, kind), tmp_path / "one.npz")
        one = read_typed_example(tmp_path / "one.npz")
        result = TumorTypeClassifier.load(bundle, bf16=False).classify(case, labels)
        expected = np.stack([reading.logits for reading in result.slices])
        np.testing.assert_allclose(one.taught[0].numpy(), expected, atol=2e-4)
        assert (one.kind, len(one.pooled)) == (1, 1)

    def test_cases_without_type_t1c_or_outline_teach_nothing(self, bundle, tmp_path):
        case, labels, kind = sized_case(1)
        tuner, path = TypeTuner(bundle), tmp_path / "none.npz"
        other = type(case)(case.case_id, Sequence.T2, {Sequence.T2: case.volumes[case.reference]})
        assert not tuner.prepare(case, Truth(labels), path)
        assert not tuner.prepare(case, Truth(np.zeros_like(labels), kind), path)
        assert not tuner.prepare(other, Truth(labels, kind), path)
        assert not path.exists()
        score = tuner.scorer_of(tuner.network)
        assert score(case, Truth(labels)) == score(other, Truth(labels, kind)) == {}
        assert set(score(case, Truth(labels, kind))) == {"accuracy", "log_likelihood"}

    def test_a_picture_becomes_the_slice_that_it_is(self):
        image = np.random.default_rng(0).integers(0, 255, (70, 90)).astype(np.uint8)
        mask = np.zeros((70, 90), dtype=bool)
        mask[10:30, 40:70] = True
        case, labels = picture_case("P", image, mask, 1.0)
        (part,) = tumour_slices(case.volumes[Sequence.T1C], tumour_mask(labels))
        assert np.array_equal(part.image, image)
        assert np.array_equal(part.mask, mask)
        assert (part.is_lone, part.pixel_mm) == (True, (1.0, 1.0))


class TestLedger:
    def submit(self, ledger, case, answer, state=ReviewState.SUBMITTED):
        new = NewSubmission(CaseRef(case, "a" * 64, case), Kind.TYPE, payload={"type": answer})
        one = ledger.submit(new)
        return one if state is ReviewState.SUBMITTED else ledger.review(one.id, state, "r")

    def test_the_newest_usable_type_of_each_case_counts(self, tmp_path):
        ledger = Ledger(LedgerDatabase(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))
        self.submit(ledger, "twice", "glioma")
        self.submit(ledger, "twice", "pituitary")
        self.submit(ledger, "reviewed", "meningioma", ReviewState.REVIEWED)
        self.submit(ledger, "reviewed", "glioma")
        self.submit(ledger, "rejected", "glioma")
        self.submit(ledger, "rejected", "meningioma", ReviewState.REJECTED)
        self.submit(ledger, "unknown", "glioma")
        self.submit(ledger, "unknown", "other")
        found = corrected_types(ledger.submissions(kind=Kind.TYPE))
        assert [(one.case_id, kind) for one, kind in found] == [
            ("twice", PITUITARY),
            ("reviewed", MENINGIOMA),
            ("rejected", GLIOMA),
        ]
        ledger.close()


class TestJob:
    def test_a_whole_training_ends_with_a_judged_candidate(self, tmp_path):
        job = write_type_job(tmp_path)
        assert run_job(job.path) is JobStatus.DONE
        progress = job.progress()
        assert (progress.step, progress.version, progress.promoted) == (4, "0.1.1", False)
        registry = ModelRegistry(tmp_path / "models", tmp_path / "store")
        record = registry.verify("classification", "0.1.1")
        assert "3 tumour types of 3 patients" in (record.path / CARD).read_text()
        old = load_file(tmp_path / "models/classification" / WEIGHTS)
        new = load_file(record.path / WEIGHTS)
        changed = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
        assert changed == set(LEARNT_PARTS)
        assert {n: v.dtype for n, v in new.items()} == {n: v.dtype for n, v in old.items()}
        TumorTypeClassifier.load(record.path)  # statistics are there, too
        assert (record.path / "configs/training_patients.json").is_file()
        decision = registry.decision("classification", "0.1.1")
        checks = {check["name"] for check in decision["checks"]}
        assert {"corrections / accuracy", "base / log_likelihood"} <= checks
        assert {s["groups"]["type"] for s in decision["scores"]} <= {t.value for t in TumorType}
        assert decision["rules"]["patient_margin"] == TypeTuner.rules.patient_margin
        assert read_bundle(record.path).metadata["retraining"]["data"]["what"] == "tumour types"

    def test_without_a_mask_the_segmenter_outlines_the_tumour(self, tmp_path):
        job = write_type_job(tmp_path)
        request = job.request()
        (first, *_), (case, _, kind) = request.corrections, sized_case(0)
        bare = type(first)(1, first.case_id, first.patient, False, "", "", first.tumor_type)
        (one,) = corrected_cases(type(request)(**{**vars(request), "corrections": (bare,)}))
        loaded, truth = one.load()
        assert (loaded.shape, truth.labels.shape, truth.tumor_type) == (
            case.shape,
            case.shape,
            kind,
        )
        again = one.load()[1].labels
        assert np.array_equal(truth.labels, again)
        assert one.groups == {"type": "glioma"}


class TestBase:
    def test_pictures_are_spread_over_patients_and_a_fifth_of_those_is_held_out(self, tmp_path):
        folder = tmp_path / "data"
        write_pictures(folder, patients=10, per_patient=5)
        request = write_type_job(tmp_path, replay=str(folder)).request()
        base = base_cases(request)
        assert len(base) == 30
        by_patient = {one.patient: one.held_out for one in base}
        assert len(by_patient) == 10
        assert 0 < sum(by_patient.values()) < 10
        assert all(one.held_out == by_patient[one.patient] for one in base)
        case, truth = base[0].load()
        assert (case.shape, truth.tumor_type) == ((256, 256, 1), MENINGIOMA)
        assert base[0].groups == {"type": "meningioma"}

    def test_a_folder_without_types_is_refused(self, tmp_path):
        (tmp_path / "empty").mkdir()
        request = write_type_job(tmp_path, replay=str(tmp_path / "empty")).request()
        with pytest.raises(ValueError, match=r"holds no labelled case .*; expected cheng"):
            base_cases(request)


def write_pictures(folder: Path, patients: int, per_patient: int) -> None:
    from PIL import Image

    for name in ("images", "masks"):
        (folder / "cheng" / name).mkdir(parents=True)
    lines = ["index,pid,group,label,label_name,native_size,mask_area_px,cohort"]
    picture = Image.fromarray(np.full((256, 256), 80, dtype=np.uint8))
    for index in range(patients * per_patient):
        lines.append(f"{index},0,{index // per_patient},1,meningioma,512,1,numeric")
        picture.save(folder / "cheng/images" / f"{index}.jpg")
        picture.save(folder / "cheng/masks" / f"{index}.png")
    (folder / "cheng/index.csv").write_text("\n".join(lines) + "\n")
