"""Heat and uncertainty as DICOM parametric maps on the planes of the source series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.pm import ParametricMap, RealWorldValueMapping

from brain_tumor.cases.dicom_source import DicomSource, SourceSeries
from brain_tumor.cases.volume import Affine
from brain_tumor.dicom.codes import UNITS, own_code, scheme_identification
from brain_tumor.dicom.equipment import Instance
from brain_tumor.dicom.references import source_images
from brain_tumor.dicom.segmentation import on_source_grid

MAP_STEPS = 65535
"""A map stores round(value x 65535) as 16 bits; its real-world value mapping gives 0-1 back."""


@dataclass(frozen=True)
class MapKind:
    """What a map shows.

    Attributes:
        label: ContentLabel, and key of the series number.
        description: SeriesDescription.
        quantity: What its values are.
        unit: Key of `UNITS`.
    """

    label: str
    description: str
    quantity: str
    unit: str


HEAT = MapKind("HEAT", "TumorLens heatmap (research)", "relevance to the named tumor type", "1")
UNCERTAINTY = MapKind(
    "UNCERTAINTY", "TumorLens uncertainty (research)", "entropy of the labels", "bit"
)
MAP_KINDS: Mapping[str, MapKind] = MappingProxyType({k.label: k for k in (HEAT, UNCERTAINTY)})


def map_object(
    values01: npt.NDArray[np.floating[Any]],
    affine: Affine,
    source: DicomSource,
    series: SourceSeries,
    kind: MapKind,
) -> ParametricMap:
    """Parametric map of values from 0 to 1.

    Args:
        values01: On the grid of the case, shape (I, J, K).
        affine: Voxel to RAS+ mm of that grid.
        source: Identity of the case.
        series: Source series of the reference.
        kind: What the map shows.

    Raises:
        InputError: If the source lacks UIDs.
    """
    moved = on_source_grid(np.asarray(values01, np.float32), affine, series, order=1)
    planes = np.transpose(np.clip(moved.astype(np.float64), 0.0, 1.0), (2, 1, 0))
    images = source_images(source, series)
    mapping = RealWorldValueMapping(
        lut_label=kind.label,
        lut_explanation=kind.quantity,
        unit=UNITS[kind.unit],
        value_range=(0, MAP_STEPS),
        slope=1.0 / MAP_STEPS,
        intercept=0.0,
        quantity_definition=own_code(kind.label, kind.quantity),
    )
    made = ParametricMap(
        source_images=images.datasets,
        pixel_array=np.rint(planes * MAP_STEPS).astype(np.uint16),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=MAP_STEPS / 2,
        window_width=MAP_STEPS,
        content_label=kind.label,
        content_description=kind.quantity,
        coding_schemes=[scheme_identification()],
        **Instance(kind.label, kind.description).arguments(),
    )
    made.BodyPartExamined = "BRAIN"  # no paired part, so no side has to be named
    images.refer(made)
    return made
