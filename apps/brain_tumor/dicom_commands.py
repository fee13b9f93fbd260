"""Commands that read from or write to DICOM archives: export, receive, import --dicomweb."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain_tumor.cases.dicom_source import DicomSource, read_source
from brain_tumor.cases.files.nifti_files import read_nifti
from brain_tumor.cases.files.readers import read_label
from brain_tumor.cases.grid.geometry import GRID_TOLERANCE_MM
from brain_tumor.cases.grid.grids import corners_mm
from brain_tumor.cases.loading import LoadedCase, resolve_case
from brain_tumor.cases.study_layout import find_reference
from brain_tumor.errors import FileFormatError, GeometryError, InputError, NotFoundError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pydicom.dataset import Dataset

    from brain_tumor.cases.case import Case
    from brain_tumor.cases.studies import Disguise, ImportReport
    from brain_tumor.dicom.objects import Findings
    from brain_tumor.dicom.web import ArchiveAddress

LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd")


def archive_of(arguments: argparse.Namespace) -> ArchiveAddress | None:
    """Archive that the options name; None without.

    Raises:
        InputError: If its address or login makes no sense.
    """
    if arguments.dicomweb is None:
        return None
    from brain_tumor.dicom.web import archive_address

    return archive_address(
        arguments.dicomweb,
        os.environ,
        certificates=arguments.dicomweb_ca,
        attempts=arguments.attempts,
    )


def disguise_of(arguments: argparse.Namespace) -> Disguise | None:
    """What replaces the identity of imported cases; None keeps it.

    Raises:
        InputError: If the table of pseudonyms would lie in the studies folder.
        FileFormatError: If it is none.
    """
    if arguments.deidentify is None:
        return None
    from brain_tumor.dicom.pseudonyms import PseudonymTable

    table: Path = arguments.deidentify
    if table.resolve().is_relative_to(arguments.studies.resolve()):
        raise InputError(
            f"{table.name} would lie in the studies folder, so it would travel with the cases",
            remedy="Name a file outside it with --deidentify.",
        )
    return PseudonymTable(table).disguise


def fetch_studies(
    arguments: argparse.Namespace,
    disguise: Disguise | None,
    on_report: Callable[[ImportReport], None],
) -> list[ImportReport]:
    """Fetch the studies that the options name; none is stored in part.

    Raises:
        InputError: If the options name no archive, no study, or files as well.
        ArchiveError: If the archive does not answer as it should; earlier studies stay.
    """
    from brain_tumor.dicom.fetching import import_from_archive

    address = archive_of(arguments)
    if address is None or not arguments.study or arguments.source is not None:
        raise InputError(
            "studies of an archive need --dicomweb URL and --study UID, and no source beside them",
            remedy="tumorlens import --dicomweb URL --study UID --studies DIR",
        )
    reports: list[ImportReport] = []
    for study in arguments.study:
        fetched = import_from_archive(address, study, arguments.studies, disguise=disguise)
        for report in fetched:
            on_report(report)
        reports += fetched
    return reports


def run_receive(arguments: argparse.Namespace) -> None:
    """Turn studies that are sent by C-STORE into cases, until Ctrl+C.

    Raises:
        InputError: If the port cannot be listened on.
    """
    from brain_tumor.case_commands import report_lines
    from brain_tumor.dicom.network import Receiver

    def show(report: ImportReport) -> None:
        sys.stdout.writelines(f"{line}\n" for line in report_lines(report))
        sys.stdout.flush()

    receiver = Receiver(
        arguments.studies,
        arguments.port,
        host=arguments.host,
        title=arguments.title,
        disguise=disguise_of(arguments),
        on_report=show,
    )
    sys.stdout.write(
        f"{arguments.title} takes MR images on {arguments.host}:{receiver.port}; Ctrl+C ends it.\n"
    )
    sys.stdout.flush()
    try:
        threading.Event().wait()
    finally:
        receiver.close()


def run_export(arguments: argparse.Namespace) -> None:
    """Make the DICOM objects of a case, write them and send them.

    Raises:
        InputError: If the case did not come from DICOM, or results do not belong to it.
        NotFoundError: If there is no such case.
        ArchiveError: If an archive does not take them.
    """
    from brain_tumor.dicom.objects import described, write_objects

    archive = archive_of(arguments)
    node = None
    if arguments.store is not None:
        from brain_tumor.dicom.network import node_of

        node = node_of(arguments.store)
    if arguments.dicom is None and archive is None and node is None:
        raise InputError(
            "export names no place for the results",
            remedy="Name a folder (--dicom DIR), or an archive (--dicomweb URL, --store NODE).",
        )
    with _studies_of(arguments) as (studies, case_id):
        made = exported(studies, case_id, arguments)
    lines = described(list(made.values()))
    if arguments.dicom is not None:
        paths = write_objects(arguments.dicom, made)
        lines = [f"{path}: {line}" for path, line in zip(paths, lines, strict=True)]
    if archive is not None:
        from brain_tumor.dicom.web import store_objects

        store_objects(archive, list(made.values()))
        lines.append(f"sent to {archive.host}")
    if node is not None:
        from brain_tumor.dicom.network import store_by_network

        store_by_network(node, list(made.values()))
        lines.append(f"sent to {arguments.store}")
    if not arguments.quiet:
        sys.stdout.writelines(f"{line}\n" for line in lines)


def exported(studies: Path, case_id: str, arguments: argparse.Namespace) -> dict[str, Dataset]:
    """DICOM objects of a case by file name.

    Raises:
        InputError: If the case did not come from DICOM, or results do not belong to it.
    """
    from brain_tumor.dicom.objects import objects_of, reference_series
    from brain_tumor.dicom.page import page_object

    loaded = resolve_case(studies, case_id)
    source = read_source(studies, case_id)
    reference_series(source, loaded.case.reference)
    if arguments.reidentify is not None:
        from brain_tumor.dicom.pseudonyms import PseudonymTable

        source = PseudonymTable(arguments.reidentify).identity_of(case_id)
    series = reference_series(source, loaded.case.reference)
    findings = _findings(studies, case_id, loaded, arguments)
    identity = source or DicomSource({})
    made = objects_of(findings, identity, series)
    made["page.dcm"] = page_object(
        findings.report, loaded.case, findings.labelmap, findings.heat, identity
    )
    return made


def _findings(
    studies: Path, case_id: str, loaded: LoadedCase, arguments: argparse.Namespace
) -> Findings:
    """What is exported: stored results or new ones, with the label that was asked for."""
    from dataclasses import replace

    from brain_tumor.labels import check_scheme

    if arguments.results is not None:
        found = read_results(arguments.results, loaded.case)
    else:
        found = _analysed(loaded, arguments)
    if arguments.label is None:
        return found
    path = _label_of(studies, case_id, arguments.label)
    read = read_label(path)
    _check_grid("label", read.values.shape, read.affine, loaded.case)
    check_scheme(read.values)
    return replace(found, labelmap=read.values, is_corrected=True)


def read_results(folder: Path, case: Case) -> Findings:
    """What `tumorlens analyse --output` wrote about a case.

    Raises:
        FileFormatError: If the folder holds no such results.
        GeometryError: If they lie on another grid than the case.
    """
    from brain_tumor.dicom.objects import Findings

    try:
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        report["segmentation"]["model"], report["segmentation"]["scheme"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"'{folder.name}' holds no results ({type(error).__name__}); expected report.json",
            remedy="Write them first: tumorlens analyse CASE --output DIR.",
        ) from error
    label = read_label(folder / "labelmap.nii.gz")
    _check_grid("labelmap", label.values.shape, label.affine, case)
    maps = {name: _read_map(folder / f"{name}.nii.gz", case) for name in ("heatmap", "uncertainty")}
    return Findings(report, label.values, case.affine, maps["heatmap"], maps["uncertainty"])


def _read_map(path: Path, case: Case) -> npt.NDArray[np.float32] | None:
    if not path.exists():
        return None
    stored = read_nifti(path)
    _check_grid(path.name, stored.array.shape, stored.affine, case)
    values: npt.NDArray[np.float32] = stored.array.astype("float32")
    return values


def _check_grid(name: str, shape: tuple[int, ...], affine: Any, case: Case) -> None:
    distance_mm = 0.0
    if shape == case.shape:
        apart = corners_mm(case.shape, affine) - corners_mm(case.shape, case.affine)
        distance_mm = float(abs(apart).max())
    if shape != case.shape or distance_mm > GRID_TOLERANCE_MM:
        raise GeometryError(
            f"{name} does not lie on the grid of case {case.case_id}",
            remedy="Analyse this very case again: tumorlens analyse CASE --output DIR.",
        )


def _analysed(loaded: LoadedCase, arguments: argparse.Namespace) -> Findings:
    """The case analysed now."""
    from brain_tumor.api import analyse, load_analyst
    from brain_tumor.dicom.objects import Findings
    from brain_tumor.explanation.case_report import case_report
    from brain_tumor.explanation.facts.model import Language
    from brain_tumor.explanation.options import ExplanationOptions

    options = ExplanationOptions(language=Language(arguments.language))
    result = analyse(loaded, options, analyst=load_analyst(arguments.models))
    heat = None if result.explanation is None else result.explanation.heat.values
    segmentation = result.segmentation
    return Findings(
        case_report(loaded, result, 0.0),
        segmentation.labelmap,
        loaded.case.affine,
        heat,
        segmentation.uncertainty,
    )


def _label_of(studies: Path, case_id: str, tag: str) -> Path:
    if not tag.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"label is {tag!r:.40}; expected a tag such as final")
    for suffix in LABEL_SUFFIXES:
        path = studies / "labels" / tag / f"{case_id}{suffix}"
        if path.is_file():
            return path
    raise NotFoundError(f"case {case_id} has no label '{tag}'")


@contextmanager
def _studies_of(arguments: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Studies folder and id of the case; files that were named are imported into a passing one."""
    from brain_tumor.cases.studies import ImportStatus, import_cases

    named = str(arguments.case)
    is_id = "/" not in named and find_reference(arguments.studies, named) is not None
    if is_id or not Path(named).exists():
        yield arguments.studies, named
        return
    with tempfile.TemporaryDirectory(prefix="tumorlens-") as scratch:
        reports = import_cases(Path(named), Path(scratch))
        if len(reports) != 1:
            raise InputError(
                f"'{Path(named).name}' holds {len(reports)} cases; expected one",
                remedy="Name the folder of one study.",
            )
        if reports[0].status is ImportStatus.REFUSED:
            raise InputError(reports[0].message, remedy=reports[0].remedy)
        yield Path(scratch), reports[0].case_id
