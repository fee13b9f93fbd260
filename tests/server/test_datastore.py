import errno
import json
import threading
from pathlib import Path

import pytest
from brain_tumor.cases.files import durable
from brain_tumor.errors import InputError, LabelError, NotFoundError, StorageError
from brain_tumor.server.datastore import index as index_module
from brain_tumor.server.datastore.history import LabelEvent
from brain_tumor.server.datastore.store import AcceptedLabel, StudyDatastore
from brain_tumor.server.http.validation import volume_suffix

MODEL = {"name": "segmentation", "version": "1.2.0", "sha256": "ab"}


def accept_all(label, image, info):
    content = label.read_bytes()
    if content == b"bad":
        raise LabelError("bad label")
    return AcceptedLabel(content, volume_suffix(label.name), "subregions")


def open_store(studies):
    store = StudyDatastore(studies, check_label=accept_all, check_image=lambda image: None)
    store.recover()
    return store


@pytest.fixture
def studies(tmp_path):
    studies = tmp_path / "studies"
    studies.mkdir()
    for name in ("P001.nii.gz", "P002.nii", "P003.nrrd"):
        (studies / name).write_bytes(name.encode())
    return studies


@pytest.fixture
def store(studies):
    return open_store(studies)


def label_file(folder, content, suffix=".nii.gz"):
    path = folder / f"upload{suffix}"
    path.write_bytes(content)
    return path


def submit(store, content, image="P001", tag="final", suffix=".nii.gz", **info):
    path = label_file(store.root.parent, content, suffix)
    return store.submit_label(image, path, tag, info)


def current(studies, image="P001", tag="final", suffix=".nii.gz"):
    return (studies / "labels" / tag / f"{image}{suffix}").read_bytes()


def index_of(studies):
    return json.loads((studies / "datastore_v2.json").read_text())["objects"]


def leftovers(studies):
    return [p for p in studies.rglob("*") if p.name.startswith(durable.TEMPORARY_PREFIX)]


class TestReading:
    def test_volumes_at_the_top_are_cases_and_nothing_else_is(self, studies):
        (studies / "._P001.nii.gz").write_bytes(b"macOS")
        (studies / "notes.txt").write_bytes(b"x")
        (studies / "P009").mkdir()
        (studies / "P009" / "t1.nii.gz").write_bytes(b"sibling")
        assert open_store(studies).list_images() == ["P001", "P002", "P003"]

    def test_names_that_are_no_case_ids_are_passed_over(self, studies):
        for name in ("Müller.nii.gz", "a b.nii.gz", "a.nii.gz_b.nii.gz", "-x.nii.gz"):
            (studies / name).write_bytes(b"x")
        assert open_store(studies).list_images() == ["P001", "P002", "P003"]

    def test_what_is_passed_over_is_logged_and_told_with_its_reason(self, studies, caplog):
        names = ["Patient 01.nii.gz", "환자03.nii.gz", "L" * 80 + ".nii.gz", "CASE7.NII.GZ"]
        names += ["x.seg.nrrd", "scan.mha"]
        (studies / "labels" / "final").mkdir(parents=True)
        for name in (*names, "labels/final/nobody.nii.gz"):
            (studies / name).write_bytes(b"x")
        store = open_store(studies)
        assert store.list_images() == ["P001", "P002", "P003"]
        assert set(store.passed_over) == {*names, "labels/final/nobody.nii.gz"}
        for name in names:
            assert caplog.text.count(f"passed over {name}: ") == 1
        assert "rename it" in store.passed_over["Patient 01.nii.gz"]
        assert "small letters" in store.passed_over["CASE7.NII.GZ"]
        assert "labels/final" in store.passed_over["x.seg.nrrd"]

    def test_a_segmentation_of_slicer_among_the_labels_is_a_label(self, studies):
        (studies / "labels" / "final").mkdir(parents=True)
        (studies / "labels" / "final" / "P001.seg.nrrd").write_bytes(b"segments")
        store = open_store(studies)
        assert store.get_labeled_images() == ["P001"]
        assert store.read_label("P001", "final") == ("P001.seg.nrrd", b"segments")
        submit(store, b"newer")
        assert store.read_label("P001", "final") == ("P001.nii.gz", b"newer")
        assert not (studies / "labels" / "final" / "P001.seg.nrrd").exists()
        assert open_store(studies).get_labeled_images() == ["P001"]

    def test_a_case_keeps_the_title_of_its_import(self, studies):
        folder = studies / "sequences" / "P001"
        folder.mkdir(parents=True)
        (folder / "case.json").write_text('{"reference": "t1c", "title": "김철수"}')
        assert open_store(studies).get_image_info("P001")["title"] == "김철수"

    def test_of_several_files_with_one_id_the_compressed_one_counts(self, store, studies):
        submit(store, b"one", image="P002")
        (studies / "P002.nii.gz").write_bytes(b"other")
        (studies / "P003.nii").write_bytes(b"other")
        assert store.status()["total"] == 3
        assert store.get_image_uri("P002").endswith("P002.nii.gz")
        assert store.get_image_uri("P003").endswith("P003.nii")
        assert store.get_labeled_images() == ["P002"]

    def test_a_volume_dropped_into_the_folder_is_noticed_without_a_watcher(self, store, studies):
        (studies / "P004.nii.gz").write_bytes(b"new")
        assert store.get_image_uri("P004") == str(studies / "P004.nii.gz")
        assert store.status()["total"] == 4
        (studies / "P004.nii.gz").unlink()
        assert "P004" not in store.list_images()

    def test_an_unchanged_folder_writes_nothing(self, store, studies):
        before = (studies / "datastore_v2.json").stat().st_mtime_ns
        store.status()
        store.list_images()
        assert (studies / "datastore_v2.json").stat().st_mtime_ns == before

    @pytest.mark.parametrize("image", ["../P001", "/etc/passwd", "labels/final/P001"])
    def test_a_path_is_no_id(self, store, image):
        with pytest.raises(InputError):
            store.require_image(image)

    def test_an_unknown_case_is_not_found(self, store):
        with pytest.raises(NotFoundError, match="no case 'P999'"):
            store.require_image("P999")
        with pytest.raises(NotFoundError, match="tag 'final'"):
            store.require_label("P001", "final")

    def test_information_handed_out_is_a_copy(self, store):
        submit(store, b"one", note={"a": 1})
        store.get_label_info("P001", "final")["note"]["a"] = 2
        store.get_image_info("P001")["x"] = 1
        assert store.get_label_info("P001", "final")["note"] == {"a": 1}
        assert "x" not in store.get_image_info("P001")


