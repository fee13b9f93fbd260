"""The card of the whole-head bundle tells what was measured, and of which weights."""

import pytest
from brain_tumor.errors import FileFormatError, ModelError
from brain_tumor.segmentation.cards.whole_head import heads_table, render_card, silence_sentence

DICE = {"n": 2, "undefined": 0, "mean": 0.8, "median": 0.85, "ci95": [0.7, 0.9]}


def group(name, **changes):
    return {
        "name": name,
        "cases": 2,
        "failures": 0,
        "dice": DICE,
        "under_half": 0.5,
        "called_empty": 0.0,
    } | changes


METRICS = {
    "fold": 0,
    "folds": 5,
    "models": [
        {"name": "segmentation", "version": "0.4.0", "sha256": "aa"},
        {"name": "whole_head", "version": "0.1.0", "sha256": "0123456789abcdef"},
    ],
    "heads": {
        "groups": [group("tumour under 10 mL", dice=DICE | {"ci95": None}), group("all")],
        "subsets": [group("x") | {"sequences": "t1+flair"}],
        "worst": [],
    },
    "free_slices": {"slices": 200, "outlined": 0.025},
    "thin_slabs": group("x"),
    "free_slabs": {"cases": 8, "silent": 0.75, "largest_ml": 1.23},
    "healthy": {
        "volumes": 1,
        "silent": 1.0,
        "rows": [{"case": "trio_t1", "sequences": "t1", "predicted_ml": 0.0}],
    },
    "brains": {
        "groups": [
            {"name": "all", "cases": 3, "regions": {r: {"dice": DICE} for r in ("WT", "TC", "ET")}}
        ]
    },
}
METADATA = {
    "name": "whole_head",
    "version": "0.1.1",
    "task": "Tumour regions on axial slices",
    "presence": {"cases": 120, "threshold": 0.2},
    "network_data_format": {"inputs": {"image": {"format": "z-scored"}}},
    "training": {
        "held_out": "none",
        "plan": {"steps": 100, "batch": 12, "seed": 1, "began_with": "5000 steps, fold 0 held out"},
    },
}


def test_rows_tell_the_weak_group_first_and_then_fewer_sequences():
    lines = heads_table(METRICS).splitlines()
    assert lines[2].startswith("| tumour under 10 mL | 2 | 0.80 | 0.85 | 50% | 0% |")
    assert lines[3].startswith("| all | 2 | 0.80 (0.70-0.90) |")
    assert lines[4].startswith("| given t1+flair |")
    assert lines[5].startswith("| three slices alone | 2 |")


def test_silence_is_told_in_slices_and_millilitres():
    sentence = silence_sentence(METRICS)
    assert "Of 200 slices" in sentence
    assert "2.5%" in sentence
    assert (
        "Of 8 slabs without tumour, read as cases of their own, in 75% less than 1 mL" in sentence
    )
    assert "(most: 1.2 mL)" in sentence
    assert "trio_t1 (t1): 0.0 mL, for nothing is outlined on t1 alone." in sentence


def test_the_card_says_when_other_weights_ship_than_were_measured():
    other = render_card(METADATA, METRICS, "ff")
    assert "of version 0.1.0 (sha256 `0123456789ab`)" in other
    assert "have no figures of their own" in other
    assert "under 20% nothing is outlined" in other
    same = render_card(METADATA, METRICS, "0123456789abcdef")
    assert "These are the weights that ship." in same
    assert max(len(line) for line in other.splitlines()) < 140
    assert len(other.splitlines()) < 100


def test_scores_of_persons_that_were_seen_make_no_card():
    with pytest.raises(ModelError, match="has seen"):
        render_card(METADATA, METRICS | {"fold": None}, "ff")
    with pytest.raises(FileFormatError, match="lack"):
        render_card(METADATA, {"fold": 0}, "ff")
