import numpy as np
import pytest
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule, clean_up

RULE = CleanUpRule(smallest_component_ml=0.1, least_peak=0.7, smallest_enhancing_ml=0.05)


def two_components():
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    labels[2:8, 2:8, 2:8] = Label.ED  # 216 voxels
    labels[15:17, 15:17, 15:17] = Label.ED  # 8 voxels
    return labels, np.where(labels > 0, 0.9, 0.0).astype(np.float32)


def test_a_stray_component_under_the_least_volume_is_removed():
    labels, probability = two_components()
    cleaned = clean_up(labels, probability, 0.001, RULE)  # 0.216 mL and 0.008 mL
    assert np.count_nonzero(cleaned) == 216


def test_the_largest_component_stays_however_small():
    labels, probability = two_components()
    cleaned = clean_up(labels, probability, 1e-6, RULE)
    assert np.count_nonzero(cleaned) == 216


def test_a_component_that_is_nowhere_likely_is_removed_even_if_largest():
    labels, probability = two_components()
    probability[2:8, 2:8, 2:8] = 0.6
    cleaned = clean_up(labels, probability, 0.02, RULE)  # 4.3 mL and 0.16 mL
    assert np.count_nonzero(cleaned) == 8


def test_touching_corners_belong_together():
    labels = np.zeros((6, 6, 6), dtype=np.uint8)
    labels[1:3, 1:3, 1:3] = Label.ED
    labels[3, 3, 3] = Label.ED
    cleaned = clean_up(labels, np.ones(labels.shape, np.float32), 0.01, RULE)
    assert np.count_nonzero(cleaned) == 9


def test_implausibly_little_enhancement_becomes_necrotic_core():
    labels, probability = two_components()
    labels[3, 3, 3:6] = Label.ET  # 3 voxels of 10 uL: 0.03 mL < 0.05 mL
    cleaned = clean_up(labels, probability, 0.01, RULE)
    assert cleaned[3, 3, 3:6].tolist() == [Label.NCR] * 3
    assert not (cleaned == Label.ET).any()


def test_enough_enhancement_stays():
    labels, probability = two_components()
    labels[3, 3, 2:8] = Label.ET  # 0.06 mL
    assert (clean_up(labels, probability, 0.01, RULE) == Label.ET).sum() == 6


def test_enhancement_that_is_on_average_unlikely_becomes_necrotic_core():
    rule = CleanUpRule(smallest_enhancing_ml=0.05, least_enhancing_probability=0.6)
    labels, probability = two_components()
    labels[3, 3, 2:8] = Label.ET  # 0.06 mL
    likely = np.full(labels.shape, 0.01, np.float32)  # of others it does not matter
    likely[3, 3, 2:5], likely[3, 3, 5:8] = 0.7, 0.49  # 0.595 on average
    cleaned = clean_up(labels, probability, 0.01, rule, enhancing_probability=likely)
    assert cleaned[3, 3, 2:8].tolist() == [Label.NCR] * 6
    likely[3, 3, 7] = 0.55  # 0.605
    cleaned = clean_up(labels, probability, 0.01, rule, enhancing_probability=likely)
    assert cleaned[3, 3, 2:8].tolist() == [Label.ET] * 6


OEDEMA_RULE = CleanUpRule(smallest_component_ml=0.1, smallest_oedema_ml=2.0)


def three_components():
    """At 10 uL a voxel: 2.16 mL with a core, 1.25 mL and 2.00 mL of oedema alone."""
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    labels[1:7, 1:7, 1:7] = Label.ED
    labels[3, 3, 3] = Label.NCR
    labels[13:18, 13:18, 13:18] = Label.ED
    labels[1:6, 1:6, 10:18] = Label.ED
    return labels, np.ones(labels.shape, np.float32)


def test_a_small_piece_of_oedema_alone_is_removed():
    cleaned = clean_up(*three_components(), 0.01, OEDEMA_RULE)
    assert np.count_nonzero(cleaned) == 216 + 200
    assert not cleaned[13:18, 13:18, 13:18].any()


def test_a_small_piece_with_core_stays():
    labels, probability = three_components()
    labels[15, 15, 15:17] = Label.ET
    assert np.count_nonzero(clean_up(labels, probability, 0.01, OEDEMA_RULE)) == 216 + 125 + 200


def test_pieces_of_oedema_stay_where_no_core_is_seen_at_all():
    labels, probability = three_components()
    labels[3, 3, 3] = Label.ED
    assert np.count_nonzero(clean_up(labels, probability, 0.01, OEDEMA_RULE)) == 216 + 125 + 200


def test_the_largest_piece_stays_even_of_oedema_alone():
    labels, probability = three_components()
    cleaned = clean_up(labels, probability, 0.005, OEDEMA_RULE)  # 1.08, 0.63 and 1.00 mL
    assert np.count_nonzero(cleaned) == 216
    labels[1:7, 1:7, 1:7] = Label.ED
    labels[14, 14, 14] = Label.NCR
    cleaned = clean_up(labels, probability, 0.005, OEDEMA_RULE)
    assert np.count_nonzero(cleaned) == 216 + 125


def test_an_empty_labelmap_stays_empty():
    empty = np.zeros((4, 4, 4), dtype=np.uint8)
    assert not clean_up(empty, np.zeros((4, 4, 4), np.float32), 1.0, RULE).any()


@pytest.mark.parametrize("rule", [{"unknown": 1}, {"least_peak": "much"}, [1]])
def test_an_unusable_rule_in_the_metadata_is_refused(rule):
    with pytest.raises(ModelError, match="clean_up"):
        CleanUpRule.from_metadata({"clean_up": rule})
