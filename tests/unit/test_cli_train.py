"""Options of `tumorlens train` and `evaluate` that do not fit are refused before any reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from brain_tumor.cli import build_parser, main


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        ("tumor_core", ["--threads", "2"], "unrecognized arguments: --threads 2"),
        ("segmentation", ["--threads", "0"], "argument --threads: it is 0; expected 1 or more"),
        ("whole_head", ["--steps", "-5"], "argument --steps: it is -5; expected 1 or more"),
        ("whole_head", ["--steps", "ten"], "argument --steps: it is ten; expected 1 or more"),
        ("concepts", ["--continue-from", "x"], "unrecognized arguments: --continue-from x"),
        ("classification", ["--cross-entropy", "regions"], "unrecognized arguments"),
        ("segmentation", ["--seed", "1"], "unrecognized arguments: --seed 1"),
        ("concepts", ["--steps", "5"], "unrecognized arguments: --steps 5"),
        ("segmentation", ["--fold", "5"], "fold is '5'; expected 0-4 or 'all'"),
        ("kidney", [], "invalid choice: 'kidney'"),
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
    with pytest.raises(SystemExit) as ended:
        main(["train", model, "--data", str(tmp_path), "--output", str(run), *options])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    "model", ["segmentation", "whole_head", "tumor_core", "classification", "concepts"]
)
def test_every_option_has_a_help_and_every_model_an_example(
    command: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, model, "--help"])
    told = capsys.readouterr().out
    example = f"Example: tumorlens {command} {model} --data DIR --output "
    assert example in " ".join(told.split())
    place = ["--data", "d", "--output", "o"]
    more = ["--runs", "r"] if (command, model) == ("evaluate", "concepts") else []
    options = vars(build_parser().parse_args([command, model, *place, *more]))
    explained = told[told.index("\noptions:") :].split("\n  --")[1:]
    helps = {text.split()[0].replace("-", "_"): text.split("\n\n")[0].split() for text in explained}
    assert set(helps) == (set(options) | ({"fold"} & set(helps))) - {"run", "model", "verbose"}
    for name, words in helps.items():
        assert len(words) > 4, f"--{name} has no help"  # its name, its value and what it means


def test_the_fold_that_is_kept_out_is_the_first_unless_told() -> None:
    place = ["train", "tumor_core", "--data", "d", "--output", "o"]
    assert build_parser().parse_args(place).fold == 0
    assert build_parser().parse_args([*place, "--fold", "all"]).fold is None
