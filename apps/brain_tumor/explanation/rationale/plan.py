"""What to say about a case, before any words: a plan of statements."""

from __future__ import annotations

from collections.abc import Iterator

from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.explanation.facts.differential import lookalikes
from brain_tumor.explanation.facts.feature_families import family_of, is_inside, is_view
from brain_tumor.explanation.facts.model import (
    CLEAR_CONTRIBUTION,
    LOCATION,
    LOW_HEAT,
    OUT_OF_DISTRIBUTION,
    THIN_SHARE,
    VOLUMES,
    Facts,
    SymptomFact,
    UndeterminedReason,
)
from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN, WrittenNumber, written
from brain_tumor.explanation.heat.volume import DILATION_MM
from brain_tumor.explanation.rationale.claims import (
    Claim,
    CounterfactualClaim,
    FaithfulnessClaim,
    HeatAgreementClaim,
    HeatNearClaim,
    HeatPeakClaim,
    HeatPeakNearClaim,
    HeatShareClaim,
    LookalikeClaim,
    NoCounterfactualClaim,
    NotMeasuredClaim,
    OutsideClaim,
    OutsideLimitClaim,
    PlaceClaim,
    ProbabilityClaim,
    RunnerUpClaim,
    ScopeClaim,
    SetClaim,
    SimilarClaim,
    SupportClaim,
    SymptomClaim,
    SymptomConflictClaim,
    ThinEvidenceClaim,
    TypeClaim,
    UndeterminedClaim,
    UnknownPlaceClaim,
    ValueClaim,
    ViewClaim,
    strength_of,
)
from brain_tumor.explanation.rationale.findings import (
    comparison,
    discriminating,
    finding_statements,
    leading_finding,
    ranked_items,
    rival_of,
    tells_apart,
    value_of,
)
from brain_tumor.explanation.rationale.statements import Form, Kind, Statement
from brain_tumor.labels import TumorType

MOST_NEUTRAL = 2
MOST_LOOKALIKES = 2
COMMON_LESIONS = ("metastasis", "lymphoma", "abscess")
WHOLE_VOLUME, CORE_VOLUME = VOLUMES[:2]
MOST_MISSING_FEATURES = 3
MOST_MISSING_REASONS = 2
IN_WORDS = family_of("lateral_offset_mm") | family_of("depth_below_top_mm")
"""Measurements of the place by a mirror plane or landmarks; where the side is known from the whole
volume, the place is told in words, and nobody misses them."""
CERTAIN = 0.9
"""From this probability on the second type is not named."""
NOTHING_READ = frozenset(
    {
        UndeterminedReason.NO_TUMOUR,
        UndeterminedReason.TOO_SMALL,
        UndeterminedReason.NO_CONTRAST,
        UndeterminedReason.THIN_SLAB,
    }
)
"""Reasons with which there are no slices, so that nothing was measured."""


def plan_statements(facts: Facts) -> tuple[Statement, ...]:
    """Everything worth saying, in the order in which it reads best.

    First come at most three sentences for who reads no more: what and where, which type and how
    sure, what else it could be.
    """
    return tuple(_plan(facts))


def _plan(facts: Facts) -> Iterator[Statement]:
    yield from _place(facts)
    yield from _type(facts)
    others = tuple(_else(facts))
    yield from others[:1]
    yield from _findings(facts)
    yield from others[1:]
    yield from _volumes(facts)
    yield from _heat(facts)
    yield from symptom_statements(facts)
    yield from _uncertainty(facts)
    yield from _counterfactual(facts)
    yield from _similar(facts)
    yield from _missing(facts)


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


def _place(facts: Facts) -> Iterator[Statement]:
    """Where the tumour lies and how large it is, in one sentence."""
    item = facts.item(LOCATION)
    if item is None:
        return
    region = (item.region or "").removeprefix("left ").removeprefix("right ") or None
    claims: list[Claim] = []
    if item.side is not None or region:
        claims.append(PlaceClaim(item.side, region))
    if item.measured:
        claims.append(ValueClaim(LOCATION, value_of(item)))
        for name in (CORE_VOLUME, WHOLE_VOLUME):
            volume = facts.item(name)
            if volume is not None and volume.value:
                claims.append(ValueClaim(name, value_of(volume)))
    if claims:
        yield Statement(Form.PLACE, Kind.LOCATION, tuple(claims))


