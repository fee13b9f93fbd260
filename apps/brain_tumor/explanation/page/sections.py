"""What the sections around the figures and the evidence say; `templates/` holds their HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from brain_tumor import NOTICE
from brain_tumor.explanation.page.charts import probability_bar
from brain_tumor.explanation.page.markup import Markup
from brain_tumor.explanation.page.report_view import Item, ReportView, mapping, mappings, texts_of
from brain_tumor.explanation.page.text import (
    NONE,
    Texts,
    decimal_text,
    finite,
    measured_text,
    percent_text,
    point_text,
    probability_text,
    unbroken,
)
from brain_tumor.labels import TumorType

_KINDS = frozenset({"finding", "class", "uncertainty", "counterfactual", "conflict", "location"})


@dataclass(frozen=True)
class Reasons:
    """Lines of a box and what follows them."""

    lines: Sequence[str]
    more: str | None


@dataclass(frozen=True)
class Volumes:
    """Region and volume, and the probability that there is a tumour at all."""

    rows: Sequence[tuple[str, str]]
    presence: str | None


@dataclass(frozen=True)
class TypeRow:
    """A tumour type with its probability."""

    name: str
    is_kept: bool
    bar: Markup
    probability: str


@dataclass(frozen=True)
class Classification:
    """Probabilities, and the lines below them."""

    rows: Sequence[TypeRow]
    lines: str


@dataclass(frozen=True)
class Heat:
    """Whether the heatmap can be relied on: `passed` is None where it was not tested."""

    passed: bool | None
    verdict: str
    lines: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class Link:
    """A link to a row of the evidence."""

    anchor: str
    label: str


@dataclass(frozen=True)
class Sentence:
    """A sentence of the rationale, and what it rests on."""

    number: int
    text: str
    kind: str | None
    basis: Sequence[Link]


@dataclass(frozen=True)
class Rationale:
    """Sentences that stand first, those that are folded, and what checking found."""

    first: Sequence[Sentence]
    rest: Sequence[Sentence]
    foot: str
    problems: Sequence[str]


@dataclass(frozen=True)
class Counterfactual:
    """Which measured value would have to change, and the anchor of its row."""

    text: str
    anchor: str | None


@dataclass(frozen=True)
class Model:
    """A model of the report."""

    name: str
    version: str
    sha256: str


def notice(view: ReportView, texts: Texts) -> str:
    """The one notice, in the page's language unless the report brings another."""
    given = str(view.report.get("notice") or NOTICE)
    return texts("notice") if given == NOTICE else given


def sequences_line(view: ReportView, texts: Texts) -> str:
    """Which sequences were used and which were missing."""
    sequences = view.section("sequences")
    used = [texts.name(s) for s in texts_of(sequences.get("used"))]
    missing = [texts.name(s) for s in texts_of(sequences.get("missing"))]
    line = [texts("sequences", used=", ".join(used))] if used else []
    if missing:
        line.append(texts("sequences_missing", missing=", ".join(missing)))
    return "; ".join(line)


def result_line(view: ReportView, texts: Texts) -> str:
    """The result in one line."""
    if view.prediction:
        share = view.probabilities.get(view.prediction)
        name = _capital(texts.tumor(view.prediction))
        if share is None:
            return name
        return texts("result_type", type=name, probability=probability_text(share))
    if view.is_undetermined:
        return texts("result_no_tumour" if view.has_no_tumour else "result_undetermined")
    if view.section("segmentation"):
        return texts("result_segmented")
    return texts("result_none")


def undetermined(view: ReportView, texts: Texts) -> Reasons | None:
    """Why there is no type, where there is none."""
    if not view.is_undetermined:
        return None
    reasons = [
        _capital(texts.reason(r)) for r in texts_of(view.section("classification").get("reasons"))
    ]
    likeliest = next(iter(view.probabilities.items()), None)
    more = None
    if likeliest:
        share = probability_text(likeliest[1])
        more = texts("result_likeliest", type=texts.tumor(likeliest[0]), probability=share)
    return Reasons(reasons, more)


def volumes(view: ReportView, texts: Texts) -> Volumes | None:
    """Volume of each region, and how likely it is that there is a tumour at all."""
    segmentation = view.section("segmentation")
    found = mapping(segmentation.get("volumes_ml"))
    if not found:
        return None
    presence = finite(mapping(segmentation.get("presence")).get("probability"))
    rows = [(texts.name(name), measured_text(value, "mL")) for name, value in found.items()]
    return Volumes(rows, None if presence is None else percent_text(presence))


def classification(view: ReportView, texts: Texts) -> Classification | None:
    """Probabilities, prediction set, likeness to the training images."""
    found = view.section("classification")
    if not found:
        return None
    kept = texts_of(found.get("prediction_set"))
    rows = [
        TypeRow(
            texts.tumor(name),
            name in kept,
            probability_bar(share, name if name in set(TumorType) else "other"),
            probability_text(share),
        )
        for name, share in view.probabilities.items()
    ]
    lines = [_set_line(found, kept, texts), texts("calibrated")] if rows else []
    lines = lines or [texts("no_probabilities")]
    lines += [line for line in (_likeness_line(found, texts), _slices_line(found, texts)) if line]
    return Classification(rows, " ".join(lines))


def _set_line(found: Item, kept: list[str], texts: Texts) -> str:
    types = ", ".join(texts.tumor(name) for name in kept) or texts("empty_set")
    coverage = finite(found.get("coverage"))
    if coverage is None:
        return texts("prediction_set_only", types=types)
    return texts("prediction_set", types=types, coverage=percent_text(coverage))


