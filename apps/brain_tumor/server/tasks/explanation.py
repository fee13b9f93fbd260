"""The infer tasks `explanation` and `analysis`: heat, evidence and words of a case."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from monailabel.interfaces.tasks.infer_v2 import InferType

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.writers import SCALAR_MAP_STEPS
from brain_tumor.dicom.maps import HEAT, UNCERTAINTY
from brain_tumor.explanation.analyst import AnalysedCase, Analyst, Explanation, in_words_of
from brain_tumor.explanation.case_report import result_sections
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.heat.methods import HeatMethod
from brain_tumor.explanation.options import PREDICTION, TARGETS, ExplanationOptions
from brain_tumor.explanation.rationale.providers.base import COMPOSER
from brain_tumor.explanation.rationale.providers.registry import (
    ProviderSettings,
    available_providers,
    provider_of_environment,
)
from brain_tumor.explanation.rationale.rationale import Rationale
from brain_tumor.explanation.sections import PART
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.http.validation import Parameter
from brain_tumor.server.tasks.base import CaseInferTask, CaseInput, Outcome, TaskServices
from brain_tumor.server.tasks.classification import SECOND_READER
from brain_tumor.server.tasks.volume_parts import labelmap_bytes, map_bytes


class ExplanationTask(CaseInferTask[AnalysedCase]):
    """Shows and says why.

    Args:
        analyst: Does the work.
        services: Gate and cache, shared by all tasks.
    """

    name: ClassVar[str] = "explanation"
    summary: ClassVar[str] = "Why: a heatmap volume, measured evidence and a checked rationale"
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType(
        {
            "method": Parameter((str,), choices=tuple(m.value for m in HeatMethod)),
            "target": Parameter((str,), default=PREDICTION, choices=TARGETS),
            "language": Parameter(
                (str,),
                default=Language.ENGLISH.value,
                choices=tuple(x.value for x in Language),
                affects_result=False,  # words are not part of what is computed, see `finish`
            ),
            "provider": Parameter(
                (str,),
                default=COMPOSER,
                choices=available_providers(ProviderSettings.from_environment(os.environ)),
                affects_result=False,
            ),
            SECOND_READER: Parameter((bool,), default=True),
        }
    )

    def __init__(self, analyst: Analyst, services: TaskServices) -> None:
        super().__init__(InferType.OTHERS.value, self.summary, services)
        self._analyst = analyst

    def check_options(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a request with defaults.

        Raises:
            InputError: If a key or a value is none that the task takes, the method does not fit
                the target, no method is named and the default fails the sanity check, or the
                provider cannot be used as it is set up.
        """
        options = super().check_options(params)
        chosen = _chosen(options)
        self._analyst.check(chosen)
        provider_of_environment(chosen.provider)
        return options

    def compute(self, case: Case, options: Mapping[str, Any]) -> AnalysedCase:
        """Outline, classify and explain a case in the composer's words."""
        return self._analyst.analyse(case, _chosen(options), second_reader=options[SECOND_READER])

    def finish(
        self,
        outcome: Outcome[AnalysedCase],
        case_input: CaseInput,
        options: Mapping[str, Any],
    ) -> Outcome[AnalysedCase]:
        """The words that were asked for; a slow provider keeps nobody from the processor.

        Words of a provider are kept; the composer's are made anew, and so are those that stand in
        for a provider that failed, which may answer next time.
        """
        chosen = _chosen(options)
        if chosen.provider == COMPOSER:
            return _told(outcome, in_words_of(_explained(outcome.result), chosen))
        key = None
        if case_input.fingerprint is not None:
            heard = self._key(case_input, options, outcome.result)
            key = (heard, chosen.provider, chosen.language)
            held = self._services.cache.get(key)
            if isinstance(held, Rationale):
                return _told(outcome, replace(_explained(outcome.result), rationale=held))
        explanation = in_words_of(_explained(outcome.result), chosen)
        rationale = explanation.rationale
        if key is not None and not rationale.notes:
            self._services.cache.put(key, rationale, len(repr(rationale)))
        return replace(_told(outcome, explanation), is_cached=False)

    def size_bytes(self, result: AnalysedCase) -> int:
        """Memory of the volumes."""
        uncertainty = result.segmentation.uncertainty
        extra = uncertainty.nbytes if uncertainty is not None else 0
        heat = _explained(result).heat.values.nbytes
        return int(result.segmentation.labelmap.nbytes + extra + heat)

    def models(self, result: AnalysedCase | None = None) -> Items[ModelVersion]:
        """Segmenter, classifier and, if it was asked, second reader."""
        return self._analyst.versions if result is None else result.models

    def sections(
        self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Everything that is said about the case."""
        return result_sections(outcome.result)

    def files(self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]) -> Items[FilePart]:
        """Heatmap."""
        return (self._heat_part(outcome, options),)

    def _heat_part(self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]) -> FilePart:
        suffix = options["result_extension"]
        values = _explained(outcome.result).heat.values
        return self.part(PART, suffix, map_bytes(values, outcome.case, suffix, HEAT))


def _explained(result: AnalysedCase) -> Explanation:
    """Heat and words, which `ExplanationTask.compute` always makes."""
    if result.explanation is None:
        raise LookupError("the case was analysed without an explanation")
    return result.explanation


def _told(outcome: Outcome[AnalysedCase], explanation: Explanation) -> Outcome[AnalysedCase]:
    """Outcome in other words."""
    return replace(outcome, result=replace(outcome.result, explanation=explanation))


def _chosen(options: Mapping[str, Any]) -> ExplanationOptions:
    """What a request wants explained."""
    method = options["method"]
    return ExplanationOptions(
        method=None if method is None else HeatMethod(method),
        target=options["target"],
        language=Language(options["language"]),
        provider=options["provider"],
    )


class AnalysisTask(ExplanationTask):
    """Outline, type, heat and words in one request."""

    name: ClassVar[str] = "analysis"
    summary: ClassVar[str] = "Everything at once: outline, tumour type, heatmap and rationale"
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType(
        {
            **ExplanationTask.parameters,
            "uncertainty": Parameter((bool,), default=False, affects_result=False),
        }
    )

    def sections(
        self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """As of the explanation, and where the uncertainty is if it was asked for."""
        sections = super().sections(outcome, options)
        if options.get("uncertainty"):
            if outcome.result.segmentation.uncertainty is None:
                sections["warnings"].append("this model gives no uncertainty")
            else:
                sections["uncertainty"] = {"part": "uncertainty", "scale": 1 / SCALAR_MAP_STEPS}
        return sections

    def files(self, outcome: Outcome[AnalysedCase], options: Mapping[str, Any]) -> Items[FilePart]:
        """Labelmap first, then the heatmap, then the uncertainty if it was asked for."""
        result = outcome.result.segmentation
        suffix = options["result_extension"]
        parts = [
            self.part("image", suffix, labelmap_bytes(result, outcome.case, suffix)),
            self._heat_part(outcome, options),
        ]
        if options.get("uncertainty") and result.uncertainty is not None:
            content = map_bytes(result.uncertainty, outcome.case, suffix, UNCERTAINTY)
            parts.append(self.part("uncertainty", suffix, content))
        return parts
