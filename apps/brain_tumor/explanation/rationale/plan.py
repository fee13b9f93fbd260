"""What to say about a case, before any words: a plan of statements."""

from __future__ import annotations

from collections.abc import Iterator

from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.explanation.facts.feature_families import family_of, is_inside, is_view
from brain_tumor.explanation.facts.model import (
    CLEAR_CONTRIBUTION,
    LOCATION,
    LOW_HEAT,
    OUT_OF_DISTRIBUTION,
    THIN_SHARE,
    VOLUMES,
    EvidenceItem,
    Facts,
    SymptomFact,
    UndeterminedReason,
)
from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN, WrittenNumber, written
from brain_tumor.explanation.facts.reference import TYPICAL_RANGE
from brain_tumor.explanation.facts.vocabulary import written_value
from brain_tumor.explanation.heat.volume import DILATION_MM
from brain_tumor.explanation.rationale.claims import (
    NEARLY_ALL,
    RANK_STEP,
    Claim,
    CounterfactualClaim,
    FaithfulnessClaim,
    HeatAgreementClaim,
    HeatNearClaim,
    HeatPeakClaim,
    HeatPeakNearClaim,
    HeatShareClaim,
    NoCounterfactualClaim,
    NotMeasuredClaim,
    OutsideClaim,
    OutsideLimitClaim,
    PlaceClaim,
    ProbabilityClaim,
    RankClaim,
    RunnerUpClaim,
    SetClaim,
    SimilarClaim,
    SupportClaim,
    SymptomClaim,
    SymptomConflictClaim,
    ThinEvidenceClaim,
    TypeClaim,
    TypicalClaim,
    UndeterminedClaim,
    UnknownPlaceClaim,
    ValueClaim,
    ViewClaim,
    strength_of,
)
from brain_tumor.explanation.rationale.statements import Form, Kind, Statement
from brain_tumor.labels import TumorType

MOST_FOR, MOST_AGAINST, MOST_NEUTRAL = 3, 2, 2
MOST_MISSING_FEATURES = 3
MOST_MISSING_REASONS = 2
CERTAIN = 0.9
"""From this probability on the second type is not named."""
NOTHING_READ = frozenset({UndeterminedReason.NO_TUMOUR, UndeterminedReason.TOO_SMALL})
"""Reasons with which there are no slices, so that nothing was measured."""


def plan_statements(facts: Facts) -> tuple[Statement, ...]:
    """Everything worth saying, in the order in which it reads best."""
    return tuple(_plan(facts))


def _plan(facts: Facts) -> Iterator[Statement]:
    yield from _place(facts)
    yield from _type(facts)
    yield from _findings(facts)
    yield from _heat(facts)
    yield from symptom_statements(facts)
    yield from _uncertainty(facts)
    yield from _counterfactual(facts)
    yield from _similar(facts)
    yield from _missing(facts)


def value_of(item: EvidenceItem, value: float | None = None) -> WrittenNumber:
    """A value of an item as it is written; the measured one unless another is given.

    Args:
        item: Measured item.
        value: Another value of the same feature.
    """
    number = item.value if value is None else value
    if number is None:
        raise ValueError(f"{item.feature} has no value")
    return written_value(item.feature, number, item.unit)


def probability_claim(tumor: TumorType, probability: float) -> ProbabilityClaim:
    """A probability as it is written: "more than 99 %" from there on.

    Args:
        tumor: Type that has it.
        probability: 0-1.
    """
    if probability > NEARLY_CERTAIN:
        most = WrittenNumber(100.0 * NEARLY_CERTAIN, 0, "%")
        return ProbabilityClaim(tumor, most, more=True)
    return ProbabilityClaim(tumor, written(probability, "1", percent=True))


def comparison(item: EvidenceItem, tumor: TumorType) -> tuple[Claim, ...]:
    """Where a value lies among the training patients of a type; empty without a reference."""
    below = item.percentile.get(tumor)
    if below is None or not item.measured:
        return ()
    if TYPICAL_RANGE[0] <= below <= TYPICAL_RANGE[1]:
        return (TypicalClaim(item.feature, tumor),)
    higher = below > 0.5
    share = below if higher else 1.0 - below
    stepped = None
    if share < NEARLY_ALL:
        stepped = round(RANK_STEP * int((share + 1e-9) / RANK_STEP), 2)
    return (RankClaim(item.feature, higher, stepped, tumor),)


