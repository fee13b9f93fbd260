"""The table of whole gliomas: which network reads which outline, and what the card says of it."""

import numpy as np
from brain_tumor.classification.evaluation.card import _whole_gliomas
from brain_tumor.classification.evaluation.whole_gliomas import study_whole_gliomas

from tests.helpers.type_reader import a_type_reader

SIDE = 40


def write_case(folder, stem):
    rng = np.random.default_rng(3)
    image = rng.integers(30, 200, (1, SIDE, SIDE, SIDE)).astype(np.uint8)
    seg = np.zeros((SIDE, SIDE, SIDE), dtype=np.uint8)
    seg[12:22, 12:22, 12:22] = 4
    np.savez(
        folder / f"{stem}.npz",
        image=image,
        seg=seg,
        affine=np.eye(4),
        modalities=np.array(["t1ce"]),
        orig_shape=np.array([SIDE + 8] * 3),
        crop_lo=np.array([4, 4, 4]),
    )


def test_each_case_is_read_by_the_network_that_has_not_seen_it_and_by_the_one_that_ships(tmp_path):
    (tmp_path / "glioma3d").mkdir()
    for stem in ("brats_2013_pat0001_1", "TCGA-DU-7294"):  # folds 2 and 4; the second has no expert
        write_case(tmp_path / "glioma3d", stem)
    reader = a_type_reader().classifier
    rows = study_whole_gliomas(tmp_path, {2: reader, None: reader}, (), progress=False)
    assert [(row["case"], row["network"], row["network_learnt"]) for row in rows] == [
        ("brats_2013_pat0001_1", "held out", "nothing"),
        ("brats_2013_pat0001_1", "all patients", "its outline"),
    ]
    assert {row["outline"] for row in rows} == {"expert"}
    assert all(0.0 <= row["glioma"] <= 1.0 for row in rows)


def test_without_whole_cases_there_is_no_table(tmp_path):
    reader = a_type_reader().classifier
    assert study_whole_gliomas(tmp_path, {None: reader}, (), progress=False) == []
    assert _whole_gliomas([]) == _whole_gliomas(None) == []


def test_the_card_counts_the_answers_and_tells_what_was_learnt():
    row = {"case": "a", "network": "held out", "outline": "expert", "likeliest": "glioma"}
    row |= {"network_learnt": "nothing", "outline_learnt": False}
    rows = [
        row | {"answer": "glioma", "glioma": 0.98, "reasons": []},
        row | {"answer": "undetermined", "glioma": 0.4, "reasons": ["Not sure."]},
        row | {"answer": "pituitary", "glioma": None, "reasons": [], "outline_learnt": True},
    ]
    (text,) = _whole_gliomas(rows)
    assert "Of 3 answers 1 are glioma, 1 undetermined and 1 another type." in text
    assert "| a | held out | expert | glioma | glioma | 0.980 | nothing |" in text
    assert "| pituitary | glioma | - | nothing, `tumor_core` too |" in text
    assert "Reasons of the undetermined: Not sure." in text
