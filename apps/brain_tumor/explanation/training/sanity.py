"""The sanity check of every heatmap method, whose result the bundle of a classifier keeps.

python -m brain_tumor.explanation.training.sanity --data DATA --bundle models/classification
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from brain_tumor.bundles import write_checksums
from brain_tumor.classification.case_slices import cut_patch, stack_patches
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.explanation.faithfulness.cascade import (
    cascading_randomisation,
)
from brain_tumor.explanation.faithfulness.method_sanity import SANITY, MethodSanity
from brain_tumor.explanation.heat.methods import (
    ClassTarget,
    HeatMethod,
    explain_slices,
)
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import (
    cheng_slices_of_fold,
    read_cheng_slice,
)

FOLD = 0


def measure_sanity(
    network: nn.Module,
    layer: str,
    batches: Sequence[tuple[ClassTarget, Sequence[torch.Tensor]]],
    methods: Sequence[HeatMethod] = tuple(HeatMethod),
) -> MethodSanity:
    """Put methods to the check.

    Args:
        network: Classifier; stays as it is.
        layer: Name of the sub-module that class-activation maps read.
        batches: What to explain, and the inputs of the network.
        methods: Those to check.
    """
    found = {}
    for method in tqdm(methods, desc="sanity of methods"):
        values = []
        for target, inputs in batches:

            def explain(
                seen: nn.Module,
                target: ClassTarget = target,
                inputs: Sequence[torch.Tensor] = inputs,
                method: HeatMethod = method,
            ) -> npt.NDArray[np.float32]:
                return explain_slices(seen, seen.get_submodule(layer), inputs, target, method).maps

            check = cascading_randomisation(network, explain, stages=1)
            values.append(check.stages[-1][1])
        found[method] = float(np.mean(values))
    return MethodSanity(found)


def _batches(
    classifier: TumorTypeClassifier, data: Path
) -> Iterator[tuple[ClassTarget, Sequence[torch.Tensor]]]:
    """Per type the middle slice of a patient with the expert's outline."""
    rows = cheng_slices_of_fold(data, FOLD)
    for index, wanted in enumerate(TYPES):
        of_type = [row for row in rows if row.tumor_type == wanted]
        of_patient = [row for row in of_type if row.group == of_type[0].group]
        parts = [lone_slice(*read_cheng_slice(data, of_patient[len(of_patient) // 2]))]
        images, masks = stack_patches([cut_patch(part) for part in parts])
        values = [
            classifier.inputs(slice_features(part.image, part.mask, part.pixel_mm))
            for part in parts
        ]
        yield ClassTarget(index), (images, masks, torch.from_numpy(np.stack(values)))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Put the heatmap methods to the sanity check.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    classifier = TumorTypeClassifier.load(chosen.bundle)
    found = measure_sanity(classifier.network, "looks", list(_batches(classifier, chosen.data)))
    (chosen.bundle / SANITY).write_text(json.dumps(found.to_json(), indent=2) + "\n", "utf-8")
    write_checksums(chosen.bundle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
