"""The `refine` infer task: a labelmap corrected by clicks and scribbles.

The network is not run again for a click: its probabilities come from the shared cache.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.labels import (
    SCHEME_LABELS,
    Label,
    LabelArray,
    LabelScheme,
    check_scheme,
    label_names,
)
from brain_tumor.segmentation.refinement.evidence import Evidence, gather_evidence
from brain_tumor.segmentation.refinement.refine import refine
from brain_tumor.segmentation.refinement.strokes import (
    Stroke,
    check_labels,
    click,
    ras_to_index,
    scribbles,
)
from brain_tumor.segmentation.report import segmentation_section
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml
from brain_tumor.server.datastore.label_check import check_grid
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import REGISTRATION, Parameter
from brain_tumor.server.tasks.admission import InferenceGate
from brain_tumor.server.tasks.base import (
    CaseInferTask,
    CaseInput,
    LabelInput,
    Outcome,
    TaskServices,
)
from brain_tumor.server.tasks.clicks import CLICK_PARAMETERS, RequestedClick, requested_clicks
from brain_tumor.server.tasks.segmentation import SegmentationTask
from brain_tumor.server.tasks.volume_parts import labelmap_bytes

PROPOSAL = "proposal"


@dataclass(frozen=True, eq=False)
class Refinement:
    """A corrected labelmap and how it came about.

    Attributes:
        segmentation: The corrected labelmap, with the model that helped.
        start: Where the labelmap came from: `proposal` or `label`.
        strokes: Clicks and scribbles that were followed.
        changed_voxels: Voxels with another label than before.
        warnings: Sentences for the reader.
    """

    segmentation: SegmentationResult
    start: str
    strokes: int
    changed_voxels: int
    warnings: tuple[str, ...]


class RefineTask(CaseInferTask[Refinement]):
    """Corrects a labelmap by clicks and scribbles.

    Args:
        segmentation: Task that proposes; its results are shared.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str] = "refine"
    takes_label: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType(
        {"start": Parameter((str,), default=PROPOSAL), **CLICK_PARAMETERS}
    )

    def __init__(self, segmentation: SegmentationTask, services: TaskServices) -> None:
        super().__init__(
            InferType.DEEPEDIT.value,
            "Corrects a labelmap by clicks: each says what is there, or that nothing is",
            services,
        )
        # stock clients offer negative clicks where the model has a background
        self.labels = {**label_names(), "background": int(Label.BACKGROUND)}
        self._segmentation = segmentation
        # a click is light work: it does not queue behind other cases' networks
        self._light = InferenceGate()

    def check_options(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a request; clicks are understood now, before anything is computed."""
        options = super().check_options(params)
        requested_clicks(options)
        return options

    def outcome(
        self, case_input: CaseInput, options: Mapping[str, Any], *, background: bool = False
    ) -> Outcome[Refinement]:
        """Result from the cache, or the proposal of the network corrected."""
        held = self._cached(case_input, options)
        if held is not None:
            return held
        started = time.perf_counter()
        key = self._key(case_input, options)  # before the model can change
        proposal = self._segmentation.outcome(
            case_input,
            self._segmentation.check_options({REGISTRATION: options[REGISTRATION]}),
            background=background,
        )
        proposed = time.perf_counter()
        with self._light.admitted(queue=not background):
            begun = time.perf_counter()
            case = self._load(case_input, registration=options[REGISTRATION]).case
            evidence = self._evidence(case_input, case, proposal.result)
            gathered = time.perf_counter()
            result = _correct(case, proposal.result, evidence, case_input, options)
            done = time.perf_counter()
        timings = {
            "load": proposal.timings_s["load"],
            "proposal": proposed - started,
            "evidence": gathered - begun,
            "refine": done - gathered,
            "compute": done - started,
        }
        unswitched = self._key(case_input, options) == key
        if case_input.fingerprint is not None and unswitched:
            kept = Outcome(result, proposal.case, timings, is_cached=True)
            self._services.cache.put(key, kept, self.size_bytes(result))
        return Outcome(result, proposal.case, timings)

    def compute(self, case: Case, options: Mapping[str, Any]) -> Refinement:
        """Correct the model's own proposal; for callers that have nothing else."""
        proposal = self._segmentation.compute(case, {})
        case_input = CaseInput(case.case_id, lambda _: LoadedCase(case), None)
        return _correct(case, proposal, gather_evidence(case, proposal), case_input, options)

    def size_bytes(self, result: Refinement) -> int:
        """Memory of the labelmap."""
        return result.segmentation.nbytes

    def models(self, result: Refinement | None = None) -> Items[ModelVersion]:
        """Model behind the probabilities."""
        return self._segmentation.models(None if result is None else result.segmentation)

    def sections(self, outcome: Outcome[Refinement], options: Mapping[str, Any]) -> dict[str, Any]:
        """Scheme and volumes of the labelmap, and what was changed."""
        result = outcome.result
        volume_ml = abs(float(np.linalg.det(outcome.case.affine[:3, :3]))) / 1000.0
        return {
            "segmentation": segmentation_section(result.segmentation),
            "refinement": {
                "start": result.start,
                "strokes": result.strokes,
                "changed_voxels": result.changed_voxels,
                "changed_ml": result.changed_voxels * volume_ml,
            },
            "warnings": list(result.warnings),
        }

    def files(self, outcome: Outcome[Refinement], options: Mapping[str, Any]) -> Items[FilePart]:
        """The corrected labelmap."""
        suffix = options["result_extension"]
        result = outcome.result.segmentation
        content = labelmap_bytes(result, outcome.case, suffix, is_corrected=True)
        return [self.part("image", suffix, content)]

    def _key(
        self, case_input: CaseInput, options: Mapping[str, Any], result: Refinement | None = None
    ) -> Hashable:
        """Everything that a result depends on, the drawings included."""
        drawn = (case_input.label, case_input.scribbles)
        prints = tuple(None if d is None else d.fingerprint for d in drawn)
        return (super()._key(case_input, options, result), prints)

    def _evidence(
        self, case_input: CaseInput, case: Case, proposal: SegmentationResult
    ) -> Evidence:
        """Evidence of a case, kept as long as the model and the files are the same."""
        if case_input.fingerprint is None:
            return gather_evidence(case, proposal)
        key = ("evidence", case_input.fingerprint, proposal.model)
        return self._services.cache.get_or_make(
            key, lambda: gather_evidence(case, proposal), lambda evidence: evidence.nbytes
        )


def _correct(
    case: Case,
    proposal: SegmentationResult,
    evidence: Evidence,
    case_input: CaseInput,
    options: Mapping[str, Any],
) -> Refinement:
    """Labelmap to start from, corrected by what the request holds."""
    drawn = None if case_input.label is None else _on_grid_of(case, case_input.label)
    start = proposal.labelmap if drawn is None else drawn
    scheme = proposal.scheme if not start.any() else check_scheme(start)
    strokes = [
        *_clicked(case, evidence, scheme, requested_clicks(options)),
        *_scribbled(case, case_input.scribbles),
    ]
    check_labels(strokes, scheme)
    refined = refine(start, case.affine, evidence, strokes)
    warnings = [] if strokes else ["No click and no scribble: nothing was changed."]
    return Refinement(
        segmentation=replace(
            proposal,
            labelmap=refined,
            scheme=scheme,
            reason="Corrected by clicks and scribbles with the probabilities of this model.",
            volumes_ml=region_volumes_ml(refined, case.spacing_mm, scheme),
            uncertainty=None,
            probabilities=None,
            warnings=(),
        ),
        start=PROPOSAL if drawn is None else "label",
        strokes=len(strokes),
        changed_voxels=int(np.count_nonzero(refined != start)),
        warnings=(*(proposal.warnings if drawn is None else ()), *warnings),
    )


def _on_grid_of(case: Case, label: LabelInput) -> LabelArray:
    """Values of a labelmap that lies on the grid of a case."""
    values, affine = label.load()
    check_grid(values.shape, affine, case.shape, case.affine)
    return values


def _scribbled(case: Case, drawn: LabelInput | None) -> tuple[Stroke, ...]:
    return () if drawn is None else scribbles(_on_grid_of(case, drawn), case.shape)


def _clicked(
    case: Case, evidence: Evidence, scheme: LabelScheme, clicks: Items[RequestedClick]
) -> list[Stroke]:
    """Strokes of clicks; what a click leaves open, the model decides."""
    strokes = []
    for given in clicks:
        position = given.position
        if given.is_ras:
            i, j, k = ras_to_index(position, case.affine)
            position = (i, j, k)
        stroke = click(position, Label.BACKGROUND, case.shape)
        labels = set(SCHEME_LABELS[scheme])
        if given.is_positive:
            label = given.label or evidence.likeliest(stroke.voxels[0], case.affine, labels)
        elif given.label is None:
            label = Label.BACKGROUND
        else:
            rest = {Label.BACKGROUND, *labels} - {given.label}
            label = evidence.likeliest(stroke.voxels[0], case.affine, rest)
        strokes.append(replace(stroke, label=label))
    return strokes
