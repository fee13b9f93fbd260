"""The label scheme on the wire, as the server defines it; a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TERMINOLOGY = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^{code}^{meaning}~^^"
    "~Anatomic codes - DICOM master list~SCT^12738006^Brain~^^"
)


@dataclass(frozen=True)
class LabelClass:
    """One class of a labelmap.

    Attributes:
        value: Voxel value on the wire.
        key: Segment id for a class that the prediction left empty.
        name: Name on the wire and of the segment; the server recognises it.
        color: RGB, each 0-1.
        code: SNOMED CT code of the type, with its meaning.
    """

    value: int
    key: str
    name: str
    color: tuple[float, float, float]
    code: tuple[str, str]

    @property
    def terminology(self) -> str:
        """Terminology entry in Slicer's serialised form."""
        return TERMINOLOGY.format(code=self.code[0], meaning=self.code[1])


NCR = LabelClass(1, "NCR", "necrotic core", (0.20, 0.45, 0.90), ("6574001", "Necrosis"))
ED = LabelClass(2, "ED", "oedema", (0.30, 0.75, 0.35), ("79654002", "Edema"))
ET = LabelClass(3, "ET", "enhancing tumour", (0.90, 0.25, 0.20), ("108369006", "Neoplasm"))
CORE = LabelClass(4, "CORE", "tumour core", (0.95, 0.65, 0.15), ("108369006", "Neoplasm"))

SCHEMES: Mapping[str, tuple[LabelClass, ...]] = {"subregions": (ED, NCR, ET), "core": (CORE,)}
"""Classes of each scheme. Where segments overlap, the later class wins."""

REGIONS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "subregions": {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)},
    "core": {"TC": (4,)},
}
"""Label values of the nested evaluation regions, by scheme."""

REGION_NAMES = {"WT": "Whole tumour", "TC": "Tumour core", "ET": "Enhancing tumour"}

TUMOR_TYPES = ("glioma", "meningioma", "pituitary")
CORRECT_TYPES = (*TUMOR_TYPES, "other", "none")
"""What an annotator may say; `none` means that there is no tumour."""


def scheme_of(values: set[int]) -> str:
    """Scheme that a set of voxel values belongs to; an empty one counts as sub-regions.

    Raises:
        ValueError: If the values belong to no scheme.
    """
    found = values - {0}
    for name, classes in SCHEMES.items():
        if found <= {one.value for one in classes}:
            return name
    raise ValueError(
        f"the labelmap holds the values {sorted(found)}; expected 1, 2, 3 (sub-regions) or only 4 "
        "(undivided core)"
    )


def differences_from(server_labels: Mapping[str, int]) -> list[str]:
    """How the label table of a server differs from ours; empty if it does not."""
    ours = {one.name: one.value for classes in SCHEMES.values() for one in classes}
    return [
        f"{name}: {ours.get(name, 'absent')} here, {server_labels.get(name, 'absent')} there"
        for name in sorted(ours.keys() | server_labels.keys())
        if ours.get(name) != server_labels.get(name)
    ]
