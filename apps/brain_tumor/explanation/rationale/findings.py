"""Which measurements are told, and against which types they are held: those that discriminate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brain_tumor.classification.features.feature_table import FEATURE_IDS
from brain_tumor.explanation.facts.feature_families import family_of, is_view
from brain_tumor.explanation.facts.model import CLEAR_CONTRIBUTION, EvidenceItem, Facts
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.facts.reference import TYPICAL_RANGE
from brain_tumor.explanation.facts.vocabulary import PERCENT_FEATURES, written_value
from brain_tumor.explanation.rationale.claims import (
    NEARLY_ALL,
    RANK_STEP,
    Claim,
    RankClaim,
    SupportClaim,
    TypicalClaim,
    ValueClaim,
)
from brain_tumor.explanation.rationale.statements import Form, Kind, Statement
from brain_tumor.labels import TumorType

MOST_FOR, MOST_AGAINST = 2, 2
CLEARLY_APART = 0.15
"""Share of patients by which a value must be stranger to the other type than to its own."""
CHARACTERISTIC = {
    TumorType.GLIOMA: frozenset(
        {
            "necrosis_fraction",
            "ring_enhancement_index",
            "hypointense_fraction",
            "surrounding_brain_share",
            "border_distance_mm",
        }
    ),
    TumorType.MENINGIOMA: frozenset(
        {"border_contact_ratio", "border_contact_mm", "border_distance_mm", "bright_fraction"}
    ),
    TumorType.PITUITARY: frozenset({"sella_distance_mm"}),
}
"""What a reader looks for first in a tumour of each type: dead core and brain around it, the dura,
the sella."""
NEGLIGIBLE = 0.05
"""Probability under which the second type is no rival worth a comparison."""
USUAL_RIVAL = {
    TumorType.GLIOMA: TumorType.MENINGIOMA,
    TumorType.MENINGIOMA: TumorType.GLIOMA,
    TumorType.PITUITARY: TumorType.MENINGIOMA,
}
"""What a reader would take a tumour of each type for."""
TECHNICAL_WEIGHT = 0.5
READABLE = frozenset(
    {
        "longest_diameter_mm",
        "irregularity",
        "ring_enhancement_index",
        "enhancement_ratio",
        "enhancement_heterogeneity",
        "necrosis_fraction",
        "hypointense_fraction",
        "bright_fraction",
        "margin_contrast",
        "surrounding_brain_share",
        "surrounding_dark_share",
        "oedema_extent_mm",
        "sella_distance_mm",
        "depth_below_top_mm",
        "surface_distance_mm",
        "midline_shift_mm",
        "border_distance_mm",
        "border_contact_mm",
        "border_contact_ratio",
    }
)
"""Measurements that a clinician can see in the picture; of the others only strong ones are told.

