import math
import os

import numpy as np
import pytest
import torch
from brain_tumor.bundles import METADATA, WEIGHTS, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import FileFormatError, InputError, NotFoundError
from brain_tumor.segmentation.data import cheng_slices as cheng_module
from brain_tumor.segmentation.data.cheng_slices import (
    FOLDS,
    FREE_HEAD,
    ChengSlice,
    Collection,
    Pixel,
    cheng_folds,
    head_depth_mm,
    load_training_slices,
    read_cheng_index,
    read_t1c_volume,
    rim_to_pixels,
    to_canvas,
    volume_fold,
    volume_patient,
)
from brain_tumor.segmentation.data.lgg import Head
from brain_tumor.segmentation.training.tumor_core.augmentation import (
    AugmentationPlan,
    BatchMaker,
    _sampling_weights,
    beyond_a_line,
    heal_by_mirroring,
)
from brain_tumor.segmentation.training.tumor_core.train import (
    TrainingOptions,
    chosen_schedule,
    core_loss,
    read_history,
    train,
    write_metadata,
    write_weights,
)
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments
from PIL import Image

HEADER = "index,pid,group,label,label_name,native_size,mask_area_px,cohort\n"


def index_rows(groups_per_stratum=10, slices_per_group=4):
    strata = [("glioma", "MR"), ("glioma", "numeric"), ("meningioma", "numeric")]
    return [
        ChengSlice(index, f"{kind}-{cohort}-{group}", kind, cohort, 512)
        for index, (kind, cohort, group) in enumerate(
            (kind, cohort, group)
            for kind, cohort in strata
            for group in range(groups_per_stratum)
            for _ in range(slices_per_group)
        )
    ]


def test_no_patient_group_is_in_two_folds():
    rows = index_rows()
    folds = cheng_folds(rows)
    assert set(folds) == set(range(FOLDS))
    for group in {row.group for row in rows}:
        assert len({f for f, row in zip(folds, rows, strict=True) if row.group == group}) == 1


def test_every_fold_holds_out_numeric_cohort_gliomas():
    rows = index_rows()
    folds = cheng_folds(rows)
    for fold in range(FOLDS):
        held_out = [row for row, f in zip(rows, folds, strict=True) if f == fold]
        numeric = {r.group for r in held_out if (r.tumor_type, r.cohort) == ("glioma", "numeric")}
        assert len(numeric) == 2


def test_both_time_points_of_a_patient_are_in_one_fold():
    assert volume_patient("btp_07_pre") == volume_patient("btp_07_post") == "btp_07"
    assert volume_fold("btp_07_pre") == volume_fold("btp_07_post") == 1
    assert volume_fold("btp_01_pre") == 0
    assert volume_fold("brats_2013_pat0002_1") == 0


def test_what_an_enhancing_rim_encloses_is_ignored():
    rim = np.zeros((9, 9), dtype=bool)
    rim[2:7, 2:7] = True
    rim[3:6, 3:6] = False
    pixels = rim_to_pixels(rim)
    assert np.count_nonzero(pixels == Pixel.CORE) == 16
    assert np.count_nonzero(pixels == Pixel.IGNORED) == 9
    assert pixels[4, 4] == Pixel.IGNORED
    assert pixels[0, 0] == Pixel.OTHER


def test_a_slice_comes_to_the_middle_of_the_canvas_at_the_working_pixel():
    canvas = to_canvas(np.full((100, 50), 7.0), (2.5, 2.5), 1.25)  # 250 x 125 mm
    assert canvas.shape == (200, 200)
    assert np.count_nonzero(canvas) == 200 * 100
    assert canvas[100, 49] == 0
    assert canvas[100, 50] == pytest.approx(7.0)
    assert canvas[100, 149] == pytest.approx(7.0)
    assert to_canvas(np.full((100, 50), 7.0), (2.5, 2.5), 1.0).shape == (250, 250)


def test_depth_in_the_head_is_measured_in_mm_from_the_air():
    image = np.zeros((101, 101))
    image[20:81, 10:91] = 100.0
    depth = head_depth_mm(image, 1.25)
    assert depth[0, 0] == 0
    assert depth[50, 50] == math.floor(31 * 1.25)  # 31 pixels below the nearest air
    assert depth[20, 50] == 1