class TestLabels:
    def test_a_label_is_stored_where_stock_clients_look(self, store, studies):
        version = submit(store, b"one", client_id="anna", label_info=[{"name": "x", "idx": 1}])
        assert current(studies) == b"one"
        entry = index_of(studies)["P001"]["labels"]["final"]
        assert entry["ext"] == ".nii.gz"
        assert entry["info"]["client_id"] == "anna"
        assert entry["info"]["version"] == version.version == 1
        assert store.get_labeled_images() == ["P001"]
        assert store.get_unlabeled_images() == ["P002", "P003"]
        assert store.status() == {"total": 3, "completed": 1, "label_tags": {"final": 1}}
        assert [Path(pair["label"]).read_bytes() for pair in store.datalist()] == [b"one"]

    def test_every_version_is_kept_with_who_when_and_from_which_model(self, store):
        store.record_proposal("P001", MODEL)
        submit(store, b"one", client_id="anna")
        submit(store, b"two", client_id="ben")
        first, second = store.history.versions("P001", "final")
        assert [first.version, second.version] == [1, 2]
        assert [first.saved_by, second.saved_by] == ["anna", "ben"]
        assert first.proposed_by == second.proposed_by == MODEL
        assert first.saved_at <= second.saved_at
        assert first.saved_at.endswith("+00:00")
        assert store.history.content(first) == b"one"
        assert store.history.content(second) == b"two"

    def test_an_old_version_comes_back_as_a_new_one(self, store, studies):
        submit(store, b"one", client_id="anna")
        submit(store, b"two", suffix=".nrrd")
        restored = store.restore_label("P001", "final", 1, "chris")
        assert (restored.version, restored.event) == (3, LabelEvent.RESTORED)
        assert (restored.restored_from, restored.saved_by) == (1, "chris")
        assert current(studies) == b"one"
        assert not (studies / "labels" / "final" / "P001.nrrd").exists()
        assert [v.event for v in store.history.versions("P001", "final")] == [
            "saved",
            "saved",
            "restored",
        ]

    def test_another_suffix_leaves_no_second_file_behind(self, store, studies):
        submit(store, b"one")
        submit(store, b"two", suffix=".nrrd")
        assert sorted(p.name for p in (studies / "labels" / "final").iterdir()) == ["P001.nrrd"]
        assert store.get_label_uri("P001", "final").endswith(".nrrd")

    def test_the_same_label_again_is_a_version_without_a_second_file(self, store, studies):
        submit(store, b"one", client_id="anna")
        submit(store, b"one", client_id="ben")
        assert [v.saved_by for v in store.history.versions("P001", "final")] == ["anna", "ben"]
        files = [p for p in (studies / "history" / "P001" / "final").iterdir() if p.suffix == ".gz"]
        assert len(files) == 1

    def test_a_removed_label_is_gone_but_not_lost(self, store, studies):
        submit(store, b"one")
        store.remove_label("P001", "final")
        assert store.get_labeled_images() == []
        assert not (studies / "labels" / "final" / "P001.nii.gz").exists()
        store.restore_label("P001", "final", 1, None)
        assert current(studies) == b"one"
        with pytest.raises(NotFoundError, match="removal"):
            store.restore_label("P001", "final", 2, None)

    def test_a_refused_label_changes_nothing(self, store, studies):
        submit(store, b"one")
        before = (studies / "datastore_v2.json").read_bytes()
        with pytest.raises(LabelError):
            submit(store, b"bad")
        assert current(studies) == b"one"
        assert (studies / "datastore_v2.json").read_bytes() == before
        assert len(store.history.versions("P001", "final")) == 1

    @pytest.mark.parametrize("tag", ["../../x", "/abs", "a/b", ""])
    def test_a_path_is_no_tag(self, store, studies, tag):
        with pytest.raises(InputError):
            submit(store, b"one", tag=tag)
        assert not (studies / "history").exists()

    def test_a_label_edited_in_place_is_kept_before_it_is_replaced(self, store, studies):
        submit(store, b"one")
        (studies / "labels" / "final" / "P001.nii.gz").write_bytes(b"edited elsewhere")
        submit(store, b"two")
        versions = store.history.versions("P001", "final")
        assert [v.event for v in versions] == ["saved", "found", "saved"]
        assert [store.history.content(v) for v in versions] == [b"one", b"edited elsewhere", b"two"]

    def test_editing_the_current_label_in_place_does_not_reach_the_history(self, store, studies):
        version = submit(store, b"one")
        with (studies / "labels" / "final" / "P001.nii.gz").open("r+b") as stream:
            stream.write(b"XXX")
        assert store.history.content(version) == b"one"

    def test_a_damaged_version_is_told_and_not_handed_out(self, store, studies):
        version = submit(store, b"one")
        (studies / "history" / "P001" / "final" / version.file).write_bytes(b"rot")
        with pytest.raises(StorageError, match="checksum"):
            store.restore_label("P001", "final", 1, None)

    def test_a_label_dropped_into_the_folder_becomes_a_version(self, store, studies):
        (studies / "labels" / "final" / "P002.nii.gz").write_bytes(b"dropped")
        assert store.get_labeled_images() == ["P002"]
        (version,) = store.history.versions("P002", "final")
        assert version.event == "found"
        assert store.history.content(version) == b"dropped"

    def test_a_label_taken_from_the_folder_is_recorded_and_can_come_back(self, store, studies):
        submit(store, b"one")
        (studies / "labels" / "final" / "P001.nii.gz").unlink()
        assert store.get_labeled_images() == []
        assert [v.event for v in store.history.versions("P001", "final")] == ["saved", "removed"]
        assert open_store(studies).get_labeled_images() == []
        store.restore_label("P001", "final", 1, None)
        assert current(studies) == b"one"