def _place(facts: Facts) -> Iterator[Statement]:
    item = facts.item(LOCATION)
    if item is not None:
        region = (item.region or "").removeprefix("left ").removeprefix("right ") or None
        claims: list[Claim] = []
        if item.side is not None or region:
            claims.append(PlaceClaim(item.side, region))
        if item.measured:
            claims.append(ValueClaim(LOCATION, value_of(item)))
        if claims:
            yield Statement(Form.PLACE, Kind.LOCATION, tuple(claims))
    if UndeterminedReason.NO_TUMOUR in facts.decision.reasons:
        return
    volumes = [facts.item(name) for name in VOLUMES]
    found = tuple(ValueClaim(v.feature, value_of(v)) for v in volumes if v and v.measured)
    if found:
        yield Statement(Form.VOLUMES, Kind.LOCATION, found, required=False)


def _type(facts: Facts) -> Iterator[Statement]:
    decision = facts.decision
    if decision.prediction is None or decision.probabilities is None:
        reasons = (UndeterminedClaim((reason,)) for reason in decision.reasons)
        yield Statement(Form.UNDETERMINED, Kind.UNCERTAINTY, (UndeterminedClaim(), *reasons))
        return
    probability = decision.probabilities[decision.prediction]
    yield Statement(
        Form.TYPE,
        Kind.CLASS,
        (
            TypeClaim(decision.prediction, strength_of(probability)),
            probability_claim(decision.prediction, probability),
        ),
    )
    second = decision.runner_up
    if second is not None and probability < CERTAIN:
        share = decision.probabilities[second]
        claims = RunnerUpClaim(second), probability_claim(second, share)
        yield Statement(Form.RUNNER_UP, Kind.UNCERTAINTY, claims)


def _ranked_items(facts: Facts) -> list[EvidenceItem]:
    """Measured features by falling weight, one of each family, without those of the view."""
    judged = facts.decision.prediction or next(iter(facts.decision.ranked), None)
    found = [
        item
        for item in facts.evidence
        if item.feature in FEATURE_IDS and item.measured and not is_view(item.feature)
    ]
    if judged is not None:
        found.sort(key=lambda item: -abs(item.contributions.get(judged, 0.0)))
    chosen: list[EvidenceItem] = []
    said: set[str] = set()
    for item in found:
        if item.feature not in said:
            said |= family_of(item.feature)
            chosen.append(item)
    return chosen


def _findings(facts: Facts) -> Iterator[Statement]:
    decision = facts.decision
    predicted = decision.prediction
    if predicted is None:
        if not decision.is_out and not NOTHING_READ.intersection(decision.reasons):
            for item in _ranked_items(facts)[:MOST_NEUTRAL]:
                ranks = [c for tumor in decision.ranked[:2] for c in comparison(item, tumor)]
                claims = (ValueClaim(item.feature, value_of(item)), *ranks)
                yield Statement(Form.FINDING_NEUTRAL, Kind.FINDING, claims, required=False)
        return
    items = _ranked_items(facts)
    for item in [i for i in items if i.contributions.get(predicted, 0.0) >= CLEAR_CONTRIBUTION][
        :MOST_FOR
    ]:
        yield _finding_for(item, predicted, decision.runner_up)
    for item in [i for i in items if i.contributions.get(predicted, 0.0) <= -CLEAR_CONTRIBUTION][
        :MOST_AGAINST
    ]:
        yield _finding_against(item, predicted)


def _finding_for(item: EvidenceItem, predicted: TumorType, second: TumorType | None) -> Statement:
    """A finding for the predicted type; a conflict if the value is at home with another type."""
    value = ValueClaim(item.feature, value_of(item))
    support = SupportClaim(item.feature, predicted, favours=True)
    own = comparison(item, predicted)
    other = second
    if other is None or item.contributions.get(other, 0.0) >= 0.0:
        other = min(item.contributions, key=lambda tumor: item.contributions[tumor])
    other = other if other is not predicted else second
    others = comparison(item, other) if other else ()
    strange = bool(own) and isinstance(own[0], RankClaim)
    if strange and others and isinstance(others[0], TypicalClaim):
        return Statement(Form.ATYPICAL, Kind.CONFLICT, (value, support, *others, *own))
    claims: tuple[Claim, ...] = (value, *others, *own, support)
    return Statement(Form.FINDING, Kind.FINDING, claims, required=False)


