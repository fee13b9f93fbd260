"""Kill -9 at 20 random moments of submit, train and promote: nothing is lost, nothing half-written.

    python -m benchmarks.learning_kills [KILLS]

Runs the crash tests of the learning loop with more kills than the test suite has, and writes
benchmarks/results/learning_kills.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "learning_kills.json"
TESTS = {
    "submit": "tests/integration/test_learning_crashes.py",
    "ledger": "tests/unit/learning/test_ledger.py",
    "train": "tests/unit/learning/test_retraining.py",
    "promote": "tests/unit/learning/test_registry.py",
}


def main() -> int:
    kills = sys.argv[1] if len(sys.argv) > 1 else "20"
    environment = {**os.environ, "TUMORLENS_KILLS": kills, "OMP_NUM_THREADS": "1"}
    found = {}
    for name, path in TESTS.items():
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", path, "-q", "-k", "killed"]
        code = subprocess.run([*command, "-p", "no:cacheprovider"], env=environment).returncode
        seconds = round(time.monotonic() - started, 1)
        found[name] = {"kills": int(kills), "passed": code == 0, "seconds": seconds}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    return 0 if all(one["passed"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
