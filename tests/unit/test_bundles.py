import hashlib
import json

import pytest
import torch
from brain_tumor.bundles import (
    CARD,
    CHECKSUMS,
    METADATA,
    WEIGHTS,
    check_recorded,
    models_folder,
    read_bundle,
    write_checksums,
)
from brain_tumor.errors import ModelError
from safetensors.torch import save_file


@pytest.fixture
def a_bundle(tmp_path):
    for file in (METADATA, WEIGHTS):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / METADATA).write_text(json.dumps({"name": "toy", "version": "1.2.3"}))
    save_file({"w": torch.tensor([1.5], dtype=torch.float16)}, tmp_path / WEIGHTS)
    return tmp_path


def test_version_names_the_exact_weights(a_bundle):
    version = read_bundle(a_bundle).version
    digest = hashlib.sha256((a_bundle / WEIGHTS).read_bytes()).hexdigest()
    assert version.to_json() == {"name": "toy", "version": "1.2.3", "sha256": digest}


def test_half_precision_weights_come_back_as_float32(a_bundle):
    weights = read_bundle(a_bundle).weights()
    assert weights["w"].dtype == torch.float32
    assert weights["w"].tolist() == [1.5]


def test_truncated_weights_are_refused_in_words(a_bundle):
    whole = (a_bundle / WEIGHTS).read_bytes()
    (a_bundle / WEIGHTS).write_bytes(whole[:-1])
    with pytest.raises(ModelError, match="weights of toy cannot be read"):
        read_bundle(a_bundle).weights()


@pytest.mark.parametrize("file", [METADATA, WEIGHTS])
def test_a_missing_file_is_refused_in_words(a_bundle, file):
    (a_bundle / file).unlink()
    with pytest.raises(ModelError, match=f"model bundle '{a_bundle.name}' cannot be read"):
        read_bundle(a_bundle)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "toy"}'])
def test_damaged_metadata_is_refused_in_words(a_bundle, text):
    (a_bundle / METADATA).write_text(text)
    with pytest.raises(ModelError, match="cannot be read"):
        read_bundle(a_bundle)


@pytest.fixture
def measured(a_bundle, tmp_path_factory):
    """Models folder whose one bundle has a card, a calibration and a list of its files."""
    models = tmp_path_factory.mktemp("models")
    bundle = a_bundle.rename(models / "toy")
    digest = hashlib.sha256((bundle / WEIGHTS).read_bytes()).hexdigest()
    (bundle / CARD).parent.mkdir()
    (bundle / CARD).write_text(f"# Toy\n\nVersion 1.2.3, weights sha256 `{digest}`.\n")
    (bundle / "configs/statistics.json").write_text('{"temperature": 1.5}')
    (bundle / "models/statistics.safetensors").write_bytes(b"numbers")
    write_checksums(bundle)
    return models


def test_weights_that_are_not_those_of_the_card_are_refused(measured):
    check_recorded(measured)
    weights = measured / "toy" / WEIGHTS
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    with pytest.raises(ModelError, match=r"weights of toy 1\.2\.3 are not those of their card"):
        check_recorded(measured)


def test_a_bundle_that_nobody_measured_is_passed_over(measured):
    (measured / "toy" / CARD).unlink()
    (measured / "toy/configs/statistics.json").write_text('{"temperature": 9}')
    check_recorded(measured)


def test_the_list_is_one_that_sha256sum_understands(measured):
    digest = hashlib.sha256(b"numbers").hexdigest()
    lines = (measured / "toy" / CHECKSUMS).read_text().splitlines()
    assert f"{digest}  models/statistics.safetensors" in lines
    assert [line[66:] for line in lines] == [
        "configs/metadata.json",
        "configs/statistics.json",
        "models/model.safetensors",
        "models/statistics.safetensors",
    ]


@pytest.mark.parametrize(
    "name", ["configs/statistics.json", "models/statistics.safetensors", "configs/new.json"]
)
def test_any_file_that_is_not_the_recorded_one_is_refused_until_it_is_recorded(measured, name):
    file = measured / "toy" / name
    file.write_bytes(b"another")
    with pytest.raises(ModelError, match=f"{name} of toy 1.2.3 is not the file") as refused:
        check_recorded(measured)
    assert "python -m brain_tumor.bundles models/toy" in refused.value.remedy
    write_checksums(measured / "toy")
    check_recorded(measured)
    file.unlink()
    with pytest.raises(ModelError, match=f"{name} of toy .* checksum none, expected ae448ac86c4e"):
        check_recorded(measured)


def test_a_list_that_is_gone_hides_no_change(measured):
    (measured / "toy" / CHECKSUMS).unlink()
    with pytest.raises(ModelError, match="expected none"):
        check_recorded(measured)


def test_every_shipped_bundle_has_its_checksum_on_its_card():
    bundles = [path.parents[1] for path in models_folder().glob(f"*/{METADATA}")]
    assert len(bundles) >= 4
    for bundle in bundles:
        digest = hashlib.sha256((bundle / WEIGHTS).read_bytes()).hexdigest()
        assert f"eights sha256 `{digest}`" in (bundle / CARD).read_text(encoding="utf-8")
    check_recorded(models_folder())
