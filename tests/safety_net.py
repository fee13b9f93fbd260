"""What every task says of every sample study, on record, so that a move of code changes nothing.

Before a change and after it, on one machine::

    python -m tests.safety_net record before.json
    python -m tests.safety_net compare before.json

`record` starts a server with the shipped models on freshly generated sample studies, asks every
task about every case, and runs the commands that need no server on two of them. It keeps the JSON
without timings and checksums of the voxels. `compare` does the same and names what differs.

Processors and versions of torch round differently. A record of another machine is therefore held
against with tolerance: the same keys and texts, label counts and numbers nearly the same. `--brief`
keeps no texts. No record is part of the repository: a change that is meant would make it old.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import requests
import torch
from brain_tumor.cli import main as tumorlens
from brain_tumor.server.launcher import APP_FOLDER

from tests.helpers.server import free_port, launcher_command, parse_reply, running

CASES = (
    "glioma-four-sequences",
    "glioma-t1c-flair",
    "meningioma-t1c",
    "pituitary-t1c",
    "glioma-thick-oblique",
    "healthy-four-sequences",
)
REQUESTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "segmentation": ("segmentation", {"uncertainty": True}),
    "refine": ("refine", {"clicks": {"positive": [], "negative": [{"ijk": [60, 60, 10]}]}}),
    "classification": ("classification", {}),
    "explanation": ("explanation", {"method": "layercam", "target": "runner_up"}),
    "region": ("explanation", {"target": "WT"}),
    "analysis": ("analysis", {"uncertainty": True}),
    "analysis in Korean": ("analysis", {"language": "ko"}),
}
"""Model and `params` of each request that every case is asked."""
COMMANDS = ("segment", "classify", "explain", "analyse")
COMMAND_CASES = ("glioma-t1c-flair", "meningioma-t1c")
UNSTEADY = {"timings_s", "cached", "client_id", "filename"}
"""Keys of a reply that differ between two runs of the same code."""
NUMBER_TOLERANCE = 0.03
"""Relative; of records of other machines."""
COUNT_TOLERANCE = 50
"""Voxels beyond the relative tolerance; of records of other machines."""
PATIENCE_S = 1800
GZIP = b"\x1f\x8b"


def steady(value: Any) -> Any:
    """A reply without what differs from run to run, its numbers to six digits."""
    if isinstance(value, dict):
        return {key: steady(part) for key, part in value.items() if key not in UNSTEADY}
    if isinstance(value, list):
        return [steady(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def of_volume(data: bytes) -> dict[str, Any]:
    """Checksum, shape, sum and, of a labelmap, voxels by label of a NIfTI file."""
    unpacked = gzip.decompress(data) if data.startswith(GZIP) else data
    image = nib.Nifti1Image.from_bytes(unpacked)
    array = np.asanyarray(image.dataobj)
    found: dict[str, Any] = {
        "sha256": hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest(),
        "shape": list(array.shape),
        "affine": [float(f"{v:.5g}") for v in image.affine.ravel()],
        "mean": float(f"{float(array.mean(dtype=np.float64)):.6g}"),
    }
    if np.issubdtype(array.dtype, np.integer):
        values, counts = np.unique(array, return_counts=True)
        found["voxels"] = dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))
    return found


def of_server(studies: Path, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every request."""
    port = free_port()
    command = launcher_command(studies, APP_FOLDER, "127.0.0.1", port)
    with running(command, port, studies=studies, app_folder=folder) as server:
        for case in CASES:
            for name, (model, params) in REQUESTS.items():
                reply = requests.post(
                    f"{server.url}/infer/{model}",
                    params={"image": case},
                    data={"params": json.dumps({**params, "result_extension": ".nii"})},
                    timeout=PATIENCE_S,
                )
                texts, files = parse_reply(reply)
                yield (
                    f"{case}: {name}",
                    {
                        "status": reply.status_code,
                        "reply": steady(texts),
                        "files": {part: of_volume(data) for part, data in files.items()},
                    },
                )
        info = requests.get(f"{server.url}/info/", timeout=PATIENCE_S).json()
        yield "info", {"status": 200, "reply": steady(info), "files": {}}


