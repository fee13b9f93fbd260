"""Two dates of one patient: what each of them shows, and how the later one differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.errors import NotFoundError
from brain_tumor.labels import SCHEME_REGIONS, LabelArray, Region, check_scheme
from brain_tumor.segmentation.follow_up.alignment import Alignment, align
from brain_tumor.segmentation.follow_up.changes import RegionChange, region_change
from brain_tumor.segmentation.follow_up.diameters import measure_lesions, sum_of_products_mm2
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml
from brain_tumor.server.datastore.label_check import check_grid
from brain_tumor.server.datastore.store import FINAL, StudyDatastore
from brain_tumor.server.tasks.base import CaseInferTask, TaskServices
from brain_tumor.server.tasks.inputs import stored_input, stored_label

MODEL = "model"
"""Who outlined a date where nobody submitted a label."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The outline of one date.

    Attributes:
        case: The case.
        labelmap: Values on its grid.
        outlined_by: `final` for a submitted label, else `model`.
    """

    case: Case
    labelmap: LabelArray
    outlined_by: str

    @property
    def regions(self) -> tuple[Region, ...]:
        """Regions that the outline tells."""
        return SCHEME_REGIONS[check_scheme(self.labelmap)]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changed between two dates.

    Attributes:
        alignment: How the earlier head was laid on the later one.
        changes: By region that both outlines tell; empty where the heads cannot be laid together.
    """

    alignment: Alignment
    changes: Mapping[Region, RegionChange]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary without the voxels."""
        return {
            "alignment": self.alignment.to_json(),
            "regions": [change.to_json() for change in self.changes.values()],
        }


class FollowUp:
    """Reads the dates of a patient and compares them.

    Args:
        datastore: Studies folder.
        segmentation: Outlines a date where nobody submitted a label.
        services: Gate and cache of the tasks.
    """

    def __init__(
        self,
        datastore: StudyDatastore,
        segmentation: CaseInferTask[SegmentationResult],
        services: TaskServices,
    ) -> None:
        self._datastore = datastore
        self._segmentation = segmentation
        self._services = services

    def measures(self, image: str) -> dict[str, Any]:
        """Volumes and diameters of one date, with the volumes of a second reading of the same scan.

        The second reading is the model's outline where a label was submitted, else the outline
        averaged with that of the mirrored scan: how far two readings of one scan differ says which
        change between two scans is none.
        """
        reading = self.reading(image)
        second = self._outlined(image, mirrored=reading.outlined_by == MODEL)
        lesions = measure_lesions(reading.labelmap, reading.case.affine)
        return {
            "case": image,
            "outlined_by": reading.outlined_by,
            "volumes_ml": self._volumes_ml(reading.case, reading.labelmap),
            "second_reading_ml": self._volumes_ml(reading.case, second.labelmap),
            "lesions": [lesion.to_json() for lesion in lesions],
            "sum_of_products_mm2": sum_of_products_mm2(lesions),
        }

    def compare(self, earlier: str, later: str) -> Comparison:
        """What grew, what is new and what is gone."""
        before, now = self.reading(earlier), self.reading(later)
        alignment = self.alignment(earlier, later)
        if not alignment.is_usable:
            return Comparison(alignment, {})
        moved = alignment.on_later_grid(before.labelmap, before.case, now.case, order=0)
        regions = [region for region in now.regions if region in before.regions]
        affine = now.case.affine
        with self._services.gate.admitted():
            found = {r: region_change(moved, now.labelmap, affine, r) for r in regions}
        return Comparison(alignment, found)

    def moved_label(self, earlier: str, later: str) -> LabelArray:
        """Outline of the earlier date on the grid of the later one."""
        before, now = self.reading(earlier), self._case(later)
        alignment = self.alignment(earlier, later)
        return alignment.on_later_grid(before.labelmap, before.case, now, order=0)

    def moved_volume(self, earlier: str, later: str, sequence: str) -> tuple[Any, Case]:
        """A sequence of the earlier date on the grid of the later one, and the later case.

        Raises:
            NotFoundError: If the earlier date lacks the sequence.
        """
        before, now = self._case(earlier), self._case(later)
        found = next((v for s, v in before.volumes.items() if s.value == sequence), None)
        if found is None:
            names = ", ".join(s.value for s in before.present)
            raise NotFoundError(f"this case has no {sequence!r:.20}; it has {names}")
        alignment = self.alignment(earlier, later)
        return alignment.on_later_grid(found.array, before, now, order=1), now

    def alignment(self, earlier: str, later: str) -> Alignment:
        """How the earlier head is laid on the later one; kept as long as the files are the same."""
        inputs = [stored_input(self._datastore, image) for image in (earlier, later)]
        key = ("alignment", *(one.fingerprint for one in inputs))
        held = self._services.cache.get(key)
        if isinstance(held, Alignment):
            return held
        before, now = self._case(earlier), self._case(later)
        with self._services.gate.admitted():
            made = align(before, now)
        self._services.cache.put(key, made, 1024)
        return made

    def reading(self, image: str) -> Reading:
        """The submitted outline of a date, else that of the model."""
        case = self._case(image)
        try:
            label = stored_label(self._datastore, image, FINAL)
        except NotFoundError:
            return Reading(case, self._outlined(image, mirrored=False).labelmap, MODEL)
        values, affine = label.load()
        check_grid(values.shape, affine, case.shape, case.affine)
        return Reading(case, values.astype(np.uint8), FINAL)

    def _case(self, image: str) -> Case:
        return self._segmentation.load(stored_input(self._datastore, image)).case

    def _outlined(self, image: str, *, mirrored: bool) -> SegmentationResult:
        options = self._segmentation.check_options({"mirrored": mirrored})
        return self._segmentation.outcome(stored_input(self._datastore, image), options).result

    @staticmethod
    def _volumes_ml(case: Case, labelmap: LabelArray) -> dict[str, float]:
        scheme = check_scheme(labelmap)
        volumes = region_volumes_ml(labelmap, case.spacing_mm, scheme)
        return {region.value: ml for region, ml in volumes.items()}