class TestImages:
    def test_an_uploaded_volume_becomes_a_case(self, store, studies, tmp_path):
        path = label_file(tmp_path, b"volume", ".nrrd")
        assert store.add_image("P010", str(path), {"client_id": "anna"}) == "P010"
        assert (studies / "P010.nrrd").read_bytes() == b"volume"
        assert store.get_image_info("P010")["client_id"] == "anna"

    def test_the_same_volume_again_changes_nothing_and_another_is_refused(self, store, tmp_path):
        submit(store, b"label")
        same = label_file(tmp_path, b"P001.nii.gz")
        assert store.add_image("P001", str(same), {}) == "P001"
        assert store.get_labeled_images() == ["P001"]
        other = label_file(tmp_path, b"other", ".nrrd")
        with pytest.raises(InputError, match="exists already"):
            store.add_image("P001", str(other), {})

    def test_a_removed_case_keeps_its_volumes_and_its_label_history(self, store, studies):
        (studies / "sequences" / "P001").mkdir(parents=True)
        (studies / "sequences" / "P001" / "t2.nii.gz").write_bytes(b"t2")
        submit(store, b"one")
        store.remove_image("P001")
        assert "P001" not in store.list_images()
        kept = [p.read_bytes() for p in sorted((studies / "removed").rglob("*")) if p.is_file()]
        assert sorted(kept) == [b"P001.nii.gz", b"t2"]
        assert not (studies / "sequences" / "P001").exists()
        assert [v.event for v in store.history.versions("P001", "final")] == ["saved", "removed"]
        with pytest.raises(NotFoundError):
            store.remove_image("P001")

    def test_an_id_with_left_over_sequences_is_refused(self, store, studies, tmp_path):
        (studies / "sequences" / "P010").mkdir(parents=True)
        with pytest.raises(InputError, match="unfinished import"):
            store.add_image("P010", str(label_file(tmp_path, b"volume")), {})

    def test_an_archive_holds_labelled_cases_only(self, store):
        import zipfile

        with pytest.raises(NotFoundError, match="nothing to download"):
            store.get_dataset_archive(None)
        submit(store, b"one")
        submit(store, b"two", image="P002")
        with zipfile.ZipFile(store.get_dataset_archive(1)) as archive:
            assert sorted(archive.namelist()) == [
                "image/P001.nii.gz",
                "label/P001.nii.gz",
                "metadata.json",
            ]


