"""The model card of the sub-region bundle and its learning curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brain_tumor.bundles import CARD, METADATA, read_bundle
from brain_tumor.errors import FileFormatError, ModelError, NotFoundError
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.cards.subregions import (
    CURVE,
    EARLIER_CURVE,
    METRICS,
    draw_learning_curve,
    main,
    pages_of,
    render_pages,
)
from brain_tumor.segmentation.evaluation.evaluation import evaluate_segmentation
from brain_tumor.segmentation.learning_curve import HISTORY
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.subregions.networks import build_unet
from brain_tumor.segmentation.training.subregions.export import export_bundle
from brain_tumor.segmentation.training.subregions.train import TrainingPlan

from tests.helpers.evaluation_data import (
    TWO,
    WEAK,
    ALegibleModel,
    a_patient,
    some_labels,
    write_cubes,
    write_twins,
    write_whole,
)

LOG = (
    '{"step": 500, "loss": 1.5, "seconds": 9.0, "cubes_WT": 0.5, "cubes_TC": 0.4, "cubes_ET": 0.3,'
    ' "wholes_WT": null, "wholes_TC": null, "wholes_ET": null}\n'
    '{"step": 1000, "loss": NaN, "seconds": 19.0, "cubes_WT": 0.7, "cubes_TC": 0.6,'
    ' "cubes_ET": 0.5, "wholes_WT": 0.2, "wholes_TC": 0.1, "wholes_ET": 0.1}\n'
)


def oedema_only(labels: LabelArray) -> LabelArray:
    return np.where(labels == Label.ED, labels, 0).astype(np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle trained without fold 1, measured on fold 1 with a model that draws oedema only."""
    plan = TrainingPlan(channels=(4, 8), fold=1, steps=321)
    folder = tmp_path / "segmentation"
    export_bundle(build_unet(plan.channels), plan, CleanUpRule(), "0.3.0", folder)
    data = tmp_path / "data"
    write_cubes(data, {f"{a_patient(1)}_lesion1": some_labels()})
    write_whole(data, "two_sequences", some_labels(), modalities=TWO)
    write_whole(data, "weak", some_labels(), kind=WEAK)
    write_twins(data, {"two_sequences": a_patient(1), "weak": a_patient(1)})
    report = evaluate_segmentation(ALegibleModel(oedema_only), data, fold=1, subsets=())
    summary = {**report.to_json(), "model": read_bundle(folder).version.to_json()}
    (folder / METRICS).write_text(json.dumps(summary), encoding="utf-8")
    return folder


def changed(bundle: Path, name: Path, **entries: Any) -> None:
    content = json.loads((bundle / name).read_text(encoding="utf-8"))
    (bundle / name).write_text(json.dumps({**content, **entries}), encoding="utf-8")


def text_of(bundle: Path) -> str:
    """The page of experiments."""
    return pages_of(bundle).experiments


