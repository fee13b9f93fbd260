"""Damaged inputs for every parser of uploads and every JSON body, from a seed."""

from __future__ import annotations

import copy
import io
import json
import random
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from tests.helpers.attack_archives import zip_of
from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom
from tests.helpers.server import AFFINE, a_phantom, expected_labels

_NUMBERS = (b"0", b"-1", b"1", b"255", b"65535", b"65536", b"2147483647", b"4294967295", b"nan")
_NUMBERS += (b"-2147483648", b"9223372036854775807", b"1e308", b"1e-308", b"inf", b"", b"x", b"3 3")
_WORDS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 1.5, -0.0, 1e308, "", "x", "\ud800", "\0"),
    *("../../etc/passwd", "FULL", "final", "a" * 5000, [], {}, [[]], [None], {"a": 1}, [1, 2, 3]),
    *({"ijk": [1, 2, 3]}, [{"name": "x", "idx": 1}], "é한", "true", "1.0.0", "<b>", "NaN"),
)


@dataclass(frozen=True)
class Sent:
    """A request to send.

    Attributes:
        what: What was damaged, for the report.
        method: HTTP method.
        path: Address.
        options: Keyword arguments of the client.
    """

    what: str
    method: str
    path: str
    options: dict[str, Any]


def seed_files() -> dict[str, bytes]:
    """A sound file for every parser, by file name."""
    volume, labels = a_phantom().astype(np.int16), expected_labels()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in ("nii", "nii.gz"):
            nib.save(nib.Nifti1Image(volume, AFFINE), folder / f"a_t1c.{suffix}")
        nib.save(nib.Nifti2Image(volume, AFFINE), folder / "two_t1c.nii")
        header = {"space": "LPS", "space directions": np.eye(3), "space origin": np.zeros(3)}
        for encoding in ("raw", "gzip", "bzip2", "ascii"):
            path = folder / f"{encoding}_t1c.nrrd"
            nrrd.write(str(path), volume, {**header, "encoding": encoding})
        for packed in (False, True):
            image = sitk.GetImageFromArray(volume.T)
            sitk.WriteImage(image, str(folder / f"p{packed:d}_t1c.mha"), useCompression=packed)
        series = write_dicom_series(folder / "series", volume.astype(np.uint16), AFFINE)
        series[0].rename(folder / "a_t1c.dcm")
        order = list(range(volume.shape[2]))
        write_enhanced_dicom(folder / "e_t1c.dcm", volume.astype(np.uint16), AFFINE, order)
        for kind in ("png", "jpeg"):
            Image.linear_gradient("L").resize((32, 32)).save(folder / f"a_t1c.{kind}")
        found = {path.name: path.read_bytes() for path in folder.glob("*.*")}
        nib.save(nib.Nifti1Image(labels, AFFINE), folder / "label.nii.gz")
        nrrd.write(str(folder / "label.nrrd"), labels, header)
        found |= {path.name: path.read_bytes() for path in folder.glob("label.*")}
        slices = [(f"s/{path.name}", path.read_bytes()) for path in series[1:]]
    members = [("c/t1c.nii.gz", found["a_t1c.nii.gz"]), ("c/t2.nii.gz", found["a_t1c.nii.gz"])]
    found["a.zip"] = zip_of(*members)
    found["s.zip"] = zip_of(*slices)
    for suffix in ("tar", "tar.gz"):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz" if suffix.endswith("gz") else "w") as archive:
            for member, content in members:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        found[f"a.{suffix}"] = held.getvalue()
    return found


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Content after one to four damages, most of them near its beginning."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        reach = len(data) if rng.random() < 0.3 else min(len(data), 2048)
        at = rng.randrange(reach + 1)
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            size = rng.choice((1, 2, 4, 8))
            word = rng.choice(_WORDS) & (2 ** (8 * size) - 1)
            data[at : at + size] = word.to_bytes(size, rng.choice(("little", "big")))
        elif kind == 2:
            del data[at : at + rng.choice((1, 2, 7, 64, 512))]
        elif kind == 3:
            data[at:at] = data[at : at + rng.choice((1, 8, 64, 512))]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.choice((1, 3, 16)))
        elif kind == 5:
            del data[at:]
        elif kind == 6:
            _replace_number(data, rng)
        else:
            other = rng.randrange(reach + 1)
            size = rng.choice((4, 16, 128))
            data[at : at + size] = data[other : other + size]
    return bytes(data)


def _replace_number(data: bytearray, rng: random.Random) -> None:
    """Another number in the place of one that is written as text."""
    spots = [i for i, byte in enumerate(data[:2048]) if 48 <= byte <= 57]
    if spots:
        at = rng.choice(spots)
        end = at
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[at:end] = rng.choice(_NUMBERS)