class TestDamage:
    def test_a_torn_index_is_recovered_from_its_backup(self, store, studies):
        submit(store, b"one", client_id="anna")
        store.update_image_info("P002", {"note": "left handed"})
        config = studies / "datastore_v2.json"
        config.write_bytes(config.read_bytes()[: config.stat().st_size // 2])
        again = open_store(studies)
        assert again.get_label_info("P001", "final")["client_id"] == "anna"
        assert again.get_image_info("P002")["note"] == "left handed"
        assert len(list(studies.glob("datastore_v2.damaged-*.json"))) == 1
        assert index_of(studies)["P001"]["labels"]["final"]["info"]["client_id"] == "anna"

    @pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\x00" * 50, b'{"objects": 3}'])
    def test_without_a_usable_backup_the_index_is_rebuilt_from_the_files(
        self, store, studies, garbage
    ):
        submit(store, b"one", client_id="anna")
        submit(store, b"two", client_id="ben")
        for name in ("datastore_v2.json", "datastore_v2.json.bak"):
            (studies / name).write_bytes(garbage)
        again = open_store(studies)
        assert again.list_images() == ["P001", "P002", "P003"]
        info = again.get_label_info("P001", "final")
        assert (info["client_id"], info["version"]) == ("ben", 2)
        assert len(again.history.versions("P001", "final")) == 2

    def test_an_index_torn_while_the_server_runs_loses_nothing(self, store, studies):
        submit(store, b"one", client_id="anna")
        (studies / "datastore_v2.json").write_bytes(b'{"na')
        submit(store, b"two", image="P002", client_id="ben")
        entries = index_of(studies)
        assert entries["P001"]["labels"]["final"]["info"]["client_id"] == "anna"
        assert entries["P002"]["labels"]["final"]["info"]["client_id"] == "ben"

    def test_entries_that_lead_out_of_the_folder_are_dropped(self, store, studies, tmp_path):
        (tmp_path / "secret.nii.gz").write_bytes(b"secret")
        config = studies / "datastore_v2.json"
        content = json.loads(config.read_text())
        content["objects"]["../secret"] = {"image": {"ext": ".nii.gz", "info": {}}, "labels": {}}
        content["objects"]["P001"]["labels"]["../x"] = {"ext": ".nii.gz", "info": {}}
        content["objects"]["P002"]["image"]["ext"] = "/../../secret.nii.gz"
        content["images_dir"] = ".."
        config.write_text(json.dumps(content))
        again = open_store(studies)
        assert again.list_images() == ["P001", "P002", "P003"]
        assert again.get_image_uri("../secret") == ""
        assert again.get_image_uri("P002") == str(studies / "P002.nii")

    def test_a_write_cut_off_after_the_history_is_finished_at_the_next_start(
        self, store, studies, monkeypatch
    ):
        submit(store, b"one", client_id="anna")
        real, renamed = Path.replace, []

        def die_before_the_label_is_in_place(self, target):
            if Path(target).parent.name == "final" and "history" not in Path(target).parts:
                raise KeyboardInterrupt  # stands for kill -9: nothing after this runs
            renamed.append(Path(target).name)
            return real(self, target)

        monkeypatch.setattr(Path, "replace", die_before_the_label_is_in_place)
        with pytest.raises(KeyboardInterrupt):
            submit(store, b"two", client_id="ben")
        monkeypatch.undo()
        assert "000002.json" in renamed
        assert current(studies) == b"one"
        again = open_store(studies)
        assert current(studies) == b"two"
        assert again.get_label_info("P001", "final")["client_id"] == "ben"

    def test_temporary_files_of_a_killed_process_are_removed_at_the_start(self, store, studies):
        submit(store, b"one")
        for folder in (studies, studies / "labels" / "final", studies / "history/P001/final"):
            (folder / f"{durable.TEMPORARY_PREFIX}dead").write_bytes(b"half")
        open_store(studies)
        assert leftovers(studies) == []

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_a_disk_that_takes_nothing_is_a_clear_error_and_nothing_changes(
        self, store, studies, monkeypatch, number
    ):
        submit(store, b"one", client_id="anna")
        before = {p: p.read_bytes() for p in studies.rglob("*") if p.is_file()}

        def refuse(*_):
            raise OSError(number, "no")

        monkeypatch.setattr(durable.os, "fsync", refuse)
        with pytest.raises(StorageError, match=r"cannot be stored: the (disk|folder)"):
            submit(store, b"two")
        with pytest.raises(StorageError):
            store.update_image_info("P001", {"a": 1})
        with pytest.raises(StorageError):
            store.remove_image("P001")
        monkeypatch.undo()
        assert {p: p.read_bytes() for p in studies.rglob("*") if p.is_file()} == before
        assert store.get_label_info("P001", "final")["client_id"] == "anna"
        assert submit(store, b"two").version == 2


class TestManyAtOnce:
    def test_200_labels_at_once_are_all_there_in_memory_on_disk_and_in_the_history(self, studies):
        for i in range(10):
            (studies / f"C{i}.nii.gz").write_bytes(b"volume")
        store = open_store(studies)
        failures = []

        def work(worker):
            for i in range(20):
                path = store.root.parent / f"w{worker}.nii.gz"
                path.write_bytes(f"{worker}-{i}".encode())
                try:
                    store.submit_label(f"C{i % 10}", path, f"tag{worker}", {"n": i})
                except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                    failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert failures == []
        for again in (store, open_store(studies)):
            for worker in range(10):
                for case in range(10):
                    assert again.get_label_info(f"C{case}", f"tag{worker}")["n"] == case + 10
                    assert len(again.history.versions(f"C{case}", f"tag{worker}")) == 2

    def test_files_dropped_in_while_others_write_are_all_seen(self, store, studies):
        stop = threading.Event()

        def write():
            while not stop.is_set():
                store.update_image_info("P001", {"x": 1})

        thread = threading.Thread(target=write)
        thread.start()
        for i in range(30):
            (studies / f"D{i}.nii.gz").write_bytes(b"v")
            store.status()
        stop.set()
        thread.join(60)
        assert store.status()["total"] == 33

    def test_two_processes_do_not_overwrite_each_others_changes(self, store, studies):
        other = open_store(studies)
        submit(store, b"one")
        submit(other, b"two", image="P002")
        submit(store, b"three", image="P003")
        assert sorted(i for i, v in index_of(studies).items() if v["labels"]) == [
            "P001",
            "P002",
            "P003",
        ]

    def test_a_process_that_starts_meanwhile_disturbs_no_writer(self, store, studies, monkeypatch):
        """A training opens the folder while the server is between two renames."""
        submit(store, b"one")
        real = Path.replace

        def open_another_before_each_rename(self, target):
            StudyDatastore(studies, check_label=accept_all, check_image=lambda image: None)
            return real(self, target)

        monkeypatch.setattr(Path, "replace", open_another_before_each_rename)
        submit(store, b"two", suffix=".nrrd")
        monkeypatch.undo()
        assert [v.event for v in store.history.versions("P001", "final")] == ["saved", "saved"]
        assert current(studies, suffix=".nrrd") == b"two"

    def test_readers_do_not_wait_for_a_writer(self, store):
        entered, leave, seen = threading.Event(), threading.Event(), []

        def write():
            with store._index.transaction():
                entered.set()
                leave.wait(20)

        writer = threading.Thread(target=write)
        writer.start()
        assert entered.wait(20)
        reader = threading.Thread(target=lambda: seen.append(store.status()["total"]))
        reader.start()
        reader.join(20)
        leave.set()
        writer.join(20)
        assert seen == [3]


def test_another_process_that_never_lets_go_is_told(store, monkeypatch):
    from brain_tumor.errors import BusyError
    from filelock import FileLock

    monkeypatch.setattr(index_module, "LOCK_PATIENCE_S", 0.05)
    other = FileLock(store.root / ".lock")
    with other, pytest.raises(BusyError, match="another process"):
        submit(store, b"one")
