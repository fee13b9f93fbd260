"""Five tumour-core networks, each on the patients that it has not seen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.errors import InputError, ModelError
from brain_tumor.segmentation.cards.tumor_core import render_pages
from brain_tumor.segmentation.evaluation import tumor_core_five_folds as five_folds
from brain_tumor.segmentation.evaluation.tumor_core import CoreRow
from brain_tumor.segmentation.evaluation.tumor_core_five_folds import evaluate_run, fold_bundles
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments
from safetensors.torch import save_file

from tests.helpers.core_scores import A_ROW, metadata_and_metrics


def write_fold(runs: Path, fold: int, held_out: int | None) -> None:
    folder = runs / f"fold{fold}"
    (folder / METADATA).parent.mkdir(parents=True)
    (folder / WEIGHTS).parent.mkdir(parents=True)
    training = {"options": {"fold": held_out}, "steps": 100 + fold}
    if fold == 2:
        training["continued_from_step"] = 40
    network = CoreNetworkArguments(pixel_mm=1.0 + fold / 8).to_json()
    metadata = {"name": "tumor_core", "version": "0.0.1", "training": training, "network": network}
    (folder / METADATA).write_text(json.dumps(metadata))
    save_file({"weight": torch.full((1,), float(fold))}, folder / WEIGHTS)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for fold in range(5):
        write_fold(tmp_path, fold, fold)
    return tmp_path


def test_a_bundle_that_held_out_other_patients_is_refused(tmp_path: Path) -> None:
    for fold in range(5):
        write_fold(tmp_path, fold, 0)
    with pytest.raises(InputError, match="'fold1' of the run held out fold 0; expected fold 1"):
        fold_bundles(tmp_path)


def test_a_missing_fold_is_refused(runs: Path) -> None:
    (runs / "fold3" / METADATA).unlink()
    with pytest.raises(ModelError, match="fold3"):
        fold_bundles(runs)


def measured(runs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two slices a fold: Dice 1 and a tenth of the fold."""
    monkeypatch.setattr(five_folds.TumorCoreSegmenter, "load", lambda path: path)

    def rows(bundle: Path, _data: Path, fold: int, *, segmenter: Path, **_: Any) -> list[CoreRow]:
        assert segmenter == bundle == runs / f"fold{fold}"
        return [
            replace(A_ROW, case=f"cheng {fold}{n}", patient=f"p{fold}", dice=dice)
            for n, dice in enumerate((1.0, fold / 10))
        ]

    monkeypatch.setattr(five_folds, "evaluate_tumor_core", rows)
    output = evaluate_run(runs, runs, runs / "out" / "five_folds.json")
    found: dict[str, Any] = json.loads(output.read_text())
    return found


def test_every_fold_is_measured_by_its_own_bundle_and_all_patients_are_pooled(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(runs, monkeypatch)
    everything = found["slices"]["all slices"]
    assert (everything["slices"], everything["patients"]) == (10, 5)
    assert everything["dice_mean"] == pytest.approx((5 + 0.1 + 0.2 + 0.3 + 0.4) / 10)
    assert [fold["steps"] for fold in found["folds"]] == [100, 101, 102, 103, 104]
    assert [fold["pixel_mm"] for fold in found["folds"]] == [1.0, 1.125, 1.25, 1.375, 1.5]
    assert [fold["dice_mean"] for fold in found["folds"]] == pytest.approx(np.arange(5) / 20 + 0.5)
    assert len({fold["sha256"] for fold in found["folds"]}) == 5
    assert len((runs / "out" / "five_folds.csv").read_text().splitlines()) == 11


def test_the_card_tells_the_five_folds_apart_from_the_weights_that_ship(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = measured(runs, monkeypatch)
    metadata, metrics = metadata_and_metrics()
    alone = render_pages(metadata, metrics)
    assert "each on the fifth" not in alone.card + alone.experiments
    pages = render_pages(metadata, metrics, tables)
    card = pages.experiments
    assert "100 steps on pixels of 1 mm (fold 0), 101 steps on pixels of 1.125 mm (fold 1)" in card
    assert "102 steps on pixels of 1.25 mm (fold 2, 40 of them in earlier stages)" in card
    assert "Mean Dice of folds 0 to 4: 0.500, 0.550, 0.600, 0.650, 0.700." in card
    assert "| glioma, numeric cohort | 10 | 5 | 0.600 " in card
    assert re.search(r"\| glioma, numeric cohort \| 1 \| 0\.800 .* \| 5 \| 0\.600 ", pages.card)
