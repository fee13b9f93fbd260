"""The check that every submitted label passes before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from brain_tumor.cases.dicom_source import read_source, with_frame_of_reference
from brain_tumor.cases.files.readers import (
    ReadLabel,
    read_label,
    read_volume,
    read_volume_with_warnings,
)
from brain_tumor.cases.files.writers import encode_labelmap, encode_volume
from brain_tumor.cases.grid.geometry import GRID_TOLERANCE_MM
from brain_tumor.cases.grid.grids import Shape, corners_mm
from brain_tumor.cases.grid.resampling import is_signed_permutation, resample_array
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import GeometryError, InputError, LabelError
from brain_tumor.labels import Label, LabelArray, check_scheme, from_brats, label_names
from brain_tumor.server.datastore.store import AcceptedImage, AcceptedLabel
from brain_tumor.server.http.validation import (
    DICOM_SUFFIX,
    VOLUME_SUFFIXES,
    label_suffix,
    split_volume_name,
    volume_suffix,
)

NUMBERINGS: Mapping[str, int | None] = MappingProxyType(
    {"tumorlens": None, "brats": 2020, "brats2013": 2013, "brats2023": 2023}
)
"""What `numbering` of a request may be, and the BraTS edition it means."""
CORE_MODEL = "tumor_core"


def accept_label(label: Path, image: Path, info: Mapping[str, Any]) -> AcceptedLabel:
    """Read a label and compare it with the volume that it belongs to.

    Args:
        label: Label file.
        image: Reference volume of the case.
        info: What the client sent along; `label_info` says which segment has which value, and
            `numbering` whose values they are.

    Returns:
        The bytes to store: those uploaded, unless segments had to be renumbered.

    Raises:
        FileFormatError: If the label cannot be read.
        GeometryError: If it lies on another grid.
        LabelError: If its values or segment names are of no scheme.
    """
    numbering = numbering_of(info)
    read = read_label(label)
    _check_same_patient(image, read)
    values, affine = _on_grid_of(image, read)
    suffix = label_suffix(label.name)
    suffix = VOLUME_SUFFIXES[0] if suffix == DICOM_SUFFIX else suffix
    if not read.is_named:
        values = _numbered_here(values, numbering, info)
    scheme = check_scheme(values)
    if values is read.values and not read.is_named:
        return AcceptedLabel(label.read_bytes(), suffix, scheme)
    return AcceptedLabel(encode_labelmap(values, affine, suffix), suffix, scheme)


def numbering_of(info: Mapping[str, Any]) -> str | None:
    """What a request says about the meaning of its values.

    Raises:
        InputError: If it says something else than one of `NUMBERINGS`.
    """
    told = info.get("numbering")
    if told is not None and told not in NUMBERINGS:
        raise InputError(f"numbering is {told!r:.40}; expected one of {sorted(NUMBERINGS)}")
    return told


def _numbered_here(
    labelmap: LabelArray, numbering: str | None, info: Mapping[str, Any]
) -> LabelArray:
    """Labelmap with this server's values.

    Raises:
        LabelError: If nothing tells what the values mean.
    """
    year = NUMBERINGS.get(numbering or "")
    if year is not None:
        converted = from_brats(labelmap, year=year)
        return labelmap if np.array_equal(converted, labelmap) else converted
    values = renumber(labelmap, info.get("label_info"))
    params = info.get("params")
    own = isinstance(params, Mapping) and params.get("label_names")  # what this server proposed
    is_told = numbering or info.get("label_info") or info.get("label_names") or own
    proposal = info.get("proposed_by")
    is_core_model = isinstance(proposal, Mapping) and proposal.get("name") == CORE_MODEL
    if not (is_told or is_core_model) and set(np.unique(values)) == {0, int(Label.CORE)}:
        raise LabelError(
            "labelmap holds only the value 4, which is the undivided tumour core here and the "
            "enhancing tumour in BraTS; expected to know which",
            remedy='Send "numbering": "tumorlens" or "numbering": "brats" in params.',
        )
    return values


def accept_image(image: Path) -> AcceptedImage:
    """Read an uploaded volume to the end.

    Returns:
        What to store instead of the file, if other programs could not open it (a sheared grid) or
        would stumble over it (NaN); and what its reader warns of.

    Raises:
        InputError: If it is unreadable, not 3-D, empty, or holds NaN inside the head.
    """
    read = read_volume_with_warnings(image)
    suffix = volume_suffix(image.name)
    content = encode_volume(read.volume, suffix) if read.is_mended else None
    return AcceptedImage(content, read.warnings)


def renumber(labelmap: LabelArray, label_info: object) -> LabelArray:
    """Labelmap with this server's values, by the segment names that a client sent along.

    Clients number segments in the order of their list, so a scene that lost a segment, or has
    them in another order, exports other values under the same names. The stock Slicer plugin
    also skips segments: then positions in the list are the exported values, not `idx`.

    Args:
        labelmap: Values as uploaded.
        label_info: List of ``{"name", "idx"}``; anything else leaves the values as they are.

    Returns:
        The same array if nothing changes.

    Raises:
        LabelError: If a segment with voxels has a name of no label, or it cannot be told which
            segment a value means.
    """
    if not isinstance(label_info, list) or not label_info:
        return labelmap
    segments = [entry for entry in label_info if isinstance(entry, Mapping) and "name" in entry]
    present = {int(value) for value in np.unique(labelmap)} - {0}
    names = [str(entry["name"]).strip().lower() for entry in segments]
    by_index = _numbered(names, [entry.get("idx") for entry in segments])
    by_position = dict(enumerate(names, start=1))
    readings = [table for table in (by_index, by_position) if present <= set(table)]
    if not readings:
        return labelmap  # the list does not speak of these values; check_scheme decides
    meanings = [{value: table[value] for value in sorted(present)} for table in readings]
    if any(meaning != meanings[0] for meaning in meanings):
        raise LabelError(
            f"label_info can be read as {meanings[0]} and as {meanings[1]}",
            remedy="Remove segments that are no labels from the scene and submit again.",
        )
    return _apply(labelmap, meanings[0])


def _apply(labelmap: LabelArray, meaning: Mapping[int, str]) -> LabelArray:
    """Labelmap with the values of the named labels.

    Raises:
        LabelError: If a name is of no label.
    """
    values = {name.lower(): value for name, value in label_names().items()}
    unknown = sorted({name for name in meaning.values() if name not in values})
    if unknown:
        raise LabelError(
            f"segments {unknown} are no labels of this server; expected {sorted(values)}",
            remedy="Rename or remove the segments and submit again.",
        )
    if all(values[name] == value for value, name in meaning.items()):
        return labelmap
    lookup = np.arange(256, dtype=np.uint8)
    for value, name in meaning.items():
        lookup[value] = values[name]
    renumbered: LabelArray = lookup[labelmap]
    return renumbered


def _numbered(names: list[str], indices: list[Any]) -> dict[int, str]:
    """Names by their own numbers; empty if a number is missing or doubled."""
    whole = [i for i in indices if isinstance(i, int) and not isinstance(i, bool)]
    if len(set(whole)) != len(names):
        return {}
    return dict(zip(whole, names, strict=True))


def _check_same_patient(image: Path, read: ReadLabel) -> None:
    """Refuse a DICOM segmentation of another examination, however well its grid fits.

    Raises:
        GeometryError: If case and segmentation name different frames of reference.
    """
    named = split_volume_name(image.name)
    source = read_source(image.parent, named[0]) if named and read.frame_of_reference else None
    if source is None:
        return
    own = {
        with_frame_of_reference(series, source.study).frame_of_reference
        for series in source.series.values()
    }
    if read.frame_of_reference not in own:
        raise GeometryError(
            "the DICOM segmentation belongs to another examination; nothing was stored",
            remedy="Send a segmentation that was made on the series of this case.",
        )


def _on_grid_of(image: Path, read: ReadLabel) -> tuple[LabelArray, Affine]:
    """Label on the grid of its volume: as it is, turned, or (a segmentation) padded and cropped.

    Raises:
        GeometryError: If it lies on another grid, or voxels would be lost.
    """
    status = image.stat()
    expected, expected_affine = _grid_of(image, status.st_mtime_ns, status.st_size)
    values, affine = read.values, read.affine
    moved = moved_to_grid(values, affine, expected, expected_affine)
    is_whole = sorted(values.shape) == sorted(expected)
    if moved is None or (values.shape == expected and np.array_equal(moved, values)):
        check_grid(values.shape, affine, expected, expected_affine)
        return values, affine
    if not (is_whole or read.is_named):
        check_grid(values.shape, affine, expected, expected_affine)
    lost = int(np.count_nonzero(values)) - int(np.count_nonzero(moved))
    if lost:
        raise GeometryError(
            f"label has {lost} voxels outside its volume; expected none",
            remedy="Export the label with the volume of this case as its reference.",
        )
    return moved, expected_affine


def moved_to_grid(
    values: LabelArray, affine: Affine, shape: Shape, target: Affine
) -> LabelArray | None:
    """Label on another grid whose axes run along its own, by whole voxels.

    Returns:
        None if the grids differ otherwise; then voxels would have to be interpolated.
    """
    mapping = np.linalg.inv(affine) @ target
    whole = np.rint(mapping)
    if not is_signed_permutation(whole):
        return None
    snapped = affine @ whole
    distance_mm = np.linalg.norm(corners_mm(shape, snapped) - corners_mm(shape, target), axis=1)
    if float(distance_mm.max()) > GRID_TOLERANCE_MM:
        return None
    return resample_array(values, affine, shape, snapped, order=0)


def check_grid(
    shape: tuple[int, ...], affine: Affine, expected: Shape, expected_affine: Affine
) -> None:
    """Refuse a label on another grid than its volume's.

    Raises:
        GeometryError: If shapes differ or a corner is further away than the tolerance.
    """
    if shape != expected:
        raise GeometryError(
            f"label has {shape} voxels; expected {expected} as its volume",
            remedy="Export the label with the volume of this case as its reference.",
        )
    distance_mm = corners_mm(expected, affine) - corners_mm(expected, expected_affine)
    worst_mm = float(np.linalg.norm(distance_mm, axis=1).max())
    if worst_mm > GRID_TOLERANCE_MM:
        raise GeometryError(
            f"label lies {worst_mm:.2f} mm away from its volume; expected {GRID_TOLERANCE_MM} mm "
            "or less",
            remedy="Export the label with the volume of this case as its reference.",
        )


@lru_cache(maxsize=256)
def _grid_of(image: Path, mtime_ns: int, size: int) -> tuple[Shape, Affine]:
    """Shape and affine of a volume; time and size only tell files apart."""
    volume = read_volume(image)
    return volume.shape, volume.affine
