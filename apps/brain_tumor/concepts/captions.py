"""Captions by rule: what was measured in a slice, said in plain words.

A caption is a set of short phrases from a closed list, three grades for every attribute, with the
limits between the grades taken from training patients. It never names the class, and what was not
measured is not said. Because the list is closed, the features of a caption can be computed without
a text encoder: they are the mean of the features of its phrases.

References:
    Cho, Park, Jeong: lesions of OCT images turned into text by rule (their captions name the
    class, which these must not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.concepts.vocabulary import check_text
from brain_tumor.errors import FileFormatError, InputError

NOT_MEASURED = -1
GRADES = 3
LIMIT_QUANTILES = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class Attribute:
    """One thing that a caption can say.

    Attributes:
        feature: Id of the measured feature behind it.
        phrases: What is said of a low, middle and high value.
    """

    feature: str
    phrases: tuple[str, str, str]

    def __post_init__(self) -> None:
        for phrase in self.phrases:
            check_text(phrase, self.feature)


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("area_mm2", ("a small mass", "a mass of medium size", "a large mass")),
    Attribute("compactness", ("a ragged outline", "a slightly uneven outline", "a round outline")),
    Attribute(
        "concave_share", ("hardly any bays in its edge", "some bays in its edge", "many bays")
    ),
    Attribute(
        "irregularity", ("a smooth regular shape", "a somewhat irregular shape", "irregular shape")
    ),
    Attribute(
        "margin_contrast",
        ("an edge that fades into brain", "a visible edge", "a sharp bright edge"),
    ),
    Attribute(
        "enhancement_ratio",
        ("no brighter than the brain", "moderately bright", "strongly bright after contrast"),
    ),
    Attribute(
        "contralateral_ratio",
        (
            "as dull as the healthy side",
            "somewhat brighter than the healthy side",
            "much brighter than the healthy side",
        ),
    ),
    Attribute(
        "ring_enhancement_index",
        (
            "a centre brighter than the rim, no ring",
            "rim and centre of equal brightness",
            "a bright ring around a dark centre",
        ),
    ),
    Attribute(
        "necrosis_fraction",
        ("solid without a dead centre", "small dead spots inside", "a large dead dark area inside"),
    ),
    Attribute(
        "hypointense_fraction",
        ("nowhere darker than the brain", "partly darker than the brain", "mostly darker"),
    ),
    Attribute(
        "heterogeneity_published",
        ("even brightness", "slightly uneven brightness", "patchy inside"),
    ),
    Attribute(
        "darkest_tenth",
        ("very dark parts inside", "grey parts inside", "bright all through, no dark parts"),
    ),
    Attribute(
        "border_contact_ratio",
        (
            "brain between it and the skull",
            "touching the lining of the skull",
            "broad contact with bone or the lining of the skull",
        ),
    ),
    Attribute(
        "surface_distance_mm",
        (
            "at the outer side of the head near the skull",
            "at middle depth in the head",
            "deep in the middle of the head",
        ),
    ),
    Attribute(
        "sella_distance_mm",
        (
            "in the saddle at the middle of the skull base",
            "at some distance from the skull base",
            "far above the skull base",
        ),
    ),
    Attribute(
        "lateral_offset", ("on the midline", "beside the midline", "far to one side of the midline")
    ),
    Attribute(
        "depth_below_top_mm",
        ("high in the head", "at middle height", "low in the head at the floor of the skull"),
    ),
    Attribute(
        "surrounding_brain_share",
        ("little brain around it", "partly within brain", "brain tissue on all sides"),
    ),
    Attribute(
        "surrounding_dark_share",
        (
            "no air, bone or fluid around it",
            "some bone or fluid around it",
            "black air, bone or fluid around it",
        ),
    ),
    Attribute(
        "midline_shift_mm",
        (
            "the middle of the brain in place",
            "slightly pushed midline",
            "a strongly pushed midline",
        ),
    ),
    Attribute(
        "oedema_ratio",
        ("no swelling around it", "some swelling around it", "wide swelling around it"),
    ),
)
PHRASES: tuple[str, ...] = tuple(phrase for a in ATTRIBUTES for phrase in a.phrases)


@dataclass(frozen=True)
class CaptionRules:
    """Limits between the grades of every attribute.

    Attributes:
        limits: Feature id to its two limits; attributes without limits are never said.
    """

    limits: Mapping[str, tuple[float, float]]

    def grades(self, values: npt.NDArray[Any], names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Grade of every attribute, 0 low, 1 middle, 2 high, `NOT_MEASURED` where unknown.

        Args:
            values: Measured features, (N, F), NaN where missing.
            names: Feature ids of the columns.

        Returns:
            Shape (N, attributes).
        """
        found = np.full((len(values), len(ATTRIBUTES)), NOT_MEASURED, dtype=np.int64)
        columns = {name: column for column, name in enumerate(names)}
        for index, attribute in enumerate(ATTRIBUTES):
            limits = self.limits.get(attribute.feature)
            if limits is None or attribute.feature not in columns:
                continue
            column = values[:, columns[attribute.feature]]
            known = np.isfinite(column)
            found[known, index] = np.searchsorted(limits, column[known], side="right")
        return found

    def to_json(self) -> dict[str, list[float]]:
        """Plain dictionary; `from_json` reads it."""
        return {name: [low, high] for name, (low, high) in self.limits.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Sequence[float]]) -> CaptionRules:
        """Read what `to_json` wrote.

        Raises:
            FileFormatError: If limits are no ordered pairs.
        """
        try:
            limits = {str(k): (float(low), float(high)) for k, (low, high) in values.items()}
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"caption limits are unusable: {error}") from error
        if any(low > high for low, high in limits.values()):
            raise FileFormatError("caption limits are not in order; expected low before high")
        return cls(limits)


def fit_caption_rules(names: Sequence[str], patients: npt.NDArray[np.float32]) -> CaptionRules:
    """Limits at the terciles of the training patients, whatever their class.

    Args:
        names: Feature ids of the columns.
        patients: One feature vector a patient, (P, F), NaN where missing.

    Raises:
        InputError: If no attribute was ever measured.
    """
    limits = {}
    for attribute in ATTRIBUTES:
        if attribute.feature not in names:
            continue
        column = patients[:, list(names).index(attribute.feature)]
        column = column[np.isfinite(column)]
        if len(column):
            low, high = np.quantile(column, LIMIT_QUANTILES)
            limits[attribute.feature] = (float(low), float(high))
    if not limits:
        raise InputError("no attribute of a caption was measured in the training patients")
    return CaptionRules(limits)


def phrase_rows(grades: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Rows of `PHRASES` that are true of one slice, (attributes,) grades."""
    return tuple(
        index * GRADES + int(grade) for index, grade in enumerate(grades) if grade != NOT_MEASURED
    )


def truths(grades: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """1 for every phrase that is true of a slice, else 0: (N, phrases)."""
    found = np.zeros((len(grades), len(PHRASES)), dtype=np.float32)
    for row, of_slice in enumerate(grades):
        found[row, list(phrase_rows(of_slice))] = 1.0
    return found


def caption(grades: npt.NDArray[np.int64]) -> str:
    """The caption of one slice as a sentence.

    Example:
        >>> caption(np.array([2, 0] + [NOT_MEASURED] * (len(ATTRIBUTES) - 2)))
        'A large mass, a ragged outline.'
    """
    text = ", ".join(PHRASES[row] for row in phrase_rows(grades))
    return f"{text[:1].upper()}{text[1:]}." if text else ""
