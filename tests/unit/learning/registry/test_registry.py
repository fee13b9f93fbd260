import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from brain_tumor.bundles import WEIGHTS
from brain_tumor.errors import InputError, ModelError, NotFoundError
from brain_tumor.learning.registry.registry import ModelRegistry, VersionState, version_key
from brain_tumor.learning.registry.reloading import ReloadingModel

from tests.helpers.learning import a_registry, write_bundle, write_models
from tests.helpers.server import REPOSITORY


@pytest.fixture
def registry(tmp_path):
    return a_registry(tmp_path)


def add(registry, tmp_path, version, seed, name="segmentation"):
    source = write_bundle(tmp_path / f"candidate-{name}-{version}-{seed}", name, version, seed)
    return registry.add(source, data={"corrections": 3}, metrics={"dice": 0.8}, parent="0.1.0")


def states(registry, name="segmentation"):
    return {r.version: r.state.value for r in registry.versions(name)}


class TestVersions:
    def test_a_promoted_version_with_a_changed_file_is_found_at_the_start(self, registry, tmp_path):
        record = add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="test", reason="better")
        registry.verify_active()
        metadata = record.path / "configs/metadata.json"
        metadata.chmod(0o644)
        metadata.write_text(metadata.read_text() + " ")
        with pytest.raises(ModelError, match=r"configs/metadata.json of segmentation 0\.1\.1 does"):
            registry.verify_active()

    def test_the_shipped_models_are_the_first_versions(self, registry, tmp_path):
        assert registry.names() == ["segmentation", "tumor_core"]
        assert states(registry) == {"0.1.0": "active"}
        assert registry.active("segmentation") == tmp_path / "models" / "segmentation"
        assert not (tmp_path / "store").exists()

    def test_a_new_version_is_kept_whole_and_does_not_answer_yet(self, registry, tmp_path):
        record = add(registry, tmp_path, "0.1.1", seed=5)
        weights = (record.path / WEIGHTS).read_bytes()
        assert record.sha256 == hashlib.sha256(weights).hexdigest()
        assert record.files[str(WEIGHTS)] == record.sha256
        assert (record.parent, record.data["corrections"]) == ("0.1.0", 3)
        assert states(registry) == {"0.1.0": "active", "0.1.1": "candidate"}
        assert registry.active("segmentation").parent.name == "models"

    def test_numbers_sort_as_numbers_and_the_next_is_one_more(self, registry, tmp_path):
        for version in ("0.1.9", "0.1.10"):
            add(registry, tmp_path, version, seed=1)
        assert [r.version for r in registry.versions("segmentation")] == [
            "0.1.0",
            "0.1.9",
            "0.1.10",
        ]
        assert registry.next_version("segmentation") == "0.1.11"
        assert registry.next_version("tumor_core") == "0.1.1"
        assert version_key("nonsense") == (0, 0, 0)

    def test_a_version_never_changes(self, registry, tmp_path):
        first = add(registry, tmp_path, "0.1.1", seed=5)
        again = add(registry, tmp_path, "0.1.1", seed=5)
        assert again.created == first.created
        with pytest.raises(InputError, match="versions never change"):
            add(registry, tmp_path, "0.1.1", seed=6)
        assert all(p.stat().st_mode & 0o222 == 0 for p in first.path.rglob("*") if p.is_file())

    def test_a_bundle_without_a_card_or_with_a_strange_version_is_refused(self, registry, tmp_path):
        source = write_bundle(tmp_path / "a", version="0.1.1")
        (source / "docs/README.md").unlink()
        with pytest.raises(ModelError, match="no card"):
            registry.add(source, data={}, metrics={})
        for version in ("../x", "1.0", "0.1.1-rc"):
            with pytest.raises(InputError, match="three numbers"):
                registry.add(write_bundle(tmp_path / "b", version=version), data={}, metrics={})
        assert states(registry) == {"0.1.0": "active"}

    def test_an_unknown_name_or_version_is_not_found(self, registry):
        with pytest.raises(NotFoundError, match="segmentation, tumor_core"):
            registry.versions("nope")
        with pytest.raises(NotFoundError, match=r"it has 0\.1\.0"):
            registry.promote("segmentation", "9.9.9", by="anna", reason="")
        with pytest.raises(NotFoundError):
            registry.active("../models")


