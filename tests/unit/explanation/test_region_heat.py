"""Heat of a region of a case, its tests, and what must not be said of it."""

import dataclasses

import numpy as np
import pytest
import torch
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import WorkingCase
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.heat.cam_regions import explain_regions, explained_layer
from brain_tumor.explanation.heat.methods import HeatMethod
from brain_tumor.explanation.heat.volume import heat_volume
from brain_tumor.explanation.options import ExplanationOptions
from brain_tumor.explanation.rationale.rationale import explain_in_words
from brain_tumor.explanation.region_heat import (
    explain_region,
    region_faithfulness,
    shuffled_correlation,
)
from brain_tumor.labels import Label, LabelScheme, Region
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml

from tests.helpers.region_network import ByContrast
from tests.helpers.type_reader import a_type_reader

SHAPE = (40, 48, 40)
HEAD = (slice(4, 36), slice(4, 44), slice(4, 36))
OEDEMA = (slice(10, 26), slice(12, 28), slice(12, 28))
RIM = (slice(12, 24), slice(14, 26), slice(14, 26))
NECROSIS = (slice(16, 20), slice(18, 22), slice(18, 22))
MODEL = ModelVersion("segmentation", "0.0.1", "f" * 64)


def a_case():
    t1c = np.zeros(SHAPE, dtype=np.float32)
    t1c[HEAD] = 100.0
    flair = t1c.copy()
    flair[OEDEMA] = 300.0
    flair[RIM] = 100.0
    t1c[RIM] = 300.0
    t1c[NECROSIS] = 20.0
    volumes = {s: Volume(a, np.eye(4)) for s, a in ((Sequence.T1C, t1c), (Sequence.FLAIR, flair))}
    return Case("box", Sequence.T1C, volumes)


def an_outline(network=None, scheme=LabelScheme.SUBREGIONS):
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[OEDEMA] = Label.ED
    labels[RIM] = Label.ET
    labels[NECROSIS] = Label.NCR
    if scheme is LabelScheme.CORE:
        labels[labels == Label.ED] = Label.BACKGROUND
        labels[labels > 0] = Label.CORE
    volumes = region_volumes_ml(labels, (1.0, 1.0, 1.0), scheme)
    return SegmentationResult(labels, scheme, MODEL, "a test", volumes, network=network)


@pytest.fixture(scope="module")
def found():
    return explain_region(a_case(), an_outline(ByContrast(1.5, 1.0)), Region.ET)


def test_the_heat_of_the_enhancing_tumour_lies_on_it_and_is_its_own(found):
    assert (found.heat.method, found.heat.target) == ("layercam", "ET")
    rim = np.zeros(SHAPE, dtype=bool)
    rim[RIM] = True
    checks = found.report.region
    assert checks.region is Region.ET
    assert checks.near_share > 0.99
    assert checks.peak_inside
    # the working grid is coarser than the case, so a voxel of its edge may lie outside
    assert found.heat.values[rim].sum() > 0.8 * found.heat.values.sum()
    assert found.heat.values[18, 20, 20] == 0.0  # middle of the necrosis


def test_what_is_not_defined_for_a_region_is_null_with_a_reason(found):
    report = found.report.to_json()
    for name in ("deletion_auc", "insertion_auc", "random_deletion_auc", "effect_log_odds"):
        assert report[name] is None
    assert "Deletion and insertion" in report["untested"][0]
    assert report["region"]["name"] == "ET"
    assert -1 <= report["region"]["shuffled_correlation"] <= 1


def test_heat_of_a_region_says_nothing_about_the_type():
    reader = a_type_reader()
    case, outline = a_case(), an_outline(ByContrast(1.5, 1.0))
    analyst = Analyst(None, lambda: reader)
    read = analyst.read_type(case, outline)
    of_type = analyst.explain(case, outline, read, ExplanationOptions())
    of_region = analyst.explain(case, outline, read, ExplanationOptions(target="ET", language="en"))
    assert of_region.heat.target == "ET"
    assert of_region.facts.heat is None
    assert all(item.heat is None for item in of_region.facts.evidence)
    assert "heat_inside_share" not in of_region.facts.by_feature
    said = " ".join(sentence.text for sentence in of_region.rationale.sentences)
    assert "heat" not in said.lower()
    # the rest is said as ever
    kept = [s.text for s in of_type.rationale.sentences if "heat" not in s.text.lower()]
    assert kept == [s.text for s in of_region.rationale.sentences]

    class Boaster:
        name = "boaster"

        def phrase(self, facts, language):
            return ["82 % of the heat lies inside the tumour.", "The heatmap peaks in the tumour."]

    rationale = explain_in_words(of_region.facts, "en", Boaster())
    assert rationale.provider == "composer"
    assert "heat" not in " ".join(s.text for s in rationale.sentences).lower()


