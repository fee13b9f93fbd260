"""Small inputs that once read a file, filled the memory or kept a thread of the server for ever."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom

VOXELS = bytes(range(32))
"""Data of a volume of 4 x 4 x 2 bytes."""
META_LINES = {
    "NDims": "3",
    "DimSize": "4 4 2",
    "BinaryData": "True",
    "ElementType": "MET_UCHAR",
}


def meta_image(data_file: str, data: bytes = VOXELS, **fields: str) -> bytes:
    """MetaImage file with the given lines for where its data are."""
    lines = "".join(f"{key} = {value}\n" for key, value in {**META_LINES, **fields}.items())
    return f"ObjectType = Image\n{lines}{data_file}\n".encode() + data


def meta_images_that_name_a_file(secret: Path) -> dict[str, bytes]:
    """Every spelling that one or another reader of MetaImage follows."""
    named = {
        "alone": f"ElementDataFile = {secret}",
        "first of two": f"ElementDataFile = {secret}\nElementDataFile = LOCAL",
        "second of two": f"ElementDataFile = LOCAL\nElementDataFile = {secret}",
        "colon": f"ElementDataFile : {secret}\nElementDataFile = LOCAL",
        "no blanks": f"ElementDataFile={secret}\nElementDataFile=LOCAL",
        "leading blanks": f"  ElementDataFile = {secret}\nElementDataFile = LOCAL",
        "leading tab": f"\tElementDataFile = {secret}\nElementDataFile = LOCAL",
        "carriage return": f"ElementDataFile = {secret}\r\nElementDataFile = LOCAL\r",
        "list": f"ElementDataFile = LIST\n{secret}\n{secret}",
        "list with dimension": f"ElementDataFile = LIST 2\n{secret}\n{secret}",
        "pattern": f"ElementDataFile = {secret}%d 1 2 1",
        "quoted": f'ElementDataFile = "{secret}"\nElementDataFile = LOCAL',
        "lower case": f"elementdatafile = {secret}\nElementDataFile = LOCAL\nElementDataFile = x",
        "after a zero": f"ElementDataFile = LOCAL\0{secret}",
        "local as a file": "ElementDataFile = ./LOCAL",
    }
    found = {name: meta_image(lines, b"") for name, lines in named.items()}
    found["header size"] = meta_image("ElementDataFile = LOCAL", HeaderSize="4")
    return found


def nrrd_file(*lines: str, data: bytes = VOXELS, sizes: str = "4 4 2") -> bytes:
    """NRRD file with further header lines."""
    head = ["NRRD0004", "type: uchar", "dimension: 3", f"sizes: {sizes}", "endian: little"]
    if not any(line.startswith("encoding") for line in lines):
        head.append("encoding: raw")
    return ("\n".join([*head, *lines]) + "\n\n").encode() + data


def nrrds_that_name_a_file(secret: Path) -> dict[str, bytes]:
    """Every spelling of data that lie elsewhere."""
    lines = {
        "data file": f"data file: {secret}",
        "datafile": f"datafile: {secret}",
        "capitals": f"Data File: {secret}",
        "no blank": f"data file:{secret}",
        "two blanks": f"data  file: {secret}",
        "list": f"data file: LIST\n{secret}\n{secret}",
        "pattern": f"data file: {secret}%d 1 2 1",
    }
    found = {name: nrrd_file(line, data=b"") for name, line in lines.items()}
    found["twice"] = nrrd_file("data file: LOCAL", f"data file: {secret}", data=b"")
    return found


def nrrds_that_skip() -> dict[str, bytes]:
    """Headers that ask to skip, or to begin somewhere else."""
    return {
        "lines": nrrd_file("line skip: 3000000000"),
        "lines, one word": nrrd_file("lineskip: 3000000000"),
        "no lines": nrrd_file("line skip: -1"),
        "bytes": nrrd_file("byte skip: 9223372036854775807"),
        "from the end": nrrd_file("byte skip: -1", data=b"x" * 64),
        "before the file": nrrd_file("byteskip: -4000"),
        "no number": nrrd_file("line skip: many"),
    }


def gzipped_zeros(size: int) -> bytes:
    """Gzip stream of zeros, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(size // len(block))]
    return b"".join([*parts, packer.compress(bytes(size % len(block))), packer.flush()])


def nifti_header(shape: tuple[int, ...], dtype: Any = np.float64) -> bytes:
    """Header of a NIfTI file and the four bytes behind it."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["pixdim"][1:4], header["sform_code"] = 1, 1
    header["srow_x"][0] = header["srow_y"][1] = header["srow_z"][2] = 1
    return bytes(header.binaryblock) + b"\0" * 4


def volume_bombs() -> dict[str, tuple[str, bytes]]:
    """Files of at most two megabytes that ask for hundreds; name and content."""
    flat = nifti_header((640, 640, 640))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(flat)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = again.compress(bytes(2**20)) + again.flush(zlib.Z_FULL_FLUSH)
    nifti = head + block + zeros * (8 * 640**3 // 2**20)
    nrrd = nrrd_file("encoding: gzip", data=gzipped_zeros(2**28), sizes="4096 256 256")
    return {
        "nifti": ("bomb_t1c.nii.gz", nifti),
        "nrrd": ("bomb_t1c.nrrd", nrrd),
        "meta image": (
            "bomb_t1c.mha",
            meta_image(
                "ElementDataFile = LOCAL",
                zlib.compress(bytes(2**26), 9) * 4,
                DimSize="4096 256 256",
                CompressedData="True",
            ),
        ),
        "members without content": (
            "bomb_t1c.nii.gz",
            gzip.compress(flat[:100]) + gzip.compress(b"") * 50_000,
        ),
    }


def dicom_files(folder: Path) -> dict[str, bytes]:
    """Damaged or hostile DICOM files, each alone."""
    array = np.arange(8 * 8 * 1, dtype=np.uint16).reshape(8, 8, 1)
    good = pydicom.dcmread(write_dicom_series(folder / "good", array, np.eye(4))[0])
    frames = np.arange(8 * 8 * 3, dtype=np.uint16).reshape(8, 8, 3)
    enhanced = pydicom.dcmread(
        write_enhanced_dicom(folder / "enhanced.dcm", frames, np.eye(4), [0, 1, 2])
    )

    def saved(dataset: Any, name: str, *, save: bool = False, **changes: Any) -> bytes:
        copy = dataset if save else pydicom.dcmread(Path(dataset.filename))
        for keyword, value in changes.items():
            if value is None:
                del copy[keyword]
            else:
                setattr(copy, keyword, value)
        path = folder / f"{name}.dcm"
        copy.save_as(path)
        return path.read_bytes()

    plain = saved(good, "plain")
    rows = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 65535)
    at = plain.index(struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 2))
    nested = struct.pack("<HH2s2xL", 0x0028, 0x0009, b"SQ", 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    deflated = pydicom.dcmread(Path(good.filename))
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated.Rows, deflated.Columns, deflated.PixelData = 8192, 8192, bytes(2**27)
    return {
        "deflated": saved(deflated, "deflated", save=True),
        "two thousand million frames": saved(good, "frames", NumberOfFrames=2**31 - 1),
        "frames of an enhanced file": saved(enhanced, "many", NumberOfFrames=2**31 - 1),
        "no frames": saved(good, "none", NumberOfFrames=-5),
        "65535 rows": saved(good, "rows", Rows=65535),
        "65535 by 65535": saved(good, "both", Rows=65535, Columns=65535),
        "rows twice": plain[:at] + rows + plain[at:],
        "no pixel data": saved(good, "pixels", PixelData=None),
        "half of the pixel data": plain[:-64],
        "empty pixel data": saved(good, "empty", PixelData=b""),
        "32 bits": saved(good, "bits", BitsAllocated=32),
        "nested without end": plain[:at] + nested * 20_000,
        "a length beyond the end": plain[:at] + struct.pack("<HH2s2xL", 40, 9, b"OB", 2**31),
    }
