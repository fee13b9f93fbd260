"""Volumes as bytes and back: NRRD and NIfTI-1, in NumPy alone.

Files are read here and not by Slicer, so that a worker thread can do it and nothing touches the
disk.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

NRRD_MAGIC = b"NRRD000"
GZIP_MAGIC = b"\x1f\x8b"
MAX_VOXELS = 2**28
"""As the server's limit; a header that asks for more is not believed."""

_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    "float": "f4",
    "double": "f8",
}
_TO_RAS = {
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}
_NIFTI_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
}  # fmt: skip


class VolumeFileError(ValueError):
    """The bytes are no volume that can be read."""


@dataclass(frozen=True)
class VolumeData:
    """A volume in memory.

    Attributes:
        array: Voxels in Slicer's order, shape (K, J, I).
        ijk_to_ras: Voxel indices I, J, K to mm (RAS), 4x4.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along I, J, K."""
        columns = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return (float(columns[0]), float(columns[1]), float(columns[2]))


def read_volume(content: bytes) -> VolumeData:
    """Read NRRD, NIfTI-1 or gzipped NIfTI-1.

    Raises:
        VolumeFileError: If it is none of them, torn, or not a 3D volume.
    """
    try:
        if content.startswith(NRRD_MAGIC):
            return _read_nrrd(content)
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        return _read_nifti(content)
    except (ValueError, KeyError, struct.error, OSError, EOFError, zlib.error) as error:
        if isinstance(error, VolumeFileError):
            raise
        raise VolumeFileError(f"the volume cannot be read: {error}") from error


def write_nrrd(volume: VolumeData) -> bytes:
    """Gzipped NRRD in LPS; the affine survives to the last bit."""
    array = np.ascontiguousarray(volume.array)
    kinds = {kind: name for name, kind in _NRRD_TYPES.items()}
    to_lps = np.diag([-1.0, -1.0, 1.0])
    directions = (to_lps @ volume.ijk_to_ras[:3, :3]).T
    origin = to_lps @ volume.ijk_to_ras[:3, 3]

    def text(vector: np.ndarray) -> str:
        return "(" + ",".join(repr(float(v) + 0.0) for v in vector) + ")"

    header = [
        "NRRD0004",
        f"type: {kinds[array.dtype.str[1:]]}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in array.shape[::-1]),
        "space directions: " + " ".join(text(row) for row in directions),
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {text(origin)}",
        "",
        "",
    ]
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return "\n".join(header).encode() + gzip.compress(little.tobytes(), 1, mtime=0)


def _read_nrrd(content: bytes) -> VolumeData:
    head, separator, body = content.partition(b"\n\n")
    if b"\r\n\r\n" in content[:4096] and not separator:
        head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        raise VolumeFileError("the NRRD header has no end")
    fields: dict[str, str] = {}
    for line in head.decode("ascii", "replace").splitlines()[1:]:
        key, colon, value = line.partition(": ")
        if colon and not line.startswith("#"):
            fields[key.strip().lower()] = value.strip()
    if "data file" in fields or "datafile" in fields:
        raise VolumeFileError("the NRRD header points to another file")
    sizes = [int(n) for n in fields["sizes"].split()]
    if len(sizes) != 3:
        raise VolumeFileError(f"the NRRD volume has {len(sizes)} axes; expected 3")
    kind = _NRRD_TYPES[fields["type"].lower()]
    order = ">" if fields.get("endian") == "big" else "<"
    encoding = fields["encoding"].lower()
    if encoding in ("gzip", "gz"):
        body = gzip.decompress(body)
    elif encoding != "raw":
        raise VolumeFileError(f"NRRD encoding '{encoding}' is not read; expected raw or gzip")
    signs = np.diag(_TO_RAS[fields["space"].lower()])
    rows = [_vector(text) for text in fields["space directions"].replace(") (", ")|(").split("|")]
    affine = np.eye(4)
    affine[:3, :3] = signs @ np.array(rows).T
    affine[:3, 3] = signs @ np.array(_vector(fields["space origin"]))
    return _volume(body, np.dtype(order + kind), sizes, affine)


def _vector(text: str) -> list[float]:
    return [float(part) for part in text.strip().strip("()").split(",")]


def _read_nifti(content: bytes) -> VolumeData:
    if len(content) < 352:
        raise VolumeFileError("the file is neither NRRD nor NIfTI-1")
    order = "<" if struct.unpack("<i", content[:4])[0] == 348 else ">"
    if struct.unpack(f"{order}i", content[:4])[0] != 348 or content[344:347] != b"n+1":
        raise VolumeFileError("the file is neither NRRD nor NIfTI-1")
    dim = struct.unpack(f"{order}8h", content[40:56])
    if dim[0] < 3 or any(n != 1 for n in dim[4 : dim[0] + 1]):
        raise VolumeFileError(f"the NIfTI volume has the sizes {dim[1 : dim[0] + 1]}; expected 3D")
    code = struct.unpack(f"{order}h", content[70:72])[0]
    pixdim = struct.unpack(f"{order}8f", content[76:108])
    offset, slope, intercept = struct.unpack(f"{order}3f", content[108:120])
    qform, sform = struct.unpack(f"{order}2h", content[252:256])
    quaternion = struct.unpack(f"{order}6f", content[256:280])
    if sform > 0:
        affine = np.eye(4)
        affine[:3] = np.array(struct.unpack(f"{order}12f", content[280:328])).reshape(3, 4)
    elif qform > 0:
        affine = _from_quaternion(quaternion, pixdim)
    else:
        affine = np.diag([*pixdim[1:4], 1.0])
    kind = np.dtype(order + _NIFTI_TYPES[code])
    volume = _volume(content[int(offset) :], kind, list(dim[1:4]), affine)
    is_scaled = np.isfinite(slope) and slope != 0.0 and (slope, intercept) != (1.0, 0.0)
    if is_scaled:
        scaled = volume.array.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        return VolumeData(scaled, affine)
    return volume


def _from_quaternion(q: tuple[float, ...], pixdim: tuple[float, ...]) -> np.ndarray:
    b, c, d = (float(v) for v in q[:3])
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = -1.0 if pixdim[0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], handed * pixdim[3]])
    affine[:3, 3] = q[3:6]
    return affine


def _volume(body: bytes, kind: np.dtype[Any], sizes: list[int], affine: np.ndarray) -> VolumeData:
    if min(sizes) < 1 or int(np.prod(sizes, dtype=np.int64)) > MAX_VOXELS:
        raise VolumeFileError(f"the volume has the sizes {sizes}; expected at most {MAX_VOXELS}")
    needed = int(np.prod(sizes, dtype=np.int64)) * kind.itemsize
    if len(body) < needed:
        raise VolumeFileError(f"the volume is torn: {len(body)} of {needed} bytes")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9 or not np.isfinite(affine).all():
        raise VolumeFileError("the volume's axes do not span space")
    array = np.frombuffer(body, kind, count=needed // kind.itemsize).reshape(sizes[::-1])
    return VolumeData(array.astype(kind.newbyteorder("="), copy=False), affine)