def of_commands(studies: Path, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every command."""
    for case in COMMAND_CASES:
        source = folder / case
        source.mkdir()
        shutil.copy(studies / f"{case}.nii.gz", source / "t1c.nii.gz")
        for sibling in (studies / "sequences" / case).glob("*.nii.gz"):
            shutil.copy(sibling, source)
        for command in COMMANDS:
            output = folder / f"{command}-{case}"
            with contextlib.redirect_stdout(io.StringIO()):
                status = tumorlens([command, str(source), "--output", str(output)])
            report = json.loads((output / "report.json").read_text(encoding="utf-8"))
            yield (
                f"{command} {case}",
                {
                    "status": status,
                    "reply": {
                        **steady(report),
                        "output folder": sorted(path.name for path in output.iterdir()),
                    },
                    "files": {p.name: of_volume(p.read_bytes()) for p in output.glob("*.nii.gz")},
                },
            )


def machine() -> dict[str, str]:
    """What the last digits depend on."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    return {
        "processor": names[0] if names else platform.processor(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def take() -> dict[str, Any]:
    """Record of the code as it is."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    records: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, studies = Path(name), Path(name) / "studies"
        with contextlib.redirect_stdout(io.StringIO()):
            tumorlens(["sample-data", str(studies)])
        for title, record in (*of_commands(studies, folder), *of_server(studies, folder)):
            print(title, file=sys.stderr)
            records[title] = record
    return {"machine": machine(), "records": records}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of every leaf of a reply."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}[{number}]")
    else:
        yield path, value


def brief(taken: dict[str, Any]) -> dict[str, Any]:
    """Record without texts: of every reply its keys and the volumes and probabilities."""
    records = {}
    for title, record in taken["records"].items():
        reply = record["reply"]
        kept = {
            section: {key: reply[section][key] for key in keys if key in reply.get(section, {})}
            for section, keys in (
                ("segmentation", ("model", "scheme", "volumes_ml")),
                ("classification", ("type", "probabilities")),
            )
            if section in reply
        }
        records[title] = {
            "status": record["status"],
            "reply": {**kept, "sections": sorted(reply)},
            "files": record["files"],
            "brief": True,
        }
    return {**taken, "records": records}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Sentences that name what is no longer as it was."""
    exact = before["machine"] == after["machine"]
    if any("brief" in record for record in before["records"].values()):
        after = brief(after)
    found = []
    for title in {**before["records"], **after["records"]}:
        old, new = (dict(leaves(side["records"].get(title, {}))) for side in (before, after))
        for path in {**old, **new}:
            if not _same(path, old.get(path), new.get(path), exact=exact):
                found.append(f"{title}: {path} was {old.get(path)!r}, is {new.get(path)!r}")
    return found


def _same(path: str, old: Any, new: Any, *, exact: bool) -> bool:
    if old == new or (path.endswith(".sha256") and not exact and ".files." in path):
        return True
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (old, new))
    if exact or not numbers:
        return False
    least = COUNT_TOLERANCE if ".voxels." in path else 0.02
    return bool(abs(old - new) <= max(least, NUMBER_TOLERANCE * abs(old)))


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--brief", action="store_true", help="keep no texts")
    arguments = parser.parse_args()
    taken = take()
    if arguments.action == "record":
        kept = brief(taken) if arguments.brief else taken
        text = json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True)
        arguments.file.write_text(text + "\n", encoding="utf-8")
        print(f"wrote {arguments.file}: {len(taken['records'])} replies")
        return 0
    found = differences(json.loads(arguments.file.read_text(encoding="utf-8")), taken)
    print("\n".join(found) or f"{len(taken['records'])} replies as they were")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