Those that need a mirror plane are not among them: the place is told in words."""


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


def discriminating(
    item: EvidenceItem, tumor: TumorType, rival: TumorType | None = None
) -> tuple[Claim, ...]:
    """Comparisons that tell a type from another one; empty if the value tells nothing.

    A value that is as strange to the type as to the others says nothing, however strange it is.

    Args:
        item: Measured item.
        tumor: Type that it speaks for.
        rival: Type that it is held against if it tells them apart; else the one it is strangest to.
    """
    own = item.percentile.get(tumor)
    if own is None or not item.measured:
        return ()
    apart: dict[TumorType, float] = {}
    for other, below in item.percentile.items():
        if other is not tumor and not TYPICAL_RANGE[0] <= below <= TYPICAL_RANGE[1]:
            apart[other] = (below - own) * (1.0 if below > 0.5 else -1.0)
    if not apart:
        return ()
    strangest = max(apart, key=lambda kind: apart[kind])
    if rival is not None and apart.get(rival, 0.0) >= CLEARLY_APART:
        strangest = rival
    if apart[strangest] < CLEARLY_APART:
        return ()
    typical = comparison(item, tumor)
    at_home = typical if typical and isinstance(typical[0], TypicalClaim) else ()
    return (*comparison(item, strangest), *at_home)


def rival_of(facts: Facts) -> TumorType | None:
    """Type that findings are held against: the second one, or the usual one where it is negligible.

    Args:
        facts: What is known; a type is told.
    """
    decision = facts.decision
    if decision.prediction is None or decision.runner_up is None:
        return None
    if (decision.probabilities or {})[decision.runner_up] >= NEGLIGIBLE:
        return decision.runner_up
    return USUAL_RIVAL[decision.prediction]


def tells_apart(item: EvidenceItem, tumors: Sequence[TumorType]) -> bool:
    """Whether a value is clearly stranger to one of two types than to the other."""
    shares = [item.percentile[tumor] for tumor in tumors if tumor in item.percentile]
    return len(shares) == 2 and abs(shares[0] - shares[1]) >= CLEARLY_APART


def ranked_items(facts: Facts) -> list[EvidenceItem]:
    """Measured features by falling weight, one of each family, without those of the view.

    What cannot be seen in the picture weighs half.
    """
    judged = facts.decision.prediction or next(iter(facts.decision.ranked), None)
    found = [
        item
        for item in facts.evidence
        if item.feature in FEATURE_IDS and item.measured and not is_view(item.feature)
    ]

    def weight(item: EvidenceItem) -> float:
        plain = 1.0 if item.feature in READABLE else TECHNICAL_WEIGHT
        return plain * abs(item.contributions.get(judged, 0.0)) if judged else 0.0

    chosen: list[EvidenceItem] = []
    said: set[str] = set()
    for item in sorted(found, key=lambda item: -weight(item)):
        if item.feature not in said:
            said |= family_of(item.feature)
            chosen.append(item)
    return chosen


def leading_finding(facts: Facts) -> EvidenceItem | None:
    """The measurement that is told with the type: for it, and telling it from another one."""
    predicted = facts.decision.prediction
    if predicted is None:
        return None
    rival = rival_of(facts)
    speaking = [
        item
        for item in ranked_items(facts)
        if item.contributions.get(predicted, 0.0) >= CLEAR_CONTRIBUTION
        and discriminating(item, predicted)
        and not _is_strange(item, facts, predicted)
    ]

    def plainness(item: EvidenceItem) -> tuple[bool, bool, bool, bool]:
        """Looked for first, seen in the picture, against the rival, in mm or per cent."""
        claims = discriminating(item, predicted, rival)
        against = isinstance(claims[0], RankClaim) and claims[0].tumor is rival
        plain = item.unit != "1" or item.feature in PERCENT_FEATURES
        signs = CHARACTERISTIC[predicted]
        return item.feature not in signs, item.feature not in READABLE, not against, not plain

    return min(speaking, key=plainness, default=None)


def finding_statements(facts: Facts, told: Sequence[str] = ()) -> Iterator[Statement]:
    """Further findings for the predicted type, then those against it.

    Args:
        facts: What is known.
        told: Features that were told with the type.
    """
    predicted = facts.decision.prediction
    if predicted is None:
        return
    items = [item for item in ranked_items(facts) if item.feature not in told]
    speaking = [i for i in items if i.contributions.get(predicted, 0.0) >= CLEAR_CONTRIBUTION]
    yield from _first(MOST_FOR, (_finding_for(item, facts, predicted) for item in speaking))
    against = [i for i in items if i.contributions.get(predicted, 0.0) <= -CLEAR_CONTRIBUTION]
    for item in against[:MOST_AGAINST]:
        yield _finding_against(item, predicted)


def _first(count: int, found: Iterator[Statement | None]) -> Iterator[Statement]:
    for statement in found:
        if statement is None:
            continue
        yield statement
        count -= 1
        if count == 0:
            return


def _finding_for(item: EvidenceItem, facts: Facts, predicted: TumorType) -> Statement | None:
    """A finding for the predicted type; a conflict if the value is at home with another type.

    None if the value tells no type from another.
    """
    value = ValueClaim(item.feature, value_of(item))
    support = SupportClaim(item.feature, predicted, favours=True)
    if _is_strange(item, facts, predicted):
        other = _other_type(item, facts, predicted) or predicted
        strange: tuple[Claim, ...] = (
            value,
            support,
            *comparison(item, other),
            *comparison(item, predicted),
        )
        return Statement(Form.ATYPICAL, Kind.CONFLICT, strange)
    apart = discriminating(item, predicted, rival_of(facts))
    if not apart:
        return None
    told = (value, *apart, support)
    return Statement(Form.FINDING, Kind.FINDING, told, required=False)


def _is_strange(item: EvidenceItem, facts: Facts, predicted: TumorType) -> bool:
    """Whether a value is strange to the predicted type and at home with the other one."""
    other = _other_type(item, facts, predicted)
    own, others = comparison(item, predicted), comparison(item, other) if other else ()
    ranked = bool(own) and isinstance(own[0], RankClaim)
    return ranked and bool(others) and isinstance(others[0], TypicalClaim)


def _other_type(item: EvidenceItem, facts: Facts, predicted: TumorType) -> TumorType | None:
    """Type that the finding speaks against most: the second one if it does."""
    second = facts.decision.runner_up
    if second is not None and item.contributions.get(second, 0.0) < 0.0:
        return second
    least = min(item.contributions, key=lambda tumor: item.contributions[tumor])
    return least if least is not predicted else second


def _finding_against(item: EvidenceItem, predicted: TumorType) -> Statement:
    """What speaks against the type is always told, with a comparison only where it tells."""
    claims: list[Claim] = [ValueClaim(item.feature, value_of(item))]
    supported = item.supports
    if supported is not None and supported is not predicted:
        compared = discriminating(item, supported, predicted)
        if compared and isinstance(compared[0], RankClaim) and compared[0].tumor is predicted:
            claims += compared
    claims.append(SupportClaim(item.feature, predicted, favours=False))
    if supported is not None and supported is not predicted:
        claims.append(SupportClaim(item.feature, supported, favours=True))
    return Statement(Form.FINDING_AGAINST, Kind.FINDING, tuple(claims))
