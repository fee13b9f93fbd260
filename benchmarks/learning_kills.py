"""Kill -9 at 20 random moments of submit, train and promote: nothing is lost, nothing half-written.

    python -m benchmarks.learning_kills [--kills 20] [submit ledger database train promote]

Runs the crash tests of the learning loop with more kills than the test suite has: all parts, or
those named. Each part that ends is written to benchmarks/results/learning_kills.json at once; parts
that were not run stay as they are there, with the commit that they were run at.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from benchmarks.environment import RESULTS, environment, write_result

NAME = "learning_kills"
LEDGER = "tests/unit/learning/ledger/test_ledger.py"
TESTS = {
    "submit": ("tests/integration/test_learning_crashes.py", "server process, over HTTP"),
    "ledger": (f"{LEDGER}", "process that writes to SQLite, and one that writes to PostgreSQL"),
    "database": (
        "tests/unit/learning/ledger/test_ledger_postgresql.py",
        "PostgreSQL server itself",
    ),
    "train": ("tests/unit/learning/retraining/test_loop.py", "training process"),
    "promote": ("tests/unit/learning/registry/test_registry.py", "process that switches versions"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", choices=[*TESTS, []], help="all if none is named")
    parser.add_argument("--kills", type=int, default=20)
    chosen = parser.parse_args(argv)
    settings = {**os.environ, "TUMORLENS_KILLS": str(chosen.kills), "OMP_NUM_THREADS": "1"}
    path = RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    all_passed = True
    for part in chosen.parts or TESTS:
        file, killed = TESTS[part]
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", file, "-q", "-k", "killed"]
        code = subprocess.run([*command, "-p", "no:cacheprovider"], env=settings).returncode
        all_passed = all_passed and code == 0
        found[part] = {
            "killed": killed,
            "kills": chosen.kills,
            "passed": code == 0,
            "seconds": round(time.monotonic() - started, 1),
            "commit": environment()["commit"],
            "load": round(os.getloadavg()[0], 1),
        }
        print(part, found[part], flush=True)
        write_result(NAME, {"parts": found})
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main())
