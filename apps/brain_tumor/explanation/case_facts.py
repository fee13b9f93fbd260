"""From the results of the models to the facts of a case."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.cases.grid.preprocessing import foreground_mask
from brain_tumor.classification.classifier import (
    FLAIR_FEATURES,
    TumorTypeClassifier,
)
from brain_tumor.classification.features.case_shape import largest_piece
from brain_tumor.classification.pieces import tumour_mask
from brain_tumor.classification.result import ClassificationResult, SliceReading
from brain_tumor.explanation.facts.atlas import BrainAtlas
from brain_tumor.explanation.facts.counterfactual import (
    find_counterfactual,
    probabilities_if_changed,
)
from brain_tumor.explanation.facts.evidence import CaseMeasurements, PixelToRas, build_facts
from brain_tumor.explanation.facts.location import TumourPlace, tumour_place
from brain_tumor.explanation.facts.model import Decision, Facts, HeatFacts, PointMm, SymptomFact
from brain_tumor.explanation.facts.similar_cases import similar_cases
from brain_tumor.explanation.heat.volume import HeatVolume, heat_near
from brain_tumor.explanation.type_reader import TypeReader
from brain_tumor.labels import TYPES, TumorType
from brain_tumor.segmentation.result import SegmentationResult

BoolArray = npt.NDArray[np.bool_]


def case_facts(
    case: Case,
    segmentation: SegmentationResult,
    classification: ClassificationResult,
    reader: TypeReader,
    heat: HeatVolume,
    heat_facts: HeatFacts | None,
    atlas: BrainAtlas | None = None,
    symptoms: tuple[SymptomFact, ...] = (),
) -> Facts:
    """Everything that may be said about a case.

    Measurements are those of the slice with the largest cross-section; what would change the type
    is asked of the whole case.

    Args:
        case: Case.
        segmentation: Its outline.
        classification: Its type.
        reader: Classifier and training patients.
        heat: Heat on the reference grid.
        heat_facts: What the heat says as a whole, or None if there is none.
        atlas: Regions of the brain, if there is an atlas.
        symptoms: Of the second reader, if there is one.
    """
    main = classification.main_slice
    decision = Decision(
        prediction=classification.prediction,
        probabilities=classification.probabilities,
        prediction_set=classification.prediction_set,
        coverage=classification.coverage,
        reasons=classification.reasons,
        ood_score=classification.outlier.score if classification.outlier else None,
        ood_threshold=classification.outlier.threshold if classification.outlier else None,
    )
    if main is None:
        nothing = CaseMeasurements(
            {},
            {},
            reader.reference,
            decision,
            place=_place(case, segmentation, atlas),
            volumes_ml=segmentation.volumes_ml,
            shape=classification.shape,
        )
        return build_facts(nothing)
    classifier = reader.classifier
    measurements = main.features.measurements
    if_changed = probabilities_if_changed(
        classification, main, classifier, classifier.inputs(main.features)
    )

    def near(point: PointMm) -> float | None:
        return heat_near(heat, point)

    return build_facts(
        CaseMeasurements(
            measurements=measurements,
            contributions=log_odds_contributions(main, classifier),
            reference=reader.reference,
            decision=decision,
            to_ras=pixel_to_ras(main, case),
            place=_place(case, segmentation, atlas),
            volumes_ml=segmentation.volumes_ml,
            shape=classification.shape,
            pieces=classification.pieces,
            heat=heat_facts,
            heat_near=near if heat_facts is not None else None,
            counterfactual=find_counterfactual(
                measurements, classifier.features, if_changed, reader.reference
            ),
            similar=similar_cases(measurements, reader.patients),
            symptoms=symptoms,
        )
    )


def log_odds_contributions(
    reading: SliceReading, classifier: TumorTypeClassifier
) -> Mapping[str, Mapping[TumorType, float]]:
    """Signed share of each feature in the calibrated log-odds of each type.

    The share in a type's logit less the mean share in the others', over the temperature.

    Args:
        reading: Slice.
        classifier: Its classifier; features that were not measured have no share.
    """
    temperature = classifier.statistics.slice_calibration.temperature
    shares = reading.contributions.astype(np.float64) / temperature
    others = (shares.sum(axis=1, keepdims=True) - shares) / (len(TYPES) - 1)
    odds = shares - others
    return {
        name: dict(zip(TYPES, (float(v) for v in row), strict=True))
        for name, row in zip(classifier.features, odds, strict=True)
        if reading.features[name].measured and name not in FLAIR_FEATURES
    }


def pixel_to_ras(reading: SliceReading, case: Case) -> PixelToRas:
    """From pixels of a slice to RAS mm."""
    to_voxel = reading.part.to_voxel

    def place(row: float, column: float) -> PointMm:
        voxel = to_voxel @ np.array([row, column, 1.0])
        x, y, z = apply_affine(case.affine, voxel[None])[0]
        return float(x), float(y), float(z)

    return place


def _place(
    case: Case, segmentation: SegmentationResult, atlas: BrainAtlas | None
) -> TumourPlace | None:
    mask = largest_piece(tumour_mask(segmentation.labelmap))
    if not mask.any():
        return None
    head = foreground_mask(case.volumes[case.reference].array)
    return tumour_place(mask, case.affine, head, atlas=atlas)
