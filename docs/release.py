"""Build what a release consists of into dist/: wheel, sdist, extension package and site.

python -m docs.release

The same commit gives the same bytes: every entry has the time of the commit, the same owner and
the same rights, in the order of names. SHA256SUMS names each file, so that two builds compare.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from brain_tumor import __version__

ROOT = Path(__file__).resolve().parents[1]
EXTENSION = ("CMakeLists.txt", "LICENSE", "slicer_extension")
NOT_SHIPPED = {"__pycache__", "tests"}
EARLIEST_ZIP_S = 315_532_800  # 1980-01-01, before which zip knows no time


def files_below(root: Path, parts: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Name in the package and place of every file, in the order of names."""
    found = {}
    for part in parts:
        start = root / part
        for path in [start] if start.is_file() else start.rglob("*"):
            relative = path.relative_to(root)
            if path.is_file() and not NOT_SHIPPED & set(relative.parts):
                found[relative.as_posix()] = path
    yield from sorted(found.items())


def write_zip(target: Path, files: Iterable[tuple[str, Path]], at_s: int) -> None:
    """Zip whose bytes depend on names, contents and time alone."""
    moment = time.gmtime(max(at_s, EARLIEST_ZIP_S))[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name, moment)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def level_tar(path: Path, at_s: int) -> None:
    """Write a .tar.gz anew with one time and no owners, in the order of names."""
    plain = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=plain, mode="w") as new:
        for entry in sorted(old.getmembers(), key=lambda member: member.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = at_s, 0, 0, "", ""
            entry.mode = 0o755 if entry.isdir() else 0o644
            entry.pax_headers = {}
            new.addfile(entry, old.extractfile(entry) if entry.isfile() else None)
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=at_s))


def checksums(folder: Path) -> str:
    """Lines as `sha256sum` writes them."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    )


def build(target: Path, root: Path = ROOT) -> None:
    """Fill a folder, which is emptied first.

    Args:
        target: Folder, for example dist.
        root: Repository, with the site already built in site/.

    Raises:
        FileNotFoundError: If the site is not built.
    """
    from setuptools import build_meta

    if not (root / "site/index.html").is_file():
        raise FileNotFoundError("site/ is not built; run make site first")
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=True
    )
    at_s = int(shown.stdout)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    os.environ["SOURCE_DATE_EPOCH"] = str(at_s)
    os.chdir(root)
    build_meta.build_wheel(str(target))
    level_tar(target / build_meta.build_sdist(str(target)), at_s)
    extension = target / f"TumorLens-slicer-{__version__}.zip"
    write_zip(extension, files_below(root, EXTENSION), at_s)
    write_zip(target / f"tumorlens-site-{__version__}.zip", files_below(root / "site", ["."]), at_s)
    (target / "SHA256SUMS").write_text(checksums(target), encoding="utf-8")


if __name__ == "__main__":
    build(ROOT / "dist")
