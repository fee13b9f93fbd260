"""Segmentations of 3D Slicer (.seg.nrrd), read by what their header says about each segment.

A segment has a name, a terminology, a value and a layer; values are numbered as the user added
segments, and segments that may overlap lie in several layers. Here they become one labelmap with
this project's values.

References:
    3D Slicer, Segmentation file format: docs "developer_guide/modules/segmentations".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import FileFormatError, LabelError
from brain_tumor.labels import Label, LabelArray, label_names

_KEY = re.compile(r"Segment(\d+)_(\w+)")
_CODE = re.compile(r"\^([A-Z]?\d[\w.-]*)\^([^~^|]+)")
_MAX_SEGMENTS = 4096

_ALIASES: Mapping[str, Label] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *(
                    "necrotic core",
                    "necrosis",
                    "necrotic",
                    "ncr",
                    "net",
                    "ncr net",
                    "necrotic tumor",
                ),
                *("necrotic tumor core", "non enhancing tumor", "nonenhancing tumor"),
                *("non enhancing tumor core", "necrotic and non enhancing tumor core", "netc"),
                *("necrosis and non enhancing tumor", "nekrose", "necrose", "necrosi", "괴사"),
                *("괴사 중심", "괴사 핵", "괴사핵", "坏死", "壊死"),
            ),
            Label.NCR,
        ),
        **dict.fromkeys(
            (
                *("oedema", "edema", "ed", "peritumoral edema", "peritumoral oedema", "snfh"),
                *("vasogenic edema", "perifocal edema", "invaded tissue", "edeme", "odem", "oedem"),
                *("surrounding flair hyperintensity", "flair abnormality", "부종", "水肿", "浮腫"),
            ),
            Label.ED,
        ),
        **dict.fromkeys(
            (
                *("enhancing tumor", "enhancing", "et", "enhancing lesion", "enhancing tissue"),
                *("gd enhancing tumor", "gadolinium enhancing tumor", "active tumor", "at"),
                *("contrast enhancing tumor", "contrast enhancing lesion", "enhancement"),
                *("조영증강 종양", "조영 증강 종양", "증강 종양", "조영증강", "强化肿瘤"),
            ),
            Label.ET,
        ),
        **dict.fromkeys(
            ("tumor core", "core", "tc", "undivided tumor core", "종양 중심", "종양 핵", "종양핵"),
            Label.CORE,
        ),
    }
)
_CODES: Mapping[str, Label] = MappingProxyType(
    {"79654002": Label.ED, "6574001": Label.NCR, "C113842": Label.ET, "113842": Label.ET}
)


@dataclass(frozen=True)
class Segment:
    """One segment of a header.

    Attributes:
        name: As the user wrote it.
        value: Its voxels' value in its layer.
        layer: Which of the file's volumes holds it.
        codes: Code and meaning of its terminology.
    """

    name: str
    value: int
    layer: int
    codes: tuple[tuple[str, str], ...]

    @property
    def label(self) -> Label | None:
        """Label that its name means, else its terminology; None if neither tells."""
        named = _ALIASES.get(_plain(self.name))
        if named is not None:
            return named
        for code, meaning in self.codes:
            told = _CODES.get(code) or _ALIASES.get(_plain(meaning))
            if told is not None:
                return told
        return None


def segments_of(pairs: Mapping[str, str]) -> list[Segment]:
    """Segments that the key and value pairs of an NRRD header describe; empty if none.

    Raises:
        FileFormatError: If a value or layer is no whole number.
    """
    found: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        match = _KEY.fullmatch(key)
        if match is not None and len(found) < _MAX_SEGMENTS:
            found.setdefault(int(match[1]), {})[match[2]] = value.strip()
    segments = []
    for number, fields in sorted(found.items()):
        try:
            label_value = int(fields.get("LabelValue", number + 1))
            layer = int(fields.get("Layer", 0))
        except ValueError as error:
            raise FileFormatError(
                f"the header's segment {number} has no whole number as value or layer"
            ) from error
        name = fields.get("Name") or fields.get("ID") or f"Segment_{number}"
        codes = tuple(_CODE.findall(fields.get("Tags", "")))
        segments.append(Segment(name, label_value, layer, codes))
    return segments


def merged(layers: npt.NDArray[Any], segments: list[Segment]) -> LabelArray:
    """One labelmap of all segments, numbered as `Label`.

    Args:
        layers: Values, shape (L, I, J, K).
        segments: What the values mean.

    Raises:
        LabelError: If a segment with voxels has a name of no label, a value belongs to no segment,
            or segments of different labels overlap.
    """
    result = np.zeros(layers.shape[1:], dtype=np.uint8)
    owner = np.full(layers.shape[1:], -1, dtype=np.int16)
    unknown: list[str] = []
    for index, segment, mask in _with_voxels(layers, segments):
        label = segment.label
        if label is None:
            unknown.append(segment.name)
            continue
        taken = mask & (result != 0) & (result != label)
        if taken.any():
            other = segments[int(owner[taken][0])].name
            raise LabelError(
                f"segments '{other}' and '{segment.name}' overlap in {np.count_nonzero(taken)} "
                "voxels; expected one label a voxel",
                remedy="Take the overlap out of one of them and export again.",
            )
        result[mask], owner[mask] = label, index
    if unknown:
        raise LabelError(
            f"segments {unknown} are no labels of this server; expected {sorted(label_names())}",
            remedy="Rename or remove the segments and submit again.",
        )
    return result


def _with_voxels(
    layers: npt.NDArray[Any], segments: list[Segment]
) -> Iterator[tuple[int, Segment, npt.NDArray[np.bool_]]]:
    """Segments that have voxels; all voxels must belong to one.

    Raises:
        LabelError: If a value belongs to no segment.
    """
    for number, layer in enumerate(layers):
        told = {segment.value for segment in segments if segment.layer == number}
        untold = sorted({int(value) for value in np.unique(layer)} - told - {0})
        if untold:
            raise LabelError(
                f"the values {untold} belong to no segment of the header",
                remedy="Export the segmentation again with all its segments.",
            )
    for index, segment in enumerate(segments):
        if 0 <= segment.layer < len(layers):
            mask = layers[segment.layer] == segment.value
            if segment.value and mask.any():
                yield index, segment, mask


def _plain(name: str) -> str:
    """Name in lower case without accents, with single spaces and American spelling."""
    text = unicodedata.normalize("NFKD", name.strip().lower())
    text = unicodedata.normalize("NFC", "".join(c for c in text if not unicodedata.combining(c)))
    words = re.sub(r"[\W_]+", " ", text).strip()
    return words.replace("tumour", "tumor")
