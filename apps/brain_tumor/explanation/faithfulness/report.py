"""Whether a case's heatmap may be believed.

A heatmap passes if it lies on the tumour and if the network's answer follows it: taking the hot
pixels out of the slices weakens the answer faster, and putting them in restores it sooner, than
random maps do, and hardly less so than a blob in the middle of the head does: a central tumour lies
under that blob, so the map may fall behind it by `BLOB_TOLERANCE`. Clients grey out a map that
fails, and show why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.explanation.facts.model import LEAST_INSIDE_SHARE, HeatFacts
from brain_tumor.explanation.faithfulness.cascade import MAX_RANK_CORRELATION
from brain_tumor.explanation.faithfulness.curves import (
    PerturbationCurves,
    Score,
    centre_blob,
    perturbation_curves,
    random_heat,
)
from brain_tumor.explanation.faithfulness.infidelity import (
    Explain,
    max_sensitivity,
    normalised_infidelity,
)
from brain_tumor.explanation.heat.methods import ClassTarget
from brain_tumor.explanation.heat.volume import (
    DILATION_MM,
    BoolArray,
    HeatVolume,
    peak_inside,
    share_inside,
)
from brain_tumor.labels import Region

LEAST_EFFECT_LOG_ODDS = 0.3
"""If blurring the slices costs less than this, the pictures hardly decide: nothing to follow."""
MARGIN_OVER_RANDOM = 0.05
"""By how much insertion less deletion has to beat random maps."""
BLOB_TOLERANCE = 0.05
"""By how much it may fall behind the centre blob, which is right for central tumours."""
CASE_STEPS = 6
CASE_SQUARES = 12
CASE_NOISE_DRAWS = 2
RANDOM_CELLS = (20, 20)


@dataclass(frozen=True, eq=False)
class TestedSlice:
    """A slice whose heat is put to the test.

    Attributes:
        score: From versions of the slice to logits, everything else about it fixed.
        image: The slice as the network reads it, (1, H, W).
        heat: Its raw heat, (H, W).
        explain: From versions of the slice to their raw heat; None where that takes too long.
    """

    __test__ = False  # not a test class

    score: Score
    image: torch.Tensor
    heat: npt.NDArray[np.float32]
    explain: Explain | None = None


@dataclass(frozen=True)
class RegionChecks:
    """What the tests say about heat of a region.

    Attributes:
        region: Region whose outline is explained.
        inside_share: Share of the heat inside the region.
        near_share: Share within 5 mm of it.
        peak_inside: Whether the peak is within 5 mm of it.
        shuffled_correlation: Rank correlation with the heat of the same network with shuffled
            weights; None if the region was not outlined.
    """

    region: Region
    inside_share: float
    near_share: float
    peak_inside: bool
    shuffled_correlation: float | None = None

    def to_json(self) -> dict[str, Any]:
        """`heatmap.faithfulness.region` of the reply."""
        return {
            "name": self.region.value,
            "inside_share": _rounded(self.inside_share),
            "near_share": _rounded(self.near_share),
            "peak_inside": self.peak_inside,
            "shuffled_correlation": _rounded(self.shuffled_correlation),
        }


@dataclass(frozen=True)
class FaithfulnessReport:
    """What the tests say about a case's heatmap.

    Attributes:
        passed: True if there is no reason against it.
        reasons: Sentences: why the map must not be relied on.
        inside_share: Share of the heat inside the tumour.
        near_share: Share within 5 mm of it.
        peak_inside: Whether the peak is within 5 mm of it.
        effect_log_odds: What blurring the tested slices costs the answer; None if not tested.
        deletion_auc: Share of the answer left while deleting; None if not tested.
        insertion_auc: Share won while inserting; None if not tested.
        random_deletion_auc: The same for random maps.
        random_insertion_auc: The same for random maps.
        blob_deletion_auc: The same for the centre blob.
        blob_insertion_auc: The same for the centre blob.
        infidelity: How badly the heat of a square foretells what blurring it costs, 0 to 1, mean of
            the tested slices; see `normalised_infidelity`. None if not tested.
        sensitivity: Largest relative change of the heat under faint noise, mean of the tested
            slices; see `max_sensitivity`. None if not tested; `untested` may say why.
        shuffled_correlation: Of the method, not of this case: mean rank correlation of its maps
            with those of the same classifier with shuffled weights; None if it was not measured.
        untested: Sentences: which tests there are not for this heat, and why; not against it.
        region: The tests of heat of a region; None for heat of a type.
    """

    passed: bool
    reasons: tuple[str, ...]
    inside_share: float
    near_share: float
    peak_inside: bool
    effect_log_odds: float | None = None
    deletion_auc: float | None = None
    insertion_auc: float | None = None
    random_deletion_auc: float | None = None
    random_insertion_auc: float | None = None
    blob_deletion_auc: float | None = None
    blob_insertion_auc: float | None = None
    infidelity: float | None = None
    sensitivity: float | None = None
    shuffled_correlation: float | None = None
    untested: tuple[str, ...] = ()
    region: RegionChecks | None = None

    def to_json(self) -> dict[str, Any]:
        """`heatmap.faithfulness` of the reply."""
        return {
            "passed": self.passed,
            "inside_share": _rounded(self.inside_share),
            "near_share": _rounded(self.near_share),
            "peak_inside": self.peak_inside,
            "effect_log_odds": _rounded(self.effect_log_odds),
            "deletion_auc": _rounded(self.deletion_auc),
            "insertion_auc": _rounded(self.insertion_auc),
            "random_deletion_auc": _rounded(self.random_deletion_auc),
            "random_insertion_auc": _rounded(self.random_insertion_auc),
            "blob_deletion_auc": _rounded(self.blob_deletion_auc),
            "blob_insertion_auc": _rounded(self.blob_insertion_auc),
            "infidelity": _rounded(self.infidelity),
            "sensitivity": _rounded(self.sensitivity),
            "shuffled_correlation": _rounded(self.shuffled_correlation),
            "reasons": list(self.reasons),
            "untested": list(self.untested),
            "region": None if self.region is None else self.region.to_json(),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, eq=False)
class CurveComparison:
    """Curves of a map and of its two controls, added up over slices."""

    own: PerturbationCurves
    random: PerturbationCurves
    blob: PerturbationCurves

    @property
    def beats_random(self) -> bool:
        """Whether the map explains more than random maps by the margin."""
        return self.own.gain >= self.random.gain + MARGIN_OVER_RANDOM

    @property
    def keeps_up_with_blob(self) -> bool:
        """Whether the map explains as much as the centre blob, within the tolerance."""
        return self.own.gain >= self.blob.gain - BLOB_TOLERANCE


def compare_with_controls(
    slices: Sequence[TestedSlice],
    target: ClassTarget,
    *,
    steps: int = CASE_STEPS,
    random_maps: int = 1,
    seed: int = 0,
) -> CurveComparison:
    """Deletion and insertion of the slices of a case and of their controls.

    Args:
        slices: At least one.
        target: What the heat explains.
        steps: Steps of the curves; a slice costs 2 * (steps - 1) * (2 + random_maps) + 2 passes.
        random_maps: Random maps per slice, averaged.
        seed: Of the random maps.
    """
    found: list[tuple[PerturbationCurves, ...]] = []
    for number, item in enumerate(slices):
        height, width = item.heat.shape
        maps = [item.heat, centre_blob(item.image)]
        for draw in range(random_maps):
            own_seed = seed + number * random_maps + draw
            maps.append(random_heat((height, width), RANDOM_CELLS, own_seed))
        own, blob, *randoms = perturbation_curves(item.score, item.image, maps, target, steps=steps)
        found.append((own, _mean(randoms), blob))
    own, random, blob = (reduce(add, curves) for curves in zip(*found, strict=True))
    return CurveComparison(own, random, blob)


def case_faithfulness(
    heat: HeatVolume,
    tumour: BoolArray,
    slices: Sequence[TestedSlice],
    target: ClassTarget,
    *,
    steps: int = CASE_STEPS,
    seed: int = 0,
) -> FaithfulnessReport:
    """Put the heatmap of a case to the test.

    Args:
        heat: Heat of the case.
        tumour: Tumour on the same grid.
        slices: One to three slices that show most of the tumour, with their own heat; without any,
            only the place of the heat is judged, and the map does not pass.
        target: What the heat explains.
        steps: See `compare_with_controls`.
        seed: Of the random control.

    Raises:
        GeometryError: If heat and tumour are on different grids.
        InputError: If a slice and its heat do not fit, or a slice shows no head.
    """
    inside = share_inside(heat, tumour)
    near = share_inside(heat, tumour, reach_mm=DILATION_MM)
    hit = peak_inside(heat, tumour)
    reasons = _place_reasons(heat, tumour, near, hit=hit)
    if heat.is_empty or not slices:
        if not slices and not heat.is_empty:
            reasons.append("No slice was tested, so nobody knows whether the answer follows it.")
        return FaithfulnessReport(
            passed=False,
            reasons=tuple(reasons),
            inside_share=inside,
            near_share=near,
            peak_inside=hit,
        )
    compared = compare_with_controls(slices, target, steps=steps, seed=seed)
    effect = compared.own.effect / len(slices)
    reasons += _curve_reasons(compared, effect)
    measurable = effect >= LEAST_EFFECT_LOG_ODDS
    infidelities = [
        normalised_infidelity(s.score, s.image, s.heat, target, squares=CASE_SQUARES, seed=seed)
        for s in slices
    ]
    sensitivity, untested = _steadiness(slices, seed)
    return FaithfulnessReport(
        passed=not reasons,
        reasons=tuple(reasons),
        inside_share=inside,
        near_share=near,
        peak_inside=hit,
        effect_log_odds=effect,
        deletion_auc=compared.own.deletion_auc if measurable else None,
        insertion_auc=compared.own.insertion_auc if measurable else None,
        random_deletion_auc=compared.random.deletion_auc if measurable else None,
        random_insertion_auc=compared.random.insertion_auc if measurable else None,
        blob_deletion_auc=compared.blob.deletion_auc if measurable else None,
        blob_insertion_auc=compared.blob.insertion_auc if measurable else None,
        infidelity=float(np.mean(infidelities)),
        sensitivity=sensitivity,
        untested=untested,
    )


def _steadiness(slices: Sequence[TestedSlice], seed: int) -> tuple[float | None, tuple[str, ...]]:
    """Mean sensitivity of the slices, or None and why it was not measured."""
    found = [
        max_sensitivity(s.explain, s.image, draws=CASE_NOISE_DRAWS, seed=seed)
        for s in slices
        if s.explain is not None
    ]
    if found:
        return float(np.mean(found)), ()
    return None, (
        "How steady the heat is was not measured: making it again for noisy copies takes too long "
        "with this method.",
    )


def with_sanity(report: FaithfulnessReport, correlation: float | None) -> FaithfulnessReport:
    """Report with how the method did when weights were shuffled, a reason against it if badly.

    Args:
        report: On a case.
        correlation: See `FaithfulnessReport.shuffled_correlation`.
    """
    reasons = report.reasons
    if correlation is not None and abs(correlation) > MAX_RANK_CORRELATION:
        reasons = (*reasons, shuffling_reason(correlation))
    return replace(
        report,
        passed=report.passed and not reasons,
        reasons=reasons,
        shuffled_correlation=correlation,
    )


def shuffling_reason(correlation: float) -> str:
    """Why heat that survives shuffled weights must not be relied on."""
    return (
        "The heat hardly changes when the network's weights are shuffled (rank correlation "
        f"{correlation:.2f}): it shows the pictures, not what was learnt."
    )


def _place_reasons(heat: HeatVolume, tumour: BoolArray, near: float, *, hit: bool) -> list[str]:
    if heat.is_empty:
        return [f"Nothing in the pictures speaks for {heat.target}: the heatmap is empty."]
    if not tumour.any():
        return ["No tumour was found, so the heat cannot be compared with one."]
    reasons = []
    if near < LEAST_INSIDE_SHARE:
        reasons.append(
            f"Only {near:.0%} of the heat lies within {DILATION_MM:g} mm of the tumour "
            f"(at least {LEAST_INSIDE_SHARE:.0%} expected)."
        )
    if not hit:
        reasons.append(f"The hottest place is more than {DILATION_MM:g} mm away from the tumour.")
    return reasons


def _curve_reasons(compared: CurveComparison, effect: float) -> list[str]:
    if effect < LEAST_EFFECT_LOG_ODDS:
        return [
            "Blurring the pictures hardly weakens the answer: it rests on measured values or on "
            "habit more than on what the heatmap shows."
        ]
    reasons = []
    if not compared.beats_random:
        reasons.append(
            "Taking out or putting in the hot places moves the answer no more than random places "
            f"do ({compared.own.gain:.2f} against {compared.random.gain:.2f})."
        )
    if not compared.keeps_up_with_blob:
        reasons.append(
            "The middle of the head explains the answer better than the heatmap "
            f"({compared.blob.gain:.2f} against {compared.own.gain:.2f})."
        )
    return reasons


def _mean(curves: Sequence[PerturbationCurves]) -> PerturbationCurves:
    total = reduce(add, curves)
    count = len(curves)
    return PerturbationCurves(total.shares, total.deletion / count, total.insertion / count)


@dataclass(frozen=True, eq=False)
class CheckedHeat:
    """Heat of a case, put to the test.

    Attributes:
        heat: Heat on the reference grid; empty where there is nothing to explain.
        report: Where the heat lies, and whether it can be believed.
        facts: What may be said of it in words about the tumour type; None if it explains something
            else or is empty.
        timings_s: Seconds of `heatmap` and `faithfulness`.
    """

    heat: HeatVolume
    report: FaithfulnessReport
    facts: HeatFacts | None
    timings_s: Mapping[str, float]
