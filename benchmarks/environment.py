"""What a figure depends on."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    features = torch.cpu.get_capabilities()
    return {
        "commit": commit,
        "cpu": features.get("cpu_name"),
        "cores": features.get("num_physical_cores"),
        "bf16": bool(features.get("avx512_bf16")),
        "amx": bool(features.get("amx_bf16")),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "min": ordered[0],
        "median": median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "max": ordered[-1],
        "n": len(ordered),
    }


def write_result(name: str, result: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"benchmark": name, "environment": environment(), **result}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
