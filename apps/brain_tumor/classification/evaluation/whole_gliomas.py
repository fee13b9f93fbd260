"""Whole gliomas of another scanner, skull-stripped: glioma or undetermined, never another type.

No network has learnt a type from them, because they are all gliomas; the outline is learnt on the
cases outside the fold that is held out. So each case is read by the network that has not seen it at
all, and by the one that ships. Outlines are the experts', where experts drew one, and those of
`tumor_core` from the T1c alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.outliers import OutlierModel, fit_outliers
from brain_tumor.classification.model.training_statistics import ClassifierStatistics
from brain_tumor.classification.predictions import fit_calibrations, load_predictions
from brain_tumor.classification.result import UNDETERMINED, ClassificationResult
from brain_tumor.classification.training.outline_check import (
    AGREEMENTS,
    figures,
    limits_of_others,
    read_agreements,
)
from brain_tumor.classification.training.run import (
    COVERAGE,
    KNOWN,
    OUTLIER_QUANTILE,
    PREDICTIONS,
    RUN_WEIGHTS,
    fit_statistics,
    held_out_predictions,
    load_run,
    run_features,
)
from brain_tumor.labels import Label, LabelArray, TumorType
from brain_tumor.segmentation.data.cheng_slices import HEALTHY_ONLY_CASES, WEAK_CASES, volume_fold
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.evaluation.tumor_core_cases import read_reference
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter

EXPERT, OWN = "expert", "tumor_core"
HELD_OUT, SHIPPED = "held out", "all patients"


def run_classifiers(run: Path) -> dict[int | None, TumorTypeClassifier]:
    """Networks of a run as the product would use them, by the fold held out; None is the final one.

    Calibration, outliers and the limit of the outline of a fold come from the other folds.

    Args:
        run: Run folder with five folds; the final network is left out if it is not there.
    """
    everyone, folds = held_out_predictions(run)
    kept = run / AGREEMENTS
    agreements = read_agreements(kept) if kept.is_file() else None
    limits = limits_of_others(agreements) if agreements else {}
    found: dict[int | None, TumorTypeClassifier] = {}
    for fold in np.unique(folds).tolist():
        part, others = run / f"fold{fold}", folds != fold
        held, known = load_predictions(part / PREDICTIONS), load_predictions(part / KNOWN)
        outliers = fit_outliers(known.expert.embedding, known.truth)
        distance = outliers.distance(held.expert.embedding)
        statistics = ClassifierStatistics(
            *fit_calibrations(everyone, COVERAGE, others),
            OutlierModel(
                outliers.means,
                outliers.precision,
                float(np.quantile(distance, OUTLIER_QUANTILE)),
            ),
            limits.get(fold, 0.0),
        )
        found[fold] = _classifier(part, statistics)
    if (run / "final" / RUN_WEIGHTS).is_file():
        shipped = fit_statistics(run)
        least = figures(agreements)["least_agreement"] if agreements else 0.0
        found[None] = _classifier(run / "final", replace(shipped, least_agreement=least))
    return found


def study_whole_gliomas(
    data: Path,
    classifiers: Mapping[int | None, TumorTypeClassifier],
    cores: Sequence[Path],
    *,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Answers for every whole case, a row for each network and outline.

    Args:
        data: Folder with `glioma3d`; without it there are no rows.
        classifiers: By the fold that they have not seen; None for one that has seen all.
        cores: Tumour-core bundles; a case is outlined by the one that has not seen it, or, if
            there is none, by the first.
        progress: Show a bar.

    Returns:
        Rows with `case`, `network`, `outline`, `answer`, `likeliest`, `glioma` (its probability,
        or None), `reasons`, and what network and `tumor_core` have learnt of the case.
    """
    segmenters = {held_out_fold(core): TumorCoreSegmenter.load(core) for core in cores}
    rows = []
    paths = sorted((data / "glioma3d").glob("*.npz"))
    for path in tqdm(paths, desc="whole gliomas", disable=not progress):
        volume, core, _ = read_reference(path)
        case = Case(path.stem, MriSequence.T1C, {MriSequence.T1C: volume})
        fold = volume_fold(path.stem)
        outlines: dict[str, LabelArray] = {}
        if path.stem not in WEAK_CASES:
            outlines[EXPERT] = np.where(core, Label.CORE, Label.BACKGROUND).astype(np.uint8)
        if segmenters:
            segmenter: Segmenter = segmenters.get(fold) or next(iter(segmenters.values()))
            outlines[OWN] = segmenter.segment(case).labelmap
        for held, name in ((fold, HELD_OUT), (None, SHIPPED)):
            if held not in classifiers:
                continue
            for outline, labelmap in outlines.items():
                told = answer(classifiers[held].classify(case, labelmap))
                learnt = "nothing" if held == fold else _learnt(path.stem)
                seen = outline == OWN and fold not in segmenters
                rows.append(
                    {"case": path.stem, "network": name, "outline": outline, **told}
                    | {"network_learnt": learnt, "outline_learnt": seen}
                )
    return rows


def answer(result: ClassificationResult) -> dict[str, Any]:
    """What a table tells of a result."""
    told = result.probabilities or {}
    return {
        "answer": result.prediction.value if result.prediction else UNDETERMINED,
        "likeliest": result.likeliest.value if result.likeliest else None,
        "glioma": float(told[TumorType.GLIOMA]) if told else None,
        "reasons": list(result.reasons),
    }


def _learnt(stem: str) -> str:
    """What a network that has seen all patients has learnt of a case."""
    return "healthy slices" if stem in HEALTHY_ONLY_CASES else "its outline"


def _classifier(part: Path, statistics: ClassifierStatistics) -> TumorTypeClassifier:
    version = ModelVersion("classification", part.name, "0" * 64)
    return TumorTypeClassifier(load_run(part), run_features(part), statistics, version)
