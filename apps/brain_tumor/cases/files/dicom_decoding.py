"""Decoding of DICOM pixel data; compressed ones in a process of its own, within a time limit.

Plain pixel data cost what their length says, which is checked before. A compressed stream may
announce another size than its header, take any time, or crash its codec.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files import gdcm_worker
from brain_tumor.cases.files.dicom_safety import read_quietly
from brain_tumor.errors import FileFormatError

DECODE_S = 120.0
"""A series of 300 slices of 512 x 512 in JPEG 2000 takes 10 s."""
_FREE_BYTES = 2**30
_BYTES_A_VOXEL = 16  # float32, and what a codec needs meanwhile


def decode(files: Sequence[Path], voxels: int) -> npt.NDArray[Any]:
    """Voxels of one file, or of the slices of a series in the order given.

    Args:
        files: DICOM files.
        voxels: How many they announce together.

    Returns:
        Rescaled intensities, float32, shape (columns, rows, slices).

    Raises:
        FileFormatError: If decoding takes longer than `DECODE_S`.
        RuntimeError: If they cannot be decoded.
    """
    paths = [str(path) for path in files]
    apart = any(map(is_compressed, files))
    array = _decode_apart(paths, voxels) if apart else gdcm_worker.read(paths)
    turned: npt.NDArray[Any] = array.T
    return turned if turned.ndim == 3 else turned[:, :, None]


def is_compressed(path: Path) -> bool:
    """Whether the pixel data of a file must be unpacked by a codec.

    Raises:
        Exception: What pydicom raises on a damaged header.
    """
    header = read_quietly(path, stop_before_pixels=True, force=True, specific_tags=["Rows"])
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None:  # GDCM takes such a file for plain little-endian
        return False
    try:
        return bool(syntax.is_compressed)
    except ValueError:  # a private or damaged one: whatever GDCM makes of it
        return True


def _decode_apart(paths: Sequence[str], voxels: int, patience_s: float = DECODE_S) -> Any:
    """What the worker reads, slices first."""
    limits = [str(int(patience_s)), str(_FREE_BYTES + _BYTES_A_VOXEL * voxels)]
    try:
        done = subprocess.run(
            [sys.executable, "-P", gdcm_worker.__file__, *limits],
            input=b"\0".join(map(os.fsencode, paths)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience_s,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise FileFormatError(
            f"pixel data take more than {patience_s:.0f} s to decode",
            remedy="Export the series again as Explicit VR Little Endian, uncompressed.",
        ) from error
    line, _, content = done.stdout.partition(b"\n")
    if done.returncode != 0:
        raise RuntimeError(f"the decoder ended with code {done.returncode}")
    return np.frombuffer(content, np.float32).reshape(json.loads(line)).copy()