def _likeness_line(found: Item, texts: Texts) -> str | None:
    outlier = mapping(found.get("out_of_distribution"))
    if finite(outlier.get("score")) is None:
        return None
    return texts(
        "outlier" if outlier.get("is_out") else "known",
        score=decimal_text(outlier.get("score")),
        threshold=decimal_text(outlier.get("threshold")),
    )


def _slices_line(found: Item, texts: Texts) -> str | None:
    planes = Counter(str(s.get("plane")) for s in mappings(found.get("slices")))
    if not planes:
        return None
    listed = ", ".join(f"{texts.name(plane)} {count}" for plane, count in planes.items())
    return texts("slices", count=planes.total(), planes=listed)


def heat_verdict(view: ReportView, texts: Texts) -> Heat | None:
    """Whether the heatmap can be relied on, and where it lies."""
    found = view.section("heatmap")
    if not found:
        return None
    faithfulness = mapping(found.get("faithfulness"))
    passed = faithfulness.get("passed")
    proof = "region_faithful" if view.heat_region else "faithful"
    key = "untested" if passed is None else proof if passed else "unfaithful"
    lines = [texts("heat_method", method=texts.name(found.get("method") or NONE))]
    if view.heat_region:
        name = texts.name(view.heat_region).lower()
        lines.append(texts("region_heat", target=name))
        share = finite(mapping(faithfulness.get("region")).get("inside_share"))
        if share is not None:
            lines.append(texts("region_share", share=percent_text(share), target=name))
    share = finite(found.get("inside_tumor_share"))
    if share is not None:
        lines.append(texts("heat_inside", share=percent_text(share)))
    peak, inside = point_text(found.get("peak_ras")), found.get("peak_inside_tumor")
    if peak and inside is not None:
        lines.append(texts("peak_inside" if inside else "peak_outside", place=peak))
    lines += _heat_tests(faithfulness, texts)
    reasons = texts_of(faithfulness.get("reasons"))
    return Heat(passed, texts(key), " ".join(lines), reasons)


def _heat_tests(faithfulness: Item, texts: Texts) -> list[str]:
    lines = []
    names = ("deletion_auc", "random_deletion_auc", "insertion_auc", "random_insertion_auc")
    if all(finite(faithfulness.get(name)) is not None for name in names):
        curves = {n.removesuffix("_auc"): decimal_text(faithfulness[n]) for n in names}
        lines.append(texts("curves", **curves))
    infidelity, sensitivity = (finite(faithfulness.get(n)) for n in ("infidelity", "sensitivity"))
    if infidelity is not None:
        lines.append(texts("infidelity", value=decimal_text(infidelity)))
    if sensitivity is not None:
        lines.append(texts("sensitivity", share=percent_text(sensitivity)))
    shuffled = finite(faithfulness.get("shuffled_correlation"))
    if shuffled is not None:
        lines.append(texts("shuffled", value=decimal_text(shuffled)))
    return lines


def rationale(view: ReportView, texts: Texts) -> Rationale | None:
    """Sentences, each with links to the rows it rests on, and what checking found."""
    found = view.section("rationale")
    if not found:
        return None
    first: list[Sentence] = []
    rest: list[Sentence] = []
    for number, sentence in enumerate(view.sentences, start=1):
        part = rest if str(sentence.get("part")) == "detail" else first
        part.append(_sentence(view, number, sentence, texts))
    checks = mapping(found.get("checks"))
    foot = []
    if found.get("provider"):
        foot.append(texts("written_by", provider=texts.name(found["provider"])))
    if checks:
        counts = ("claims", "supported", "removed", "rewritten")
        foot.append(texts("checks", **{name: checks.get(name, NONE) for name in counts}))
    return Rationale(first, rest, " ".join(foot), texts_of(checks.get("problems")))


def _sentence(view: ReportView, number: int, sentence: Item, texts: Texts) -> Sentence:
    basis = []
    for name in view.basis(sentence):
        item = view.by_id[name]
        value = measured_text(item.get("value"), item.get("unit"), item.get("feature"))
        label = f"{texts.evidence(item)} {value}" if value != NONE else texts.evidence(item)
        basis.append(Link(view.anchors[name], label))
    kind = str(sentence.get("kind"))
    text = unbroken(str(sentence.get("text") or ""))
    return Sentence(number, text, kind if kind in _KINDS else None, basis)


def counterfactual(view: ReportView, texts: Texts) -> Counterfactual | None:
    """Which measured value would have to change."""
    found = view.section("counterfactual")
    if not found:
        return None
    item = view.by_id.get(str(found.get("evidence")), found)
    unit, feature = item.get("unit"), item.get("feature")
    text = texts(
        "counterfactual_text",
        name=texts.evidence(item),
        from_=measured_text(found.get("from"), unit, feature),
        to=measured_text(found.get("to"), unit, feature),
        type=texts.tumor(found.get("class") or NONE),
    )
    return Counterfactual(text, view.anchors.get(str(found.get("evidence"))))


def similar_cases(view: ReportView, texts: Texts) -> list[tuple[str, ...]]:
    """Nearest training patients, as numbers."""
    return [
        (
            texts.tumor(case.get("type") or NONE),
            decimal_text(case.get("distance")),
            ", ".join(texts.feature(f) for f in texts_of(case.get("agrees"))) or NONE,
            str(case.get("group", NONE)),
        )
        for case in mappings(view.report.get("similar_cases"))
    ]


def models(view: ReportView) -> list[Model]:
    """Which models made this."""
    return [
        Model(*(str(model.get(key) or NONE) for key in ("name", "version", "sha256")))
        for model in mappings(view.report.get("models"))
    ]


def timings(view: ReportView, texts: Texts) -> str:
    """How long each stage took."""
    return " · ".join(
        f"{texts.name(stage)} {texts('seconds', value=decimal_text(value))}"
        for stage, value in view.section("timings_s").items()
        if finite(value) is not None
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
