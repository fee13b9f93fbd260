"""The command line lists its choices without loading what they choose from; they must agree."""

import argparse

import pytest
from brain_tumor.cli import (
    HEAT_METHODS,
    HEAT_TARGETS,
    _explanation_options,
    build_parser,
    main,
)
from brain_tumor.errors import InputError
from brain_tumor.explanation.heat.methods import DEFAULT_METHOD, HeatMethod
from brain_tumor.explanation.options import TARGETS
from brain_tumor.research_commands import CROSS_ENTROPIES
from brain_tumor.segmentation.subregions.losses import CrossEntropy


def test_the_choices_of_the_command_line_are_those_of_the_explanation():
    assert tuple(method.value for method in HeatMethod) == HEAT_METHODS
    assert HEAT_METHODS[0] == DEFAULT_METHOD.value
    assert HEAT_TARGETS == TARGETS


def test_a_mistyped_provider_is_refused_before_anything_is_read_or_computed():
    arguments = argparse.Namespace(
        method=None, target="prediction", language="en", provider="componser"
    )
    with pytest.raises(InputError, match="provider 'componser' is not set up"):
        _explanation_options(arguments)


def test_explain_is_analyse_under_another_name():
    parsed = [
        vars(build_parser().parse_args([name, "case", "--output", "out", "--target", "WT"]))
        for name in ("analyse", "explain")
    ]
    assert parsed[0] == parsed[1]
    assert parsed[0]["depth"] == "analyse"


def test_the_choices_of_the_command_line_are_those_of_the_loss():
    assert tuple(choice.value for choice in CrossEntropy) == CROSS_ENTROPIES


@pytest.mark.parametrize("more", [["--fold", "all"], ["--fold", "1", "--runs", "somewhere"]])
def test_a_fold_that_would_be_ignored_is_refused(tmp_path, capsys, more):
    output = tmp_path / "tables.json"
    command = ["evaluate", "tumor_core", "--data", str(tmp_path), "--output", str(output)]
    assert main([*command, *more]) != 0
    assert "--fold" in capsys.readouterr().err
    assert not output.exists()
