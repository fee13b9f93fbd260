import numpy as np
import pytest
import torch
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.labels import Label, LabelScheme, Region
from brain_tumor.segmentation.segmenter import ChoosingSegmenter
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter, entropy_bits
from brain_tumor.segmentation.tumor_core.segmenter import binary_entropy
from torch import nn

VERSION = ModelVersion("segmentation", "0.0.1", "0" * 64)
SHAPE = (48, 52, 40)
BALL_MM = 9.0


class BrightOnT1cIsEnhancing(nn.Module):
    """Logit 10 for enhancing tumour where normalised t1c is above 2, else for background."""

    def forward(self, image):
        bright = (image[:, 1:2] > 2).float()
        zero = torch.zeros_like(bright)
        return 10 * torch.cat([1 - bright, zero, zero, bright], dim=1)


def affine(kind):
    matrix = np.diag([2.0, 2.0, 3.0, 1.0])
    if kind == "flipped":
        matrix = np.diag([-2.0, 2.0, -3.0, 1.0])
    if kind == "oblique":
        turn = np.deg2rad(15.0)
        rotation = np.array(
            [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]]
        )
        matrix[:3, :3] = rotation @ np.diag([2.0, 2.0, 3.0])
    matrix[:3, 3] = (-40.0, 17.0, 5.0)
    return matrix


def a_bright_ball(kind="straight", sequences=(Sequence.T1C, Sequence.FLAIR), ball_mm=BALL_MM):
    """A brain of value 100 with a ball of value 300; returns the case and the ball's voxels."""
    matrix = affine(kind)
    points = np.indices(SHAPE).reshape(3, -1).T @ matrix[:3, :3].T + matrix[:3, 3]
    middle = points.mean(axis=0)
    distance = np.linalg.norm(points - middle, axis=1).reshape(SHAPE)
    ball = np.linalg.norm(points - middle - [10.0, 5.0, -6.0], axis=1).reshape(SHAPE) < ball_mm
    rng = np.random.default_rng(1)
    image = np.where(distance < 42, 100 + 5 * rng.standard_normal(SHAPE), 0)
    image[ball] = 300
    volumes = {s: Volume(image.astype(np.float32), matrix) for s in sequences}
    return Case("ball", Sequence.T1C if Sequence.T1C in sequences else sequences[0], volumes), ball


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture
def segmenter():
    return SubregionSegmenter(BrightOnT1cIsEnhancing(), VERSION, bf16=False)


@pytest.mark.parametrize("kind", ["straight", "flipped", "oblique"])
def test_the_labelmap_lies_on_the_tumour_whatever_the_orientation(segmenter, kind):
    case, ball = a_bright_ball(kind)
    result = segmenter.segment(case)
    assert result.labelmap.shape == SHAPE
    assert result.labelmap.dtype == np.uint8
    assert set(np.unique(result.labelmap)) == {Label.BACKGROUND, Label.ET}
    assert dice(result.labelmap == Label.ET, ball) > 0.93


def test_volumes_are_those_of_the_labelmap(segmenter):
    case, _ = a_bright_ball()
    result = segmenter.segment(case)
    voxels = np.count_nonzero(result.labelmap)
    assert result.volumes_ml[Region.ET] == pytest.approx(voxels * 12 / 1000)
    assert result.volumes_ml[Region.WT] == result.volumes_ml[Region.ET]
    assert result.scheme is LabelScheme.SUBREGIONS
    assert result.model == VERSION


def test_uncertainty_is_high_at_the_border_and_low_inside(segmenter):
    case, ball = a_bright_ball(ball_mm=14.0)
    uncertainty = segmenter.segment(case).uncertainty
    from scipy import ndimage

    inner = ndimage.binary_erosion(ball, iterations=3)
    border = ndimage.binary_dilation(ball) ^ ndimage.binary_erosion(ball)
    assert inner.any()
    assert uncertainty.min() >= 0
    assert uncertainty.max() <= 1
    assert uncertainty[border].mean() > 5 * uncertainty[inner].mean()


def test_the_same_case_gives_the_same_answer_twice(segmenter):
    case, _ = a_bright_ball()
    first, second = segmenter.segment(case), segmenter.segment(case)
    np.testing.assert_array_equal(first.labelmap, second.labelmap)
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)


