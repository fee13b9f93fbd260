"""The shipped classifier: whole, documented as generated, and sane on the sample heads."""

import json
import shutil

import numpy as np
import pytest
from brain_tumor.bundles import METADATA, models_folder, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.evaluation.card import METRICS
from brain_tumor.cli import main
from brain_tumor.concepts.head import MADE_FOR
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.options import ExplanationOptions
from brain_tumor.explanation.sections import explanation_sections
from brain_tumor.explanation.type_reader import load_type_reader
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml

pytestmark = pytest.mark.model

BUNDLE = models_folder() / "classification"
MOST_BYTES = 25 * 1024**2


@pytest.fixture(scope="module")
def reader():
    return load_type_reader(BUNDLE, models_folder() / "concepts")


class ExactSegmenter:
    """The outline that the phantom was made with."""

    def __init__(self, phantom):
        self.phantom = phantom
        self.version = read_bundle(models_folder() / "segmentation").version

    def segment(self, case, *, mirrored=False):
        labelmap = self.phantom.labelmap
        return SegmentationResult(
            labelmap=labelmap,
            scheme="subregions",
            model=self.version,
            reason="the truth",
            volumes_ml=region_volumes_ml(labelmap, case.spacing_mm),
        )


def test_the_bundle_is_small():
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file())
    assert size <= MOST_BYTES


def test_the_figures_are_of_five_folds_and_every_type_is_in_them():
    metrics = json.loads((BUNDLE / METRICS).read_text(encoding="utf-8"))
    assert metrics["slices"]["expert"]["patients"] == metrics["patients"]["expert"]["n"]
    assert set(metrics["slices"]["expert"]["sensitivity"]) == {kind.value for kind in TumorType}
    assert metrics["slices"]["expert"]["accuracy"] > 0.9


def test_a_phantom_is_explained_within_its_own_tumour(reader):
    phantom = make_phantom(PhantomSpec(seed=5, spacing_mm=(1.5, 1.5, 1.5)))
    analyst = Analyst(ExactSegmenter(phantom), lambda: reader)
    segmentation = analyst.segment(phantom.case)
    read = analyst.read_type(phantom.case, segmentation)
    classification = read.classification
    assert sum(classification.probabilities.values()) == pytest.approx(1.0)
    assert len({reading.part.plane for reading in classification.slices}) == 3
    explanation = analyst.explain(phantom.case, segmentation, read, ExplanationOptions())
    report = explanation.faithfulness
    assert report.peak_inside
    assert report.near_share > 0.3  # a head of the same size has about a hundredth in its tumour
    checks = explanation.rationale.to_json()["checks"]
    assert checks["claims"] == checks["supported"]
    assert checks["removed"] == 0
    symptoms = explanation_sections(explanation)["symptoms"]
    known = {item.id: item.feature for item in explanation.facts.evidence}
    assert {row["class"] for row in symptoms} == {kind.value for kind in TumorType}
    assert all(known[row["evidence"]] == row["feature"] for row in symptoms if row["evidence"])


def test_a_second_reader_of_another_classifier_is_left_out(tmp_path, reader, caplog):
    assert reader.symptoms is not None
    shutil.copytree(models_folder() / "concepts", tmp_path / "concepts")
    path = tmp_path / "concepts" / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(metadata | {MADE_FOR: "0" * 64}), encoding="utf-8")
    other = load_type_reader(BUNDLE, tmp_path / "concepts")
    assert other.symptoms is None
    assert "another classifier" in caplog.text
    assert [version.name for version in reader.versions] == ["classification", "concepts"]
    assert [version.name for version in other.versions] == ["classification"]


def test_noise_with_an_outline_is_never_called_a_type_with_confidence(reader):
    rng = np.random.default_rng(0)
    phantom = make_phantom(PhantomSpec(seed=5, spacing_mm=(1.5, 1.5, 1.5)))
    case = phantom.case
    noise = rng.normal(100.0, 20.0, size=case.shape).astype(np.float32)
    volumes = {s: type(v)(noise, v.affine) for s, v in case.volumes.items()}
    noisy = type(case)("noise", case.reference, volumes)
    found = reader.classifier.classify(noisy, phantom.labelmap)
    assert found.prediction is None
    assert found.reasons


def test_the_command_line_writes_everything_for_a_lone_t1c(tmp_path, capsys):
    spec = PhantomSpec(
        seed=8,
        tumor=TumorType.MENINGIOMA,
        sequences=(Sequence.T1C,),
        skull_stripped=False,
        spacing_mm=(1.5, 1.5, 5.0),
    )
    phantom = make_phantom(spec)
    write_volume(tmp_path / "case_t1c.nii.gz", phantom.case.volumes[Sequence.T1C])
    output = tmp_path / "out"
    case = str(tmp_path / "case_t1c.nii.gz")
    assert main(["analyse", case, "--output", str(output), "--json"]) == 0
    names = {"labelmap.nii.gz", "heatmap.nii.gz", "report.json", "report.html"}
    assert names <= {path.name for path in output.iterdir()}
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == report
    assert report["classification"]["prediction"] in {
        *(kind.value for kind in TumorType),
        "undetermined",
    }
    assert "<html" in (output / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("height", [0.4, 0.5, 0.6])
def test_a_square_drawn_on_a_healthy_head_is_not_typed(reader, height):
    phantom = make_phantom(PhantomSpec(seed=4, tumor=None, skull_stripped=False))
    head = phantom.case.volumes[Sequence.T1C].array
    array = np.ascontiguousarray(head[:, :, int(height * head.shape[2]), None], dtype=np.float32)
    square = np.zeros(array.shape, dtype=np.uint8)
    i, j = (side // 2 for side in array.shape[:2])
    square[i - 12 : i + 12, j + 10 : j + 34] = 4
    volume = Volume(array, np.diag([1.0, 1.0, 6.0, 1.0]))
    found = reader.classifier.classify(Case("a", Sequence.T1C, {Sequence.T1C: volume}), square)
    assert found.prediction is None
    assert any("does not lie where" in reason for reason in found.reasons)