class TestSwitching:
    def test_promotion_and_rollback_return_byte_identical_weights(self, registry, tmp_path):
        before = (registry.active("segmentation") / WEIGHTS).read_bytes()
        stamp = registry.stamp()
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="anna", reason="better")
        assert registry.stamp() != stamp
        assert states(registry) == {"0.1.0": "shipped", "0.1.1": "active"}
        assert (registry.active("segmentation") / WEIGHTS).read_bytes() != before
        registry.rollback("segmentation", by="ben")
        assert states(registry) == {"0.1.0": "active", "0.1.1": "retired"}
        assert (registry.active("segmentation") / WEIGHTS).read_bytes() == before
        log = json.loads((tmp_path / "store/active.json").read_text())["log"]
        assert [(e["action"], e["from"], e["to"], e["by"]) for e in log] == [
            ("promoted", "0.1.0", "0.1.1", "anna"),
            ("rolled back", "0.1.1", "0.1.0", "ben"),
        ]

    def test_rollback_goes_back_one_by_one_or_to_a_named_version(self, registry, tmp_path):
        for n in (1, 2, 3):
            add(registry, tmp_path, f"0.1.{n}", seed=n)
            registry.promote("segmentation", f"0.1.{n}", by="a", reason="")
        assert registry.rollback("segmentation", by="a").version == "0.1.2"
        assert registry.rollback("segmentation", by="a").version == "0.1.1"
        registry.promote("segmentation", "0.1.3", by="a", reason="")
        assert registry.rollback("segmentation", "0.1.0", by="a").version == "0.1.0"
        with pytest.raises(NotFoundError, match="only version"):
            registry.rollback("segmentation", by="a")
        assert registry.rollback("segmentation", "0.1.2", by="a").version == "0.1.2"

    def test_the_shipped_version_survives_a_new_installation(self, registry, tmp_path):
        before = (registry.active("segmentation") / WEIGHTS).read_bytes()
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        write_bundle(tmp_path / "models" / "segmentation", version="0.2.0", seed=9)
        again = ModelRegistry(tmp_path / "models", tmp_path / "store")
        assert states(again) == {"0.1.0": "retired", "0.1.1": "active", "0.2.0": "shipped"}
        again.rollback("segmentation", by="a")
        assert (again.active("segmentation") / WEIGHTS).read_bytes() == before

    def test_damaged_weights_are_never_promoted(self, registry, tmp_path):
        record = add(registry, tmp_path, "0.1.1", seed=5)
        path = record.path / WEIGHTS
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(ModelError, match="does not match its checksum"):
            registry.promote("segmentation", "0.1.1", by="a", reason="")
        assert registry.active_record("segmentation").version == "0.1.0"

    def test_what_the_gate_said_is_shown(self, registry, tmp_path):
        for version, promote in (("0.1.1", True), ("0.1.2", False)):
            add(registry, tmp_path, version, seed=5)
            registry.record_decision("segmentation", version, {"promote": promote})
        assert states(registry) == {"0.1.0": "active", "0.1.1": "accepted", "0.1.2": "refused"}
        assert registry.decision("segmentation", "0.1.2") == {"promote": False}
        assert registry.decision("segmentation", "0.1.0") is None

    def test_a_damaged_list_of_switches_means_the_shipped_versions(self, registry, tmp_path):
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        (tmp_path / "store/active.json").write_text('{"stacks": {')
        assert registry.active_record("segmentation").version == "0.1.0"

    def test_a_version_whose_folder_is_gone_counts_as_taken_back(self, registry, tmp_path):
        record = add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        record.path.rename(tmp_path / "elsewhere")
        assert registry.active_record("segmentation").version == "0.1.0"


class TestHolder:
    def test_a_running_request_finishes_on_the_version_that_it_began_with(self, registry, tmp_path):
        model = ReloadingModel(registry, ("segmentation",), lambda find: find("segmentation").name)
        running = model.current()
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        assert (running, model.current()) == ("segmentation", "0.1.1")
        registry.rollback("segmentation", by="a")
        assert model.current() == "0.1.0"

    def test_it_loads_once_per_switch_also_for_many_threads(self, registry, tmp_path):
        loads = []

        def load(find):
            loads.append(find("segmentation"))
            time.sleep(0.05)
            return len(loads)

        model = ReloadingModel(registry, ("segmentation",), load)
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        threads = [threading.Thread(target=model.current) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(loads) == 2
        assert model.current() == 2

    def test_a_switch_of_another_model_loads_nothing(self, registry, tmp_path):
        loads = []
        model = ReloadingModel(registry, ("segmentation",), lambda find: loads.append(1) or "held")
        add(registry, tmp_path, "0.1.1", seed=5, name="tumor_core")
        registry.promote("tumor_core", "0.1.1", by="a", reason="")
        assert model.current() == "held"
        assert loads == [1]

    def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_place(self, registry, tmp_path):
        def load(find):
            if find("segmentation").name != "segmentation":
                raise ModelError("of another network")
            return "old"

        model = ReloadingModel(registry, ("segmentation",), load)
        add(registry, tmp_path, "0.1.1", seed=5)
        registry.promote("segmentation", "0.1.1", by="a", reason="")
        assert model.current() == "old"


SWITCHER = """
import json, shutil, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.learning.registry.registry import ModelRegistry
folder = Path(sys.argv[1])
registry = ModelRegistry(folder / "models", folder / "store")
print("ready", flush=True)
for n in range(1, 1000):
    version = registry.next_version("segmentation")
    source = folder / "work" / f"{n}-{version}"
    shutil.copytree(folder / "models" / "segmentation", source, dirs_exist_ok=True)
    (source / METADATA).write_text(json.dumps({"name": "segmentation", "version": version}))
    save_file({"a": np.full(1000, n, dtype=np.float32)}, source / WEIGHTS)
    registry.add(source, data={}, metrics={})
    registry.promote("segmentation", version, by="a", reason="")
    if n % 3 == 0:
        registry.rollback("segmentation", by="a")
    print(version, flush=True)
"""


def test_killed_at_random_moments_no_half_written_model_is_ever_active(tmp_path):
    write_models(tmp_path / "models")
    rounds = int(os.environ.get("TUMORLENS_KILLS", "2"))
    moments = random.Random(int(np.random.default_rng(3).integers(1 << 30)))
    for _ in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", SWITCHER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline()  # one version at least
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        registry = ModelRegistry(tmp_path / "models", tmp_path / "store")
        registry.recover()
        for record in registry.versions("segmentation"):
            registry.verify("segmentation", record.version)
        assert registry.active_record("segmentation").state is VersionState.ACTIVE
        assert not list((tmp_path / "store").glob(".adding-*"))
    assert len(registry.versions("segmentation")) > rounds