def _finding_against(item: EvidenceItem, predicted: TumorType) -> Statement:
    claims: list[Claim] = [ValueClaim(item.feature, value_of(item))]
    claims += comparison(item, predicted)
    supported = item.supports
    if supported is not None and supported is not predicted:
        claims += comparison(item, supported)
    claims.append(SupportClaim(item.feature, predicted, favours=False))
    if supported is not None and supported is not predicted:
        claims.append(SupportClaim(item.feature, supported, favours=True))
    return Statement(Form.FINDING_AGAINST, Kind.FINDING, tuple(claims))


def _heat(facts: Facts) -> Iterator[Statement]:
    heat = facts.heat
    if heat is None:
        return
    if heat.faithful is False:
        yield Statement(Form.UNFAITHFUL, Kind.CONFLICT, (FaithfulnessClaim(passed=False),))
        return
    share = HeatShareClaim(written(heat.inside_share, "1", percent=True), heat.target)
    peak = HeatPeakClaim(heat.peak_inside)
    if not heat.agrees:
        apart = (HeatAgreementClaim(agrees=False), share, peak)
        yield Statement(Form.HEAT_CONFLICT, Kind.CONFLICT, apart)
    else:
        reach = HeatPeakNearClaim(WrittenNumber(DILATION_MM, 0, "mm"))
        place = share, peak if heat.peak_inside else reach
        yield Statement(Form.HEAT_AGREES, Kind.LOCATION, place, required=False)
    predicted = facts.decision.prediction
    if predicted is None or heat.target is not predicted:
        return
    for item in [i for i in _ranked_items(facts) if i.heat is not None and is_inside(i.feature)]:
        favours = item.contributions.get(predicted, 0.0) >= CLEAR_CONTRIBUTION
        if favours and item.heat is not None and item.heat < LOW_HEAT:
            near = HeatNearClaim(
                item.feature, high=False, number=written(item.heat, "1", percent=True)
            )
            claims = (near, SupportClaim(item.feature, predicted, favours=True))
            yield Statement(Form.HEAT_NEAR_CONFLICT, Kind.CONFLICT, claims)
            return


def _uncertainty(facts: Facts) -> Iterator[Statement]:
    decision = facts.decision
    if NOTHING_READ.intersection(decision.reasons):
        return
    if decision.coverage is not None:
        coverage = written(decision.coverage, "1", percent=True)
        claim = SetClaim(frozenset(decision.prediction_set), coverage)
        yield Statement(Form.SET, Kind.UNCERTAINTY, (claim,))
    outside = facts.item(OUT_OF_DISTRIBUTION)
    if decision.is_out and outside is not None and decision.ood_threshold is not None:
        said = UndeterminedReason.OUT_OF_DISTRIBUTION in decision.reasons
        claims = (
            *(() if said else (OutsideClaim(),)),
            ValueClaim(OUT_OF_DISTRIBUTION, value_of(outside)),
            OutsideLimitClaim(written(decision.ood_threshold, "1")),
        )
        yield Statement(Form.OUTSIDE, Kind.UNCERTAINTY, claims)
    for item in facts.evidence:
        if is_view(item.feature) and item.measured and decision.prediction is not None:
            weight = max((abs(c) for c in item.contributions.values()), default=0.0)
            best = max(
                (abs(c) for i in _ranked_items(facts)[:1] for c in i.contributions.values()),
                default=0.0,
            )
            if weight >= CLEAR_CONTRIBUTION and weight >= 0.5 * best:
                yield Statement(Form.VIEW, Kind.UNCERTAINTY, (ViewClaim(item.feature),))
                break


def _counterfactual(facts: Facts) -> Iterator[Statement]:
    search = facts.counterfactual
    if search is None or facts.decision.prediction is None:
        return
    found = search.found
    item = facts.item(found.feature) if found else None
    if found is not None and item is not None and item.measured:
        claims = (
            CounterfactualClaim(found.feature, value_of(item, found.to_value), found.tumor),
            ValueClaim(found.feature, value_of(item)),
        )
        yield Statement(Form.COUNTERFACTUAL, Kind.COUNTERFACTUAL, claims, required=False)
    elif found is None:
        none = (NoCounterfactualClaim(search.tumor),)
        yield Statement(Form.NO_COUNTERFACTUAL, Kind.COUNTERFACTUAL, none, required=False)


