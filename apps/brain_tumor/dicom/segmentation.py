"""A labelmap as a DICOM segmentation on the planes of its source series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.dicom_source import DicomSource, SourceSeries, derived_uid
from brain_tumor.cases.grid.geometry import GRID_TOLERANCE_MM
from brain_tumor.cases.grid.grids import corners_mm
from brain_tumor.cases.grid.resampling import resample_array
from brain_tumor.cases.volume import Affine
from brain_tumor.dicom.codes import BRAIN, CATEGORY, SEGMENT_TYPES
from brain_tumor.dicom.equipment import Instance, algorithm_of
from brain_tumor.dicom.references import source_images
from brain_tumor.labels import (
    LABEL_STYLES,
    SCHEME_LABELS,
    Label,
    LabelArray,
    LabelScheme,
    check_scheme,
)

SERIES_DESCRIPTION = "TumorLens segmentation (research)"
CONTENT_LABEL = "TUMORLENS"


def on_source_grid(
    values: npt.NDArray[np.generic], affine: Affine, series: SourceSeries, *, order: int = 0
) -> npt.NDArray[np.generic]:
    """Volume on the planes of its source series.

    The grid of a case is that of its reference series, unless a sheared one was made
    perpendicular; then every voxel of the source takes the value at its place.

    Args:
        values: On the grid of the case, shape (I, J, K).
        affine: Voxel to RAS+ mm of that grid.
        series: Source series.
        order: 0 for labels, 1 for maps.
    """
    if values.shape == series.shape:
        apart_mm = corners_mm(series.shape, affine) - corners_mm(series.shape, series.affine)
        if float(np.linalg.norm(apart_mm, axis=1).max()) <= GRID_TOLERANCE_MM:
            return values
    moved: npt.NDArray[np.generic] = resample_array(
        values, affine, series.shape, series.affine, order=order
    )
    return moved


def segmentation_object(
    labelmap: LabelArray,
    affine: Affine,
    source: DicomSource,
    series: SourceSeries,
    model: ModelVersion | None,
    *,
    scheme: LabelScheme | None = None,
    is_corrected: bool = False,
) -> Segmentation:
    """DICOM segmentation of a labelmap.

    Every label of the scheme is a segment; frames without a voxel are left out, as DICOM allows.

    Args:
        labelmap: Values of `Label` on the grid of the case, shape (I, J, K).
        affine: Voxel to RAS+ mm of that grid.
        source: Identity of the case.
        series: Source series of the reference.
        model: Model that made it; None if a person drew it from nothing.
        scheme: Scheme of the labelmap; default: what its values tell.
        is_corrected: Whether a person changed what the model made.

    Raises:
        LabelError: If the values are of no scheme.
        InputError: If the source lacks UIDs.
    """
    labels = sorted(SCHEME_LABELS[scheme or check_scheme(labelmap)])
    values = on_source_grid(labelmap, affine, series)
    images = source_images(source, series)
    planes = np.transpose(values, (2, 1, 0))
    masks = np.stack([planes == label for label in labels], axis=-1).astype(np.uint8)
    instance = Instance("SEG", SERIES_DESCRIPTION)
    made = Segmentation(
        source_images=images.datasets,
        pixel_array=masks,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(number, label, source.study, model, is_corrected=is_corrected)
            for number, label in enumerate(labels, start=1)
        ],
        content_label=CONTENT_LABEL,
        content_description="Research use only; not a medical device.",
        **instance.arguments(),
    )
    images.refer(made)
    return made


def _description(
    number: int, label: Label, study: str, model: ModelVersion | None, *, is_corrected: bool
) -> SegmentDescription:
    name = LABEL_STYLES[label].name
    kind = SegmentAlgorithmTypeValues.AUTOMATIC
    if model is None:
        kind = SegmentAlgorithmTypeValues.MANUAL
    elif is_corrected:
        kind = SegmentAlgorithmTypeValues.SEMIAUTOMATIC
    made = SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=CATEGORY,
        segmented_property_type=SEGMENT_TYPES[label],
        algorithm_type=kind,
        algorithm_identification=None if model is None else algorithm_of(model),
        tracking_uid=derived_uid(f"{study} {name}"),
        tracking_id=name,
        anatomic_regions=[BRAIN],
    )
    made.RecommendedDisplayCIELabValue = _cielab(LABEL_STYLES[label].color)
    return made


def _cielab(color: tuple[float, float, float]) -> list[int]:
    """Colour in PCS-Values of DICOM PS3.3 C.10.7.1.1, from sRGB 0-1."""
    from skimage.color import rgb2lab

    lightness, a, b = rgb2lab(np.array([[color]]))[0, 0]
    return [
        round(lightness * 65535 / 100),
        round((a + 128) * 65535 / 255),
        round((b + 128) * 65535 / 255),
    ]