def test_healing_puts_the_other_side_over_the_tumour():
    image = np.tile(np.abs(np.arange(81) - 40).astype(np.float32), (81, 1))  # its own mirror image
    wounded, pixels = image.copy(), np.zeros((81, 81), dtype=np.uint8)
    pixels[35:45, 60:68] = Pixel.CORE
    wounded[pixels == Pixel.CORE] = 500.0
    healed = heal_by_mirroring(wounded, pixels, 40.0, 1.25)
    np.testing.assert_allclose(healed, image, atol=1e-3)


def test_the_loss_of_a_sure_and_right_answer_is_nearly_zero():
    target = torch.zeros(2, 1, 16, 16)
    target[0, :, 4:8, 4:8] = 1
    logits = torch.where(target > 0, 20.0, -20.0)
    assert core_loss(logits, target, torch.ones_like(target)).item() < 1e-4


def test_the_loss_of_an_undecided_answer_is_known():
    target = torch.zeros(1, 1, 10, 10)
    target[..., :5, :] = 1
    found = core_loss(torch.zeros_like(target), target, torch.ones_like(target)).item()
    # Cross-entropy ln 2; Dice (2 * 25 + 10) / (50 + 50 + 10).
    assert found == pytest.approx(math.log(2) + 1 - 60 / 110, abs=1e-5)


def test_the_loss_looks_away_where_the_weight_is_zero():
    target, weight = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    weight[..., :4] = 0
    wrong_where_ignored = torch.full_like(target, -20.0)
    wrong_where_ignored[..., :4] = 20.0
    assert core_loss(wrong_where_ignored, target, weight).item() < 1e-4


def test_a_high_weight_counts_in_the_cross_entropy_alone():
    target, weight = torch.zeros(1, 1, 10, 10), torch.ones(1, 1, 10, 10)
    target[..., :5, :] = 1
    weight[..., :5, :] = 4
    logits = torch.full_like(target, -1.0)
    p = 1 / (1 + math.exp(1))
    # 50 pixels of weight 4 and 50 of weight 1; Dice (2 * 50 p + 10) / (100 p + 50 + 10).
    cross = (200 * -math.log(p) + 50 * -math.log(1 - p)) / 250
    expected = cross + 1 - (100 * p + 10) / (100 * p + 60)
    assert core_loss(logits, target, weight).item() == pytest.approx(expected, abs=1e-5)


@pytest.fixture
def a_data_folder(tmp_path):
    """Thirty slices of ten patients and one volume of each other collection."""
    folder = tmp_path / "data"
    numbers = np.random.default_rng(0)
    for part in ("cheng/images", "cheng/masks", "t1ce_gbm", "glioma3d"):
        (folder / part).mkdir(parents=True)
    lines = []
    strata = [("glioma", "MR"), ("glioma", "numeric"), ("meningioma", "numeric")]
    strata += [("pituitary", "numeric")]
    rows, columns = np.indices((256, 256)) - 128
    head = (rows / 100) ** 2 + (columns / 80) ** 2 < 1
    index = 0
    for kind, cohort in strata:
        for patient in range(5):
            index += 1
            mask = (rows - 20) ** 2 + (columns + 30) ** 2 < 15**2
            image = (
                np.where(head, 90, 0) + np.where(mask, 100, 0) + numbers.normal(0, 4, (256, 256))
            )
            picture = np.clip(image, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"cheng/images/{index}.jpg")
            Image.fromarray(mask).save(folder / f"cheng/masks/{index}.png")
            group = f"{kind}{cohort}{patient}"
            lines.append(f"{index},{group},{group},1,{kind},512,700,{cohort}\n")
    (folder / "cheng/index.csv").write_text(HEADER + "".join(lines))
    thick = np.repeat(np.where(head, 90, 0).astype(np.uint8)[:, :, None], 4, axis=2)
    seg = np.zeros_like(thick)
    seg[100:120, 100:120, 1] = 1
    seg[105:115, 105:115, 1] = 0
    volume(folder / "t1ce_gbm/btp_02_pre.npz", thick, seg)
    thin = np.full((40, 50, 30), 80, dtype=np.uint8)
    seg = np.zeros_like(thin)
    seg[10:20, 10:20, 10:20] = 4
    seg[20:24, 10:20, 10:20] = 2
    volume(folder / "glioma3d/brats_2013_pat0001_1.npz", thin, seg)
    return folder


