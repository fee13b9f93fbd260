"""The promotion gate: a candidate answers requests only if it is better, and nowhere clearly worse.

Candidate and current version read the same held-out patients: corrections that no model learnt
from, and base data that show forgetting. Better means a paired test over patients and an interval
above zero on the corrections. Guard-rails look at every region, every sub-group and every single
patient. The gate never reads a training score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.learning.gate.paired import PairedDifference, paired_difference
from brain_tumor.learning.registry.registry import ModelRegistry, VersionRecord, VersionState

OVERALL = "mean"
"""Name of the mean over all metrics of a case."""


class Source(StrEnum):
    """Where a held-out case is from."""

    CORRECTIONS = "corrections"
    BASE = "base"


@dataclass(frozen=True)
class CaseScore:
    """Scores of both versions on one held-out case; higher is better.

    Attributes:
        case: Name of the case.
        patient: Patient; cases of one patient count as one.
        source: Where it is from.
        current: Score per metric of the active version, for example per region.
        candidate: Same of the candidate.
        groups: Sub-groups that the case belongs to, for example `{"sequences": "t1c"}`.
        confirmed: Whether somebody other than the annotator has reviewed the correction.
    """

    case: str
    patient: str
    source: Source
    current: Mapping[str, float]
    candidate: Mapping[str, float]
    groups: Mapping[str, str] = field(default_factory=dict)
    confirmed: bool = False


@dataclass(frozen=True)
class GateRules:
    """What the gate demands.

    Attributes:
        min_patients: Held-out corrected patients without which nothing is promoted.
        alpha: Level of the test for "better".
        confidence: Of the intervals.
        base_margin: Mean score that base data may lose.
        guard_margin: Mean score that a region or sub-group may lose.
        patient_margin: Score that a single patient may lose, as the mean of the patient's cases.
        min_group: Patients from which a sub-group is judged.
        least_current: Mean score that the active version must reach on those held-out corrections
            that only their annotator has seen. A version that was checked on other patients and
            yet gets less is not to blame: the corrections are. 0 asks for nothing.
        seed: Of resampling.
    """

    min_patients: int = 5
    alpha: float = 0.05
    confidence: float = 0.95
    base_margin: float = 0.01
    guard_margin: float = 0.02
    patient_margin: float = 0.30
    min_group: int = 3
    least_current: float = 0.0
    seed: int = 20


@dataclass(frozen=True)
class Check:
    """One comparison and what it says.

    Attributes:
        name: What was compared, for example `base / ET`.
        passed: Whether it lets the candidate through.
        reason: Why not; empty if it does.
        difference: The numbers.
    """

    name: str
    passed: bool
    reason: str
    difference: PairedDifference | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class GateReport:
    """What the gate says about a candidate.

    Attributes:
        model: Bundle name.
        current: Version that answers requests.
        candidate: Version that was judged.
        promote: Whether it may become active.
        reasons: Why not, or why.
        checks: Every comparison, the decisive one first.
        scores: What was compared, case by case.
        rules: What was demanded.
        left_out: Held-out cases that could not be used, each with its reason.
    """

    model: str
    current: str
    candidate: str
    promote: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    scores: tuple[CaseScore, ...]
    rules: GateRules
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for the registry, replies and the page."""
        return {
            "schema_version": "1.0",
            "model": self.model,
            "current": self.current,
            "candidate": self.candidate,
            "promote": self.promote,
            "reasons": list(self.reasons),
            "checks": [check.to_json() for check in self.checks],
            "scores": [{**asdict(score), "source": score.source.value} for score in self.scores],
            "rules": asdict(self.rules),
            "left_out": list(self.left_out),
        }

    def summary(self) -> dict[str, float]:
        """Means per source, for lists of versions."""
        found = {}
        for check in self.checks:
            if check.difference is not None and check.name.endswith(f"/ {OVERALL}"):
                source = check.name.split(" /")[0]
                found[f"{source}_current"] = check.difference.current
                found[f"{source}_candidate"] = check.difference.candidate
        return found


