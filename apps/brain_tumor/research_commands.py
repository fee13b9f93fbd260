"""`tumorlens train` and `tumorlens evaluate`: one sub-command a model, with the options it has."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brain_tumor.device_names import add_device_option
from brain_tumor.errors import InputError
from brain_tumor.model_names import ModelName

CROSS_ENTROPIES = ("labels", "regions")

Run = Callable[[argparse.Namespace], None]


def add_research_commands(commands: Any) -> None:
    """Add both commands to those of the command line.

    Args:
        commands: What `ArgumentParser.add_subparsers` gives.
    """
    train = commands.add_parser("train", help="train a model from research data")
    models = train.add_subparsers(title="models", required=True, metavar="MODEL", dest="model")
    for name, purpose, add_options, run in (
        (
            ModelName.SEGMENTATION,
            "sub-regions of a tumour in brains, 3-D",
            _add_segmentation,
            _train_segmentation,
        ),
        (
            ModelName.WHOLE_HEAD,
            "tumours in heads with skull and in thick slices",
            _add_whole_head,
            _train_whole_head,
        ),
        (ModelName.TUMOR_CORE, "tumour core on a lone t1c", _add_tumor_core, _train_tumor_core),
        (
            ModelName.CLASSIFICATION,
            "tumour type from t1c",
            _add_classification,
            _train_classification,
        ),
        (
            ModelName.CONCEPTS,
            "reader of visual symptoms; its plan is fixed",
            _no_more,
            _train_concepts,
        ),
    ):
        parser = _model_parser(models, "train", name, purpose, "RUN")
        parser.add_argument(
            "--output",
            type=Path,
            required=True,
            metavar="RUN",
            help=f"run folder, resumed if it holds a checkpoint; the bundle goes to RUN/{name}",
        )
        parser.add_argument(
            "--fold",
            type=fold_or_all,
            default=0,
            help="fold of persons kept out, 0-4, or 'all' to keep out nobody; default: 0",
        )
        add_options(parser)
        parser.set_defaults(run=_with_progress(run))

    evaluate = commands.add_parser("evaluate", help="measure a model by patient")
    models = evaluate.add_subparsers(title="models", required=True, metavar="MODEL", dest="model")
    for name, purpose, add_options, run in (
        (
            ModelName.SEGMENTATION,
            "Dice of sub-regions of unseen patients",
            _add_bundle,
            _evaluate_segmentation,
        ),
        (
            ModelName.WHOLE_HEAD,
            "heads with skull, health and missing sequences",
            _add_head_run,
            _evaluate_whole_head,
        ),
        (ModelName.TUMOR_CORE, "Dice of the core on t1c", _add_bundle_or_run, _evaluate_tumor_core),
        (
            ModelName.CLASSIFICATION,
            "tumour types with experts' and own outlines",
            _add_core_runs,
            _evaluate_classification,
        ),
        (
            ModelName.CONCEPTS,
            "visual symptoms on all folds of a run",
            _add_needed_run,
            _evaluate_concepts,
        ),
    ):
        example = " --runs RUN" if name is ModelName.CONCEPTS else ""
        parser = _model_parser(models, "evaluate", name, purpose, "FILE.json", example)
        parser.add_argument(
            "--output", type=Path, required=True, metavar="FILE.json", help="figures to write"
        )
        add_options(parser)
        parser.set_defaults(run=_and_say(run))


def fold_or_all(text: str) -> int | None:
    """Fold number, or None for 'all'.

    Raises:
        ArgumentTypeError: If it is neither.

    Example:
        >>> fold_or_all("3"), fold_or_all("all")
        (3, None)
    """
    if text == "all":
        return None
    if text in ("0", "1", "2", "3", "4"):
        return int(text)
    raise argparse.ArgumentTypeError(f"fold is '{text}'; expected 0-4 or 'all'")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"it is {text}; expected 1 or more")
    return number


def _model_parser(
    models: Any, command: str, name: str, purpose: str, output: str, example: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = models.add_parser(
        name,
        help=purpose,
        description=f"{command.capitalize()} {name}: {purpose}.",
        epilog=f"Example: tumorlens {command} {name} --data DIR --output {output}{example}",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of the research data"
    )
    add_device_option(parser)
    return parser


def _with_progress(run: Run) -> Run:
    def started(arguments: argparse.Namespace) -> None:
        logging.getLogger("brain_tumor").setLevel(logging.INFO)
        run(arguments)

    return started


def _and_say(run: Run) -> Run:
    def measured(arguments: argparse.Namespace) -> None:
        run(arguments)
        print(f"wrote {arguments.output}")

    return measured


def _no_more(_: argparse.ArgumentParser) -> None:
    """For a model that has no options of its own."""


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps", type=_positive, help="optimiser steps; default: those of the model's plan"
    )


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=_positive, default=1, help="CPU threads; default: 1")


def _add_segmentation(parser: argparse.ArgumentParser) -> None:
    _add_steps(parser)
    _add_threads(parser)
    parser.add_argument(
        "--cross-entropy",
        choices=CROSS_ENTROPIES,
        default=CROSS_ENTROPIES[0],
        help="what cross-entropy is taken over; default: labels",
    )
    parser.add_argument(
        "--continue-from",
        type=Path,
        metavar="RUN",
        help="begin with the weights of this finished run, or of the bundle that it wrote; --steps "
        "counts its too",
    )


def _train_segmentation(arguments: argparse.Namespace) -> None:
    from brain_tumor.segmentation.subregions.losses import CrossEntropy
    from brain_tumor.segmentation.training.subregions.command import train_segmentation

    train_segmentation(
        arguments.data,
        arguments.output,
        fold=arguments.fold,
        steps=arguments.steps,
        cross_entropy=CrossEntropy(arguments.cross_entropy),
        continue_from=arguments.continue_from,
        threads=arguments.threads,
    )


def _add_whole_head(parser: argparse.ArgumentParser) -> None:
    _add_steps(parser)
    _add_threads(parser)
    parser.add_argument(
        "--continue-from",
        type=Path,
        metavar="BUNDLE",
        help="begin with the weights of this bundle, at a third of the learning rate",
    )


def _train_whole_head(arguments: argparse.Namespace) -> None:
    from brain_tumor.segmentation.training.whole_head.command import train_whole_head

    train_whole_head(
        arguments.data,
        arguments.output,
        fold=arguments.fold,
        steps=arguments.steps,
        continue_from=arguments.continue_from,
        threads=arguments.threads,
    )


def _add_tumor_core(parser: argparse.ArgumentParser) -> None:
    _add_steps(parser)
    parser.add_argument(
        "--continue-from",
        type=Path,
        metavar="BUNDLE",
        help="begin with the weights of this run or bundle, which held out the same fold",
    )


def _train_tumor_core(arguments: argparse.Namespace) -> None:
    from brain_tumor.segmentation.training.tumor_core.train import train_tumor_core

    train_tumor_core(
        arguments.data,
        arguments.output,
        fold=arguments.fold,
        steps=arguments.steps,
        continue_from=arguments.continue_from,
    )


def _add_classification(parser: argparse.ArgumentParser) -> None:
    _add_steps(parser)
    parser.add_argument(
        "--seed", type=int, help="of weights and sampling; default: that of the model's plan"
    )
    parser.add_argument(
        "--without",
        choices=("boundary",),
        help="part to leave out of one fold's network, to measure its worth",
    )


def _train_classification(arguments: argparse.Namespace) -> None:
    from brain_tumor.classification.training.run import train_classification
    from brain_tumor.explanation.training.references import write_references

    written = train_classification(
        arguments.data,
        arguments.output,
        fold=arguments.fold,
        steps=arguments.steps,
        seed=arguments.seed,
        boundary=arguments.without != "boundary",
    )
    if arguments.fold is None:
        write_references(arguments.output, written)


def _train_concepts(arguments: argparse.Namespace) -> None:
    from brain_tumor.concepts.training.export import train_concepts

    train_concepts(arguments.output, fold=arguments.fold)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="models folder; default: the shipped one"
    )


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    _add_models(parser)
    parser.add_argument(
        "--fold",
        type=fold_or_all,
        default=argparse.SUPPRESS,
        help="fold to measure, 0-4, or 'all'; default: the fold held out in training",
    )


def _evaluate_segmentation(arguments: argparse.Namespace) -> None:
    from brain_tumor.segmentation.evaluation.evaluation import evaluate_bundle, held_out_fold

    bundle = _models(arguments) / ModelName.SEGMENTATION
    fold = arguments.fold if "fold" in arguments else held_out_fold(bundle)
    evaluate_bundle(bundle, arguments.data, arguments.output, fold=fold)


def _add_head_run(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="RUN",
        help="run of one fold; default: the bundle in the models folder",
    )


def _evaluate_whole_head(arguments: argparse.Namespace) -> None:
    from brain_tumor.segmentation.evaluation.heads import evaluate_bundles

    models = _models(arguments)
    evaluate_bundles(
        models / ModelName.SEGMENTATION,
        (arguments.runs or models) / ModelName.WHOLE_HEAD,
        arguments.data,
        arguments.output,
        fold=getattr(arguments, "fold", None),
    )


def _add_bundle_or_run(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument(
        "--runs", type=Path, metavar="RUN", help="five-fold run to measure, all patients"
    )


def _evaluate_tumor_core(arguments: argparse.Namespace) -> None:
    fold = getattr(arguments, "fold", None)
    if "fold" in arguments and (fold is None or arguments.runs is not None):
        raise InputError(
            "evaluate tumor_core takes --fold 0 to 4, without --runs: one bundle has seen the "
            "patients of the other folds",
            remedy="For all patients name a five-fold run with --runs; else leave --fold out.",
        )
    if arguments.runs is not None:
        from brain_tumor.segmentation.evaluation.tumor_core_five_folds import evaluate_run

        evaluate_run(arguments.runs, arguments.data, arguments.output)
        return
    from brain_tumor.segmentation.evaluation.tumor_core import evaluate_bundle

    bundle = _models(arguments) / ModelName.TUMOR_CORE
    evaluate_bundle(bundle, arguments.data, arguments.output, fold=fold)


def _add_core_runs(parser: argparse.ArgumentParser) -> None:
    _add_bundle_or_run(parser)
    parser.add_argument(
        "--core-runs",
        type=Path,
        metavar="RUN",
        help="five-fold run of tumor_core whose outlines are read as well",
    )


def _evaluate_classification(arguments: argparse.Namespace) -> None:
    from brain_tumor.classification.evaluation import evaluation

    models = _models(arguments)
    cores = [models / ModelName.TUMOR_CORE]
    if arguments.runs is None:
        evaluation.evaluate_bundle(
            models / ModelName.CLASSIFICATION,
            arguments.data,
            arguments.output,
            fold=getattr(arguments, "fold", None),
            cores=cores,
        )
        return
    if arguments.core_runs is not None:
        from brain_tumor.segmentation.evaluation.tumor_core_five_folds import fold_bundles

        cores = fold_bundles(arguments.core_runs)
    evaluation.evaluate_run(arguments.runs, arguments.output, data=arguments.data, cores=cores)


def _add_needed_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs",
        type=Path,
        required=True,
        metavar="RUN",
        help="run of `tumorlens train classification --fold all`",
    )


def _evaluate_concepts(arguments: argparse.Namespace) -> None:
    from brain_tumor.concepts.evaluation import evaluate_run

    evaluate_run(arguments.runs, arguments.output)


def _models(arguments: argparse.Namespace) -> Path:
    from brain_tumor.bundles import models_folder

    chosen: Path = arguments.models or models_folder()
    return chosen
