from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import resolve_case
from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.phantoms.samples import GROUND_TRUTH_FOLDER, SAMPLES, write_samples

from tests.helpers.phantoms import coarse_spec, volume_ml

PAIR = (Sequence.T1C, Sequence.FLAIR)
SMALL: dict[str, PhantomSpec] = {
    "pair": coarse_spec(sequences=PAIR, spacing_mm=6.0),
    "healthy": coarse_spec(None, sequences=(Sequence.T1C,), spacing_mm=6.0),
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "studies"
    write_samples(folder, progress=False, samples=SMALL)
    return folder


def times(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


def test_the_reference_is_at_the_top_and_everything_else_below(studies: Path) -> None:
    assert set(times(studies)) == {
        "pair.nii.gz",
        "healthy.nii.gz",
        "sequences/pair/flair.nii.gz",
        "sequences/pair/case.json",
        "sequences/healthy/case.json",
        "ground_truth/pair.nii.gz",
        "ground_truth/healthy.nii.gz",
        "ground_truth/index.json",
    }


def test_the_paths_returned_are_the_reference_volumes(tmp_path: Path) -> None:
    paths = write_samples(tmp_path, progress=False, samples={"healthy": SMALL["healthy"]})
    assert paths == [tmp_path / "healthy.nii.gz"]


def test_a_sample_resolves_to_the_phantom_it_was_made_from(studies: Path) -> None:
    phantom = make_phantom(SMALL["pair"])
    loaded = resolve_case(studies, "pair")
    assert loaded.warnings == ()
    assert loaded.case.reference is Sequence.T1C
    assert loaded.case.present == PAIR
    np.testing.assert_allclose(loaded.case.affine, phantom.case.affine, atol=1e-5)
    for sequence in PAIR:
        np.testing.assert_array_equal(
            loaded.case.volumes[sequence].array, np.rint(phantom.case.volumes[sequence].array)
        )


def test_volumes_are_stored_as_whole_numbers(studies: Path) -> None:
    stored = nib.load(studies / "sequences/pair/flair.nii.gz")
    assert stored.get_data_dtype() == np.int16


def test_the_truth_is_the_exact_mask_with_its_type_and_volumes(studies: Path) -> None:
    phantom = make_phantom(SMALL["pair"])
    mask = np.asarray(nib.load(studies / GROUND_TRUTH_FOLDER / "pair.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, phantom.labelmap)
    index = json.loads((studies / GROUND_TRUTH_FOLDER / "index.json").read_text())
    assert index["pair"]["tumor_type"] == "glioma"
    assert index["pair"]["volumes_ml"]["ET"] == pytest.approx(
        volume_ml(phantom, phantom.labelmap == 3), abs=0.001
    )
    assert index["healthy"] == {
        "tumor_type": None,
        "centre_ras_mm": None,
        "volumes_ml": {"NCR": 0, "ED": 0, "ET": 0},
    }


def test_complete_samples_are_left_alone(studies: Path) -> None:
    before = times(studies)
    write_samples(studies, progress=False, samples=SMALL)
    assert times(studies) == before


@pytest.mark.parametrize(
    "missing",
    [
        "pair.nii.gz",
        "sequences/pair/flair.nii.gz",
        "sequences/pair/case.json",
        "ground_truth/pair.nii.gz",
        "ground_truth/index.json",
    ],
)
def test_an_incomplete_sample_is_completed(tmp_path: Path, missing: str) -> None:
    write_samples(tmp_path, progress=False, samples={"pair": SMALL["pair"]})
    content = {p: p.read_bytes() for p in tmp_path.rglob("*.nii.gz")}
    (tmp_path / missing).unlink()
    write_samples(tmp_path, progress=False, samples={"pair": SMALL["pair"]})
    assert (tmp_path / missing).is_file()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.nii.gz")} == content


def test_a_damaged_record_is_written_anew(tmp_path: Path) -> None:
    write_samples(tmp_path, progress=False, samples={"pair": SMALL["pair"]})
    (tmp_path / "sequences/pair/case.json").write_text("{")
    write_samples(tmp_path, progress=False, samples={"pair": SMALL["pair"]})
    assert resolve_case(tmp_path, "pair").case.present == PAIR


def test_a_foreign_case_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    write_samples(tmp_path, progress=False, samples={"pair": SMALL["healthy"]})
    (tmp_path / "sequences/pair/case.json").unlink()
    before = times(tmp_path)
    with pytest.raises(InputError, match="case id pair is taken"):
        write_samples(tmp_path, progress=False, samples={"pair": replace(SMALL["pair"], seed=9)})
    assert times(tmp_path) == before


def test_progress_is_drawn_only_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"healthy": SMALL["healthy"]}
    write_samples(tmp_path, progress=False, samples=one)
    assert capsys.readouterr().err == ""
    write_samples(tmp_path, progress=True, samples=one)
    assert "Sample studies" in capsys.readouterr().err


def test_the_samples_cover_what_the_product_meets() -> None:
    specs = SAMPLES.values()
    assert {spec.tumor for spec in specs} == {None, *TumorType}
    assert sum(len(spec.sequences) == 4 for spec in specs) >= 3
    assert any(spec.sequences == PAIR for spec in specs)
    lone = [spec for spec in specs if spec.sequences == (Sequence.T1C,)]
    assert {spec.tumor for spec in lone} == {TumorType.MENINGIOMA, TumorType.PITUITARY}
    assert not any(spec.skull_stripped for spec in lone)
    (thick,) = (spec for spec in specs if spec.spacing_mm[2] > 3)
    assert thick.oblique_deg > 5
    assert thick.axcodes != "RAS"


def test_every_study_that_is_made_is_told_once_when_it_is_whole(tmp_path: Path) -> None:
    ready: list[tuple[str, bool]] = []

    def tell(case_id: str) -> None:
        ready.append((case_id, (tmp_path / f"{case_id}.nii.gz").is_file()))

    one = {"healthy": SMALL["healthy"]}
    for _ in range(2):
        write_samples(tmp_path, progress=False, on_ready=tell, samples=one)
    assert ready == [("healthy", True)]
