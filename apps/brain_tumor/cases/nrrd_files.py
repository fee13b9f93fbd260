"""NRRD files with their data attached (.nrrd) and MetaImage files (.mha).

Files whose data lie in another file are refused: the header could name any file of the computer.

References:
    NRRD format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nrrd
import numpy as np
import numpy.typing as npt

from brain_tumor.cases.itk import itk
from brain_tumor.cases.stored import (
    StoredVolume,
    about,
    check_numeric,
    check_size,
    check_spacing,
    inflate_at_most,
    read_bytes,
    squeeze_to_3d,
)
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, VolumeError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_SPACE_TO_RAS: Mapping[str, npt.NDArray[np.float64]] = MappingProxyType(
    {
        "right-anterior-superior": np.eye(4),
        "ras": np.eye(4),
        "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
        "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
        "left-posterior-superior": LPS_TO_RAS,
        "lps": LPS_TO_RAS,
    }
)
_COMPRESSIONS = MappingProxyType({"gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"})
_DAMAGES = (nrrd.NRRDError, ValueError, KeyError, IndexError, TypeError, OverflowError)
_NO_ORIENTATION = "the header gives no orientation; left and right may be exchanged"
_META_HEADER_BYTES = 8192
_MAX_ITEM_BYTES = 8


def read_nrrd(path: Path) -> StoredVolume:
    """Read a 3-D NRRD file; axes that are not space may have the size 1.

    Raises:
        FileFormatError: If the file is no NRRD, damaged, cut short or without its data.
        VolumeError: If the image is not 3-D.
        GeometryError: If the header's geometry is unusable.
    """
    with about(path.name):
        stream = io.BytesIO(read_bytes(path))
        if not stream.getvalue().startswith(b"NRRD000"):
            raise FileFormatError("content is not NRRD")
        try:
            header = nrrd.read_header(stream)
            sizes = tuple(int(n) for n in header["sizes"])
        except _DAMAGES as error:
            raise FileFormatError(f"NRRD header is damaged ({error})") from error
        if "data file" in header or "datafile" in header:
            raise FileFormatError(
                "data lie in another file; expected a .nrrd with its data attached",
                remedy="Save the volume again as one .nrrd file.",
            )
        check_size(sizes)
        array = _read_data(header, stream.read())
        check_numeric(array.dtype)
        spatial, affine, warnings = _nrrd_geometry(header, sizes)
        if math.prod(sizes[axis] for axis in spatial) != math.prod(sizes):
            raise VolumeError(
                f"image of {sizes} holds several values per voxel; expected one",
                remedy="Export one 3-D volume per sequence.",
            )
        shape = squeeze_to_3d(tuple(sizes[axis] for axis in spatial))
        return StoredVolume(array.reshape(shape, order="F"), affine, warnings)


def _read_data(header: Mapping[str, Any], content: bytes) -> npt.NDArray[Any]:
    """Values of an NRRD file of any dimension; what follows the header is `content`."""
    encoding = str(header.get("encoding", ""))
    try:
        if encoding in _COMPRESSIONS:
            most = _MAX_ITEM_BYTES * math.prod(int(n) for n in header["sizes"])
            content = inflate_at_most(content, most, _COMPRESSIONS[encoding])
            header = {**header, "encoding": "raw"}
        array: npt.NDArray[Any] = nrrd.read_data(header, io.BytesIO(content))
    except FileFormatError:
        raise
    except _DAMAGES as error:
        raise FileFormatError(f"data are cut short or damaged ({error})") from error
    return array


def _nrrd_geometry(
    header: Mapping[str, Any], sizes: tuple[int, ...]
) -> tuple[list[int], Affine, tuple[str, ...]]:
    """Axes that are space, affine, warnings."""
    affine = np.eye(4)
    directions = header.get("space directions")
    if directions is None:
        spacings = np.asarray(header.get("spacings", [1.0] * len(sizes)), dtype=np.float64)
        spatial = [axis for axis in range(len(sizes)) if not np.isnan(spacings[axis])]
        affine[:3, :3] = np.diag([*np.abs(spacings[spatial][:3]), 1.0, 1.0, 1.0][:3])
        check_spacing(np.diag(affine)[:3])
        return spatial, LPS_TO_RAS @ affine, (_NO_ORIENTATION,)
    matrix = np.asarray(directions, dtype=np.float64)
    spatial = [axis for axis in range(len(sizes)) if not np.isnan(matrix[axis]).all()]
    if len(spatial) != 3 or matrix.shape[1] != 3:
        raise VolumeError(
            f"image of {sizes} has {len(spatial)} axes in space; expected 3",
            remedy="Export one 3-D volume per sequence.",
        )
    affine[:3, :3] = matrix[spatial].T
    affine[:3, 3] = np.asarray(header.get("space origin", [0.0, 0.0, 0.0]), dtype=np.float64)
    space = str(header.get("space", "")).lower()
    warnings = () if space in _SPACE_TO_RAS else (_NO_ORIENTATION,)
    return spatial, _SPACE_TO_RAS.get(space, LPS_TO_RAS) @ affine, warnings


def read_meta_image(path: Path) -> StoredVolume:
    """Read a 3-D MetaImage file (.mha), as BraTS 2012-2015 came.

    Raises:
        FileFormatError: If the file is no MetaImage, damaged or without its data.
        VolumeError: If the image is not 3-D or not one number per voxel.
    """
    with about(path.name):
        text = read_bytes(path)[:_META_HEADER_BYTES].decode("latin-1")
        fields = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE))
        if "NDims" not in fields or "DimSize" not in fields:
            raise FileFormatError("content is not MetaImage")
        if fields.get("ElementDataFile", "").upper() != "LOCAL":
            raise FileFormatError(
                "data lie in another file; expected a .mha with its data attached",
                remedy="Save the volume again as one .mha file.",
            )
        try:
            shape = tuple(int(n) for n in fields["DimSize"].split())
        except ValueError as error:
            raise FileFormatError(f"MetaImage header is damaged ({error})") from error
        if len(shape) != 3:
            raise VolumeError(
                f"image has {len(shape)} dimensions {shape}; expected a 3-D volume",
                remedy="Export one 3-D volume per sequence.",
            )
        check_size(shape)
        try:
            image = itk.ReadImage(str(path), imageIO="MetaImageIO")
        except RuntimeError as error:
            raise FileFormatError("data are cut short or damaged") from error
        if image.GetNumberOfComponentsPerPixel() != 1:
            raise VolumeError("image holds colours or vectors; expected one number per voxel")
        return StoredVolume(itk.GetArrayFromImage(image).T, image_affine(image))


def image_affine(image: Any) -> Affine:
    """Voxel to RAS+ mm of a 3-D SimpleITK image, which itself speaks LPS+."""
    affine = np.eye(4)
    direction = np.asarray(image.GetDirection(), dtype=np.float64).reshape(3, 3)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    ras: Affine = LPS_TO_RAS @ affine
    return ras
