"""Reading a report that may lack any section: absent, null and of another kind read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from brain_tumor.explanation.page.text import finite
from brain_tumor.labels import Region, TumorType

Item = Mapping[str, Any]


def mapping(value: object) -> Item:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> list[Any]:
    """The value as a list if it is one, else an empty list."""
    return list(value) if isinstance(value, list | tuple) else []


def mappings(value: object) -> list[Item]:
    """The mappings of a list."""
    return [item for item in sequence(value) if isinstance(item, Mapping)]


def texts_of(value: object) -> list[str]:
    """The items of a list as text."""
    return [str(item) for item in sequence(value) if item is not None]


@dataclass(frozen=True, eq=False)
class ReportView:
    """A report as the page reads it.

    Attributes:
        report: JSON of a reply or of report.json.
    """

    report: Item

    def section(self, key: str) -> Item:
        """A section that is an object."""
        return mapping(self.report.get(key))

    @cached_property
    def evidence(self) -> list[Item]:
        """Evidence items."""
        return mappings(self.report.get("evidence"))

    @cached_property
    def sentences(self) -> list[Item]:
        """Sentences of the rationale."""
        return mappings(self.section("rationale").get("sentences"))

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Evidence id to the anchor of its row; ids from outside never become names."""
        found: dict[str, str] = {}
        for number, item in enumerate(self.evidence, start=1):
            found.setdefault(str(item.get("id")), f"evidence-{number}")
        return found

    @cached_property
    def by_id(self) -> dict[str, Item]:
        """Evidence items by id."""
        found: dict[str, Item] = {}
        for item in self.evidence:
            found.setdefault(str(item.get("id")), item)
        return found

    def basis(self, sentence: Item) -> list[str]:
        """Ids of the evidence that a sentence rests on, those that the report holds."""
        return [name for name in texts_of(sentence.get("evidence")) if name in self.by_id]

    @cached_property
    def cited(self) -> dict[str, list[int]]:
        """Evidence id to the numbers of the sentences that rest on it, from 1."""
        found: dict[str, list[int]] = {}
        for number, sentence in enumerate(self.sentences, start=1):
            for name in self.basis(sentence):
                found.setdefault(name, []).append(number)
        return found

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """Type to probability, highest first."""
        given = mapping(self.section("classification").get("probabilities"))
        found = {str(name): finite(value) for name, value in given.items()}
        known = {name: value for name, value in found.items() if value is not None}
        return dict(sorted(known.items(), key=lambda pair: -pair[1]))

    @property
    def prediction(self) -> str | None:
        """Predicted type, or None if it is undetermined or was not asked for."""
        given = self.section("classification").get("prediction")
        return str(given) if given in set(TumorType) else None

    @property
    def judged(self) -> str | None:
        """Type that contributions refer to: the predicted, else the most probable one."""
        return self.prediction or next(iter(self.probabilities), None)

    @property
    def is_undetermined(self) -> bool:
        """Whether a type was asked for and none is given."""
        return bool(self.section("classification")) and self.prediction is None

    @property
    def has_no_tumour(self) -> bool:
        """Whether no type is given because there is no tumour."""
        found = self.section("classification")
        reasons = texts_of(found.get("reasons"))
        return not self.probabilities and any(r.lower().startswith("no tumour") for r in reasons)

    @property
    def heat_region(self) -> str | None:
        """Region whose outline the heatmap explains, or None if it explains a type."""
        given = self.section("heatmap").get("target")
        return str(given) if given in set(Region) else None

    @property
    def heat_trusted(self) -> bool:
        """False when the heatmap failed its test."""
        faithfulness = mapping(self.section("heatmap").get("faithfulness"))
        return faithfulness.get("passed") is not False
