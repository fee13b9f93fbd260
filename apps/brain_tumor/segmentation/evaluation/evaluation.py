"""Accuracy of a sub-region model on patients that it has not seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.errors import TumorLensError
from brain_tumor.labels import Label, LabelArray, LabelScheme, check_scheme
from brain_tumor.segmentation.data.folds import FOLDS
from brain_tumor.segmentation.evaluation.data import (
    CUBE_SPACING_MM,
    EvaluationCube,
    EvaluationWhole,
    count_cases,
    read_cubes,
    read_wholes,
)
from brain_tumor.segmentation.evaluation.reliability import CubePredictor, measure_reliability
from brain_tumor.segmentation.evaluation.rows import (
    CUBE_COLLECTION,
    KEPT_WITHOUT_EXPERT,
    WHOLE_COLLECTION,
    CaseRow,
    join_sequences,
    write_rows,
)
from brain_tumor.segmentation.evaluation.summary import (
    RESAMPLES,
    SEED,
    SMALL_TUMOUR_ML,
    summarise,
)
from brain_tumor.segmentation.metrics.lesions import Spacing
from brain_tumor.segmentation.metrics.metrics import (
    MetricSettings,
    Structure,
    score_labelmaps,
)
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.subregions.cleanup import EnhancementRule
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

SCHEMA_VERSION = 1

_T1, _T1C, _T2, _FLAIR = MriSequence
Subset = tuple[MriSequence, ...]

SUBSETS: tuple[Subset, ...] = (
    (_T1, _T1C, _T2, _FLAIR),
    (_T1C, _T2, _FLAIR),
    (_T1, _T2, _FLAIR),
    (_T1C, _FLAIR),
    (_T1, _T1C),
    (_T1, _T2),
    (_T1C,),
    (_FLAIR,),
    (_T2,),
    (_T1,),
)
"""Sequences that a model is given in turn; what a case has is always among them."""


class SubregionModel(Segmenter, CubePredictor, Protocol):
    """What is evaluated: whole cases and cubes by one model."""


@dataclass(frozen=True)
class EvaluationReport:
    """Per-case table and what it was made with.

    `to_json` returns

    - `schema_version`: 1;
    - `model`: name, version and sha256; `fold` (null: every patient of the data) and `folds`;
    - `definitions`: tolerance, lesion rule, answers for empty masks, bootstrap, `cube_spacing_mm`;
    - `cubes` and `wholes`, each with
      - `groups`: list, weak sub-groups first, `all` last; every case with all it has,
      - `subsets`: list by `sequences` given to the model, over the cases that have them,
      - `worst`: the cases of lowest Dice,
      - `whole_patients` (cubes only): list by `sequences`, Dice of WT, TC and ET with all cubes of
        a patient taken as one, after the rule for small enhancement;
      groups and subsets hold `cases`, `patients`, `failures` and, per region WT, TC, ET, NCR and
      ED in `regions`, a dictionary metric -> `n` (patients), `undefined` (cases), `mean`,
      `median`, `ci95` ([low, high] over patients, or null), besides `states` (cases per state of
      the masks) and `cases_with_false_lesion_over_1_ml`;
    - `weak_cases`: `note` and `rows` of false volumes on labels made by algorithms;
    - `failures`: `collection`, `case`, `sequences`, `reason`;
    - `calibration`: list by `sequences`, see `reliability.summarise_reliability`.

    It holds neither times nor dates, so the same model on the same data writes the same file.

    Attributes:
        model: Model that was measured.
        fold: Fold of patients measured on, None for all.
        rows: One row per case, subset and structure.
        settings: Definitions of the metrics.
        enhancement: The model's clean-up rule for enhancement of a whole patient.
        calibration: What `measure_reliability` found; empty if it was not asked.
    """

    model: ModelVersion
    fold: int | None
    rows: tuple[CaseRow, ...]
    settings: MetricSettings = field(default_factory=MetricSettings)
    enhancement: EnhancementRule = field(default_factory=EnhancementRule)
    calibration: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Summary as described above."""
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model.to_json(),
            "fold": self.fold,
            "folds": FOLDS,
            "definitions": {
                **self.settings.to_json(),
                "cube_spacing_mm": list(CUBE_SPACING_MM),
                "small_tumour_ml": SMALL_TUMOUR_ML,
                "smallest_enhancing_ml": self.enhancement.smallest_ml,
                "least_enhancing_probability": self.enhancement.least_probability,
                "bootstrap": {"unit": "patient", "resamples": RESAMPLES, "seed": SEED},
            },
            **summarise(self.rows, self.enhancement),
            "calibration": list(self.calibration),
        }

    def write(self, path: Path) -> None:
        """Write the per-case table `<stem>.csv` next to the summary `path`, the table first."""
        write_rows(path.with_suffix(".csv"), self.rows)
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


