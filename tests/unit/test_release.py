"""Packages of a release depend on what is in them, not on when and by whom they were built."""

import os
import tarfile
import zipfile

import pytest
from brain_tumor import __version__

from docs import release
from docs.release import ROOT, build, checksums, files_below, level_tar, write_zip

AT_S = 1_700_000_000  # 2023-11-14 22:13:20


def test_a_zip_has_the_same_bytes_whenever_its_files_were_written(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/two.txt", "one.txt"):
        (tmp_path / name).write_text(name)
    packages = []
    for k, moment in enumerate((1_600_000_000, 1_650_000_001)):
        os.utime(tmp_path / "one.txt", (moment, moment))
        packages.append(tmp_path / f"{k}.zip")
        write_zip(packages[-1], files_below(tmp_path, ["one.txt", "b"]), AT_S)
    assert packages[0].read_bytes() == packages[1].read_bytes()
    with zipfile.ZipFile(packages[0]) as archive:
        assert archive.namelist() == ["b/two.txt", "one.txt"]
        assert archive.getinfo("one.txt").date_time == (2023, 11, 14, 22, 13, 20)


def test_a_tar_is_levelled(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("content")
    levelled = []
    for k, owner in enumerate(("anna", "otto")):
        path = tmp_path / f"{k}.tar.gz"

        def owned(entry, owner=owner):
            entry.uname = owner
            return entry

        os.utime(source, (1_600_000_000 + k, 1_600_000_000 + k))
        with tarfile.open(path, "w:gz") as archive:
            archive.add(source, "pkg/a.txt", filter=owned)
        level_tar(path, AT_S)
        levelled.append(path.read_bytes())
    assert levelled[0] == levelled[1]
    with tarfile.open(tmp_path / "0.tar.gz") as archive:
        (entry,) = archive.getmembers()
        assert (entry.mtime, entry.uname, archive.extractfile(entry).read()) == (
            AT_S,
            "",
            b"content",
        )


def test_the_extension_is_shipped_without_its_tests():
    names = [name for name, _ in files_below(ROOT, release.EXTENSION)]
    assert "slicer_extension/TumorLens/TumorLens.py" in names
    assert "CMakeLists.txt" in names
    assert not [name for name in names if "/tests/" in name or "__pycache__" in name]


def test_checksums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "SHA256SUMS").write_text("old")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert checksums(tmp_path) == f"{digest}  a\n"


def test_a_release_without_the_site_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="make site"):
        build(tmp_path / "dist", tmp_path)


def test_the_citation_names_the_version():
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