def test_a_changed_score_changes_card_and_experiments(bundle: Path) -> None:
    before = pages_of(bundle)
    metrics = json.loads((bundle / METRICS).read_text(encoding="utf-8"))
    metrics["wholes"]["groups"][-1]["regions"]["WT"]["dice"]["mean"] = 0.123
    (bundle / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    after = pages_of(bundle)
    for old, new in ((before.card, after.card), (before.experiments, after.experiments)):
        assert "0.123" in new
        assert "0.123" not in old


def test_the_card_states_use_data_terms_and_references(bundle: Path) -> None:
    pages = pages_of(bundle)
    text = pages.card + pages.experiments
    for sentence in (
        "Not a medical device and not for diagnosis.",
        "Menze 2015",
        "doi:10.1109/TMI.2014.2377694",
        "Bakas 2017",
        "Bakas 2018",
        "CC BY-NC-SA 3.0",
        "- Channels: 0 t1, 1 t1c, 2 t2, 3 flair; any subset.",
        "- Grid: 1.882 x 1.882 x 1.213 mm, RAS+, axes 16*n x 16*n x 16*n.",
        "| 3 | 3 | enhancing tumour |",
        "Not assessed: do not read the network's probabilities as frequencies.",
        "These weights have not seen fold 1, on which they are measured.",
        "321 steps",
        "Measured: cubes: 1 of 1 patients; wholes: 1 of 1 patients.",
        "smallest component 0.1 mL, least peak 0.7, smallest enhancing 0.05 mL, least enhancing "
        "probability 0, smallest oedema 0 mL.",
    ):
        assert sentence in text


def test_headings_come_in_the_order_of_the_style_guide(bundle: Path) -> None:
    headings = [line[3:] for line in text_of(bundle).splitlines() if line.startswith("## ")]
    assert headings == [
        "Data and split",
        "Input",
        "Output",
        "Scores",
        "Calibration",
        "Known failures",
        "Hardware and time",
        "Reproduce",
        "References",
    ]


def test_tables_hold_the_scores_worked_out_by_hand(bundle: Path) -> None:
    lines = text_of(bundle).splitlines()
    # oedema is 256 of 384 voxels: Dice 512 / 640 = 0.8; one patient has no interval
    assert "| all | 1 | 1 | 0 | 0.800 | 0.000 | 0.000 | 0.000 | 1.000 |" in lines
    assert "| t1c+flair | 1 | 1 | 0 | 0.800 | 0.000 | 0.000 | 0.000 | 1.000 |" in lines
    assert "| two_sequences | t1c+flair | 0.4 | 0.1 | 0.800 | 0.000 | 0.000 |" in lines
    assert "| weak | WT | 0.3 | 0 | 0.00 | 0.00 |" in lines
    # the core missed altogether: 24 x 22 x 20 mm have a diagonal of 38.2 mm
    assert any(line.startswith("| HD95 mm, mean |") and "| 38.2 |" in line for line in lines)


def test_weak_groups_stand_above_the_table_of_all(bundle: Path) -> None:
    metrics = json.loads((bundle / METRICS).read_text(encoding="utf-8"))
    weak = {**metrics["wholes"]["groups"][-1], "name": "fewer than four sequences"}
    metrics["wholes"]["groups"].insert(0, weak)
    metrics["cubes"]["groups"].insert(0, {**metrics["cubes"]["groups"][-1], "name": "small"})
    pages = render_pages(
        json.loads((bundle / METADATA).read_text(encoding="utf-8")),
        metrics,
        weights_sha256=metrics["model"]["sha256"],
    )
    text = pages.experiments
    assert text.index("| fewer than four sequences |") < text.index("| all |")
    assert pages.card.index("| each cube, small |") < pages.card.index("| each cube, all |")


def test_every_table_row_has_the_cells_of_its_header(bundle: Path) -> None:
    width = 0
    for line in text_of(bundle).splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert cells == 0 or width in (0, cells)
        width = cells


def test_commands_reproduce_training_scores_and_card(bundle: Path) -> None:
    text = text_of(bundle)
    assert "tumorlens train segmentation --data DIR --output RUN --fold 1 --steps 321" in text
    assert (
        "tumorlens evaluate segmentation --data DIR --output models/segmentation/metrics.json "
        "--fold 1"
    ) in text


def test_the_card_tells_what_experts_masks_would_lose_by_the_rule_for_oedema(
    bundle: Path,
) -> None:
    assert "None of it was tuned." in text_of(bundle)
    training = read_bundle(bundle).metadata["training"]
    lost = {"2 mL": {"mean_share": 0.0017, "largest_share": 0.115, "patients": 38}}
    chosen = {"chosen_on": "folds 0, 2", "patients": 253, "allowed_loss": 0.002, "lost": lost}
    changed(bundle, METADATA, training={**training, "smallest_oedema_ml": chosen})
    assert (
        "would lose at most 0.2% of the tumour on average (253 patients of folds 0, 2; lost: "
        "2 mL 0.17%, 38 patients, at most 11.5%). That such pieces are mostly false was seen in "
        "whole cases, a held-out one among them; the volume was not chosen on them. The rest was "
        "not tuned."
    ) in text_of(bundle)


def test_scores_of_patients_of_the_training_are_refused(bundle: Path) -> None:
    changed(bundle, METRICS, fold=0)
    with pytest.raises(ModelError, match="is of fold 0, but training left out fold 1"):
        pages_of(bundle)
    changed(bundle, METRICS, fold=None)
    with pytest.raises(ModelError, match="those of training included"):
        pages_of(bundle)


def test_scores_of_sister_weights_are_called_so(bundle: Path) -> None:
    changed(bundle, METRICS, model={"name": "segmentation", "version": "0", "sha256": "cd" * 32})
    text = text_of(bundle)
    assert f"sister weights (sha256 `{'cd' * 32}`) that have not seen fold 1" in text


def test_calibration_is_given_where_it_was_measured(bundle: Path) -> None:
    bins = [{"voxels": 0, "probability": None, "frequency": None}] * 9
    bins += [{"voxels": 4, "probability": 0.97, "frequency": 0.75}]
    region = {"ece": 0.22, "ci95": [0.1, 0.3], "bins": bins}
    table = {
        "sequences": "t1c+flair",
        "patients": 2,
        "regions": dict.fromkeys(("WT", "TC", "ET"), region),
        "error_auc": {"n": 2, "undefined": 0, "mean": 0.9, "median": 0.9, "ci95": None},
        "doubt_and_dice": -0.5,
    }
    changed(bundle, METRICS, calibration=[table])
    text = text_of(bundle)
    empty = " | ".join(["-"] * 9)
    assert f"| t1c+flair | TC | 0.220 (0.100-0.300) | {empty} | 0.75 |" in text
    assert "| sequences | region | ECE | 0-0.1 | 0.1-0.2 |" in text
    assert "| t1c+flair | 2 | 0.900 | -0.50 |" in text
    assert "Not assessed" not in text


def test_failures_are_listed_one_by_one(bundle: Path) -> None:
    failure = {"collection": "wholes", "case": "case7", "sequences": "t1c", "reason": "no head"}
    changed(bundle, METRICS, failures=[failure])
    assert "- No answer for case7 (t1c): no head" in text_of(bundle).splitlines()


def test_a_bundle_without_metrics_or_with_damaged_ones_has_no_card(bundle: Path) -> None:
    (bundle / METRICS).write_text("{", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"metrics\.json cannot be read"):
        pages_of(bundle)
    (bundle / METRICS).write_text("{}", encoding="utf-8")
    with pytest.raises(FileFormatError, match="definitions"):
        pages_of(bundle)
    (bundle / METRICS).unlink()
    with pytest.raises(NotFoundError, match=r"no metrics\.json"):
        pages_of(bundle)


def test_the_learning_curve_is_a_picture_that_the_experiments_name(
    bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    log, folder = tmp_path / "log.jsonl", tmp_path / "experiments"
    log.write_text(LOG, encoding="utf-8")
    assert "learning_curve.png" not in text_of(bundle)
    command = [str(bundle), "--experiments", str(folder)]
    assert main([*command, "--log", str(log)]) == 0
    picture = (bundle / CURVE).read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    text = (folder / "segmentation.md").read_text(encoding="utf-8")
    assert "`models/segmentation/docs/learning_curve.png`." in text
    assert (bundle / CARD).read_text(encoding="utf-8") == pages_of(bundle).card
    assert (bundle / HISTORY).read_text(encoding="utf-8") == LOG
    assert main([*command, "--log", str(bundle / HISTORY)]) == 0
    assert (bundle / CURVE).read_bytes() == picture
    (bundle / EARLIER_CURVE).write_bytes(picture)
    text = text_of(bundle)
    assert text.index("learning_curve_earlier.png`,") < text.index("learning_curve.png`.")


def test_of_a_step_logged_twice_the_last_record_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    log, twice = tmp_path / "log.jsonl", tmp_path / "twice.jsonl"
    log.write_text(LOG, encoding="utf-8")
    outdated = LOG.splitlines()[0].replace("1.5", "9.5")
    twice.write_text(outdated + "\n" + LOG, encoding="utf-8")
    for path in (log, twice):
        draw_learning_curve(path, path.with_suffix(".png"))
    pictures = [path.with_suffix(".png").read_bytes() for path in (log, twice)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(("content", "sentence"), [("not json", "cannot be read"), ("\n", "empty")])
def test_a_damaged_or_empty_log_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(content, encoding="utf-8")
    with pytest.raises(FileFormatError, match=sentence):
        draw_learning_curve(log, tmp_path / "curve.png")
