"""Archives that once filled the memory, took minutes, or failed the server by their names."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib


def zip_of(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Zip archive of named contents."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return held.getvalue()


def raw_zip(name: bytes, content: bytes) -> bytes:
    """Zip archive of one stored file whose name may be anything."""
    facts = struct.pack("<LLL2H", zlib.crc32(content), len(content), len(content), len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<5H", 20, 0, 0, 0, 33) + facts + name + content
    entry = b"PK\x01\x02" + struct.pack("<6H", 20, 20, 0, 0, 0, 33) + facts
    entry += struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    end = struct.pack("<4H2LH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + b"PK\x05\x06" + end


def tar_header(name: bytes, size: int, kind: bytes = b"0", prefix: bytes = b"") -> bytes:
    """One block of a tar, with its checksum."""
    head = name.ljust(100, b"\0") + b"0000644\0" * 3 + b"%011o\0" % size + b"0" * 11 + b"\0"
    rest = kind + bytes(100) + b"ustar\x0000" + bytes(80) + prefix.ljust(155, b"\0") + bytes(12)
    checksum = sum(head) + 8 * 32 + sum(rest)
    return head + b"%06o\0 " % checksum + rest


def archives_that_fill() -> dict[str, tuple[str, bytes]]:
    """Archives of at most three megabytes that ask for gigabytes, or for minutes."""
    zeros = bytes(2**26)
    directory = zip_of(*((f"{i:x}", b"") for i in range(4)), method=zipfile.ZIP_STORED)
    end = directory.rindex(b"PK\x05\x06")
    begin = directory.index(b"PK\x01\x02")
    entry_bytes = (end - begin) // 4
    many = directory[begin : begin + entry_bytes] * 60_000
    counts = struct.pack("<4H2LH", 0, 0, 60_000, 60_000, len(many), begin, 0)
    packed = gzip.compress(tar_header(b"././@LongLink", 2**28, b"L") + bytes(2**26))
    pax = gzip.compress(tar_header(b"pax", 2**28, b"x") + bytes(2**26))
    folders = b"".join(tar_header(b"%x/" % i, 0, b"5") for i in range(50_000))
    return {
        "zip of bzip2": ("a.zip", zip_of(("t1c.nii", zeros), method=zipfile.ZIP_BZIP2)),
        "zip of lzma": ("a.zip", zip_of(("t1c.nii", zeros), method=zipfile.ZIP_LZMA)),
        "zip of zeros": ("a.zip", zip_of(*((f"{i}.nii", zeros) for i in range(4)))),
        "zip of many": ("a.zip", directory[:begin] + many + b"PK\x05\x06" + counts),
        "tar of bzip2": ("a.tar", bz2.compress(tar_header(b"a.nii", 2**26) + zeros)),
        "tar of xz": ("a.tar.gz", lzma.compress(tar_header(b"a.nii", 2**26) + zeros)),
        "long name": ("a.tar.gz", packed),
        "long name, long link": ("a.tar.gz", gzip.compress(tar_header(b"x", 2**28, b"K"))),
        "pax header": ("a.tar.gz", pax),
        "global pax header": ("a.tar.gz", gzip.compress(tar_header(b"g", 2**27, b"g") + zeros)),
        "tar of zeros": ("a.tar.gz", gzip.compress(tar_header(b"a.nii", 2**28) + zeros * 4)),
        "tar of folders": ("a.tar.gz", gzip.compress(folders, 6)),
        "members without content": (
            "a.tar.gz",
            gzip.compress(tar_header(b"a.nii", 600)) + gzip.compress(b"") * 50_000,
        ),
    }


def archives_with_bad_names() -> dict[str, tuple[str, bytes]]:
    """Archives whose names are none."""
    plain = zip_of(("nam\u00e9.nii", b"x"))
    pax = b"30 path=" + b"\xff" * 21 + b"\n"
    return {
        "zip, empty": ("a.zip", raw_zip(b"", b"x")),
        "zip, no UTF-8": ("a.zip", plain.replace("nam\u00e9".encode(), b"nam\xc3\x28")),
        "zip, NUL": ("a.zip", zip_of(("name.nii", b"x")).replace(b"name.nii", b"na\0e.nii")),
        "zip, slash": ("a.zip", zip_of(("//", b""), ("/", b"x"))),
        "tar, empty": ("a.tar", tar_header(b"", 1) + b"x".ljust(512, b"\0")),
        "tar, no UTF-8": ("a.tar", tar_header(b"nam\xff.nii", 1) + b"x".ljust(512, b"\0")),
        "tar, prefix": ("a.tar", tar_header(b"a.nii", 1, prefix=b"..") + b"x".ljust(512, b"\0")),
        "tar, pax": (
            "a.tar",
            tar_header(b"p", 30, b"x") + pax.ljust(512, b"\0") + tar_header(b"a.nii", 0),
        ),
        "tar, pax size": (
            "a.tar",
            tar_header(b"p", 14, b"x")
            + b"14 size=-5999\n".ljust(512, b"\0")
            + tar_header(b"a.nii", 0),
        ),
        "tar, pax size of many digits": (
            "a.tar",
            tar_header(b"p", 30, b"x")
            + (b"30 size=" + b"9" * 21 + b"\n").ljust(512, b"\0")
            + tar_header(b"a.nii", 0),
        ),
        "tar, sparse": ("a.tar", tar_header(b"a.nii", 512, b"S") + bytes(512)),
    }
