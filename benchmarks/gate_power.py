"""How often the promotion gate lets a better candidate pass, and one that is not.

    python -m benchmarks.gate_power [--runs 300]

Differences per held-out patient are drawn with the spread that `benchmarks.learning` measured on
real slices (`results/learning_masks.json`: the interval of each run gives its standard deviation),
around a true gain of 0.05 Dice and around none. What is asked is the gate's own comparison
(`paired_difference`: sign flips and bootstrap), as it decides "better"; guard-rails can only refuse
more. Nothing of a model is computed.
"""

from __future__ import annotations

import argparse
import json
import re
from statistics import fmean

import numpy as np
from brain_tumor.learning.gate.paired import paired_difference
from brain_tumor.learning.gate.promotion import GateRules

from benchmarks.environment import RESULTS, write_result

GAIN = 0.05
PATIENTS = (5, 7, 10, 13, 20, 30)
SEED = 2026
SAID = re.compile(r"difference \S+ \((\S+) to (\S+)\), p \S+, n (\d+)")
NORMAL_WIDTH = 2 * 1.96


def measured_spread() -> float:
    """Standard deviation of the difference over patients, mean over the measured runs."""
    document = json.loads((RESULTS / "learning_masks.json").read_text(encoding="utf-8"))
    spreads = []
    for run in document["shifted"]:
        low, high, n = SAID.search(" ".join(run["reasons"])).groups()
        spreads.append((float(high) - float(low)) / NORMAL_WIDTH * int(n) ** 0.5)
    return fmean(spreads)


def share_passed(gain: float, spread: float, patients: int, runs: int) -> float:
    """Share of runs in which the gate's comparison says better."""
    rules, rng, passed = GateRules(), np.random.default_rng(SEED), 0
    for _ in range(runs):
        differences = rng.normal(gain, spread, patients)
        found = paired_difference(np.zeros(patients), differences, confidence=rules.confidence)
        passed += found.p_better < rules.alpha and found.low > 0
    return passed / runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    spread = measured_spread()
    table = [
        {
            "held_out_patients": patients,
            "power": share_passed(GAIN, spread, patients, runs),
            "false_promotions": share_passed(0.0, spread, patients, runs),
        }
        for patients in PATIENTS
    ]
    result = {"gain": GAIN, "spread": spread, "runs": runs, "table": table}
    path = write_result("gate_power", result)
    print(json.dumps(result, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
