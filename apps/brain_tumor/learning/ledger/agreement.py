"""How far annotators agree about a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from brain_tumor.labels import SCHEME_REGIONS, LabelArray, check_scheme, region_mask
from brain_tumor.segmentation.metrics.overlap import dice


@dataclass(frozen=True)
class MaskAgreement:
    """Agreement of one pair of annotators about a mask.

    Attributes:
        annotators: The two, in alphabetical order.
        dice: Per region that both schemes can tell; `tumour` is all labels together.
    """

    annotators: tuple[str, str]
    dice: Mapping[str, float]


def mask_agreement(masks: Mapping[str, LabelArray]) -> list[MaskAgreement]:
    """Agreement of every pair of annotators.

    Args:
        masks: Labelmap per annotator, all on one grid.
    """
    pairs = []
    for a, b in combinations(sorted(masks), 2):
        first, second = masks[a], masks[b]
        scores = {"tumour": dice(first > 0, second > 0)}
        if check_scheme(first) is check_scheme(second):
            for region in SCHEME_REGIONS[check_scheme(first)]:
                scores[region.value] = dice(region_mask(first, region), region_mask(second, region))
        pairs.append(MaskAgreement((a, b), scores))
    return pairs


def fleiss_kappa(ratings: Sequence[Sequence[str]]) -> float | None:
    """Agreement beyond chance of several raters about several cases.

    Args:
        ratings: Answers per case; cases with fewer than two raters do not count. The number of
            raters may differ between cases.

    Returns:
        1 for full agreement, 0 for what chance gives; None if it is undefined: no case with two
        raters, or everybody always gives one answer.

    References:
        Fleiss 1971, doi:10.1037/h0031619; with differing numbers of raters the observed agreement
        is the mean over cases of the share of agreeing pairs.

    Example:
        >>> fleiss_kappa([["glioma", "glioma"], ["pituitary", "pituitary"]])
        1.0
    """
    rated = [Counter(answers) for answers in ratings if len(answers) >= 2]
    if not rated:
        return None
    observed = float(np.mean([_agreeing_pairs(counts) for counts in rated]))
    total: Counter[str] = sum(rated, Counter())
    count = sum(total.values())
    expected = sum((n / count) ** 2 for n in total.values())
    return None if expected >= 1.0 else (observed - expected) / (1.0 - expected)


def _agreeing_pairs(counts: Counter[str]) -> float:
    n = sum(counts.values())
    return sum(c * (c - 1) for c in counts.values()) / (n * (n - 1))
