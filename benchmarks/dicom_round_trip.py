"""What a round trip with an archive costs: fetched, made into a case, sent back.

    python -m benchmarks.dicom_round_trip

A study of 4 x 150 slices of 240 x 240 lies in Orthanc on loopback: noise in a ball, air around it.
Beside ours, a bare client (dicomweb-client, one series after the other) does what cannot be
avoided: it fetches the images and keeps them in memory, and sends the finished objects. The
difference is our overhead: reading headers, decoding, writing the case, making segmentation,
report, parametric maps and page. The analysis itself is no part of this; benchmarks/serve.py
measures it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from brain_tumor.cases.dicom_source import read_source
from brain_tumor.cases.loading import resolve_case
from brain_tumor.dicom.fetching import import_from_archive
from brain_tumor.dicom.network import Node, store_by_network
from brain_tumor.dicom.objects import Findings, encoded, objects_of, reference_series
from brain_tumor.dicom.page import page_object
from brain_tumor.dicom.web import ArchiveAddress, store_objects
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from requests import Session

from benchmarks.environment import spread, write_result
from tests.helpers.dicom import write_dicom_series
from tests.helpers.dicom_results import a_report
from tests.helpers.orthanc import Orthanc, running_orthanc
from tests.helpers.volumes import grid

SHAPE = (240, 240, 150)
STUDY = "1.2.826.0.1.77"
LOGIN = ("tester", "secret")
REPEATS = 2


def main() -> int:
    """Measure, and write benchmarks/results/dicom_round_trip.json."""
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch, running_orthanc(Path(scratch)) as orthanc:
        fill(orthanc, Path(scratch) / "images")
        for number in range(REPEATS):
            for name, seconds in one_round(orthanc, Path(scratch) / str(number)).items():
                rows.setdefault(name, []).append(seconds)
                print(f"{name}: {seconds:.2f} s", flush=True)
    told = {name: spread(seconds) for name, seconds in rows.items()}
    overhead = told["ours_s"]["median"] - told["bare_s"]["median"]
    processor = told["ours_cpu_s"]["median"] - told["bare_cpu_s"]["median"]
    path = write_result(
        "dicom_round_trip",
        {
            "study": {"series": 4, "slices": SHAPE[2], "size": SHAPE[0]},
            "peer": "dicomweb-client alone",
            "seconds": told,
            "overhead_s": overhead,
            "overhead_cpu_s": processor,
        },
    )
    print(json.dumps({"overhead_s": overhead, "overhead_cpu_s": processor}), path)
    return 0


def fill(orthanc: Orthanc, folder: Path) -> None:
    """Send a study of four series to the archive."""
    rng = np.random.default_rng(0)
    x, y, z = np.ogrid[-1:1:240j, -1:1:240j, -1:1:150j]
    inside = x**2 + y**2 + z**2 < 0.64
    base = np.where(inside, rng.normal(900, 30, SHAPE), rng.integers(0, 4, SHAPE)).astype(np.int16)
    for number, name in enumerate(("AX T1", "AX T1 POST", "AX T2", "AX FLAIR"), start=1):
        write_dicom_series(
            folder / str(number),
            base + 10 * number * inside.astype(np.int16),
            grid((1.0, 1.0, 1.0), (-120.0, -120.0, -75.0)),
            description=name,
            number=number,
            study_uid=STUDY,
            FrameOfReferenceUID="1.2.3.4",
        )
    images = [dcmread(path) for path in folder.rglob("*.dcm")]
    store_by_network(Node("ORTHANC", "127.0.0.1", orthanc.dicom_port), images)


def one_round(orthanc: Orthanc, folder: Path) -> dict[str, float]:
    """Seconds of each part, ours and a bare client's."""
    address = ArchiveAddress(orthanc.url, login=LOGIN)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), cpu_s()
        result = work()
        seconds[f"{name}_s"] = time.perf_counter() - wall
        seconds[f"{name}_cpu_s"] = cpu_s() - processor
        return result

    (report,) = timed("ours_fetch", lambda: import_from_archive(address, STUDY, folder / "s"))
    source = read_source(folder / "s", report.case_id)
    case = resolve_case(folder / "s", report.case_id, registration=False).case
    assert source is not None
    findings = a_finding(case.affine)
    series = reference_series(source, case.reference)

    def make() -> dict[str, Any]:
        made: dict[str, Any] = objects_of(findings, source, series)
        made["page.dcm"] = page_object(
            findings.report, case, findings.labelmap, findings.heat, source
        )
        for one in made.values():
            encoded(one)
        return made

    made = timed("ours_make", make)
    timed("ours_send", lambda: store_objects(address, list(made.values())))
    with Session() as session:
        session.auth = LOGIN
        client = DICOMwebClient(orthanc.url, session=session)
        timed("bare_fetch", lambda: fetch_bare(client))
        timed("bare_send", lambda: client.store_instances(list(made.values())))
    for kind in ("s", "cpu_s"):
        parts = ("ours_fetch", "ours_make", "ours_send")
        seconds[f"ours_{kind}"] = sum(seconds[f"{part}_{kind}"] for part in parts)
        seconds[f"bare_{kind}"] = sum(seconds[f"bare_{p}_{kind}"] for p in ("fetch", "send"))
    return seconds


def a_finding(affine: Any) -> Findings:
    """A tumour of 60 mm with its maps."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[80:140, 80:140, 50:110] = 2
    labels[95:125, 95:125, 65:95] = 3
    labels[105:115, 105:115, 75:85] = 1
    heat = (labels / 3.0).astype(np.float32)
    return Findings(a_report(), labels, affine, heat, heat)


def fetch_bare(client: DICOMwebClient) -> int:
    """Images of the MR series, one series after the other."""
    found = client.search_for_series(STUDY, search_filters={"Modality": "MR"})
    uids = [entry["0020000E"]["Value"][0] for entry in found]
    every = (("application/dicom", "*"),)
    return sum(len(client.retrieve_series(STUDY, uid, media_types=every)) for uid in uids)


def cpu_s() -> float:
    """Processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
