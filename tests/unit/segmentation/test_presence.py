"""Is there a tumour at all?"""

import math

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import ModelError
from brain_tumor.segmentation.presence import (
    Presence,
    PresenceModel,
    cannot_tell,
    measure_presence,
)

T1, T1C, T2, FLAIR = Sequence


def test_the_surest_half_millilitre_is_measured():
    tumour = np.zeros((20, 20, 20), np.float32)
    tumour[:10, :10, :5] = 0.9  # 500 voxels of a microlitre: half a millilitre
    surest, volume = measure_presence(tumour, 0.001)
    assert surest == pytest.approx(math.log(9), rel=1e-4)
    assert volume == pytest.approx(math.log(0.5))


def test_nothing_at_all_is_measured_too():
    surest, volume = measure_presence(np.zeros((5, 5, 5), np.float32), 0.001)
    assert surest == pytest.approx(math.log(1e-4 / (1 - 1e-4)))
    assert volume == pytest.approx(math.log(0.05))


def test_probability_by_hand_and_its_bound():
    tumour = np.full((10, 10, 10), 0.9, np.float32)
    # logit -1 + ln 9 + ln 1
    model = PresenceModel(intercept=-1.0, surest=1.0, volume=1.0, cases=98)
    logit = -1 + math.log(9)
    assert model.probability(tumour, 0.001) == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-4)
    sure = PresenceModel(intercept=40.0, surest=1.0, volume=1.0, cases=98)
    assert sure.probability(tumour, 0.001) == pytest.approx(0.99)
    never = PresenceModel(intercept=-40.0, surest=1.0, volume=1.0, cases=98)
    assert never.probability(tumour, 0.001) == pytest.approx(0.01)


def test_model_of_a_bundle():
    entry = {"intercept": 1, "surest": 2, "volume": 3, "threshold": 0.3, "cases": 40}
    assert PresenceModel.from_metadata({"presence": entry}) == PresenceModel(1, 2, 3, 0.3, 40)
    assert PresenceModel.from_metadata({}) is None
    with pytest.raises(ModelError, match="presence"):
        PresenceModel.from_metadata({"presence": {"slope": 1}})


@pytest.mark.parametrize(
    ("present", "with_skull", "named"),
    [
        ((T1,), False, "add flair, t1c or t2"),
        ((T1,), True, "add flair, t1c or t2"),
        ((T2,), True, "add flair or t1c"),
        ((T1, T2), True, "add flair or t1c"),
        ((T2,), False, ""),
        ((T1, T2), False, ""),
        ((T1, FLAIR), True, ""),
        ((T1C,), True, ""),
    ],
)
def test_which_sequences_cannot_tell(present, with_skull, named):
    reason = cannot_tell(present, with_skull=with_skull)
    assert named in reason
    assert bool(reason) == bool(named)


def test_found_means_at_or_above_the_threshold():
    assert Presence(0.3, 0.3).is_found
    assert not Presence(0.29, 0.3).is_found
    assert not Presence(None, 0.3, "t1 alone").is_found