def judge(
    scores: Sequence[CaseScore],
    *,
    model: str,
    current: str,
    candidate: str,
    rules: GateRules | None = None,
    left_out: Sequence[str] = (),
) -> GateReport:
    """Judge a candidate.

    Args:
        scores: Both versions on the held-out cases.
        model: Bundle name.
        current: Version that answers requests.
        candidate: Version to judge.
        rules: What to demand.
        left_out: Held-out cases that could not be used, each with its reason.

    Raises:
        InputError: If the two versions have different metrics on a case, or none.
    """
    rules = rules or GateRules()
    for score in scores:
        if not score.current or set(score.current) != set(score.candidate):
            raise InputError(
                f"case {score.case} has the metrics {sorted(score.current)} and "
                f"{sorted(score.candidate)}; expected the same ones, at least one"
            )
    checks = [_better(scores, rules), _no_forgetting(scores, rules)]
    checks += _regions(scores, rules)
    checks += _groups(scores, rules)
    checks.append(_patients(scores, rules))
    failed = tuple(check.reason for check in checks if not check.passed)
    reasons = failed or (_sentence(checks[0]),)
    return GateReport(
        model,
        current,
        candidate,
        not failed,
        reasons,
        tuple(checks),
        tuple(scores),
        rules,
        tuple(left_out),
    )


def promote_if_accepted(
    registry: ModelRegistry, name: str, version: str, *, by: str, override: str = ""
) -> VersionRecord:
    """Make a version active if the gate let it pass, or if it was active or shipped before.

    Args:
        registry: Versions.
        name: Model.
        version: Version.
        by: Who asks.
        override: Reason of a person who promotes against the gate; kept on record.

    Raises:
        InputError: If the gate refused the version or has not judged it.
        NotFoundError: If there is no such version.
        ModelError: If its files are damaged.
    """
    record = registry.get(name, version)
    decision = registry.decision(name, version) or {}
    if record.state is VersionState.REFUSED and not override:
        raise InputError(
            f"the gate refused {name} {version}: {'; '.join(decision.get('reasons', []))}",
            remedy="Correct more cases and retrain; see the report of the gate.",
        )
    if record.state is VersionState.CANDIDATE and not override:
        raise InputError(
            f"{name} {version} was not judged; expected a version that the gate let pass",
            remedy="Retrain it: every training ends with the gate.",
        )
    reason = f"override: {override}" if override else "; ".join(decision.get("reasons", []))
    return registry.promote(name, version, by=by, reason=reason)


def _better(scores: Sequence[CaseScore], rules: GateRules) -> Check:
    """Is it better on corrections that no model learnt from?"""
    chosen = [s for s in scores if s.source is Source.CORRECTIONS]
    name = f"{Source.CORRECTIONS.value} / {OVERALL}"
    patients = len({s.patient for s in chosen})
    if patients == 0:
        return Check(name, passed=False, reason=_too_few(0, rules))
    found = _compare(chosen, OVERALL, rules)
    if patients < rules.min_patients:
        return Check(name, passed=False, reason=_too_few(patients, rules), difference=found)
    unseen = [s for s in chosen if not s.confirmed]
    doubted = _compare(unseen, OVERALL, rules) if unseen else None
    if doubted is not None and doubted.current < rules.least_current:
        return Check(name, passed=False, reason=_doubtful(doubted, rules), difference=found)
    better = found.mean > 0 and found.low > 0 and found.p_better < rules.alpha
    reason = "" if better else f"not shown to be better on held-out corrections: {_numbers(found)}"
    return Check(name, passed=better, reason=reason, difference=found)


def _no_forgetting(scores: Sequence[CaseScore], rules: GateRules) -> Check:
    """Does it keep what the current version knew?"""
    chosen = [s for s in scores if s.source is Source.BASE]
    name = f"{Source.BASE.value} / {OVERALL}"
    if not chosen:
        return Check(name, passed=False, reason="no base data to measure forgetting on")
    found = _compare(chosen, OVERALL, rules)
    kept = found.mean >= -rules.base_margin
    reason = "" if kept else f"forgets base data: {_numbers(found)}"
    return Check(name, passed=kept, reason=reason, difference=found)