def _similar(facts: Facts) -> Iterator[Statement]:
    if not facts.similar or facts.decision.is_out:
        return
    counts = {t: sum(case.tumor is t for case in facts.similar) for t in TumorType}
    ordered = sorted((t for t in TumorType if counts[t]), key=lambda t: -counts[t])
    claims = tuple(SimilarClaim(len(facts.similar), counts[t], t) for t in ordered)
    yield Statement(Form.SIMILAR, Kind.FINDING, claims, required=False)


def _missing(facts: Facts) -> Iterator[Statement]:
    if NOTHING_READ.intersection(facts.decision.reasons):
        return
    place = facts.item(LOCATION)
    if place is not None and (place.side is None or not place.region):
        what = "side" if place.side is None else "region"
        unknown = (UnknownPlaceClaim(what),)
        yield Statement(Form.UNKNOWN_PLACE, Kind.UNCERTAINTY, unknown)
    made, total = facts.measured_features
    if total and made < THIN_SHARE * total:
        thin = (ThinEvidenceClaim(made, total),)
        yield Statement(Form.THIN, Kind.UNCERTAINTY, thin)
    by_reason: dict[str, list[str]] = {}
    for item in facts.evidence:
        if item.feature in FEATURE_IDS and not item.measured and not is_view(item.feature):
            members = by_reason.setdefault(item.reason, [])
            if not any(item.feature in family_of(other) for other in members):
                members.append(item.feature)
    for reason in sorted(by_reason, key=lambda r: -len(by_reason[r]))[:MOST_MISSING_REASONS]:
        names = by_reason[reason][:MOST_MISSING_FEATURES]
        claims = tuple(NotMeasuredClaim(name, reason) for name in names)
        yield Statement(Form.NOT_MEASURED, Kind.UNCERTAINTY, claims)


MOST_SEEN, MOST_OWN, MOST_CONFLICTS = 3, 2, 2
"""Symptoms that are told, those of the predicted type among them, and conflicts."""
CLEAR_MARGIN = 0.25
"""A score nearer to one half than this is no conflict worth a sentence."""


def symptom_statements(facts: Facts) -> Iterator[Statement]:
    """The clearest symptoms that are seen and measured, then the conflicts.

    Those of the predicted type come first; one of another class is told where there is one, because
    the second reader saw that, too.

    An image unlike the training images has no symptoms to be believed.

    Args:
        facts: What is known.
    """
    if facts.decision.is_out:
        return
    agreed = _chosen(facts)
    if agreed:
        seen = tuple(_claim(symptom, of_type=True) for symptom in agreed)
        yield Statement(Form.SYMPTOMS, Kind.FINDING, seen, required=False)
    apart = sorted(
        (s for s in facts.symptoms if s.agrees is False and abs(s.score - 0.5) >= CLEAR_MARGIN),
        key=lambda s: -abs(s.score - 0.5),
    )
    if apart:
        claims = tuple(_claim(symptom, of_type=False) for symptom in apart[:MOST_CONFLICTS])
        yield Statement(Form.SYMPTOM_CONFLICT, Kind.CONFLICT, (SymptomConflictClaim(), *claims))


def _chosen(facts: Facts) -> list[SymptomFact]:
    """What is told of the symptoms that are seen and measured."""
    agreed = sorted((s for s in facts.symptoms if s.matched and s.agrees), key=lambda s: -s.score)
    predicted = facts.decision.prediction
    own = [s for s in agreed if predicted is not None and s.kind == predicted][:MOST_OWN]
    others = [s for s in agreed if predicted is None or s.kind != predicted]
    return [*own, *others[: MOST_SEEN - MOST_OWN if own else MOST_SEEN]]


def _claim(symptom: SymptomFact, *, of_type: bool) -> SymptomClaim:
    """What is said of a symptom; a class that was added by words is no type, so it is left out."""
    is_type = of_type and symptom.kind in set(TumorType)
    return SymptomClaim(
        symptom.id,
        symptom.text,
        symptom.feature,
        seen=symptom.matched,
        agrees=symptom.agrees,
        number=written(symptom.score, "1"),
        tumor=TumorType(symptom.kind) if is_type else None,
    )
