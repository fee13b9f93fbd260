"""Labelmaps and maps of a reply in the format that the client asked for, DICOM included."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.dicom_source import DicomSource
from brain_tumor.cases.files.writers import encode_labelmap, encode_scalar_map
from brain_tumor.dicom.maps import MapKind, map_object
from brain_tumor.dicom.objects import encoded, reference_series
from brain_tumor.dicom.segmentation import segmentation_object
from brain_tumor.segmentation.result import SegmentationResult
from brain_tumor.server.http.validation import DICOM_SUFFIX
from brain_tumor.server.tasks.base import CaseSummary


def labelmap_bytes(
    result: SegmentationResult, case: CaseSummary, suffix: str, *, is_corrected: bool = False
) -> bytes:
    """Labelmap as a volume file or a DICOM segmentation.

    Args:
        result: Holds the labelmap and who made it.
        case: Case.
        suffix: `result_extension` of the request.
        is_corrected: Whether a person took part.

    Raises:
        InputError: If DICOM is asked for and the case did not come from it.
    """
    if suffix != DICOM_SUFFIX:
        return encode_labelmap(result.labelmap, case.affine, suffix)
    series = reference_series(case.source, case.reference)
    made = segmentation_object(
        result.labelmap,
        case.affine,
        case.source or DicomSource({}),
        series,
        result.model,
        scheme=result.scheme,
        is_corrected=is_corrected,
    )
    return encoded(made)


def map_bytes(
    values01: npt.NDArray[np.floating[Any]], case: CaseSummary, suffix: str, kind: MapKind
) -> bytes:
    """Map of values from 0 to 1 as a volume file or a DICOM parametric map.

    Raises:
        InputError: If DICOM is asked for and the case did not come from it.
    """
    if suffix != DICOM_SUFFIX:
        return encode_scalar_map(values01, case.affine, suffix)
    series = reference_series(case.source, case.reference)
    return encoded(map_object(values01, case.affine, case.source or DicomSource({}), series, kind))
