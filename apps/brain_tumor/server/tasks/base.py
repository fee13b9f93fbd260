"""What every infer task of this server has in common.

A task names the parameters it takes, computes a result from a case, and says how the result looks
as JSON and as files. Loading, admission to the processor, caching, timings, warnings and the stock
contract are here, once.
"""

from __future__ import annotations

import math
import os
import secrets
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from collections.abc import Sequence as Items
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from monailabel.interfaces.tasks.infer_v2 import InferTask

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.dicom_source import DicomSource
from brain_tumor.cases.loading import LoadedCase
from brain_tumor.cases.registration.fit import SequenceFit
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine
from brain_tumor.dicom.objects import reference_series
from brain_tumor.explanation.case_report import report_of
from brain_tumor.labels import LabelArray, label_names
from brain_tumor.memory import return_free_memory
from brain_tumor.server.http.replies import FilePart, media_type, to_plain
from brain_tumor.server.http.validation import (
    CASE_PARAMETERS,
    DICOM_SUFFIX,
    REGISTRATION,
    STOCK_PARAMETERS,
    VOLUME_SUFFIXES,
    Parameter,
    check_params,
)
from brain_tumor.server.tasks.admission import InferenceGate
from brain_tumor.server.tasks.cache import ByteCache

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class LabelInput:
    """Labelmap or scribbles that came with a request, or a stored label.

    Attributes:
        load: Reads values and affine.
        fingerprint: Changes whenever the content changes.
    """

    load: Callable[[], tuple[LabelArray, Affine]]
    fingerprint: Hashable


@dataclass(frozen=True)
class CaseInput:
    """Where the voxels of a request come from.

    Attributes:
        case_id: Name in the reply.
        load: Reads the case; takes whether its sequences are registered.
        fingerprint: Changes whenever the files change; None keeps nothing in the cache.
        label: Labelmap to work on, for tasks with `takes_label`.
        scribbles: What was scribbled, for the same tasks.
    """

    case_id: str
    load: Callable[[bool], LoadedCase]
    fingerprint: Hashable | None
    label: LabelInput | None = None
    scribbles: LabelInput | None = None


@dataclass(frozen=True)
class TaskServices:
    """What tasks share.

    Attributes:
        gate: Admission to the processor.
        cache: Cases and results.
    """

    gate: InferenceGate
    cache: ByteCache


@dataclass(frozen=True, eq=False)
class CaseSummary:
    """What a reply needs to know about a case, without its voxels.

    Attributes:
        used: Sequences of the case.
        missing: Sequences that it lacks.
        reference: Sequence whose grid the results are on.
        affine: Voxel to RAS+ mm of that grid.
        warnings: What the reader of the files warned about.
        fits: How each sequence lay on the reference.
        source: Where the case comes from in DICOM; None if it does not.
    """

    used: tuple[Sequence, ...]
    missing: tuple[Sequence, ...]
    reference: Sequence
    affine: Affine
    warnings: tuple[str, ...]
    fits: tuple[SequenceFit, ...]
    source: DicomSource | None = None


@dataclass(frozen=True, eq=False)
class Outcome(Generic[ResultT]):
    """A result with what the reply says about its making.

    Attributes:
        result: What the task computed.
        case: The case, without its voxels: results are cached longer than cases.
        timings_s: Seconds per stage.
        is_cached: Whether it was computed for an earlier request.
    """

    result: ResultT
    case: CaseSummary
    timings_s: Mapping[str, float]
    is_cached: bool = False


@dataclass(frozen=True)
class TaskReply:
    """What goes to the client.

    Attributes:
        params: JSON of the reply, plain Python.
        parts: Files, the labelmap first.
        kept: The labelmap as it is kept, where clients got a DICOM segmentation.
    """

    params: Mapping[str, Any]
    parts: tuple[FilePart, ...]
    kept: FilePart | None = None

    @property
    def labelmap(self) -> FilePart | None:
        """The labelmap as a volume file; None if the task makes none."""
        return self.kept or next((part for part in self.parts if part.name == "image"), None)


