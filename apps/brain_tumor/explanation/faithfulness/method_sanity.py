"""How the heatmap methods did in the sanity check of a classifier; kept in its bundle.

A method whose maps stay much the same when all weights are shuffled is refused as default; whoever
names it gets its heat, with that result.

    python -m brain_tumor.explanation.faithfulness.method_sanity --data DATA --bundle BUNDLE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from brain_tumor.classification.case_slices import cut_patch, stack_patches
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.features.features import slice_features
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.cascade import (
    MAX_RANK_CORRELATION,
    cascading_randomisation,
)
from brain_tumor.explanation.heat.methods import (
    DEFAULT_METHOD,
    ClassTarget,
    HeatMethod,
    explain_slices,
)
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import (
    cheng_slices_of_fold,
    read_cheng_slice,
)

SANITY = Path("configs/heat_sanity.json")
FOLD = 0
DIGITS = 4


@dataclass(frozen=True)
class MethodSanity:
    """What shuffling all weights of a classifier does to the maps of each method.

    Attributes:
        correlations: Mean rank correlation of a method's maps with those of the shuffled network;
            a method that was not measured is not there.
    """

    correlations: Mapping[HeatMethod, float]

    def fails(self, method: HeatMethod) -> bool:
        """Whether maps of a method are known to show the pictures more than the network."""
        return abs(self.correlations.get(method, 0.0)) > MAX_RANK_CORRELATION

    def usable(self, asked: HeatMethod | None) -> HeatMethod:
        """Method that a request gets.

        Args:
            asked: Method that it names; None is the default.

        Raises:
            InputError: If it names none and the default fails.
        """
        if asked is not None:
            return asked
        if not self.fails(DEFAULT_METHOD):
            return DEFAULT_METHOD
        passing = [m.value for m in self.correlations if not self.fails(m)]
        correlation = self.correlations[DEFAULT_METHOD]
        raise InputError(
            f"no method is named, and the default '{DEFAULT_METHOD}' fails the sanity check of "
            f"this classifier (rank correlation {correlation:.2f} with shuffled weights; expected "
            f"at most {MAX_RANK_CORRELATION:g})",
            remedy=f"Name a method; those that pass: {', '.join(passing) or 'none'}.",
        )

    def to_json(self) -> dict[str, Any]:
        """Content of `SANITY`."""
        found = {m.value: round(value, DIGITS) for m, value in self.correlations.items()}
        return {"shuffled_correlation": found}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MethodSanity:
        """Read what `to_json` wrote.

        Raises:
            InputError: If a method is not known or its result is no number.
        """
        try:
            found = values["shuffled_correlation"].items()
            return cls({HeatMethod(name): float(value) for name, value in found})
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise InputError(f"sanity of heatmap methods cannot be read: {error}") from error


UNMEASURED = MethodSanity({})


def read_sanity(bundle: Path) -> MethodSanity:
    """Results that a bundle holds; none for a bundle without.

    Raises:
        InputError: If they cannot be understood.
        OSError: If they cannot be read.
        ValueError: If they are no JSON.
    """
    path = bundle / SANITY
    if not path.is_file():
        return UNMEASURED
    return MethodSanity.from_json(json.loads(path.read_text("utf-8")))


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
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
