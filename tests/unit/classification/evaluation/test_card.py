"""What the generated card says of the boundary layer and of how to make the model again."""

import json

from brain_tumor.bundles import models_folder
from brain_tumor.classification.evaluation.card import _ablations, _reproduce

ROW = {"accuracy": 0.9, "macro_f1": 0.9, "sensitivity": {"meningioma": 0.8}, "ece": 0.01}
METRICS = {"ablations": {"whole": ROW}}


def gain(having, lacking, low, high):
    return {
        "accuracy": {
            "with": having,
            "without": lacking,
            "gain": having - lacking,
            "gain_interval": [low, high],
        }
    }


def test_without_a_measurement_the_card_says_that_there_is_none(tmp_path):
    text = _ablations(METRICS, tmp_path)
    assert "withheld when reading, not trained again" in text
    assert "worth was not measured" in text


def test_the_measured_worth_of_the_boundary_layer_is_told_with_folds_and_seeds(tmp_path):
    found = {
        "pairs": [{"fold": 0, "seed": 1, "steps": 900}, {"fold": 3, "seed": 2, "steps": 900}],
        "slices": 974,
        "patients": 68,
        "expert": gain(0.95, 0.94, -0.004, 0.024),
        "own": gain(0.90, 0.92, -0.05, 0.01),
    }
    (tmp_path / "ablation_boundary.json").write_text(json.dumps(found), encoding="utf-8")
    text = _ablations(METRICS, tmp_path)
    assert "900 steps" in text
    assert "(fold 0 with seed 1, fold 3 with seed 2): 974 slices of 68 patients" in text
    assert "| experts' outlines | 0.950 | 0.940 | +0.010 (-0.004 to +0.024) |" in text
    assert "| the network's own outlines | 0.900 | 0.920 | -0.020 (-0.050 to +0.010) |" in text


def test_the_commands_make_the_model_that_ships():
    metadata = json.loads(
        (models_folder() / "classification/configs/metadata.json").read_text(encoding="utf-8")
    )
    plan = metadata["training"]["plan"]
    text = _reproduce(plan, {"segmenter": {"folds": [0, 1, 2, 3, 4]}})
    assert f"--fold all --steps {plan['steps']} --seed {plan['seed']}" in text
    assert "--runs RUN --core-runs CORES" in text
    assert "--core-runs" not in _reproduce(plan, {"segmenter": {"folds": [0]}})
