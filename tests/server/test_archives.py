import io
import stat
import tarfile
import zipfile

import pytest
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.server.datastore import archives
from brain_tumor.server.datastore.archives import unpack

LIMIT = 10_000


def zip_of(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def tar_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    return folder


def files_outside(tmp_path, folder, archive):
    return [p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents] == [archive]


def test_a_zip_of_sequences_is_unpacked(tmp_path, folder):
    archive = zip_of(tmp_path / "a.zip", [("case/t1c.nii.gz", b"one"), ("case/t2.nii.gz", b"two")])
    assert unpack(archive, folder, max_bytes=LIMIT) == [
        folder / "case" / "t1c.nii.gz",
        folder / "case" / "t2.nii.gz",
    ]
    assert (folder / "case" / "t2.nii.gz").read_bytes() == b"two"


def test_a_tar_is_recognised_by_content_whatever_its_name(tmp_path, folder):
    archive = tar_of(tmp_path / "a.zip", [(tarfile.TarInfo("t1c.nii.gz"), b"one")])
    assert unpack(archive, folder, max_bytes=LIMIT) == [folder / "t1c.nii.gz"]


@pytest.mark.parametrize(
    "name", ["../evil.nii", "a/../../evil.nii", "/tmp/evil.nii", "..\\evil.nii", ".bashrc", "a/.x"]
)
def test_an_entry_that_leads_out_is_refused(tmp_path, folder, name):
    archive = zip_of(tmp_path / "a.zip", [(name, b"evil")])
    with pytest.raises(InputError):
        unpack(archive, folder, max_bytes=LIMIT)
    assert files_outside(tmp_path, folder, archive)


@pytest.mark.parametrize("name", ["../evil.nii", "/tmp/tumorlens-evil.nii"])
def test_a_tar_entry_that_leads_out_is_refused(tmp_path, folder, name):
    archive = tar_of(tmp_path / "a.tar.gz", [(tarfile.TarInfo(name), b"evil")])
    with pytest.raises(InputError, match="leads out"):
        unpack(archive, folder, max_bytes=LIMIT)
    assert files_outside(tmp_path, folder, archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, folder, kind):
    link = tarfile.TarInfo("t1c.nii.gz")
    link.type, link.linkname = kind, "/etc/passwd"
    archive = tar_of(tmp_path / "a.tar.gz", [(link, b"")])
    with pytest.raises(InputError, match="link or a device"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_a_link_in_a_zip_is_refused(tmp_path, folder):
    info = zipfile.ZipInfo("t1c.nii.gz")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "a.zip", [(info, "/etc/passwd")])
    with pytest.raises(InputError, match="link or a device"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, folder):
    archive = zip_of(tmp_path / "a.zip", [("t1c.nii.gz", b"\0" * 50_000_000)])
    assert archive.stat().st_size < 100_000
    with pytest.raises(InputError, match="more than the server accepts"):
        unpack(archive, folder, max_bytes=LIMIT)
    assert sum(p.stat().st_size for p in folder.rglob("*")) <= LIMIT


def test_many_small_files_share_one_budget(tmp_path, folder):
    archive = zip_of(tmp_path / "a.zip", [(f"{i}.dcm", b"x" * 3000) for i in range(4)])
    with pytest.raises(InputError, match="more than the server accepts"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_too_many_files_are_refused(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    archive = zip_of(tmp_path / "a.zip", [(f"{i}.dcm", b"x") for i in range(4)])
    with pytest.raises(InputError, match="more than 3 files"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_a_name_that_occurs_twice_is_refused(tmp_path, folder):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zip_of(tmp_path / "a.zip", [("a.nii", b"1"), ("a.nii", b"2")])
    with pytest.raises(InputError, match="twice"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_what_macos_adds_is_passed_over(tmp_path, folder):
    entries = [("__MACOSX/._t1c.nii.gz", b"x"), ("._t1c.nii.gz", b"x"), ("t1c.nii.gz", b"one")]
    archive = zip_of(tmp_path / "a.zip", entries)
    assert unpack(archive, folder, max_bytes=LIMIT) == [folder / "t1c.nii.gz"]


def test_an_archive_of_nothing_is_refused(tmp_path, folder):
    with pytest.raises(InputError, match="no files"):
        unpack(zip_of(tmp_path / "a.zip", []), folder, max_bytes=LIMIT)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_what_is_no_archive_is_refused(tmp_path, folder, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        unpack(path, folder, max_bytes=LIMIT)


def test_a_damaged_entry_is_a_clear_error(tmp_path, folder):
    archive = zip_of(tmp_path / "a.zip", [("t1c.nii.gz", bytes(range(256)) * 30)])
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged"):
        unpack(archive, folder, max_bytes=LIMIT)
