"""The card of the whole-head bundle tells what was measured, and of which weights."""

import pytest
from brain_tumor.errors import FileFormatError, ModelError
from brain_tumor.segmentation.cards.whole_head import heads_table, render_pages, silence_sentence

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


def told(page):
    """A page without its line breaks."""
    return " ".join(page.split())


def test_card_and_experiments_say_when_other_weights_ship_than_were_measured():
    other = render_pages(METADATA, METRICS, "ff")
    same = render_pages(METADATA, METRICS, "0123456789abcdef")
    for page in (told(other.card), told(other.experiments)):
        assert "of version 0.1.0 (sha256 `0123456789ab`)" in page
        assert "have no figures of their own" in page
    for page in (told(same.card), told(same.experiments)):
        assert "These are the weights that ship." in page
        assert "no figures of their own" not in page
    assert "under 20% nothing is outlined" in told(other.card)


def test_what_the_card_leaves_out_stands_among_the_experiments():
    page = told(render_pages(METADATA, METRICS, "ff").experiments)
    assert "| all | 3 | 0.80 | 0.80 | 0.80 |" in page
    assert (
        "None held out; 100 steps of 12 slices after 5000 steps, fold 0 held out, seed 1." in page
    )


def test_scores_of_persons_that_were_seen_make_no_card():
    with pytest.raises(ModelError, match="has seen"):
        render_pages(METADATA, METRICS | {"fold": None}, "ff")
    with pytest.raises(FileFormatError, match="lack"):
        render_pages(METADATA, {"fold": 0}, "ff")
