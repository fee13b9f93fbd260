"""Two networks as one segmenter: heads, doubt whether there is a tumour, and silence."""

import numpy as np
import pytest
import torch
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.labels import Label
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.whole_head.reader import WholeHeadReader
from torch import nn

SUBREGIONS = ModelVersion("segmentation", "1.0.0", "aa")
HEADS = ModelVersion("whole_head", "2.0.0", "bb")
RULE = {"stripped": 1.0, "with_skull": 1.0, "parts_stripped": 0.0, "parts_with_skull": 0.0}
PRESENCE = {"intercept": 0.0, "surest": 1.0, "volume": 0.0, "threshold": 0.4, "cases": 98}
SHAPE = (60, 60, 20)


class Oedema(nn.Module):
    """Oedema everywhere: what is outlined is up to the other network."""

    def forward(self, image):
        zero = torch.zeros_like(image[:, :1])
        return torch.cat([zero, zero, zero + 9, zero], dim=1)


class BrightFlair(nn.Module):
    """Logit of the whole tumour where normalised flair of the slice itself is above 2, else -4."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, slices):
        whole = torch.where(slices[:, 7:8] > 2, self.logit, -4.0)
        return torch.cat([whole, whole - 9, whole - 9], dim=1)


def ball_case(sequences=(Sequence.FLAIR,)):
    """A brain of 80 mm with a brighter ball of 15 mm; thick slices."""
    spacing = np.array([3.0, 3.0, 6.0])
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    array = np.where(np.sqrt(x**2 + y**2 + z**2) < 55, 100.0, 0.0)
    array += np.where(array > 0, np.random.default_rng(0).normal(0, 4, SHAPE), 0)
    ball = np.sqrt((x - 20) ** 2 + y**2 + z**2) < 15
    array[ball] = 250
    volume = Volume(array.astype(np.float32), np.diag([*spacing, 1.0]))
    return Case("ball", sequences[0], dict.fromkeys(sequences, volume)), ball


def segmenter(logit, presence=PRESENCE):
    metadata = {"joint": RULE} | ({"presence": presence} if presence else {})
    return JointSegmenter(
        SubregionSegmenter(Oedema(), SUBREGIONS, bf16=False),
        WholeHeadReader(BrightFlair(logit), HEADS, metadata, bf16=False),
    )


def test_what_the_whole_head_network_is_sure_of_is_outlined():
    case, ball = ball_case()
    result = segmenter(6.0).segment(case)
    outlined = result.labelmap == Label.ED
    shared = np.count_nonzero(outlined & ball)
    assert 2 * shared / (np.count_nonzero(outlined) + np.count_nonzero(ball)) > 0.85
    assert result.presence.is_found
    # the mean of the surest half millilitre is sigmoid(6) = 0.9975, its logit 6; bound 1 - 1/100
    assert result.presence.probability == pytest.approx(0.99)
    assert result.models == (SUBREGIONS, HEADS)
    assert result.reason.startswith("The sub-region model reads any subset")
    assert segmentation_section(result)["presence"]["found"] is True


def test_without_a_likely_tumour_nothing_is_outlined_and_the_probability_is_told():
    case, _ = ball_case()
    result = segmenter(-1.0).segment(case)
    # sigmoid(-1) = 0.27 is under the threshold of 0.4
    assert not result.labelmap.any()
    assert result.presence.probability == pytest.approx(0.27, abs=0.01)
    assert "No tumour was found; the probability that there is one is 27%." in result.warnings
    # a click still finds what the network thought
    assert float(result.probabilities.maps.max()) > 0.2


def test_a_doubtful_tumour_is_outlined_with_a_warning():
    case, _ = ball_case()
    result = segmenter(1.0).segment(case)
    assert result.labelmap.any()
    assert any("doubtful (probability 73%)" in warning for warning in result.warnings)


def test_a_tumour_that_is_nowhere_sure_is_not_outlined_but_told():
    """At 62 % no piece passes the clean-up, which wants a peak of 70 %."""
    case, _ = ball_case()
    result = segmenter(0.5).segment(case)
    assert not result.labelmap.any()
    assert any("Nothing is sure enough" in w and "62%" in w for w in result.warnings)


def test_from_t1_alone_nothing_is_outlined_and_what_is_missing_is_named():
    case, _ = ball_case((Sequence.T1,))
    result = segmenter(6.0).segment(case)
    assert not result.labelmap.any()
    assert result.presence.probability is None
    assert not result.presence.is_found
    (warning,) = result.warnings
    assert "add flair, t1c or t2" in warning
    assert segmentation_section(result)["presence"]["reason"] == warning


def test_a_bundle_without_a_model_of_presence_always_outlines():
    case, _ = ball_case()
    result = segmenter(1.0, presence=None).segment(case)
    assert result.presence is None
    assert result.labelmap.any()
    assert "presence" not in segmentation_section(result)


def test_the_version_changes_with_either_model():
    other = WholeHeadReader(BrightFlair(1.0), ModelVersion("whole_head", "2.0.1", "cc"), {})
    one = SubregionSegmenter(Oedema(), SUBREGIONS, bf16=False)
    assert segmenter(1.0).version.version == "1.0.0+2.0.0"
    assert JointSegmenter(one, other).version.sha256 != segmenter(1.0).version.sha256