def evaluate_segmentation(
    segmenter: SubregionModel,
    data: Path,
    *,
    fold: int | None,
    subsets: Sequence[Subset] = SUBSETS,
    settings: MetricSettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> EvaluationReport:
    """Measure a model on cubes and whole cases.

    Cubes go straight through the network; whole cases go through `segment` as a user's do. Both
    are read with all their sequences and with reduced subsets. Cases whose labels were made by
    algorithms are read once, for false lesions only. A case that the model refuses or answers
    with another shape or label scheme is a failure with the worst scores.

    Args:
        segmenter: Model; it must not have seen the patients of the fold.
        data: Folder with `brats20` and `glioma3d`; either may be missing.
        fold: Fold of patients to measure on, or None for every patient of the data.
        subsets: What a model is given in turn, besides all that a case has.
        settings: Definitions of the metrics.
        progress: Called with the name of each case, `count_cases(data, fold)` times.

    Raises:
        NotFoundError: If the folder holds no cases at all.
        FileFormatError: If a file is damaged.
    """
    settings = settings or MetricSettings()
    count_cases(data, fold)
    rows: list[CaseRow] = []
    for cube in read_cubes(data, fold):
        if progress:
            progress(cube.name)
        rows.extend(_cube_rows(segmenter, cube, subsets, settings))
    rows += whole_rows(
        segmenter, data, fold=fold, subsets=subsets, settings=settings, progress=progress
    )
    return EvaluationReport(segmenter.version, fold, tuple(rows), settings)


def whole_rows(
    segmenter: Segmenter,
    data: Path,
    *,
    fold: int | None,
    subsets: Sequence[Subset] = SUBSETS,
    settings: MetricSettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[CaseRow]:
    """Rows of whole cases alone; see `evaluate_segmentation`."""
    rows: list[CaseRow] = []
    for whole in read_wholes(data, fold):
        if progress:
            progress(whole.case.case_id)
        rows.extend(_whole_rows(segmenter, whole, subsets, settings or MetricSettings()))
    return rows


def evaluate_bundle(
    bundle: Path, data: Path, output: Path, *, fold: int | None
) -> EvaluationReport:
    """Measure a bundle and write the report; shows a progress bar.

    Args:
        bundle: Folder of the bundle.
        data: See `evaluate_segmentation`.
        output: JSON file; the per-case table goes next to it as CSV.
        fold: Fold of patients to measure on, or None for every patient of the data.

    Raises:
        ModelError: If the bundle is damaged.
        NotFoundError: If the folder holds no cases at all.
        FileFormatError: If a file is damaged.
    """
    segmenter = SubregionSegmenter.load(bundle)
    total = count_cases(data, fold)
    with tqdm(total=total, desc=segmenter.version.name, unit="case", file=sys.stderr) as bar:
        report = evaluate_segmentation(segmenter, data, fold=fold, progress=lambda _: bar.update())
    report = replace(
        report,
        enhancement=segmenter.rule.enhancement,
        calibration=tuple(measure_reliability(segmenter, data, fold)),
    )
    report.write(output)
    return report


def held_out_fold(bundle: Path) -> int | None:
    """Fold that a bundle was trained without, or None if it has seen every patient.

    Raises:
        ModelError: If the bundle cannot be read.
    """
    fold: int | None = read_bundle(bundle).metadata.get("training", {}).get("plan", {}).get("fold")
    return fold


@dataclass(frozen=True, eq=False)
class _Question:
    """One case, what the model is given of it, and the reference."""

    collection: str
    case: str
    patient: str
    expert: bool
    available: Subset
    given: Subset
    reference: LabelArray
    spacing_mm: Spacing


def _cube_rows(
    model: CubePredictor,
    cube: EvaluationCube,
    subsets: Sequence[Subset],
    settings: MetricSettings,
) -> Iterator[CaseRow]:
    for given in _given(cube.present, subsets):
        question = _Question(
            collection=CUBE_COLLECTION,
            case=cube.name,
            patient=cube.patient,
            expert=True,
            available=cube.present,
            given=given,
            reference=cube.labels,
            spacing_mm=CUBE_SPACING_MM,
        )
        run = partial(_label_cube, model, cube, given)
        yield from _rows(question, run, settings)


def _whole_rows(
    model: Segmenter,
    whole: EvaluationWhole,
    subsets: Sequence[Subset],
    settings: MetricSettings,
) -> Iterator[CaseRow]:
    present = whole.case.present
    for given in _given(present, subsets if whole.expert else ()):
        question = _Question(
            collection=WHOLE_COLLECTION,
            case=whole.case.case_id,
            patient=whole.patient,
            expert=whole.expert,
            available=present,
            given=given,
            reference=whole.labels,
            spacing_mm=whole.case.spacing_mm,
        )
        run = partial(_label_whole, model, whole, given)
        yield from _rows(question, run, settings)


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a model says of a case."""

    labels: LabelArray
    enhancing_probability: float | None = None


def _label_cube(model: CubePredictor, cube: EvaluationCube, given: Subset) -> _Answer:
    probabilities = model.predict_probabilities(cube.reduced(given))
    labels = np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
    enhancing = labels == Label.ET
    mean = float(probabilities[int(Label.ET)][enhancing].mean()) if enhancing.any() else None
    return _Answer(labels, mean)


def _label_whole(model: Segmenter, whole: EvaluationWhole, given: Subset) -> _Answer:
    return _Answer(model.segment(whole.reduced(given)).labelmap)


def _given(present: Subset, subsets: Sequence[Subset]) -> list[Subset]:
    """What the case has, then every listed subset of it."""
    return [present, *(s for s in subsets if set(s) < set(present))]


def _rows(
    question: _Question, run: Callable[[], _Answer], settings: MetricSettings
) -> Iterator[CaseRow]:
    answer, failure = _attempt(run, question.reference.shape)
    labels = answer.labels if answer else None
    scores = score_labelmaps(labels, question.reference, question.spacing_mm, settings)
    for structure, found in scores.items():
        values = found.to_json()
        if not question.expert:
            kept = {k: v if k in KEPT_WITHOUT_EXPERT else None for k, v in values.items()}
            values = {**kept, "state": ""}
        yield CaseRow(
            collection=question.collection,
            expert=question.expert,
            case=question.case,
            patient=question.patient,
            available=join_sequences(question.available),
            sequences=join_sequences(question.given),
            region=structure.value,
            failure=failure,
            tumour_ml=scores[Structure.WT].reference_ml,
            enhancing_ml=scores[Structure.ET].reference_ml,
            enhancing_probability=answer.enhancing_probability if answer else None,
            **values,
        )


def _attempt(run: Callable[[], _Answer], shape: tuple[int, ...]) -> tuple[_Answer | None, str]:
    """An answer, or None and the reason why there is none."""
    try:
        answer = run()
        labels = answer.labels
        scheme = check_scheme(labels)
    except (TumorLensError, ValueError, RuntimeError, MemoryError) as error:
        return None, " ".join(f"{type(error).__name__}: {error}".split())
    if labels.shape != shape:
        return None, f"labelmap has shape {labels.shape}; expected {shape}"
    if scheme is not LabelScheme.SUBREGIONS:
        return None, f"labelmap has the scheme {scheme.value}; expected sub-regions"
    return answer, ""
