"""`tumorlens export`: results of a case as DICOM objects, written or sent."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
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
    from brain_tumor.dicom.objects import Findings

LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd")


def run_export(arguments: argparse.Namespace) -> None:
    """Make the DICOM objects of a case and write them.

    Raises:
        InputError: If the case did not come from DICOM, or results do not belong to it.
        NotFoundError: If there is no such case.
    """
    from brain_tumor.dicom.objects import described, write_objects

    if arguments.dicom is None:
        raise InputError(
            "export names no place for the results", remedy="Name a folder: --dicom DIR."
        )
    with _studies_of(arguments) as (studies, case_id):
        made = exported(studies, case_id, arguments)
    paths = write_objects(arguments.dicom, made)
    if not arguments.quiet:
        lines = zip(paths, described(list(made.values())), strict=True)
        sys.stdout.writelines(f"{path}: {line}\n" for path, line in lines)


def exported(studies: Path, case_id: str, arguments: argparse.Namespace) -> dict[str, Dataset]:
    """DICOM objects of a case by file name.

    Raises:
        InputError: If the case did not come from DICOM, or results do not belong to it.
    """
    from brain_tumor.dicom.objects import objects_of, reference_series
    from brain_tumor.dicom.page import page_object

    loaded = resolve_case(studies, case_id)
    source = read_source(studies, case_id)
    reference_series(source, loaded.case.reference, case_id)
    if arguments.reidentify is not None:
        from brain_tumor.dicom.pseudonyms import PseudonymTable

        source = PseudonymTable(arguments.reidentify).identity_of(case_id)
    series = reference_series(source, loaded.case.reference, case_id)
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
