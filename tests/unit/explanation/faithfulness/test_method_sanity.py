"""The default heatmap method has to pass the sanity check of the classifier in use."""

import json

import pytest
import torch
from brain_tumor.bundles import models_folder
from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.method_sanity import (
    SANITY,
    UNMEASURED,
    MethodSanity,
    read_sanity,
)
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod
from brain_tumor.explanation.training.sanity import measure_sanity
from torch import nn

INSANE = MethodSanity({HeatMethod.GRADCAM_PLUS_PLUS: -0.62, HeatMethod.GRADCAM: 0.1})


def test_a_default_that_fails_is_refused_and_a_named_method_is_not():
    with pytest.raises(InputError, match=r"'gradcam\+\+' fails the sanity check") as refused:
        INSANE.usable(None)
    assert "rank correlation -0.62 with shuffled weights; expected at most 0.5" in str(
        refused.value
    )
    assert refused.value.remedy == "Name a method; those that pass: gradcam."
    assert INSANE.usable(HeatMethod.GRADCAM_PLUS_PLUS) is HeatMethod.GRADCAM_PLUS_PLUS
    assert INSANE.usable(HeatMethod.GRADCAM) is HeatMethod.GRADCAM


def test_a_default_that_passes_or_was_not_measured_is_taken():
    at_the_limit = MethodSanity({HeatMethod.GRADCAM_PLUS_PLUS: 0.5})
    assert at_the_limit.usable(None) is HeatMethod.GRADCAM_PLUS_PLUS
    assert UNMEASURED.usable(None) is HeatMethod.GRADCAM_PLUS_PLUS


def test_results_are_kept_in_the_bundle(tmp_path):
    assert read_sanity(tmp_path) == UNMEASURED
    (tmp_path / SANITY).parent.mkdir()
    (tmp_path / SANITY).write_text(json.dumps(INSANE.to_json()))
    assert read_sanity(tmp_path) == INSANE
    (tmp_path / SANITY).write_text('{"shuffled_correlation": {"crystal ball": 0}}')
    with pytest.raises(InputError, match="crystal ball"):
        read_sanity(tmp_path)


def test_the_shipped_classifier_has_results_of_every_method_and_a_default_that_passes():
    found = read_sanity(models_folder() / "classification")
    assert set(found.correlations) == set(HeatMethod)
    assert found.usable(None) is HeatMethod.GRADCAM_PLUS_PLUS


class Brightness(nn.Module):
    """Sums over the picture, whose weights are equal: shuffling them changes nothing."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Conv2d(1, 4, 1)
        nn.init.ones_(self.seen.weight)
        nn.init.zeros_(self.seen.bias)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, image):
        return self.seen(image).sum(dim=(2, 3))


def test_what_is_measured_is_the_mean_over_targets():
    torch.manual_seed(1)
    batches = [
        (ClassTarget(0), [torch.rand(2, 1, 8, 8)]),
        (ClassTarget(1), [torch.rand(1, 1, 8, 8)]),
    ]
    found = measure_sanity(Brightness(), "seen", batches, [HeatMethod.LAYERCAM])
    assert found.correlations == {HeatMethod.LAYERCAM: pytest.approx(1.0)}
    assert found.fails(HeatMethod.LAYERCAM)
