"""Run the extension's tests: one process for each file that needs Qt, two at a time.

python -m slicer_extension.tests.run [pytest options]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROCESSES = 2


def groups() -> list[list[Path]]:
    """Files that share a process; the longest first. Files without Qt share one."""
    files = sorted(HERE.glob("test_*.py"))
    with_qt = [path for path in files if "pytest.mark.slicer" in path.read_text(encoding="utf-8")]
    without = [path for path in files if path not in with_qt]
    with_qt.sort(key=lambda path: -path.stat().st_size)
    return [*([path] for path in with_qt), without]


def run(files: list[Path], options: list[str]) -> tuple[list[Path], int, str, float]:
    """Files, exit code, output and seconds of one process."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as settings:
        environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_CONFIG_HOME": settings,
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        command += [str(path) for path in files]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    return files, done.returncode, done.stdout + done.stderr, time.monotonic() - started


def main(options: list[str]) -> int:
    """Run everything; 0 if all of it passed."""
    failed = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for files, code, output, seconds in pool.map(lambda f: run(f, options), groups()):
            name = ", ".join(path.stem for path in files)
            summary = next((line for line in reversed(output.splitlines()) if " in " in line), "")
            sys.stdout.write(f"{'ok    ' if code == 0 else 'FAILED'} {name}: {summary} "
                             f"({seconds:.0f} s)\n")  # fmt: skip
            sys.stdout.flush()
            if code != 0:
                failed += 1
                sys.stdout.write(output + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