def changed(value: Any, rng: random.Random) -> Any:
    """JSON with a value, a key or a part of it replaced."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        holders = [one for one in _walk(value) if isinstance(one, dict | list) and one]
        if not holders or rng.random() < 0.1:
            return rng.choice(_VALUES)
        holder = rng.choice(holders)
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = rng.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[rng.choice([str(v) for v in _VALUES if v is not None])] = holder[key]
        else:
            holder[key] = rng.choice(_VALUES)
    return value


def _walk(value: Any) -> Iterator[Any]:
    yield value
    for one in value.values() if isinstance(value, dict) else value if type(value) is list else ():
        yield from _walk(one)


BODIES: dict[str, dict[str, Any]] = {
    "/corrections/type": {"image": "FULL", "type": "glioma", "reason": "x", "client_id": "a"},
    "/corrections/sentences": {
        "image": "FULL",
        "sentences": [{"text": "x", "verdict": "right", "evidence": ["a"]}],
        "model": {"name": "a", "version": "1", "sha256": "b"},
    },
    "/corrections/review": {"submission": 1, "decision": "reviewed", "note": "x"},
    "/cases/reserve": {"image": "FULL", "client_id": "anna", "minutes": 5},
    "/cases/reopen": {"image": "FULL", "client_id": "anna"},
    "/activelearning/first": {"client_id": "anna", "label_tag": "final"},
    "/models/segmentation/promote": {"version": "1.0.0", "dry_run": True, "client_id": "a"},
    "/models/segmentation/rollback": {"version": "1.0.0", "client_id": "a"},
    "/train/segmentation": {"max_epochs": 1, "nonsense": True},
}
FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "/datastore/image/info?image=FULL": ("put", "info", {"patient": "P1", "note": {"a": [1]}}),
    "/datastore/label/info?label=FULL&tag=final": ("put", "info", {"note": "x"}),
    "/infer/segmentation?image=FULL": (
        "post",
        "params",
        {"result_extension": ".nrrd", "uncertainty": True, "client_id": "a", "label_info": []},
    ),
    "/infer/refine?image=FULL": (
        "post",
        "params",
        {
            "clicks": {"positive": [{"ijk": [4, 4, 4], "label": 3}], "negative": []},
            "foreground": [[1, 2, 3]],
            "start": "proposal",
        },
    ),
}
LABEL_TOLD = {"label_info": [{"name": "oedema", "idx": 2}], "client_id": "a", "seconds_spent": 1}


def requests(seed: int, count: int) -> Iterator[Sent]:
    """So many requests, each with one damaged part."""
    rng = random.Random(seed)
    files = seed_files()
    for number in range(count):
        kind = number % 5
        if kind == 3:
            path = rng.choice(list(BODIES))
            body = json.dumps(changed(BODIES[path], rng)).encode()
            body = damaged(body, rng) if rng.random() < 0.3 else body
            options = {"content": body, "headers": {"content-type": "application/json"}}
            yield Sent(path, "post", path, options)
        elif kind == 4:
            yield _form(files, rng, number)
        else:
            name = rng.choice(list(files))
            yield _upload(name, damaged(files[name], rng), rng, number)


def _form(files: dict[str, bytes], rng: random.Random, number: int) -> Sent:
    if rng.random() < 0.3:
        told = json.dumps(changed(LABEL_TOLD, rng))
        sent = {"label": ("label.nii.gz", files["label.nii.gz"])}
        options: dict[str, Any] = {"data": {"params": told}, "files": sent}
        return Sent("label params", "put", "/datastore/label?image=SPARE", options)
    path = rng.choice(list(FORMS))
    method, field, value = FORMS[path]
    text = json.dumps(changed(value, rng))
    if rng.random() < 0.3:
        text = damaged(text.encode(), rng).decode("utf-8", "replace")
    return Sent(f"{path} {number}", method, path, {"data": {field: text}})


def _upload(name: str, content: bytes, rng: random.Random, number: int) -> Sent:
    if name.startswith("label"):
        part = {"label": (name, content)}
        path = rng.choice(("/datastore/label?image=FULL", "/infer/refine?image=FULL&output=json"))
        return Sent(name, "put" if "datastore" in path else "post", path, {"files": part})
    if name.endswith((".zip", ".tar", ".tar.gz")) or rng.random() < 0.2:
        return Sent(name, "put", "/session/", {"files": {"files": (name, content)}})
    if name.endswith((".nii", ".nii.gz", ".nrrd")) and rng.random() < 0.3:
        path = f"/datastore/image?image=fuzz{number}"
        return Sent(name, "put", path, {"files": {"file": (name, content)}})
    path = "/infer/segmentation?output=json"
    return Sent(name, "post", path, {"files": {"file": (name, content)}})