def test_an_outline_of_the_undivided_core_is_refused_with_a_remedy():
    core = an_outline(scheme=LabelScheme.CORE)
    core = dataclasses.replace(core, model=ModelVersion("tumor_core", "1", "a" * 64))
    with pytest.raises(InputError, match=r"TC.*tumor_core.*scheme 'core'") as caught:
        explain_region(a_case(), core, Region.TC)
    assert "Add t1, t2 or flair" in caught.value.remedy


def test_other_methods_are_refused_for_a_region_and_only_there():
    with pytest.raises(InputError, match="method is 'occlusion'; expected 'layercam'"):
        ExplanationOptions(method=HeatMethod.OCCLUSION, target="WT")
    assert ExplanationOptions(method=HeatMethod.LAYERCAM, target="WT").region is Region.WT
    assert ExplanationOptions(target="TC").region is Region.TC
    assert ExplanationOptions(method=HeatMethod.OCCLUSION).region is None
    assert ExplanationOptions().method is None


def test_a_region_that_was_not_outlined_has_nothing_to_explain():
    network = ByContrast(threshold=50.0)  # nothing is ever that bright
    empty = dataclasses.replace(an_outline(network), labelmap=np.zeros(SHAPE, dtype=np.uint8))
    found = explain_region(a_case(), empty, Region.ET)
    assert found.heat.is_empty
    assert not found.report.passed
    assert "outlined no ET" in found.report.reasons[0]
    assert found.report.region.shuffled_correlation is None


def heat_at(*voxels):
    raw = np.zeros(SHAPE, dtype=np.float32)
    for voxel in voxels:
        raw[voxel] = 1.0
    return heat_volume(raw, np.eye(4), "layercam", "ET")


@pytest.mark.parametrize(
    ("voxels", "correlation", "reasons"),
    [
        # an edge of the rim box is x = 12; 5 mm away is x = 7, 6 mm away x = 6
        ([(7, 20, 16)], 0.2, []),
        ([(6, 20, 16)], 0.2, ["within 5 mm of ET", "away from ET"]),
        ([(12, 20, 16)], 0.6, ["hardly changes"]),
        ([(12, 20, 16)], -0.6, ["hardly changes"]),
    ],
)
def test_a_region_passes_by_its_place_and_by_what_was_learnt(voxels, correlation, reasons):
    report = region_faithfulness(heat_at(*voxels), an_outline(), Region.ET, correlation)
    assert report.passed is (not reasons)
    assert len(report.reasons) == len(reasons)
    for expected, reason in zip(reasons, report.reasons, strict=True):
        assert expected in reason


def test_shares_are_told_of_the_region_and_of_the_whole_tumour():
    # one voxel in the rim, one in the oedema 2 mm outside the rim, one far away
    report = region_faithfulness(
        heat_at((12, 20, 16), (10, 12, 12), (30, 40, 30)), an_outline(), Region.ET, 0.0
    )
    assert report.region.inside_share == pytest.approx(1 / 3)
    assert report.region.near_share == pytest.approx(2 / 3)
    assert report.inside_share == pytest.approx(2 / 3)


class ByPlace(ByContrast):
    """A network whose heat has nothing to do with its weights."""

    def __init__(self):
        super().__init__()
        self.features = None
        self.model[1].submodule[2] = _Constant()

    def forward(self, image):
        seen = self.model[1].submodule[2](image)
        return torch.cat([torch.zeros_like(seen[:, :1]), seen.expand(-1, 3, -1, -1, -1)], dim=1)


class _Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.arange(4.0), requires_grad=False)

    def forward(self, image):
        return image[:, 1:2].clone()


def test_heat_that_ignores_the_weights_correlates_with_that_of_shuffled_ones():
    rng = np.random.default_rng(3)
    channels = rng.uniform(0.1, 1.0, size=(4, 32, 32, 32)).astype(np.float32)
    working = WorkingCase(channels, np.ones((32, 32, 32), dtype=bool), np.eye(4), (True,) * 4)
    network = ByPlace()
    (found,) = explain_regions(network, explained_layer(network), working, (Region.WT,))
    assert found.explained.all()
    assert shuffled_correlation(network, working, found) == pytest.approx(1.0, abs=1e-6)
