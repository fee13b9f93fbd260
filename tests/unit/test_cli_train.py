"""Options of `tumorlens train` that do not fit are refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from brain_tumor.cli import main


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        ("tumor_core", ["--threads", "2"], "--threads is for segmentation, not tumor_core"),
        ("segmentation", ["--threads", "0"], "--threads is 0; expected 1 or more"),
        (
            "concepts",
            ["--continue-from", "earlier"],
            "--continue-from is for segmentation, not concepts",
        ),
        (
            "classification",
            ["--cross-entropy", "regions"],
            "--cross-entropy is for segmentation, not classification",
        ),
        ("segmentation", ["--seed", "1"], "--seed and --without are for classification"),
        ("concepts", ["--steps", "5"], "--steps is not for concepts"),
        ("segmentation", ["--fold", "5"], "fold is '5'; expected 0-4 or 'all'"),
    ],
)
def test_an_option_of_another_model_or_out_of_range_is_refused(
    model: str,
    options: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    code = main(["train", model, "--data", str(tmp_path), "--output", str(run), *options])
    assert code != 0
    assert sentence in capsys.readouterr().err
    assert not run.exists()
