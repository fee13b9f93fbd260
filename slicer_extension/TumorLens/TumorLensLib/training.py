"""What a training and the model registry report, as rows, curves and sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RUNNING = frozenset({"RUNNING", "PENDING", "SUBMITTED", "STARTED"})
MAX_LINES = 200


@dataclass(frozen=True)
class TrainingState:
    """State of the last training.

    Attributes:
        status: As the server writes it.
        is_running: Whether it goes on.
        model: What is trained.
        lines: Its last messages.
        progress: 0-1, or None when it does not tell.
    """

    status: str
    is_running: bool
    model: str
    lines: tuple[str, ...]
    progress: float | None


def parse_training(reply: Mapping[str, Any]) -> TrainingState:
    """Read `GET /train/`."""
    status = str(reply.get("status", "UNKNOWN")).upper()
    details = reply.get("details")
    lines = [str(line).rstrip() for line in details] if isinstance(details, list) else []
    lines += _numbers(reply)
    request = reply.get("request")
    model = str(request.get("model", "")) if isinstance(request, Mapping) else ""
    return TrainingState(
        status, status in RUNNING, model, tuple(lines[-MAX_LINES:]), _progress(reply, lines)
    )


def _numbers(reply: Mapping[str, Any]) -> list[str]:
    """Line with the numbers that the server reports apart from its messages."""
    found = []
    for key, name in (("epoch", "epoch"), ("loss", "loss"), ("seconds_left", "seconds left")):
        value = reply.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            last = reply.get("max_epochs") if key == "epoch" else None
            found.append(f"{name} {value:.4g}" + (f"/{last}" if last else ""))
    return [", ".join(found)] if found else []


def _progress(reply: Mapping[str, Any], lines: list[str]) -> float | None:
    given = reply.get("progress")
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return min(max(float(given), 0.0), 1.0)
    for line in reversed(lines):
        match = re.search(r"\b(?:epoch|step|case)\D{0,3}(\d+)\s*/\s*(\d+)", line, re.IGNORECASE)
        if match and int(match.group(2)):
            return min(int(match.group(1)) / int(match.group(2)), 1.0)
    return None


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry.

    Attributes:
        model: Name of the model.
        version: Version.
        is_active: Whether it answers requests.
        state: candidate, active, retired, rejected, as the server writes it.
        created: When.
        parent: Version it was trained from.
        metrics: Numbers by name; nested ones joined with a slash.
    """

    model: str
    version: str
    is_active: bool
    state: str
    created: str
    parent: str
    metrics: Mapping[str, float]


def parse_models(reply: Mapping[str, Any]) -> list[ModelVersion]:
    """Read `GET /models`; oldest first in each model."""
    found = []
    for name, entry in sorted(reply.items()):
        versions = entry.get("versions") if isinstance(entry, Mapping) else None
        rows = [v for v in versions if isinstance(v, Mapping)] if isinstance(versions, list) else []
        for row in sorted(rows, key=lambda v: str(v.get("created", ""))):
            version = str(row.get("version", "?"))
            metrics = row.get("metrics")
            found.append(
                ModelVersion(
                    name,
                    version,
                    version == str(entry.get("active")),
                    str(row.get("state", "")),
                    str(row.get("created", "")).replace("T", " ")[:16],
                    str(row.get("parent") or ""),
                    _flatten(metrics) if isinstance(metrics, Mapping) else {},
                )
            )
    return found


def _flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}/"))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            flat[f"{prefix}{key}"] = float(value)
    return flat


@dataclass(frozen=True)
class GateCheck:
    """A comparison that the promotion gate made.

    Attributes:
        name: What was compared, as the server writes it.
        passed: Whether it lets the candidate through.
        current: Mean score of the current version; None where there are no numbers.
        candidate: Mean score of the candidate.
        change: Mean difference over patients with both ends of its interval.
        patients: How many were compared.
    """

    name: str
    passed: bool
    current: float | None
    candidate: float | None
    change: tuple[float, float, float] | None
    patients: int


@dataclass(frozen=True)
class GateReport:
    """What the promotion gate says about a candidate.

    Attributes:
        current: Version that answers requests.
        candidate: Version that was judged.
        checks: Its comparisons, the decisive one first.
    """

    current: str
    candidate: str
    checks: tuple[GateCheck, ...]


def parse_gate(reply: Mapping[str, Any]) -> GateReport:
    """Read the report of a dry run; a server that gives reasons alone has no comparisons."""
    listed = reply.get("checks")
    rows = [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []
    return GateReport(
        str(reply.get("current", "")),
        str(reply.get("candidate", "")),
        tuple(_gate_check(row) for row in rows),
    )


def _gate_check(row: Mapping[str, Any]) -> GateCheck:
    difference = row.get("difference")
    numbers = _flatten(difference) if isinstance(difference, Mapping) else {}
    has_change = all(key in numbers for key in ("mean", "low", "high"))
    return GateCheck(
        str(row.get("name", "?")),
        row.get("passed") is True,
        numbers.get("current"),
        numbers.get("candidate"),
        (numbers["mean"], numbers["low"], numbers["high"]) if has_change else None,
        int(numbers.get("n", 0)),
    )


def common_metrics(versions: list[ModelVersion], limit: int = 6) -> list[str]:
    """Metrics that at least one version has, those that most have first."""
    counts: dict[str, int] = {}
    for version in versions:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))[:limit]


def parse_option(text: str, default: Any) -> Any:
    """Value that a user typed for a training option, of the kind of its default.

    Raises:
        ValueError: If it is none.
    """
    written = text.strip()
    if isinstance(default, bool):
        if written.lower() in ("true", "yes", "1"):
            return True
        if written.lower() in ("false", "no", "0"):
            return False
        raise ValueError(f"'{text}' is neither true nor false")
    if isinstance(default, int):
        return int(written)
    if isinstance(default, float):
        return float(written)
    return written
