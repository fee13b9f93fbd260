"""The JSON of an analysis, read once; what is missing stays None or empty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from TumorLensLib.transport import BadReplyError

SUPPORTED_MAJOR = "1"


@dataclass(frozen=True)
class Evidence:
    """A measurement that the rationale rests on.

    Attributes:
        id: What sentences refer to.
        name: Name for people.
        value: Measured value, or None when it could not be measured.
        unit: Unit of the value; "1" for none.
        reason: Why it could not be measured.
        ras: Where it was measured, mm.
        extent_mm: Size of what was measured.
        place: Side and region in words.
        reference: Quantiles 5, 50 and 95 % by tumour type.
        supports: Type that it speaks for.
        contribution: How much, signed.
        heat: Mean heat near the place.
    """

    id: str
    name: str
    value: float | None
    unit: str
    reason: str
    ras: tuple[float, float, float] | None
    extent_mm: float | None
    place: str
    reference: Mapping[str, tuple[float, float, float]]
    supports: str
    contribution: float | None
    heat: float | None


@dataclass(frozen=True)
class Sentence:
    """A sentence of the rationale with the evidence it names; the summary is read first."""

    id: str
    text: str
    evidence: tuple[str, ...]
    kind: str
    is_summary: bool = True


@dataclass(frozen=True)
class Classification:
    """Tumour type.

    Attributes:
        prediction: Type, or `undetermined`.
        probabilities: Calibrated, by type; empty when no tumour was found.
        prediction_set: Types that cannot be ruled out.
        coverage: Share of cases whose set holds the truth.
        reasons: Why it is undetermined.
        is_out_of_distribution: Whether the case is unlike those the model learned from.
        scope: Sentence on the types that can be named; empty from a server that does not tell.
    """

    prediction: str
    probabilities: Mapping[str, float]
    prediction_set: tuple[str, ...]
    coverage: float | None
    reasons: tuple[str, ...]
    is_out_of_distribution: bool
    scope: str = ""


@dataclass(frozen=True)
class Heat:
    """Heatmap and whether it can be trusted.

    Attributes:
        part: Name of the file part.
        scale: Factor from stored values to 0-1; 1 when the file applies it.
        is_faithful: None when it was not tested.
        reasons: Why the test failed.
    """

    part: str
    method: str
    target: str
    scale: float
    inside_tumor_share: float | None
    peak_ras: tuple[float, float, float] | None
    is_faithful: bool | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Symptom:
    """A visual symptom of the concept vocabulary.

    Attributes:
        text: The symptom in words.
        tumor_type: Type that it speaks for.
        score: How likely the picture shows it, 0-1.
        is_matched: Whether it counts as seen.
        evidence: Id of the evidence item that measures it; may be empty.
        is_present: Whether the measurement shows it; None if it could not be measured.
        words: Its words with what each adds to the score.
    """

    text: str
    tumor_type: str
    score: float | None
    is_matched: bool
    evidence: str
    is_present: bool | None
    words: tuple[tuple[str, float], ...]

    @property
    def is_contradicted(self) -> bool:
        """Whether picture and measurement say different things."""
        return self.is_present is not None and self.is_present != self.is_matched


@dataclass(frozen=True)
class Analysis:
    """Everything the panel shows of a reply."""

    warnings: tuple[str, ...]
    models: tuple[tuple[str, str, str], ...]
    sequences_used: tuple[str, ...]
    sequences_missing: tuple[str, ...]
    notice: str
    scheme: str
    classification: Classification | None
    heat: Heat | None
    evidence: tuple[Evidence, ...]
    sentences: tuple[Sentence, ...]
    provider: str
    claims: tuple[int, int] | None
    problems: tuple[str, ...]
    counterfactual: Mapping[str, Any] | None
    similar_cases: tuple[Mapping[str, Any], ...]
    symptoms: tuple[Symptom, ...]
    uncertainty_scale: float
    presence: float | None

    def evidence_by_id(self, identity: str) -> Evidence | None:
        """Evidence that a sentence names."""
        return next((item for item in self.evidence if item.id == identity), None)


def parse_reply(params: Mapping[str, Any]) -> Analysis:
    """Read the JSON part of an inference.

    Raises:
        BadReplyError: If its version is one that this panel cannot read.
    """
    version = str(params.get("schema_version", "1.0"))
    if version.split(".")[0] != SUPPORTED_MAJOR:
        raise BadReplyError(
            f"the server writes replies of version {version}; this panel reads version 1",
            "Update the TumorLens extension or the server, so that both fit.",
        )
    rationale = _mapping(params, "rationale")
    sequences = _mapping(params, "sequences")
    checks = _mapping(rationale, "checks")
    claims, supported = _number(checks, "claims"), _number(checks, "supported")
    return Analysis(
        warnings=_texts(params, "warnings"),
        models=tuple(
            (str(m.get("name", "?")), str(m.get("version", "?")), str(m.get("sha256", "")))
            for m in _mappings(params, "models")
        ),
        sequences_used=_texts(sequences, "used"),
        sequences_missing=_texts(sequences, "missing"),
        notice=str(params.get("notice", "")),
        scheme=str(_mapping(params, "segmentation").get("scheme", "")),
        classification=_classification(_mapping(params, "classification")),
        heat=_heat(_mapping(params, "heatmap")),
        evidence=tuple(_evidence(item) for item in _mappings(params, "evidence")),
        sentences=tuple(
            Sentence(
                str(item.get("id", f"s{i}")),
                str(item.get("text", "")),
                _texts(item, "evidence"),
                str(item.get("kind", "")),
                item.get("part") != "detail",
            )
            for i, item in enumerate(_mappings(rationale, "sentences"), 1)
        ),
        provider=str(rationale.get("provider", "")),
        claims=(int(claims), int(supported))
        if claims is not None and supported is not None
        else None,
        problems=_texts(checks, "problems"),
        counterfactual=_mapping(params, "counterfactual") or None,
        similar_cases=tuple(_mappings(params, "similar_cases")),
        symptoms=tuple(
            Symptom(
                str(item.get("text", "")),
                str(item.get("class", "")),
                _number(item, "score"),
                bool(item.get("matched")),
                str(item.get("evidence") or ""),
                present if isinstance(present := item.get("present"), bool) else None,
                tuple(
                    (str(word.get("word", "")), _number(word, "weight") or 0.0)
                    for word in _mappings(item, "words")
                ),
            )
            for item in _mappings(params, "symptoms")
        ),
        uncertainty_scale=_number(_mapping(params, "uncertainty"), "scale") or 1.0,
        presence=_number(_mapping(_mapping(params, "segmentation"), "presence"), "probability"),
    )


def _classification(section: Mapping[str, Any]) -> Classification | None:
    if not section:
        return None
    probabilities = {
        str(name): share
        for name, value in _mapping(section, "probabilities").items()
        if (share := _finite(value)) is not None
    }
    return Classification(
        prediction=str(section.get("prediction", "undetermined")),
        probabilities=probabilities,
        prediction_set=_texts(section, "prediction_set"),
        coverage=_number(section, "coverage"),
        reasons=_texts(section, "reasons"),
        is_out_of_distribution=bool(_mapping(section, "out_of_distribution").get("is_out")),
        scope=str(_mapping(section, "scope").get("note") or ""),
    )


def _heat(section: Mapping[str, Any]) -> Heat | None:
    if not section:
        return None
    test = _mapping(section, "faithfulness")
    passed = test.get("passed")
    return Heat(
        part=str(section.get("part", "heatmap")),
        method=str(section.get("method", "")),
        target=str(section.get("target", "")),
        scale=_number(section, "scale") or 1.0,
        inside_tumor_share=_number(section, "inside_tumor_share"),
        peak_ras=_point(section.get("peak_ras")),
        is_faithful=passed if isinstance(passed, bool) else None,
        reasons=_texts(test, "reasons"),
    )


def _evidence(item: Mapping[str, Any]) -> Evidence:
    reference = {
        str(name): (float(q[0]), float(q[1]), float(q[2]))
        for name, q in _mapping(item, "reference").items()
        if isinstance(q, (list, tuple)) and len(q) == 3 and all(_finite(v) is not None for v in q)
    }
    place = [str(item[key]) for key in ("region", "side") if item.get(key)]
    return Evidence(
        id=str(item.get("id", "")),
        name=str(item.get("name", item.get("feature", ""))),
        value=_number(item, "value") if item.get("measured", True) else None,
        unit=str(item.get("unit", "")),
        reason=str(item.get("reason") or ""),
        ras=_point(item.get("ras")),
        extent_mm=_number(item, "extent_mm"),
        place=place[0] if place else "",
        reference=reference,
        supports=str(item.get("supports") or ""),
        contribution=_number(item, "contribution"),
        heat=_number(item, "heat"),
    )


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _number(section: Mapping[str, Any], key: str) -> float | None:
    return _finite(section.get(key))


def _point(value: Any) -> tuple[float, float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    x, y, z = (_finite(part) for part in value)
    return None if x is None or y is None or z is None else (x, y, z)


def _mapping(section: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = section.get(key)
    return value if isinstance(value, Mapping) else {}


def _mappings(section: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = section.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _texts(section: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = section.get(key)
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()
