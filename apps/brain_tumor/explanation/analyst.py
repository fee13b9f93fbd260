"""A case from outline to words: segmentation, type, heat, evidence and rationale in one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.explanation.case_facts import case_facts
from brain_tumor.explanation.facts.atlas import installed_atlas
from brain_tumor.explanation.facts.model import Facts, symptom_facts
from brain_tumor.explanation.facts.unlikeness import (
    roundness_warning,
    unlikeness,
    unlikeness_warning,
)
from brain_tumor.explanation.faithfulness.report import CheckedHeat, FaithfulnessReport
from brain_tumor.explanation.heat.volume import HeatVolume
from brain_tumor.explanation.options import ExplanationOptions
from brain_tumor.explanation.rationale.rationale import Rationale, explain_in_words
from brain_tumor.explanation.region_heat import explain_region
from brain_tumor.explanation.type_heat import explain_type
from brain_tumor.explanation.type_reader import TypeReader, TypeReading, second_reader_warnings
from brain_tumor.segmentation.result import SegmentationResult, Segmenter


@dataclass(frozen=True, eq=False)
class Explanation:
    """Heat, evidence and words of a case.

    Attributes:
        heat: Heat on the reference grid; empty without a tumour.
        faithfulness: Where the heat lies, and whether it can be believed.
        facts: Everything that may be said.
        rationale: What is said.
        symptoms: What the second reader says in words; None without one, or without a tumour.
        timings_s: Seconds per stage.
    """

    heat: HeatVolume
    faithfulness: FaithfulnessReport
    facts: Facts
    rationale: Rationale
    symptoms: ConceptReading | None
    timings_s: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class AnalysedCase:
    """What was inferred from a case.

    Attributes:
        segmentation: Outline.
        read: Tumour type, if it was asked for.
        explanation: Heat and words, if they were asked for.
    """

    segmentation: SegmentationResult
    read: TypeReading | None = None
    explanation: Explanation | None = None

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Models that took part."""
        return (*self.segmentation.models, *(() if self.read is None else self.read.models))

    def in_words_of(self, options: ExplanationOptions) -> AnalysedCase:
        """The same case, explained in the words that were asked for; see `in_words_of`."""
        if self.explanation is None:
            return self
        return replace(self, explanation=in_words_of(self.explanation, options))


def in_words_of(explanation: Explanation, options: ExplanationOptions) -> Explanation:
    """The same explanation in the words that were asked for; may wait for a language model.

    Args:
        explanation: From `Analyst.explain`.
        options: Their language and provider count.

    Raises:
        InputError: If no provider of that name is set up.
    """
    held = explanation.rationale
    if (held.provider, held.language) == (options.provider, options.language):
        return explanation
    started = time.perf_counter()
    rationale = explain_in_words(explanation.facts, options.language, options.provider)
    timings = {**explanation.timings_s, "rationale": time.perf_counter() - started}
    return replace(explanation, rationale=rationale, timings_s=timings)