def test_mirroring_averages_with_the_mirrored_case():
    class LeftHalfOnly(nn.Module):
        def forward(self, image):
            half = BrightOnT1cIsEnhancing()(image)
            half[:, :, image.shape[2] // 2 :] = torch.tensor([10.0, 0, 0, 0]).reshape(4, 1, 1, 1)
            return half

    case, ball = a_bright_ball()
    plain = SubregionSegmenter(BrightOnT1cIsEnhancing(), VERSION, bf16=False)
    mirrored = SubregionSegmenter(LeftHalfOnly(), VERSION, bf16=False, mirrored=True)
    asked = SubregionSegmenter(LeftHalfOnly(), VERSION, CleanUpRule(least_peak=0), bf16=False)
    half, both = (asked.segment(case, mirrored=flag).uncertainty[ball] for flag in (False, True))
    assert both.mean() > 0.9 > 0.1 > half.mean()  # an even choice only where both were read
    from brain_tumor.cases.grid.preprocessing import to_working_grid

    working = to_working_grid(case)
    whole = plain.predict(working).probabilities[3]
    # each half is seen as tumour in exactly one of the two passes
    np.testing.assert_allclose(
        mirrored.predict(working).probabilities[3].numpy(),
        0.5 * whole.numpy() + 0.5 * whole.min().item(),
        atol=1e-3,
    )


def test_a_healthy_brain_gives_an_empty_labelmap_and_says_so(segmenter):
    case, _ = a_bright_ball(ball_mm=0.0)
    result = segmenter.segment(case)
    assert not result.labelmap.any()
    assert result.volumes_ml[Region.WT] == 0
    assert "No tumour was found." in result.warnings


def test_enhancement_that_is_too_little_to_be_believed_is_told(segmenter):
    case, ball = a_bright_ball()
    assert not any("too little" in text for text in segmenter.segment(case).warnings)
    rule = CleanUpRule(smallest_enhancing_ml=100.0)
    doubting = SubregionSegmenter(BrightOnT1cIsEnhancing(), VERSION, rule, bf16=False)
    result = doubting.segment(case)
    assert set(np.unique(result.labelmap)) == {0, Label.NCR}
    (told,) = [text for text in result.warnings if "too little" in text]
    millilitres = np.count_nonzero(ball) * 12 / 1000  # voxels of 2 x 2 x 3 mm
    assert float(told.split()[0]) == pytest.approx(
        millilitres, rel=0.2
    )  # blurred by the working grid


class HardlySureOfEnhancement(nn.Module):
    """Where normalised t1c is above 2: enhancing against background by a logit of 1."""

    def forward(self, image):
        bright = (image[:, 1:2] > 2).float()
        never = torch.full_like(bright, -20.0)
        return torch.cat([20 * (1 - bright), never, never, bright], dim=1)


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (CleanUpRule(least_peak=0.0), Label.ET),
        (CleanUpRule(least_peak=0.0, smallest_enhancing_ml=100.0), Label.NCR),
        (CleanUpRule(least_peak=0.99), Label.BACKGROUND),
    ],
)
def test_clean_up_changes_the_label_and_not_the_doubt(rule, label):
    case, ball = a_bright_ball(ball_mm=14.0)
    result = SubregionSegmenter(HardlySureOfEnhancement(), VERSION, rule, bf16=False).segment(case)
    middle = tuple(np.argwhere(ball).mean(axis=0).round().astype(int))
    assert result.labelmap[middle] == label
    # p = 0.731 and 0.269: 0.731 * 0.452 + 0.269 * 1.895 bits
    assert result.uncertainty[middle] == pytest.approx(0.840, abs=0.002)


def test_doubt_between_two_labels_is_1_however_many_labels_there_are():
    probabilities = torch.tensor([[1.0, 0.5, 0.25], [0, 0.5, 0.25], [0, 0, 0.25], [0, 0, 0.25]])
    assert entropy_bits(probabilities).tolist() == [0.0, 1.0, 1.0]
    assert binary_entropy(np.array([0.0, 0.5], np.float32)).tolist() == [0.0, 1.0]


def test_missing_contrast_is_warned_about(segmenter):
    case, _ = a_bright_ball(sequences=(Sequence.FLAIR,))
    warnings = " ".join(segmenter.segment(case).warnings)
    assert "No t1c" in warnings
    assert "Neither" not in warnings


def test_labels_of_normalised_cubes_need_no_preprocessing(segmenter):
    image = np.zeros((4, 16, 16, 16), dtype=np.float32)
    image[1, 4:8, 4:8, 4:8] = 3
    labels = segmenter.predict_probabilities(image).argmax(axis=0)
    assert np.count_nonzero(labels == Label.ET) == 64
    assert np.count_nonzero(labels) == 64


def test_a_lone_t1_is_not_to_be_trusted_at_all(segmenter):
    case, _ = a_bright_ball(sequences=(Sequence.T1,))
    warnings = " ".join(segmenter.segment(case).warnings)
    assert "not even the whole tumour" in warnings
    assert "trust only" not in warnings
    case, _ = a_bright_ball(sequences=(Sequence.T1, Sequence.T2))
    assert "trust only the whole tumour" in " ".join(segmenter.segment(case).warnings)


class Remembers:
    def __init__(self, name):
        self.version = ModelVersion(name, "1", name * 2)
        self.cases = []

    def segment(self, case, *, mirrored=False):
        self.cases.append(case)
        return SubregionSegmenter(BrightOnT1cIsEnhancing(), self.version, bf16=False).segment(case)


@pytest.mark.parametrize(
    ("sequences", "chosen"),
    [
        ((Sequence.T1C,), "core"),
        ((Sequence.T1C, Sequence.FLAIR), "subregions"),
        ((Sequence.FLAIR,), "subregions"),
        ((Sequence.T1, Sequence.T1C), "subregions"),
        (tuple(Sequence), "subregions"),
    ],
)
def test_a_lone_t1c_goes_to_the_core_model_and_the_rest_to_sub_regions(sequences, chosen):
    models = {name: Remembers(name) for name in ("subregions", "core")}
    choosing = ChoosingSegmenter(models["subregions"], models["core"])
    case, _ = a_bright_ball(sequences=sequences)
    result = choosing.segment(case)
    assert result.model.name == chosen
    assert [len(m.cases) for m in models.values()].count(1) == 1
    if chosen == "core":
        assert "Only t1c is present" in result.reason


def test_the_choosing_version_changes_when_either_model_changes():
    a, b, c = Remembers("a"), Remembers("b"), Remembers("c")
    versions = {
        ChoosingSegmenter(*pair).version.sha256 for pair in ((a, b), (a, c), (c, b), (b, a))
    }
    assert len(versions) == 4
