"""The one label scheme: label values, regions, tumour types and their names.

Nothing else in the project spells a label value. Values are contiguous from 1, because stock
MONAI Label clients renumber anything else (BraTS 4 therefore becomes 3 on import).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import LabelError

LabelArray = npt.NDArray[np.uint8]
IntegerArray = npt.NDArray[np.integer[Any]]


class Label(IntEnum):
    """Value of a voxel in every labelmap on disk, on the wire and in Slicer.

    References:
        Baid et al. 2021, arXiv:2107.02314 (BraTS sub-regions).
    """

    BACKGROUND = 0
    NCR = 1  # necrotic and non-enhancing tumour core
    ED = 2  # peritumoral oedema / invaded tissue
    ET = 3  # enhancing tumour
    CORE = 4  # tumour core that cannot be divided (single-contrast studies)


class Region(StrEnum):
    """Overlapping evaluation regions; they nest: ET is inside TC, TC inside WT."""

    WT = "WT"
    TC = "TC"
    ET = "ET"


class LabelScheme(StrEnum):
    """Which label values a labelmap may hold."""

    SUBREGIONS = "subregions"
    CORE = "core"


class TumorType(StrEnum):
    """Tumour types that the classifier knows."""

    GLIOMA = "glioma"
    MENINGIOMA = "meningioma"
    PITUITARY = "pituitary"


TYPES = tuple(TumorType)
"""Every array over types (outputs of networks, probabilities, contributions) is in this order."""


@dataclass(frozen=True)
class LabelStyle:
    """How a label is named and drawn.

    Attributes:
        name: Segment name that clients show; also the key in MONAI Label's `labels`.
        color: RGB, each 0-1.
    """

    name: str
    color: tuple[float, float, float]


LABEL_STYLES: Mapping[Label, LabelStyle] = MappingProxyType(
    {
        Label.NCR: LabelStyle("necrotic core", (0.20, 0.45, 0.90)),
        Label.ED: LabelStyle("oedema", (0.30, 0.75, 0.35)),
        Label.ET: LabelStyle("enhancing tumour", (0.90, 0.25, 0.20)),
        Label.CORE: LabelStyle("tumour core", (0.95, 0.65, 0.15)),
    }
)

REGION_LABELS: Mapping[Region, frozenset[Label]] = MappingProxyType(
    {
        Region.WT: frozenset({Label.NCR, Label.ED, Label.ET, Label.CORE}),
        Region.TC: frozenset({Label.NCR, Label.ET, Label.CORE}),
        Region.ET: frozenset({Label.ET}),
    }
)

SCHEME_LABELS: Mapping[LabelScheme, frozenset[Label]] = MappingProxyType(
    {
        LabelScheme.SUBREGIONS: frozenset({Label.NCR, Label.ED, Label.ET}),
        LabelScheme.CORE: frozenset({Label.CORE}),
    }
)

SCHEME_REGIONS: Mapping[LabelScheme, tuple[Region, ...]] = MappingProxyType(
    {
        LabelScheme.SUBREGIONS: (Region.WT, Region.TC, Region.ET),
        LabelScheme.CORE: (Region.TC,),
    }
)

BRATS_TO_LABEL: Mapping[int, Label] = MappingProxyType(
    {0: Label.BACKGROUND, 1: Label.NCR, 2: Label.ED, 4: Label.ET}
)
"""BraTS 2017-2020 values. BraTS 2013 also has 3 (non-enhancing): see `from_brats`."""


def label_names() -> dict[str, int]:
    """Segment name to label value, without background, in value order.

    This is the `labels` of the MONAI Label app.
    """
    return {LABEL_STYLES[label].name: int(label) for label in Label if label in LABEL_STYLES}


def region_mask(labelmap: IntegerArray, region: Region) -> npt.NDArray[np.bool_]:
    """Voxels of one region.

    Args:
        labelmap: Integer labels of any shape, values from `Label`.
        region: Region to select.

    Returns:
        Boolean array of the same shape.
    """
    wanted = REGION_LABELS[region]
    lookup = np.array([label in wanted for label in Label], dtype=bool)
    mask: npt.NDArray[np.bool_] = lookup[labelmap]
    return mask


def from_brats(labelmap: IntegerArray, *, year: int = 2020) -> LabelArray:
    """Convert a BraTS labelmap to `Label` values.

    Args:
        labelmap: BraTS labels of any shape.
        year: BraTS edition. Until 2016 the value 3 is non-enhancing tumour (part of the core);
            from 2023 on the value 3 is enhancing tumour and 4 does not occur.

    Returns:
        uint8 array of the same shape.

    Raises:
        LabelError: If a value outside the edition's scheme occurs.
    """
    table = dict(BRATS_TO_LABEL)
    if year <= 2016:
        table[3] = Label.NCR
    elif year >= 2023:
        table[3] = Label.ET
        del table[4]
    lookup = np.full(max(table) + 1, 255, dtype=np.uint8)
    for value, label in table.items():
        lookup[value] = label
    values = np.asarray(labelmap)
    if values.size and (values.min() < 0 or values.max() >= len(lookup)):
        bad = sorted({int(v) for v in np.unique(values)} - set(table))
        raise LabelError(f"labelmap holds {bad}; BraTS {year} has {sorted(table)}")
    converted: LabelArray = lookup[values]
    if (converted == 255).any():
        bad = sorted({int(v) for v in np.unique(values)} - set(table))
        raise LabelError(f"labelmap holds {bad}; BraTS {year} has {sorted(table)}")
    return converted


def check_scheme(labelmap: IntegerArray) -> LabelScheme:
    """Scheme of a labelmap; an empty one counts as `SUBREGIONS`.

    Raises:
        LabelError: If values outside `Label` occur, or core and sub-region labels are mixed.
    """
    found = {int(v) for v in np.unique(labelmap)} - {int(Label.BACKGROUND)}
    for scheme, allowed in SCHEME_LABELS.items():
        if found <= {int(label) for label in allowed}:
            return scheme
    names = ", ".join(f"{value} {name}" for name, value in label_names().items())
    raise LabelError(
        f"labelmap holds the values {sorted(found)}; expected a subset of {{1, 2, 3}} or only 4 "
        f"({names})",
        remedy="Export the segments with these values and submit again; values of BraTS (1, 2, 4) "
        'are converted if the params hold "numbering": "brats".',
    )