def _regions(scores: Sequence[CaseScore], rules: GateRules) -> list[Check]:
    """Guard-rail per source and metric."""
    checks = []
    for source in Source:
        chosen = [s for s in scores if s.source is source]
        for metric in sorted({m for s in chosen for m in s.current}):
            having = [s for s in chosen if metric in s.current]
            name = f"{source.value} / {metric}"
            # few patients cannot show that a loss is chance, so a loss counts as it is
            strict = source is Source.BASE or len({s.patient for s in having}) < rules.min_patients
            checks.append(_guard(name, _compare(having, metric, rules), rules, strict=strict))
    return checks


def _groups(scores: Sequence[CaseScore], rules: GateRules) -> list[Check]:
    """Guard-rail per sub-group."""
    checks = []
    keys = sorted({(k, v) for s in scores for k, v in s.groups.items()})
    for key, value in keys:
        chosen = [s for s in scores if s.groups.get(key) == value]
        if len({s.patient for s in chosen}) >= rules.min_group:
            found = _compare(chosen, OVERALL, rules)
            checks.append(_guard(f"{key} {value} / {OVERALL}", found, rules, strict=False))
    return checks


def _patients(scores: Sequence[CaseScore], rules: GateRules) -> Check:
    """Guard-rail for single patients; a patient's corrections and base cases count apart."""
    name = "every patient"
    groups: dict[tuple[Source, str], list[CaseScore]] = {}
    for score in scores:
        groups.setdefault((score.source, score.patient), []).append(score)
    lost = sorted(
        patient
        for (_, patient), cases in groups.items()
        if fmean(_overall(s.candidate) - _overall(s.current) for s in cases) < -rules.patient_margin
    )
    if not lost:
        return Check(name, passed=True, reason="")
    reason = (
        f"loses more than {rules.patient_margin:g} on {len(lost)} patients: {', '.join(lost[:5])}"
    )
    return Check(name, passed=False, reason=reason)


def _guard(name: str, found: PairedDifference, rules: GateRules, *, strict: bool) -> Check:
    """A loss beyond the margin that is no chance, or counts whatever it is."""
    worse = found.mean < -rules.guard_margin and (strict or found.high < 0)
    reason = f"clearly worse on {name}: {_numbers(found)}" if worse else ""
    return Check(name, passed=not worse, reason=reason, difference=found)


def _compare(scores: Sequence[CaseScore], metric: str, rules: GateRules) -> PairedDifference:
    """Difference over patients; the cases of one are averaged first."""
    by_patient: dict[str, list[CaseScore]] = {}
    for score in scores:
        by_patient.setdefault(score.patient, []).append(score)

    def value(of: Mapping[str, float]) -> float:
        return _overall(of) if metric == OVERALL else of[metric]

    groups = [by_patient[patient] for patient in sorted(by_patient)]
    return paired_difference(
        [fmean(value(s.current) for s in group) for group in groups],
        [fmean(value(s.candidate) for s in group) for group in groups],
        confidence=rules.confidence,
        seed=rules.seed,
    )


def _overall(metrics: Mapping[str, float]) -> float:
    return fmean(metrics.values())


def _numbers(found: PairedDifference) -> str:
    return (
        f"{found.current:.3f} -> {found.candidate:.3f}, difference {found.mean:+.3f} "
        f"({found.low:+.3f} to {found.high:+.3f}), p {found.p_better:.3f}, n {found.n}"
    )


def _sentence(check: Check) -> str:
    numbers = _numbers(check.difference) if check.difference else ""
    return f"better on held-out corrections, nowhere clearly worse: {numbers}"


def _doubtful(found: PairedDifference, rules: GateRules) -> str:
    return (
        f"the corrections are doubtful: the active version scores {found.current:.3f} on those "
        f"held out that only their annotator has seen ({found.n} patients), expected at least "
        f"{rules.least_current:g}; let a second reader review them, then retrain"
    )


def _too_few(patients: int, rules: GateRules) -> str:
    return (
        f"{patients} corrected patients are held out; expected at least {rules.min_patients} "
        "to show that a version is better"
    )