class CaseInferTask(InferTask, Generic[ResultT]):  # type: ignore[misc]
    """Base of the infer tasks.

    Subclasses give `compute`, `size_bytes`, `models`, `sections` and `files`; see
    `SegmentationTask` for a whole one.

    Args:
        kind: MONAI Label's infer type, for example `segmentation`.
        description: One sentence for the client's list of models.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType({})
    takes_label: ClassVar[bool] = False

    def __init__(self, kind: str, description: str, services: TaskServices) -> None:
        defaults = {key: parameter.default for key, parameter in self.parameters.items()}
        # clients show these as plain settings
        options = {k: v for k, v in defaults.items() if isinstance(v, bool | int | float | str)}
        super().__init__(
            type=kind,
            labels=label_names(),
            dimension=3,
            description=description,
            config=options,
        )
        self._services = services

    @abstractmethod
    def compute(self, case: Case, options: Mapping[str, Any]) -> ResultT:
        """Heavy part; runs admitted by the gate and is cached."""

    @abstractmethod
    def size_bytes(self, result: ResultT) -> int:
        """Memory that a result takes in the cache."""

    @abstractmethod
    def models(self, result: ResultT | None = None) -> Items[ModelVersion]:
        """Models behind a result, or those in use now; part of the cache key."""

    @abstractmethod
    def sections(self, outcome: Outcome[ResultT], options: Mapping[str, Any]) -> dict[str, Any]:
        """Sections of the reply that are this task's own.

        `warnings` and `timings_s` among them are merged into those of the reply.
        """

    @abstractmethod
    def files(self, outcome: Outcome[ResultT], options: Mapping[str, Any]) -> Items[FilePart]:
        """Files of the reply, the labelmap first."""

    def is_valid(self) -> bool:
        """Whether clients may list the task; a task without weights is never made."""
        return True

    def check_options(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a request with defaults.

        Raises:
            InputError: If a key or a value is none that the task takes.
        """
        return check_params(params, {**STOCK_PARAMETERS, **CASE_PARAMETERS, **self.parameters})

    def run(
        self, case_input: CaseInput, options: Mapping[str, Any], *, background: bool = False
    ) -> TaskReply:
        """Answer one request.

        Args:
            case_input: Case.
            options: From `check_options`.
            background: Whether the work waits outside the bound on waiting requests.

        Raises:
            InputError: If the case cannot be used.
            BusyError: If too many requests wait already.
        """
        started = time.perf_counter()
        outcome = self.outcome(case_input, options, background=background)
        encoding = time.perf_counter()
        parts = tuple(self.files(outcome, options))
        done = time.perf_counter()
        report = report_of(
            case_input.case_id,
            self.sections(outcome, options),
            used=outcome.case.used,
            missing=outcome.case.missing,
            reference=outcome.case.reference,
            models=self.models(outcome.result),
            fits=outcome.case.fits,
            warnings=outcome.case.warnings,
            timings_s=outcome.timings_s,
        )
        report["timings_s"] |= {"encode": done - encoding, "total": done - started}
        params = {
            **report,
            "task": self.name,
            "files": [{"name": part.name, "filename": part.filename} for part in parts],
            "label_names": label_names(),
            "cached": outcome.is_cached,
        }
        return TaskReply(to_plain(params), parts, self._kept(outcome, options))

    def _kept(self, outcome: Outcome[ResultT], options: Mapping[str, Any]) -> FilePart | None:
        """Labelmap as a volume, if the client gets DICOM."""
        if options["result_extension"] != DICOM_SUFFIX:
            return None
        plain = {**options, "result_extension": VOLUME_SUFFIXES[0]}
        return next((p for p in self.files(outcome, plain) if p.name == "image"), None)

    def outcome(
        self, case_input: CaseInput, options: Mapping[str, Any], *, background: bool = False
    ) -> Outcome[ResultT]:
        """Result from the cache, or computed once admitted; finished for this request."""
        held = self._cached(case_input, options)
        if held is None:
            with self._services.gate.admitted(queue=not background):
                try:
                    held = self._cached(case_input, options) or self.make(case_input, options)
                finally:
                    return_free_memory()
        return self.finish(held, case_input, options)

    def finish(
        self, outcome: Outcome[ResultT], case_input: CaseInput, options: Mapping[str, Any]
    ) -> Outcome[ResultT]:
        """What is left to do for one request; not admitted, so it may wait for somebody else.

        Args:
            outcome: The heavy part, perhaps from the cache.
            case_input: Case.
            options: From `check_options`.
        """
        return outcome

    def make(self, case_input: CaseInput, options: Mapping[str, Any]) -> Outcome[ResultT]:
        """Compute a result and keep it; the caller is admitted."""
        key = self._key(case_input, options)  # before the model can change
        timings: dict[str, float] = {}
        with _stage(timings, "load"):
            loaded = self._load(case_input, registration=options[REGISTRATION])
        if options["result_extension"] == DICOM_SUFFIX:
            reference_series(loaded.source, loaded.case.reference)  # refuse before the work
        with _stage(timings, "compute"):
            result = self.compute(loaded.case, options)
        summary = _summary(loaded)
        unswitched = self._key(case_input, options) == key
        if case_input.fingerprint is not None and unswitched:
            kept = Outcome(result, summary, timings, is_cached=True)
            self._services.cache.put(key, kept, self.size_bytes(result))
        return Outcome(result, summary, timings)

    def warm_up(self, case: Case) -> None:
        """Pay the one-time cost of the first request before it comes."""
        case_input = CaseInput(case.case_id, lambda _: LoadedCase(case), None)
        self.run(case_input, self.check_options({}), background=True)

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """MONAI Label's contract: one file on disk and JSON.

        Args:
            request: `case_input` (a `CaseInput`) and the options.

        Returns:
            Path of the first file, which the caller removes, and the JSON.
        """
        options = {key: value for key, value in request.items() if key != "case_input"}
        reply = self.run(request["case_input"], options)
        if not reply.parts:
            return None, dict(reply.params)
        part = reply.parts[0]
        suffix = "".join(Path(part.filename).suffixes)
        descriptor, path = tempfile.mkstemp(suffix=suffix)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(part.content)
        return path, dict(reply.params)

    def part(self, name: str, suffix: str, content: bytes) -> FilePart:
        """File of a reply under a new name, which tells nothing about the patient."""
        filename = f"{self.name}-{secrets.token_hex(6)}{suffix}"
        return FilePart(name, filename, media_type(filename), content)

    def _cached(self, case_input: CaseInput, options: Mapping[str, Any]) -> Outcome[ResultT] | None:
        """Kept result of this very request, or None."""
        if case_input.fingerprint is None:
            return None
        held = self._services.cache.get(self._key(case_input, options))
        return held if isinstance(held, Outcome) else None

    def load(self, case_input: CaseInput) -> LoadedCase:
        """The case as the models see it."""
        return self._load(case_input, registration=True)

    def _load(self, case_input: CaseInput, *, registration: bool) -> LoadedCase:
        """Case from the cache or from its files."""
        if case_input.fingerprint is None:
            return case_input.load(registration)
        return self._services.cache.get_or_make(
            ("case", case_input.fingerprint, registration),
            lambda: case_input.load(registration),
            _case_bytes,
        )

    def _key(
        self, case_input: CaseInput, options: Mapping[str, Any], result: ResultT | None = None
    ) -> Hashable:
        """Everything that a result depends on, made by the models in use or by those behind one."""
        own = tuple(
            repr(options.get(key))
            for key, parameter in sorted({**CASE_PARAMETERS, **self.parameters}.items())
            if parameter.affects_result
        )
        versions = tuple((m.name, m.version, m.sha256) for m in self.models(result))
        return (self.name, case_input.fingerprint, versions, own)


def _summary(loaded: LoadedCase) -> CaseSummary:
    """Case without its voxels."""
    case = loaded.case
    return CaseSummary(
        case.present,
        case.missing,
        case.reference,
        case.affine,
        tuple(loaded.warnings),
        loaded.fits,
        loaded.source,
    )


def _case_bytes(loaded: LoadedCase) -> int:
    """Memory that a case takes."""
    volumes = loaded.case.volumes.values()
    return sum(math.prod(v.shape) * v.array.itemsize for v in volumes)


@contextmanager
def _stage(timings_s: dict[str, float], name: str) -> Iterator[None]:
    """Note how long a block takes."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings_s[name] = time.perf_counter() - started