def _volumes(facts: Facts) -> Iterator[Statement]:
    if UndeterminedReason.NO_TUMOUR in facts.decision.reasons:
        return
    volumes = [facts.item(name) for name in VOLUMES]
    # a part that was not told apart has no volume worth a sentence
    found = tuple(ValueClaim(v.feature, value_of(v)) for v in volumes if v and v.value)
    if found and (len(found) > 2 or facts.item(LOCATION) is None):
        yield Statement(Form.VOLUMES, Kind.LOCATION, found, required=False)


def _type(facts: Facts) -> Iterator[Statement]:
    """Which type, how sure, and the finding that tells it from another one."""
    decision = facts.decision
    if decision.prediction is None or decision.probabilities is None:
        reasons = (UndeterminedClaim((reason,)) for reason in decision.reasons)
        yield Statement(Form.UNDETERMINED, Kind.UNCERTAINTY, (UndeterminedClaim(), *reasons))
        return
    probability = decision.probabilities[decision.prediction]
    claims: list[Claim] = [
        TypeClaim(decision.prediction, strength_of(probability)),
        probability_claim(decision.prediction, probability),
        ScopeClaim(),
    ]
    essential = len(claims)
    leading = leading_finding(facts)
    if leading is not None:
        claims.append(ValueClaim(leading.feature, value_of(leading)))
        claims += discriminating(leading, decision.prediction, rival_of(facts))
        claims.append(SupportClaim(leading.feature, decision.prediction, favours=True))
    yield Statement(Form.TYPE, Kind.CLASS, tuple(claims), essential=essential)


def _else(facts: Facts) -> Iterator[Statement]:
    """What else it could be: the second type, and what is not among the types."""
    decision = facts.decision
    if NOTHING_READ.intersection(decision.reasons):
        return
    claims: list[Claim] = []
    found, second = decision.probabilities or {}, decision.runner_up
    if second is not None and found[decision.ranked[0]] < CERTAIN:
        claims += [RunnerUpClaim(second), probability_claim(second, found[second])]
    rows = lookalikes(facts)
    if rows:
        claims.append(LookalikeClaim(rows[0].id, frozenset(rows[0].looks_like)))
        yield Statement(Form.LOOKALIKE, Kind.UNCERTAINTY, tuple(claims))
    else:
        claims.append(ScopeClaim(frozenset(COMMON_LESIONS)))
        yield Statement(Form.SCOPE, Kind.UNCERTAINTY, tuple(claims))
    for row in rows[1:MOST_LOOKALIKES]:
        more = (LookalikeClaim(row.id, frozenset(row.looks_like)),)
        yield Statement(Form.LOOKALIKE, Kind.UNCERTAINTY, more, detail=True)


def _findings(facts: Facts) -> Iterator[Statement]:
    decision = facts.decision
    if decision.prediction is not None:
        leading = leading_finding(facts)
        yield from finding_statements(facts, () if leading is None else (leading.feature,))
    elif not decision.is_out and not NOTHING_READ.intersection(decision.reasons):
        told = [item for item in ranked_items(facts) if tells_apart(item, decision.ranked[:2])]
        for item in told[:MOST_NEUTRAL]:
            ranks = [c for tumor in decision.ranked[:2] for c in comparison(item, tumor)]
            claims = (ValueClaim(item.feature, value_of(item)), *ranks)
            yield Statement(Form.FINDING_NEUTRAL, Kind.FINDING, claims, required=False)


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
    for item in [i for i in ranked_items(facts) if i.heat is not None and is_inside(i.feature)]:
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
    if decision.coverage is not None and _set_decides_with(facts):
        coverage = written(decision.coverage, "1", percent=True)
        claim = SetClaim(frozenset(decision.prediction_set), coverage)
        yield Statement(Form.SET, Kind.UNCERTAINTY, (ScopeClaim(), claim))
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
                (abs(c) for i in ranked_items(facts)[:1] for c in i.contributions.values()),
                default=0.0,
            )
            if weight >= CLEAR_CONTRIBUTION and weight >= 0.5 * best:
                yield Statement(Form.VIEW, Kind.UNCERTAINTY, (ViewClaim(item.feature),))
                break


def _set_decides_with(facts: Facts) -> bool:
    """Whether the set agrees with the decision: one type in it, and none told, would mislead."""
    return facts.decision.prediction is not None or len(facts.decision.prediction_set) != 1


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
    told = IN_WORDS if place is not None and place.side is not None else frozenset()
    for item in facts.evidence:
        if item.feature in told:
            continue
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
