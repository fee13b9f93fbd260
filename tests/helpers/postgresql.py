"""A real PostgreSQL server for tests: the binaries of the `pgserver` package, our own start.

PostgreSQL refuses to run as root. Where the tests do, initdb and the server run as `nobody`, in a
folder of their own below the system's folder for temporary files; if `nobody` cannot read the
environment (a home folder, say), the binaries are copied there. No system user is made and no
permission of an existing folder is changed, which is why pgserver's own start is not used.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

START_PATIENCE_S = 120.0
USER = "tumorlens"
UNPRIVILEGED = "nobody"


class PostgresqlServer:
    """A server on a Unix socket, in a folder that goes with it.

    It does not wait for the disk (`-F`): it outlives the kill of a process, not a power cut.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tumorlens-pg-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._programs = self._readable(_installed())
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", "data", "-U", USER, "--auth=trust", "--encoding=UTF8", "-N")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        import psycopg

        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", "-F", "-k", self.folder, "-h", ""],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._options(),
            )
        deadline = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End every one of its processes as a power cut would."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        self._process.kill()
        self._process.wait(60)
        deadline = time.monotonic() + 60
        while any(Path("/proc", child).exists() for child in children.split()):
            assert time.monotonic() < deadline  # each notices that its parent is gone
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, cutting connections."""
        self._end(signal.SIGINT)

    def close(self) -> None:
        """End it at once and remove its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(START_PATIENCE_S)

    def new_database(self, options: str = "") -> str:
        """Address of a fresh, empty database."""
        import psycopg

        name = f"t{uuid4().hex[:12]}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return f"postgresql+psycopg://{USER}@/{name}?host={self.folder}"

    def _conninfo(self, database: str) -> str:
        return f"host={self.folder} user={USER} dbname={database} connect_timeout=5"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._options(),
        )
        assert done.returncode == 0, done.stderr

    def _options(self) -> dict[str, Any]:
        """A plain environment, so that neither language nor settings of the user matter."""
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        return {"cwd": self.folder, "env": environment, **self._as}

    def _readable(self, package: Path) -> Path:
        """Folder of programs that the server's user can run."""
        everybody = 0o005
        is_open = all(p.stat().st_mode & everybody == everybody for p in package.parents)
        if self._as and not is_open:
            for name in (package.name, f"{package.name}.libs"):
                if (package.parent / name).is_dir():
                    shutil.copytree(package.parent / name, self.folder / name)
            package = self.folder / package.name
        return package / "pginstall" / "bin"


def _installed() -> Path:
    """Folder of the package, found without importing it: that would already make folders."""
    spec = importlib.util.find_spec("pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def skip_without_postgresql() -> None:
    """Skip the test that asks where server or driver is not installed."""
    for package, remedy in (("pgserver", "test"), ("psycopg", "postgresql")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install -e '.[{remedy}]'")
