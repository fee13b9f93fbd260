"""Uploaded archives that want to fill the memory or the disk, to take minutes, or to lead out."""

import io
import tarfile
import tracemalloc

import pytest
from brain_tumor.server.datastore.archives import unpack

from tests.helpers.attack_archives import archives_that_fill, archives_with_bad_names
from tests.helpers.server import ThresholdSegmenter, write_studies
from tests.server.conftest import InProcessApp, client_of, everything_below, refusal


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    studies = write_studies(tmp_path_factory.mktemp("archives") / "studies")
    return client_of(InProcessApp(studies, ThresholdSegmenter())), studies


@pytest.fixture(scope="module")
def bombs():
    return archives_that_fill()


@pytest.mark.parametrize(
    "name",
    [
        *("zip of bzip2", "zip of lzma", "zip of zeros", "zip of many", "tar of bzip2"),
        *("tar of xz", "long name", "long name, long link", "pax header", "global pax header"),
        *("tar of zeros", "tar of folders", "members without content"),
    ],
)
def test_an_archive_that_fills_is_refused_and_leaves_nothing(shared, bombs, name):
    client, studies = shared
    filename, content = bombs[name]
    assert len(content) < 5_000_000
    before = everything_below(studies)
    tracemalloc.start()
    try:
        reply = client.put("/session/?uncompress=true", files={"files": (filename, content)})
        refusal(reply)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert everything_below(studies) == before


@pytest.mark.parametrize("name", archives_with_bad_names())
def test_an_archive_with_a_bad_name_is_refused(shared, tmp_path, name):
    client, studies = shared
    filename, content = archives_with_bad_names()[name]
    before = everything_below(studies)
    said = refusal(client.put("/session/?uncompress=true", files={"files": (filename, content)}))
    assert len(said) < 300
    assert everything_below(studies) == before


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", ["w", "w:gz"])
def test_what_tar_programs_write_is_unpacked(tmp_path, kind, packed):
    long = "/".join(["folder" * 8, "b" * 90, "c" * 60 + " t1c.nii"])
    contents = {"a.nii": b"x" * 513, long: b"y" * 512, "\u00fcber/t2.nii": b""}
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=packed, format=kind) as archive:
        folder = tarfile.TarInfo("\u00fcber/")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5
            archive.addfile(info, io.BytesIO(content))
    (tmp_path / "a.tar").write_bytes(held.getvalue())
    (tmp_path / "out").mkdir()
    found = unpack(tmp_path / "a.tar", tmp_path / "out", max_bytes=10_000)
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in found} == contents
