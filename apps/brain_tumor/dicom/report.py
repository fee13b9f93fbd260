"""A report as a structured report of TID 1500: volumes, diameters, type, and sentences by evidence.

Each sentence of the rationale is a measurement group of its own: the sentence as a comment, beside
it the measured values that it rests on, each with its unit and its place in the patient.

References:
    DICOM PS3.16, TID 1500, 1411 (volumetric ROI), 1501 (measurement group), 300 (measurement).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues3D,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    Scoord3DContentItem,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.dicom_source import DicomSource, SourceSeries, derived_uid
from brain_tumor.dicom.codes import (
    BRAIN,
    DIAMETER,
    NEOPLASM,
    REGION_NAMES,
    TYPE_CODES,
    UNDETERMINED,
    UNITS,
    VOLUME,
    codes,
    own_code,
    scheme_identification,
    unit_of,
)
from brain_tumor.dicom.equipment import MANUFACTURER, MODEL_NAME, Instance
from brain_tumor.dicom.references import name_patient, source_images
from brain_tumor.labels import LABEL_STYLES, Label, LabelArray, Region, TumorType

SERIES_DESCRIPTION = "TumorLens report (research)"
MRI_OF_BRAIN = CodedConcept("816077007", "SCT", "Magnetic resonance imaging of brain")
COMMENT = CodedConcept.from_code(codes.DCM.Comment)
TYPE_EVALUATION = own_code("TUMORTYPE", "Tumor type named by the classifier")
NOT_EXCLUDED = own_code("NOTEXCLUDED", "Tumor type that cannot be excluded")
_LANGUAGES = {"en": ("en", "English"), "ko": ("ko", "Korean")}
_OBSERVER = derived_uid("TumorLens as an observer")


def report_object(
    report: Mapping[str, Any],
    labelmap: LabelArray,
    volumes_ml: Mapping[Region, float],
    voxel_ml: float,
    source: DicomSource,
    series: SourceSeries,
    segmentation: Segmentation,
) -> Comprehensive3DSR:
    """Structured report of what was inferred.

    Args:
        report: Content of report.json, or a reply of the server.
        labelmap: The labelmap of the segmentation, on the grid of the case.
        volumes_ml: Millilitres of each region of it.
        voxel_ml: Millilitres of a voxel of that grid.
        source: Identity of the case.
        series: Source series of the reference.
        segmentation: Segmentation that the measurements are about.

    Raises:
        InputError: If the source lacks UIDs.
    """
    images = source_images(source, series)
    place = images.series.frame_of_reference
    models = {model["name"]: ModelVersion(**model) for model in report.get("models", ())}
    groups: list[Any] = [
        *_segment_groups(labelmap, voxel_ml, series, segmentation),
        *_region_groups(report, volumes_ml),
        *_type_groups(report, models),
        *_sentence_groups(report, place),
    ]
    language = _LANGUAGES.get(report.get("rationale", {}).get("language", "en"), _LANGUAGES["en"])
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                    uid=_OBSERVER,
                    name=MODEL_NAME,
                    manufacturer_name=MANUFACTURER,
                    model_name=MODEL_NAME,
                ),
            )
        ),
        procedure_reported=MRI_OF_BRAIN,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept(language[0], "RFC5646", language[1])
        ),
    )
    made = Comprehensive3DSR(
        evidence=[*_evidence(images.datasets[0], series), segmentation],
        content=content[0],
        is_complete=True,
        is_final=False,
        coding_schemes=[scheme_identification()],
        **Instance("SR", SERIES_DESCRIPTION).arguments(),
    )
    name_patient(made, source)
    return made


def _evidence(template: Dataset, series: SourceSeries) -> Iterator[Dataset]:
    """The instances that were read, each once."""
    for plane in {p.instance: p for p in series.planes}.values():
        item = Dataset()
        item.update(template)
        item.SOPInstanceUID, item.SOPClassUID = plane.instance, plane.sop_class
        item.SeriesInstanceUID = plane.series
        yield item


def _segment_groups(
    labelmap: LabelArray, voxel_ml: float, series: SourceSeries, segmentation: Segmentation
) -> Iterator[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """Volume of each segment that has voxels."""
    labels = {style.name: label for label, style in LABEL_STYLES.items()}
    counts = np.bincount(labelmap.ravel(), minlength=len(Label))
    for item in segmentation.SegmentSequence:
        count = int(counts[labels[str(item.SegmentLabel)]])
        if count:
            yield VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(item.TrackingUID, item.TrackingID),
                referenced_segment=ReferencedSegment(
                    sop_class_uid=segmentation.SOPClassUID,
                    sop_instance_uid=segmentation.SOPInstanceUID,
                    segment_number=int(item.SegmentNumber),
                    source_series=SourceSeriesForSegmentation(series.planes[0].series),
                ),
                finding_type=_concept(item.SegmentedPropertyTypeCodeSequence[0]),
                finding_sites=[FindingSite(BRAIN)],
                algorithm_id=_algorithm_of(item),
                measurements=[Measurement(VOLUME, count * voxel_ml, UNITS["mL"])],
            )


def _region_groups(
    report: Mapping[str, Any], volumes_ml: Mapping[Region, float]
) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """Volumes of the nested regions; the largest has the longest diameter as well."""
    shape = (report.get("classification") or {}).get("shape") or {}
    longest_mm = shape.get("longest_diameter_mm")
    for region, volume in volumes_ml.items():
        measured = [Measurement(VOLUME, float(volume), UNITS["mL"])]
        if region is Region.TC and longest_mm is not None:
            measured.append(Measurement(DIAMETER, float(longest_mm), UNITS["mm"]))
        yield MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(str(UID()), REGION_NAMES[region]),
            finding_type=NEOPLASM,
            finding_sites=[FindingSite(BRAIN)],
            measurements=measured,
        )


def _type_groups(
    report: Mapping[str, Any], models: Mapping[str, ModelVersion]
) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """Named type, types that cannot be excluded, and probabilities."""
    found = report.get("classification")
    if not found:
        return
    named = str(found.get("prediction"))
    is_type = named in {kind.value for kind in TumorType}
    evaluations = [
        QualitativeEvaluation(
            TYPE_EVALUATION, TYPE_CODES[TumorType(named)] if is_type else UNDETERMINED
        ),
        *(
            QualitativeEvaluation(NOT_EXCLUDED, TYPE_CODES[TumorType(kind)])
            for kind in found.get("prediction_set") or ()
        ),
    ]
    measured = [
        Measurement(probability_code(TumorType(kind)), float(value), UNITS["1"])
        for kind, value in (found.get("probabilities") or {}).items()
    ]
    model = models.get("classification")
    yield MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(str(UID()), "tumor type"),
        finding_type=NEOPLASM,
        algorithm_id=None if model is None else _algorithm(model),
        measurements=measured,
        qualitative_evaluations=evaluations,
    )


def probability_code(kind: TumorType) -> CodedConcept:
    """What the probability of a type is called."""
    return own_code(f"PROB{kind.value}", f"Probability of {TYPE_CODES[kind].meaning}")


def _sentence_groups(
    report: Mapping[str, Any], frame_of_reference: str
) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """Each sentence of the rationale with the evidence that it rests on."""
    items = {item["id"]: item for item in report.get("evidence", ())}
    for sentence in report.get("rationale", {}).get("sentences", ()):
        held = [items[name] for name in sentence["evidence"] if name in items]
        group = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(str(UID()), f"rationale {sentence['id']}"),
            finding_type=NEOPLASM,
            measurements=[
                _measured(item, frame_of_reference)
                for item in held
                if item["measured"] and item["value"] is not None
            ],
        )
        texts = [
            sentence["text"],
            *(
                f"{item['name']}: not measured ({item['reason']})"
                for item in held
                if not item["measured"]
            ),
        ]
        for text in texts:
            group[0].ContentSequence.append(
                TextContentItem(COMMENT, text, RelationshipTypeValues.CONTAINS)
            )
        yield group


def _measured(item: Mapping[str, Any], frame_of_reference: str) -> Measurement:
    """A measured value, with the point that it is about."""
    made = Measurement(
        own_code(item["feature"], item["name"]),
        float(item["value"]),
        unit_of(item["unit"]),
        tracking_identifier=TrackingIdentifier(str(UID()), item["id"]),
    )
    if item.get("ras"):
        right, front, top = item["ras"]
        point = Scoord3DContentItem(
            CodedConcept.from_code(codes.DCM.ImageRegion),
            GraphicTypeValues3D.POINT,
            np.array([[-right, -front, top]]),
            frame_of_reference,
            relationship_type=RelationshipTypeValues.INFERRED_FROM,
        )
        made[0].ContentSequence.append(point)
    return made


def _algorithm(model: ModelVersion) -> AlgorithmIdentification:
    return AlgorithmIdentification(model.name, model.version, [f"sha256 {model.sha256}"])


def _algorithm_of(segment: Dataset) -> AlgorithmIdentification | None:
    named = segment.get("SegmentationAlgorithmIdentificationSequence")
    if not named:
        return None
    return AlgorithmIdentification(
        named[0].AlgorithmName, named[0].AlgorithmVersion, [str(named[0].AlgorithmParameters)]
    )


def _concept(item: Dataset) -> CodedConcept:
    return CodedConcept(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)
