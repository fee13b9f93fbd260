"""Everything that was inferred from a case as DICOM objects."""

from __future__ import annotations

import io
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.dicom_source import UNICODE, DicomSource, SourceSeries
from brain_tumor.cases.files.durable import make_folder, storage_errors, write_durably
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, spacing_from_affine
from brain_tumor.dicom.maps import HEAT, UNCERTAINTY, map_object
from brain_tumor.dicom.report import report_object
from brain_tumor.dicom.segmentation import segmentation_object
from brain_tumor.errors import InputError
from brain_tumor.labels import LabelArray, LabelScheme, check_scheme
from brain_tumor.segmentation.result import region_volumes_ml


@dataclass(frozen=True, eq=False)
class Findings:
    """What is exported.

    Attributes:
        report: Content of report.json, or a reply of the server.
        labelmap: Values of `Label` on the grid of the case, shape (I, J, K).
        affine: Voxel to RAS+ mm of that grid.
        heat: Values 0-1 on the same grid; None without.
        uncertainty: Bits 0-1 on the same grid; None without.
        is_corrected: Whether the labelmap is one that a person submitted.
    """

    report: Mapping[str, Any]
    labelmap: LabelArray
    affine: Affine
    heat: npt.NDArray[np.floating[Any]] | None = None
    uncertainty: npt.NDArray[np.floating[Any]] | None = None
    is_corrected: bool = False


def reference_series(source: DicomSource | None, reference: Sequence) -> SourceSeries:
    """Source series on whose planes the results of a case lie.

    Raises:
        InputError: If the case, or its reference, did not come from DICOM.
    """
    series = None if source is None else source.series.get(reference)
    if series is None:
        raise InputError(
            f"the case has no DICOM source for its {reference.value}; expected a case that was "
            "imported from DICOM",
            remedy="Import the study from its DICOM files (tumorlens import SOURCE), or ask for "
            "NIfTI or NRRD.",
        )
    return series


def objects_of(findings: Findings, source: DicomSource, series: SourceSeries) -> dict[str, Dataset]:
    """DICOM objects by file name: segmentation, report, maps.

    Args:
        findings: What was inferred.
        source: Identity of the case.
        series: Its reference series.

    Raises:
        InputError: If the source lacks UIDs, or a label is of no scheme.
    """
    report = findings.report
    told = report["segmentation"]
    models = {model["name"]: ModelVersion(**model) for model in report.get("models", ())}
    scheme = LabelScheme(told["scheme"])
    if findings.is_corrected and findings.labelmap.any():
        scheme = check_scheme(findings.labelmap)
    segmentation = segmentation_object(
        findings.labelmap,
        findings.affine,
        source,
        series,
        models.get(told["model"]),
        scheme=scheme,
        is_corrected=findings.is_corrected,
    )
    spacing_mm = spacing_from_affine(findings.affine)
    made: dict[str, Dataset] = {"segmentation.dcm": segmentation}
    made["report.dcm"] = report_object(
        report,
        findings.labelmap,
        region_volumes_ml(findings.labelmap, spacing_mm, scheme),
        float(np.prod(spacing_mm)) / 1000.0,
        source,
        series,
        segmentation,
    )
    for name, values, kind in (
        ("heatmap.dcm", findings.heat, HEAT),
        ("uncertainty.dcm", findings.uncertainty, UNCERTAINTY),
    ):
        if values is not None:
            made[name] = map_object(values, findings.affine, source, series, kind)
    return made


def encoded(made: Dataset) -> bytes:
    """Bytes of a DICOM file."""
    made.SpecificCharacterSet = UNICODE
    stream = io.BytesIO()
    made.save_as(stream, write_like_original=False)
    return stream.getvalue()


def write_objects(folder: Path, made: Mapping[str, Dataset]) -> list[Path]:
    """Write objects into a folder; each file appears whole.

    Raises:
        StorageError: If the folder does not take them.
    """
    contents = {name: encoded(one) for name, one in made.items()}
    with storage_errors(folder.name):
        make_folder(folder)
    paths = [folder / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_durably(path, content)
    return paths


def described(made: Items[Dataset]) -> list[str]:
    """One line an object, for a person; it names no patient."""
    return [f"{one.Modality} {one.SeriesDescription}" for one in made]