class Analyst:
    """Everything that is inferred from a case; thread-safe, holds no state of its own.

    Args:
        segmenter: Outlines the tumour.
        reader: Gives the classifier in use now, with its training patients.
    """

    def __init__(self, segmenter: Segmenter, reader: Callable[[], TypeReader]) -> None:
        self._segmenter = segmenter
        self._reader = reader

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """Segmenter, classifier and, if there is one, second reader in use now."""
        return (self._segmenter.version, *self._reader().versions)

    def check(self, options: ExplanationOptions) -> None:
        """Refuse what cannot be explained, before anything long is computed.

        Raises:
            InputError: If no method is named, and the default fails the sanity check of the
                classifier in use.
        """
        if options.region is None:
            self._reader().sanity.usable(options.method)

    def analyse(
        self,
        case: Case,
        options: ExplanationOptions | None = None,
        *,
        second_reader: bool = True,
        when_outlined: Callable[[], None] = lambda: None,
    ) -> AnalysedCase:
        """Outline and type of a case and, with options, heat and the composer's words.

        Args:
            case: Case.
            options: What to explain; None explains nothing. See `in_words_of` for other words.
            second_reader: Whether the second reader is asked, if there is one.
            when_outlined: Called once the outline is there, half of the time.

        Raises:
            InputError: See `explain`.
        """
        segmentation = self.segment(case)
        when_outlined()
        read = self.read_type(case, segmentation, second_reader=second_reader)
        if options is None:
            return AnalysedCase(segmentation, read)
        return AnalysedCase(segmentation, read, self.explain(case, segmentation, read, options))

    def segment(self, case: Case) -> SegmentationResult:
        """Outline of the tumour."""
        return self._segmenter.segment(case)

    def read_type(
        self, case: Case, segmentation: SegmentationResult, *, second_reader: bool = True
    ) -> TypeReading:
        """Tumour type, read in slices through the outline, and read again in words.

        Args:
            case: Case.
            segmentation: Its outline.
            second_reader: Whether the second reader is asked, if there is one. Where it is not
                convinced, the warnings of the classification say so, as they do of a tumour that
                measures unlike the known patients with the type that is told.
        """
        reader = self._reader()
        found = reader.classifier.classify(case, segmentation.labelmap, segmentation.probabilities)
        found = _with_unlikeness(found, reader)
        if not second_reader:
            return TypeReading(found)
        second = None if reader.symptoms is None else reader.symptoms.read_case(found)
        warnings = (*found.warnings, *second_reader_warnings(found, second))
        return TypeReading(replace(found, warnings=warnings), second, reader.warnings)

    def explain(
        self,
        case: Case,
        segmentation: SegmentationResult,
        read: TypeReading,
        options: ExplanationOptions,
    ) -> Explanation:
        """Heat and the composer's words for a classified case; see `in_words_of` for others.

        The words are about the tumour type, so heat of a region does not occur in them.

        Args:
            case: Case.
            segmentation: Its outline.
            read: Its type; read by the classifier in use.
            options: What to explain.

        Raises:
            InputError: If a region is to be explained that the model behind the outline does not
                tell, or see `check`.
        """
        reader = self._reader()
        classification, second = read.classification, read.symptoms
        checked = _checked_heat(reader, case, segmentation, classification, options)
        started = time.perf_counter()
        facts = case_facts(
            case,
            segmentation,
            classification,
            reader,
            checked.heat,
            checked.facts,
            installed_atlas(),
            () if second is None else symptom_facts(second.symptoms),
        )
        told = time.perf_counter()
        rationale = explain_in_words(facts, options.language)
        return Explanation(
            heat=checked.heat,
            faithfulness=checked.report,
            facts=facts,
            rationale=rationale,
            symptoms=second,
            timings_s={
                **checked.timings_s,
                "evidence": told - started,
                "rationale": time.perf_counter() - told,
            },
        )


def _with_unlikeness(found: ClassificationResult, reader: TypeReader) -> ClassificationResult:
    """The result with its distance from known patients with its likeliest type."""
    if found.likeliest is None or not found.slices:
        return found
    known, told = reader.known or reader.patients, found.prediction
    unlike = unlikeness(found.slices, known, found.likeliest)
    warnings = [*found.warnings]
    if told is not None:
        if unlike is not None and unlike.is_out:
            warnings.append(unlikeness_warning(unlike, told))
        round_one = roundness_warning(found.slices, known, told)
        warnings += [] if round_one is None else [round_one]
    return replace(found, unlike=unlike, warnings=tuple(warnings))


def _checked_heat(
    reader: TypeReader,
    case: Case,
    segmentation: SegmentationResult,
    classification: ClassificationResult,
    options: ExplanationOptions,
) -> CheckedHeat:
    """Heat of the region or the type that was asked for."""
    if options.region is not None:
        return explain_region(case, segmentation, options.region)
    return explain_type(
        reader.classifier,
        case,
        segmentation.labelmap > 0,
        classification,
        options.target,
        reader.sanity.usable(options.method),
        reader.sanity,
    )
