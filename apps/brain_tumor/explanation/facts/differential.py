"""What else looks so: findings that lesions outside the three types share, each with its source.

A row applies where its finding was measured in this case. Sentences come from these rows alone, and
the verifier refuses any other lesion, or one whose finding was not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brain_tumor.explanation.facts.model import (
    LOCATION,
    SEPARATE_TUMOURS,
    Facts,
    Side,
    UndeterminedReason,
)
from brain_tumor.labels import TumorType

ENHANCEMENT = "Smirniotopoulos et al. 2007, doi:10.1148/rg.272065155"
ANGLE = "Bonneville et al. 2007, doi:10.1007/s00330-007-0679-x"
DURA = f"Smith et al. 2014, doi:10.1148/rg.342130075; schwannoma: {ANGLE}"
SELLA = "Freda and Post 1999, Endocrinol Metab Clin North Am 28:81-117"
LYMPHOMA = "Haldorsen et al. 2011, AJNR 32:984-992"
MIMICS = "Bradley and Rees 2013, doi:10.1136/practneurol-2013-000652"

RING, NECROSIS, MUCH_NECROSIS = 1.1, 0.15, 0.3
"""Rim to core and necrotic share from which on there is a ring; with much necrosis there is one
whatever the index says, because a ragged rim is darker than a smooth one."""
DULL_RATIO, BRIGHT_RATIO = 1.15, 1.3
"""Brightness relative to brain below which a tumour hardly enhances, and from which it does."""
DURA_MM, DURA_SHARE = 3.0, 0.15
NOTHING_SEEN = frozenset(
    {
        UndeterminedReason.NO_TUMOUR,
        UndeterminedReason.TOO_SMALL,
        UndeterminedReason.NO_CONTRAST,
        UndeterminedReason.NO_HEAD,
        UndeterminedReason.OUTLINE_ELSEWHERE,
    }
)
"""Reasons with which nothing that was measured can be believed of a lesion."""


@dataclass(frozen=True)
class Lookalike:
    """A finding and what else shows it.

    Attributes:
        id: Name in claims.
        english: The finding as a noun phrase, without article.
        korean: The same.
        looks_like: Ids of lesions (`classification.scope.NOT_KNOWN`), the commonest first.
        source: Where it is taken from.
        features: Ids of the facts that it rests on.
        applies: Whether the finding was measured in a case.
    """

    id: str
    english: str
    korean: str
    looks_like: tuple[str, ...]
    source: str
    features: tuple[str, ...]
    applies: Callable[[Facts], bool]


def lookalikes(facts: Facts) -> tuple[Lookalike, ...]:
    """Rows that apply to a case, the most telling first; none where nothing can be believed."""
    if NOTHING_SEEN.intersection(facts.decision.reasons) or not facts.decision.ranked:
        return ()
    return tuple(row for row in TABLE if row.applies(facts))


def lookalike(name: str) -> Lookalike | None:
    """Row of an id, or None."""
    return next((row for row in TABLE if row.id == name), None)


def _value(facts: Facts, feature: str) -> float | None:
    item = facts.item(feature)
    return None if item is None else item.value


def _at_least(facts: Facts, feature: str, limit: float) -> bool:
    value = _value(facts, feature)
    return value is not None and value >= limit


def _below(facts: Facts, feature: str, limit: float) -> bool:
    value = _value(facts, feature)
    return value is not None and value < limit


def _likeliest(facts: Facts) -> TumorType:
    return facts.decision.ranked[0]


def _several(facts: Facts) -> bool:
    return _at_least(facts, SEPARATE_TUMOURS, 2.0)


def _ring(facts: Facts) -> bool:
    ring = _at_least(facts, "ring_enhancement_index", RING)
    if ring and _at_least(facts, "necrosis_fraction", NECROSIS):
        return True
    return _at_least(facts, "necrosis_fraction", MUCH_NECROSIS)


def _near_dura(facts: Facts) -> bool:
    near = _below(facts, "border_distance_mm", DURA_MM)
    return near or _at_least(facts, "border_contact_ratio", DURA_SHARE)


def _at_dura(facts: Facts) -> bool:
    return _near_dura(facts) and _at_least(facts, "enhancement_ratio", BRIGHT_RATIO)


def _angle(facts: Facts) -> bool:
    place = facts.item(LOCATION)
    if place is None or place.region is None or place.side in (None, Side.MIDLINE):
        return False
    low = "lower middle" in place.region or "lower back" in place.region
    return low and _at_dura(facts)


def _sella(facts: Facts) -> bool:
    return _likeliest(facts) is TumorType.PITUITARY


def _dural(facts: Facts) -> bool:
    return _at_dura(facts) and _likeliest(facts) is TumorType.MENINGIOMA


def _solid(facts: Facts) -> bool:
    bright = _at_least(facts, "enhancement_ratio", DULL_RATIO)
    if _likeliest(facts) is TumorType.MENINGIOMA:
        return bright and not _near_dura(facts)
    return bright and _likeliest(facts) is TumorType.GLIOMA


def _dull(facts: Facts) -> bool:
    dull = _below(facts, "enhancement_ratio", DULL_RATIO) and not _ring(facts)
    return dull and _likeliest(facts) is TumorType.GLIOMA


TABLE: tuple[Lookalike, ...] = (
    Lookalike(
        "several",
        "several separate tumours",
        "서로 떨어진 둘 이상의 종양",
        ("metastasis", "lymphoma", "abscess"),
        ENHANCEMENT,
        (SEPARATE_TUMOURS,),
        _several,
    ),
    Lookalike(
        "angle",
        "enhancing tumour at the skull base beside the brainstem",
        "뇌간 옆 두개저의 조영증강 종양",
        ("schwannoma", "metastasis"),
        ANGLE,
        (LOCATION, "border_distance_mm", "border_contact_ratio", "enhancement_ratio"),
        _angle,
    ),
    Lookalike(
        "sella",
        "mass at the sella",
        "터키안 부위의 종괴",
        ("craniopharyngioma", "rathke_cleft_cyst", "metastasis"),
        SELLA,
        ("sella_distance_mm",),
        _sella,
    ),
    Lookalike(
        "dura",
        "enhancing tumour at the dura",
        "경막의 조영증강 종양",
        ("metastasis", "solitary_fibrous_tumour", "lymphoma", "schwannoma"),
        DURA,
        ("border_distance_mm", "border_contact_ratio", "enhancement_ratio"),
        _dural,
    ),
    Lookalike(
        "ring",
        "enhancing tumour with a dark core",
        "중심이 어두운 조영증강 종양",
        ("metastasis", "abscess", "demyelination"),
        ENHANCEMENT,
        ("ring_enhancement_index", "necrosis_fraction"),
        _ring,
    ),
    Lookalike(
        "solid",
        "enhancing tumour inside the brain",
        "뇌 안의 조영증강 종양",
        ("metastasis", "lymphoma"),
        LYMPHOMA,
        ("enhancement_ratio",),
        _solid,
    ),
    Lookalike(
        "dull",
        "mass that hardly enhances",
        "거의 조영증강되지 않는 종괴",
        ("demyelination", "encephalitis", "infarct"),
        MIMICS,
        ("enhancement_ratio",),
        _dull,
    ),
)
"""Reviewed rows: finding, what else looks so, source."""