def volume(path, image, seg):
    np.savez(
        path,
        image=image[None],
        seg=seg,
        affine=np.diag([-1.0, -1.0, 1.0, 1.0]),
        modalities=np.array(["t1ce"]),
        orig_shape=np.array(image.shape),
        crop_lo=np.zeros(3, dtype=int),
    )


def test_held_out_patients_are_not_among_the_training_slices(a_data_folder):
    rows = read_cheng_index(a_data_folder)
    held_out = {r.group for r, f in zip(rows, cheng_folds(rows), strict=True) if f == 0}
    slices = load_training_slices(a_data_folder, 0)
    assert held_out
    assert held_out.isdisjoint(slices.patient)
    assert {"btp_02", "brats_2013_pat0001_1"} <= set(slices.patient)
    everyone = load_training_slices(a_data_folder, None)
    assert held_out <= set(everyone.patient)
    assert "btp_02" not in load_training_slices(a_data_folder, 1).patient


def test_oedema_is_not_core_and_the_inside_of_a_rim_is_ignored(a_data_folder):
    slices = load_training_slices(a_data_folder, 0, 1.25)
    whole = slices.collection == Collection.WHOLE
    axial = whole & (slices.stratum == "whole axial") & slices.has_core
    # 10 x 10 voxels of 1 mm are 8 x 8 pixels of 1.25 mm; the oedema beside them adds nothing.
    assert set((slices.pixels[axial] == Pixel.CORE).sum(axis=(1, 2))) == {64}
    gbm = slices.pixels[slices.collection == Collection.GBM]
    assert (gbm == Pixel.IGNORED).any()


def test_batches_are_repeatable_and_of_the_promised_form(a_data_folder):
    slices = load_training_slices(a_data_folder, 0)
    plan = AugmentationPlan(patch_pixels=176, patch_mm=220.0)
    one, two = (BatchMaker(slices, 3, plan).batch(6) for _ in range(2))
    assert one.images.shape == one.target.shape == one.weight.shape == (6, 1, 176, 176)
    torch.testing.assert_close(one.images, two.images)
    torch.testing.assert_close(one.target, two.target)
    assert set(one.target.unique().tolist()) <= {0.0, 1.0}
    assert set(one.weight.unique().tolist()) <= {0.0, 1.0}
    other = BatchMaker(slices, 4, plan).batch(6)
    assert not torch.equal(one.images, other.images)


def test_a_training_writes_a_bundle_that_can_be_read(a_data_folder, tmp_path):
    options = TrainingOptions(fold=0, steps=2, minutes=5, batch_size=2, validate_every=1)
    run = train(a_data_folder, tmp_path / "run", options, CoreNetworkArguments((8, 8, 8, 8)))
    bundle = read_bundle(run)
    assert bundle.version.name == "tumor_core"
    network = {"name": "EfficientNet-Lite0 U-Net", "decoder_channels": [8, 8, 8, 8]}
    assert bundle.metadata["network"] == network | {"pixel_mm": 1.0}
    assert bundle.metadata["network_data_format"]["inputs"]["image"]["spacing_mm"] == [1.0, 1.0]
    assert bundle.metadata["training"]["held_out"] == "fold 0 of 5 by patient"
    assert bundle.metadata["training"]["steps"] == 2
    history = (run / "history.jsonl").read_text().splitlines()
    assert len(history) == 2
    assert '"meningioma numeric"' in history[-1]


def test_a_second_stage_starts_from_the_weights_and_continues_the_history(a_data_folder, tmp_path):
    small = CoreNetworkArguments((8, 8, 8, 8))
    options = TrainingOptions(fold=0, steps=2, batch_size=2, validate_every=2)
    first = train(a_data_folder, tmp_path / "first", options, small)
    still = TrainingOptions(fold=0, steps=3, batch_size=2, validate_every=3, learning_rate=0.0)
    second = train(a_data_folder, tmp_path / "second", still, small, start=first)
    assert [line["step"] for line in read_history(second / "history.jsonl")] == [2, 5]
    assert read_bundle(second).metadata["training"]["steps"] == 5
    assert read_bundle(second).metadata["training"]["continued_from_step"] == 2
    learnt = {n: w for n, w in read_bundle(first).weights().items() if ".norm." not in n}
    for name, value in learnt.items():
        torch.testing.assert_close(read_bundle(second).weights()[name], value, atol=1e-3, rtol=0)


