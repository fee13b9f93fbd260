"""What the card says of other sources and of lesions outside the types."""

import json

from brain_tumor.classification.evaluation.card_limits import limits_sections, outside_lines

HEADER = (
    "index,fold,truth,cohort,own_outline_dice,expert_glioma,expert_meningioma,expert_pituitary,"
    "own_glioma,own_meningioma,own_pituitary\n"
)


def test_a_bundle_without_figures_has_no_such_sections(tmp_path):
    assert limits_sections(tmp_path) == []
    assert outside_lines(tmp_path) == []


def test_every_cohort_has_its_own_calibration(tmp_path):
    # MR: 20 slices told with 0.9, all right: ECE 0.1. The other cohort is too small to be told.
    rows = [f"{n},0,glioma,MR,0.9,0.9,0.05,0.05,0.05,0.9,0.05\n" for n in range(20)]
    rows += ["20,0,meningioma,numeric,0.9,0.05,0.9,0.05,0.05,0.9,0.05\n"]
    (tmp_path / "metrics.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    (text,) = limits_sections(tmp_path)
    assert "| MR | experts' outlines | 20 | 1.000 | 0.100 |" in text
    assert "| MR | the network's own outlines | 20 | 0.000 | 0.900 |" in text
    assert "| numeric |" not in text


def test_gliomas_of_another_source_are_told_by_outline(tmp_path):
    group = {
        "n": 10,
        "answered": 9,
        "refused_share": 0.1,
        "glioma_among_answered": 1.0,
        "warned_among_answered": 0.2222,
        "ece": 0.025,
        "ece_of_all_read": 0.04,
    }
    study = {name: {"own": group, "expert": group} for name in ("all", "outline_unseen")}
    (tmp_path / "glioma_heads.json").write_text(json.dumps(study), encoding="utf-8")
    (text,) = limits_sections(tmp_path)
    row = "| outline unseen | the product's own | 10 | 9 | 0.100 | 1.000 | 0.222 | 0.025 (0.040) |"
    assert row in text
    assert outside_lines(tmp_path) == [
        "Gliomas with skull of a source left out: of 10 9 were answered, 100% of these as glioma."
    ]


def test_foreign_lesions_without_a_warning_are_counted(tmp_path):
    study = {
        "summary": {
            "abscess": {"n": 6, "typed": 5, "typed_without_warning": 1},
            "healthy": {"n": 6, "typed": 1, "typed_without_warning": 1},
        },
        "foreign_lesions": {"n": 6, "typed_without_warning": 1},
    }
    (tmp_path / "foreign_lesions.json").write_text(json.dumps(study), encoding="utf-8")
    (text,) = limits_sections(tmp_path)
    assert "| abscess | 6 | 5 | 4 | 1 |" in text
    sentence = "Of 6 foreign lesions 1 (17%) got a type without a warning."
    assert sentence in text
    painted = "They were painted into real heads, smoother than life."
    assert outside_lines(tmp_path) == [f"{sentence} {painted}"]
