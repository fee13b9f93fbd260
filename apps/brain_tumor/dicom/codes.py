"""Codes of what a result names: SNOMED CT, DICOM and NCI Thesaurus, else our own scheme.

References:
    DICOM PS3.16, CID 7150 and 7159 (segmented properties), TID 1500 (measurement report).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr import codedict

from brain_tumor.labels import Label, Region, TumorType

codes: Any = codedict.codes
"""The dictionary of codes of pydicom, whose attributes are made as they are asked for."""

OWN_SCHEME = "99TUMORLENS"
MAX_CODE_CHARACTERS = 16
MAX_MEANING_CHARACTERS = 64

CATEGORY = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
BRAIN = CodedConcept("12738006", "SCT", "Brain")
NEOPLASM = CodedConcept("108369006", "SCT", "Neoplasm")
UNDETERMINED = CodedConcept("373068000", "SCT", "Undetermined")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")

SEGMENT_TYPES: Mapping[Label, CodedConcept] = MappingProxyType(
    {
        Label.NCR: CodedConcept("6574001", "SCT", "Necrosis"),
        Label.ED: CodedConcept("79654002", "SCT", "Edema"),
        Label.ET: CodedConcept("C113842", "NCIt", "Enhancing Lesion"),
        Label.CORE: NEOPLASM,
    }
)
"""SNOMED CT has no enhancing tumour, so DICOM itself codes it with the NCI Thesaurus."""

TYPE_CODES: Mapping[TumorType, CodedConcept] = MappingProxyType(
    {
        TumorType.GLIOMA: CodedConcept("393564001", "SCT", "Glioma"),
        TumorType.MENINGIOMA: CodedConcept("302820008", "SCT", "Intracranial meningioma"),
        TumorType.PITUITARY: CodedConcept("127024001", "SCT", "Neoplasm of pituitary gland"),
    }
)

REGION_NAMES: Mapping[Region, str] = MappingProxyType(
    {Region.WT: "whole tumor", Region.TC: "tumor core", Region.ET: "enhancing tumor"}
)

UNITS: Mapping[str, CodedConcept] = MappingProxyType(
    {
        "1": CodedConcept("1", "UCUM", "no units"),
        "mm": CodedConcept("mm", "UCUM", "millimeter"),
        "mm2": CodedConcept("mm2", "UCUM", "square millimeter"),
        "cm2": CodedConcept("cm2", "UCUM", "square centimeter"),
        "mL": CodedConcept("ml", "UCUM", "milliliter"),
        "bit": CodedConcept("bit", "UCUM", "bit"),
    }
)
VOLUME = CodedConcept.from_code(codes.SCT.Volume)
PROBABILITY = CodedConcept.from_code(codes.DCM.Probability)


def scheme_identification() -> CodingSchemeIdentificationItem:
    """What an object says about our own codes."""
    return CodingSchemeIdentificationItem(
        OWN_SCHEME, name="TumorLens", responsible_organization="TumorLens"
    )


def own_code(name: str, meaning: str) -> CodedConcept:
    """Code of our own scheme.

    Args:
        name: For example the name of a measured feature.
        meaning: What it says; cut at 64 characters, which DICOM allows.

    Example:
        >>> own_code("ring_enhancement_published", "rim-to-whole ratio").value
        'RINGENHANCEMENTP'
    """
    value = re.sub(r"[^A-Z0-9]", "", name.upper())[:MAX_CODE_CHARACTERS]
    return CodedConcept(value, OWN_SCHEME, meaning[:MAX_MEANING_CHARACTERS])


def unit_of(unit: str | None) -> CodedConcept:
    """UCUM unit of a measured value; no units where it has none that is known."""
    return UNITS.get(unit or "1", UNITS["1"])