def test_a_second_stage_holds_out_the_same_patients(a_data_folder, tmp_path):
    small = CoreNetworkArguments((8, 8, 8, 8))
    write_metadata(tmp_path / "first" / METADATA, TrainingOptions(fold=1), small, 2, 0.1)
    write_weights(tmp_path / "first" / WEIGHTS, {"a": torch.zeros(1)})
    with pytest.raises(InputError, match="held out fold 1; expected fold 0"):
        train(
            a_data_folder,
            tmp_path / "second",
            TrainingOptions(fold=0),
            small,
            start=tmp_path / "first",
        )


def test_a_second_run_into_a_folder_begins_its_history_anew(a_data_folder, tmp_path):
    options = TrainingOptions(fold=None, steps=1, batch_size=2)
    for _ in range(2):
        train(a_data_folder, tmp_path, options, CoreNetworkArguments((8, 8, 8, 8)))
    assert [line["step"] for line in read_history(tmp_path / "history.jsonl")] == [1]


def test_only_the_default_schedule_ends_by_the_clock():
    assert chosen_schedule(None, None) == (4600, 92.0)
    assert chosen_schedule(9000, None) == (9000, None)
    assert chosen_schedule(None, 5.0) == (4600, 5.0)
    assert chosen_schedule(9000, 5.0) == (9000, 5.0)


def test_a_line_passes_beside_the_tumour():
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:8, 6:10] = True
    beyond = beyond_a_line(mask, 0.0, 3.0)  # the tumour ends at column 9
    assert not beyond[:, :13].any()
    assert beyond[:, 13:].all()


def test_an_unknown_fold_is_refused():
    with pytest.raises(InputError, match="fold is 7"):
        TrainingOptions(fold=7)


def test_a_data_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"index\.csv"):
        read_cheng_index(tmp_path)


def test_an_index_without_a_column_is_refused(tmp_path):
    (tmp_path / "cheng").mkdir()
    (tmp_path / "cheng/index.csv").write_text("index,group" + os.linesep + "1,a" + os.linesep)
    with pytest.raises(FileFormatError, match="label_name"):
        read_cheng_index(tmp_path)


def test_a_volume_without_t1c_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((1, 2, 2, 2)), modalities=np.array(["flair"]))
    with pytest.raises(FileFormatError, match="volume a"):
        read_t1c_volume(tmp_path / "a.npz")


def test_slices_of_heads_away_from_any_tumour_are_healthy_ones(tmp_path, monkeypatch):
    drawn = np.zeros((100, 100, 6), dtype=bool)
    drawn[40:50, 40:50, 1] = True
    stack = np.full((100, 100, 6), 100.0, np.float32)
    stack[60:, :, :] = 0.0  # the head ends at column 60; 100 columns of 0.9375 mm are 94 pixels
    stack[..., 5] = 0.0  # air
    volume = Volume(stack, np.eye(4))
    with_contrast = Head("a", "pa", Case("a", Sequence.T1C, {Sequence.T1C: volume}), drawn)
    without = Head("b", "pb", Case("b", Sequence.FLAIR, {Sequence.FLAIR: volume}), drawn)
    asked = []

    def heads(data, fold):
        asked.append(fold)
        return iter([with_contrast, without])

    monkeypatch.setattr(cheng_module, "heads_beside_fold", heads)
    builder = cheng_module._Builder(1.0)
    for head in heads(tmp_path, 3):
        builder.add_free_slices(head)
    slices = builder.finish()
    assert len(slices) == 2  # slices 3 and 4: 0 and 2 lie beside the tumour, 5 shows air
    assert set(slices.stratum) == {FREE_HEAD}
    assert set(slices.patient) == {"pa"}
    assert not slices.has_core.any()
    shown = np.flatnonzero(slices.images[0].any(axis=0))
    assert shown[-1] - shown[0] + 1 == pytest.approx(60 * 0.9375, abs=1)  # columns run to the left
    weights = _sampling_weights(slices, AugmentationPlan(176, 220.0, free_head_share=0.1))
    assert weights.tolist() == pytest.approx([0.5, 0.5])
