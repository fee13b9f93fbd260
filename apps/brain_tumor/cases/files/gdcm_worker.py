"""GDCM in a process of its own: what a codec costs or breaks stays there.

    python -P gdcm_worker.py SECONDS BYTES < PATHS

Reads paths, separated by NUL, from standard input; writes one JSON line with the shape and then the
voxels as float32, slices first. It imports nothing of this package, so that it starts quickly
wherever the package lies.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import SimpleITK

itk: Any = SimpleITK  # untyped


def read(paths: Sequence[str]) -> Any:
    """Voxels of one file, or of the slices of a series in the order given.

    Args:
        paths: DICOM files.

    Returns:
        Rescaled intensities, float32, shape (slices, rows, columns) or (rows, columns).

    Raises:
        RuntimeError: If GDCM cannot decode one.
    """
    if len(paths) == 1:
        image = itk.ReadImage(paths[0], itk.sitkFloat32, imageIO="GDCMImageIO")
    else:
        reader = itk.ImageSeriesReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileNames(list(paths))
        reader.SetOutputPixelType(itk.sitkFloat32)
        image = reader.Execute()
    return itk.GetArrayFromImage(image)


def limit_self(seconds: int, size_bytes: int) -> None:
    """Bound processor time and memory of this process, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, size_bytes))


def main() -> int:
    """Answer one request; 1 if the files cannot be decoded."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to the standard output
    limit_self(int(sys.argv[1]), int(sys.argv[2]))
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    paths = [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\0")]
    try:
        array = read(paths)
    except (RuntimeError, MemoryError):
        return 1
    answers.write(json.dumps(array.shape).encode() + b"\n")
    answers.write(array.tobytes())
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
