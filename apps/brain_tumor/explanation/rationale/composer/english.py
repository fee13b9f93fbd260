"""English words for a statement. Every form has variants that mean the same."""

from __future__ import annotations

from collections.abc import Sequence

from brain_tumor.explanation.facts.differential import lookalike
from brain_tumor.explanation.facts.model import (
    LOCATION,
    OUT_OF_DISTRIBUTION,
    Language,
    Side,
    UndeterminedReason,
)
from brain_tumor.explanation.facts.numbers import number_text
from brain_tumor.explanation.facts.vocabulary import (
    LESION_WORDS,
    TYPE_WORDS,
    feature_words,
    reason_words,
    symptom_words,
)
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.statements import Form, Phrasebook, Statement, claims_of
from brain_tumor.labels import TumorType

POINTING = (
    "image and measurements favour {} only slightly",
    "image and measurements suggest {}, without certainty",
    "image and measurements point to {}",
    "image and measurements point clearly to {}",
)

ENGLISH = Phrasebook()


def english_variants(statement: Statement) -> tuple[str, ...]:
    """Sentences for a statement that differ in wording only; the first is the plainest."""
    return tuple(_capital(text) + "." for text in ENGLISH.phrases(statement))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _join(parts: Sequence[str], last: str = "and") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _the(feature: str) -> str:
    return "the " + feature_words(feature, Language.ENGLISH)


def _a(tumor: TumorType) -> str:
    return "a " + TYPE_WORDS[tumor][0]


def _many(tumor: TumorType) -> str:
    return TYPE_WORDS[tumor][1]


def _part(share: float | None) -> str:
    return "nearly all" if share is None else f"{100.0 * share:.0f} % of the"


def _comparisons(statement: Statement) -> str:
    """Words such as "higher than in 90 % of the training gliomas and typical of ..."."""
    parts = []
    for higher in (True, False):
        ranks = [r for r in claims_of(statement, c.RankClaim) if r.higher is higher]
        if ranks:
            word = "higher" if higher else "lower"
            shares = [f"in {_part(r.share)} training {_many(r.tumor)}" for r in ranks]
            parts.append(f"{word} than {_join(shares)}")
    typical = [_many(t.tumor) for t in claims_of(statement, c.TypicalClaim)]
    if typical:
        parts.append(f"typical of the training {_join(typical)}")
    return _join(parts)


@ENGLISH.words_for(Form.PLACE)
def _place(statement: Statement) -> list[str]:
    place = next(iter(claims_of(statement, c.PlaceClaim)), None)
    extent = next((v for v in claims_of(statement, c.ValueClaim) if v.feature == LOCATION), None)
    size = number_text(extent.number) if extent else ""
    where = _where(place) if place else ""
    fills = _fills(statement)
    if not where:
        return [f"the tumour measures {size} across{fills}"]
    plain = f"the tumour lies {where}"
    if not size:
        return [plain]
    return [
        f"{plain} and measures {size} across{fills}",
        f"a tumour of {size}{fills} lies {where}",
    ]


def _fills(statement: Statement) -> str:
    """Volumes in brackets: of the core, and with oedema."""
    words = {"volume_tc_ml": "core", "volume_wt_ml": "with oedema"}
    values = [v for v in claims_of(statement, c.ValueClaim) if v.feature in words]
    parts = [f"{words[v.feature]} {number_text(v.number)}" for v in values]
    return f" ({', '.join(parts)})" if parts else ""


def _where(place: c.PlaceClaim) -> str:
    if place.side is Side.MIDLINE:
        return "at the midline" + (f", in the {place.region}" if place.region else "")
    if place.side is None:
        return f"in the {place.region}"
    if place.region:
        return f"in the {place.side.value} {place.region}"
    return f"on the {place.side.value} side"


@ENGLISH.words_for(Form.VOLUMES)
def _volumes(statement: Statement) -> list[str]:
    values = claims_of(statement, c.ValueClaim)
    parts = [f"{_the(values[0].feature)} is {number_text(values[0].number)}"]
    for value in values[1:]:
        noun = feature_words(value.feature, Language.ENGLISH).removeprefix("volume of the ")
        parts.append(f"that of the {noun} {number_text(value.number)}")
    return [_join(parts)]


@ENGLISH.words_for(Form.TYPE)
def _type(statement: Statement) -> list[str]:
    claim, probability = (
        claims_of(statement, c.TypeClaim)[0],
        claims_of(statement, c.ProbabilityClaim)[0],
    )
    shown = _probability(probability)
    pointing = POINTING[claim.strength].format(_a(claim.tumor))
    because = ""
    for value in claims_of(statement, c.ValueClaim):
        told = f"{_the(value.feature)} ({number_text(value.number)})"
        because = f"; {told}, {_comparisons(statement)}, speaks for it"
    return [
        f"among the three types, {pointing} (probability {shown}){because}",
        f"of the three types, {pointing}, with a probability of {shown}{because}",
    ]


def _probability(claim: c.ProbabilityClaim) -> str:
    return f"{'more than ' if claim.more else ''}{number_text(claim.number)}"


@ENGLISH.words_for(Form.LOOKALIKE)
def _lookalike(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.LookalikeClaim)[0]
    row = lookalike(claim.row)
    finding = row.english if row else claim.row
    lesions = _lesions(row.looks_like if row else (), claim.lesions)
    verb = "is" if len(lesions) == 1 else "are"
    seen = "are" if finding.startswith("several ") else "is"
    return [
        f"{_next_type(statement)}{_article(finding)}{finding} {seen} also seen in "
        f"{_join(lesions)}, which {verb} not among the three types"
    ]


@ENGLISH.words_for(Form.SCOPE)
def _scope(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.ScopeClaim)[0]
    lesions = _lesions(tuple(LESION_WORDS), claim.lesions)
    named = ", ".join(lesions)
    return [f"{_next_type(statement)}{named} and other lesions are not among the three types"]


def _lesions(order: Sequence[str], chosen: frozenset[str]) -> list[str]:
    return [LESION_WORDS[name][0] for name in order if name in chosen]


def _article(noun: str) -> str:
    if noun.startswith("several "):
        return ""
    return "an " if noun[0] in "aeiou" else "a "


def _next_type(statement: Statement) -> str:
    """The second type where there is one to name, as the beginning of a sentence."""
    for claim in claims_of(statement, c.RunnerUpClaim):
        shown = _probability(claims_of(statement, c.ProbabilityClaim)[0])
        return f"the next possibility is {_a(claim.tumor)} ({shown}); "
    return ""


@ENGLISH.words_for(Form.UNDETERMINED)
def _undetermined(statement: Statement) -> list[str]:
    reasons = tuple(r for claim in claims_of(statement, c.UndeterminedClaim) for r in claim.reasons)
    if reasons == (UndeterminedReason.NO_TUMOUR,):
        return ["no tumour was found, so no type is given"]
    words = _join([reason_words(reason, Language.ENGLISH).rstrip(".") for reason in reasons])
    return [
        f"the type of the tumour remains undetermined: {words}",
        f"no type is given, because {words}",
    ]


@ENGLISH.words_for(Form.FINDING)
def _finding(statement: Statement) -> list[str]:
    value, support = claims_of(statement, c.ValueClaim)[0], claims_of(statement, c.SupportClaim)[0]
    noun, number, tumor = _the(value.feature), number_text(value.number), _a(support.tumor)
    compared = _comparisons(statement)
    if not compared:
        return [f"{noun} is {number} and speaks for {tumor}"]
    return [
        f"{noun} is {number}, {compared}; it speaks for {tumor}",
        f"{noun} ({number}) speaks for {tumor}: it is {compared}",
        f"{noun}, {number}, also speaks for {tumor}, being {compared}",
    ]


@ENGLISH.words_for(Form.FINDING_AGAINST)
def _finding_against(statement: Statement) -> list[str]:
    value, supports = claims_of(statement, c.ValueClaim)[0], claims_of(statement, c.SupportClaim)
    noun, number = _the(value.feature), number_text(value.number)
    said = f"against {_a(supports[0].tumor)}"
    if len(supports) > 1:
        said += f" and for {_a(supports[1].tumor)}"
    compared = _comparisons(statement)
    if not compared:
        return [f"{noun} ({number}), however, counts {said} in this decision"]
    return [
        f"{noun} ({number}), however, speaks {said}: it is {compared}",
        f"{noun} is {number}, {compared}; it speaks {said}",
    ]


@ENGLISH.words_for(Form.FINDING_NEUTRAL)
def _finding_neutral(statement: Statement) -> list[str]:
    value = claims_of(statement, c.ValueClaim)[0]
    compared = _comparisons(statement)
    text = f"{_the(value.feature)} is {number_text(value.number)}"
    return [f"{text}, {compared}" if compared else text]


@ENGLISH.words_for(Form.ATYPICAL)
def _atypical(statement: Statement) -> list[str]:
    value, support = claims_of(statement, c.ValueClaim)[0], claims_of(statement, c.SupportClaim)[0]
    noun, number = _the(value.feature), number_text(value.number)
    text = f"{noun} ({number}) speaks for {_a(support.tumor)} in this decision, although it is "
    return [text + _comparisons(statement)]


@ENGLISH.words_for(Form.HEAT_AGREES)
def _heat_agrees(statement: Statement) -> list[str]:
    share = claims_of(statement, c.HeatShareClaim)[0]
    of = f" for {_a(share.target)}" if share.target else ""
    shown = number_text(share.number)
    for near in claims_of(statement, c.HeatPeakNearClaim):
        reach = number_text(near.reach)
        return [
            f"{shown} of the heat{of} lies inside the tumour, and its peak lies within {reach} of "
            "the tumour"
        ]
    return [
        f"in the heatmap{of}, {shown} of the heat and its peak lie inside the tumour",
        f"{shown} of the heat{of} lies inside the tumour, and so does its peak",
    ]


@ENGLISH.words_for(Form.HEAT_CONFLICT)
def _heat_conflict(statement: Statement) -> list[str]:
    share, peak = (
        claims_of(statement, c.HeatShareClaim)[0],
        claims_of(statement, c.HeatPeakClaim)[0],
    )
    of = f" for {_a(share.target)}" if share.target else ""
    where = "inside" if peak.inside else "outside"
    heat = f"only {number_text(share.number)} of the heat{of} lies inside the tumour"
    if share.number.value >= 50.0:
        heat = heat.removeprefix("only ")
    link = "and" if (share.number.value < 50.0) is not peak.inside else "although"
    if link == "although" and not peak.inside:
        link = "but"
    return [
        f"heatmap and measurements disagree on the place: {heat}, {link} its peak lies {where}",
    ]


@ENGLISH.words_for(Form.HEAT_NEAR_CONFLICT)
def _heat_near_conflict(statement: Statement) -> list[str]:
    near, support = (
        claims_of(statement, c.HeatNearClaim)[0],
        claims_of(statement, c.SupportClaim)[0],
    )
    number = f" ({number_text(near.number)} of its maximum)" if near.number else ""
    return [
        f"{_the(near.feature)} speaks for {_a(support.tumor)}, although the heatmap is low"
        f"{number} at its place"
    ]


@ENGLISH.words_for(Form.UNFAITHFUL)
def _unfaithful(_: Statement) -> list[str]:
    return ["the heatmap failed its faithfulness test and should not be relied on"]


@ENGLISH.words_for(Form.SET)
def _set(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.SetClaim)[0]
    types = [_a(tumor) for tumor in TumorType if tumor in claim.types]
    at = f"at {number_text(claim.coverage)} coverage" if claim.coverage else "by the prediction set"
    if not types:
        return [f"{at}, no type remains possible among the three types"]
    if len(types) == 1:
        return [f"{at}, only {types[0]} remains possible among the three types"]
    both = " both" if len(types) == 2 else " all"
    return [f"{at}, {_join(types)}{both} remain possible among the three types"]


@ENGLISH.words_for(Form.OUTSIDE)
def _outside(statement: Statement) -> list[str]:
    value = next(v for v in claims_of(statement, c.ValueClaim) if v.feature == OUT_OF_DISTRIBUTION)
    limit = number_text(claims_of(statement, c.OutsideLimitClaim)[0].number)
    if not claims_of(statement, c.OutsideClaim):
        noun = _the(OUT_OF_DISTRIBUTION)
        return [f"{noun} is {number_text(value.number)}, above the limit of {limit}"]
    words = reason_words(UndeterminedReason.OUT_OF_DISTRIBUTION, Language.ENGLISH)
    return [f"{words} (distance {number_text(value.number)}, limit {limit})"]


@ENGLISH.words_for(Form.NOT_MEASURED)
def _not_measured(statement: Statement) -> list[str]:
    claims = claims_of(statement, c.NotMeasuredClaim)
    nouns = _join([_the(claim.feature) for claim in claims])
    return [f"{nouns} could not be measured ({claims[0].reason})"]


@ENGLISH.words_for(Form.UNKNOWN_PLACE)
def _unknown_place(statement: Statement) -> list[str]:
    what = claims_of(statement, c.UnknownPlaceClaim)[0].what
    return [f"the {'lobe' if what == 'region' else 'side'} of the tumour could not be determined"]


@ENGLISH.words_for(Form.THIN)
def _thin(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.ThinEvidenceClaim)[0]
    many = f"only {claim.measured} of {claim.total} measurements could be made"
    if claim.measured == 0:
        many = f"none of the {claim.total} measurements could be made"
    return [f"{many}, so the evidence is thin"]


@ENGLISH.words_for(Form.VIEW)
def _view(statement: Statement) -> list[str]:
    noun = _the(claims_of(statement, c.ViewClaim)[0].feature)
    return [f"part of the decision rests on the view of the slice ({noun}), not on the tumour"]


@ENGLISH.words_for(Form.COUNTERFACTUAL)
def _counterfactual(statement: Statement) -> list[str]:
    claim, value = (
        claims_of(statement, c.CounterfactualClaim)[0],
        claims_of(statement, c.ValueClaim)[0],
    )
    new, old = number_text(claim.to), number_text(value.number)
    noun, tumor = _the(claim.feature), _a(claim.tumor)
    return [
        f"if {noun} were {new} instead of {old}, {tumor} would be the most probable type",
        f"{tumor} would be the most probable type if {noun} were {new} instead of {old}",
    ]


@ENGLISH.words_for(Form.NO_COUNTERFACTUAL)
def _no_counterfactual(statement: Statement) -> list[str]:
    tumor = _a(claims_of(statement, c.NoCounterfactualClaim)[0].tumor)
    return [
        "no single measurement, changed within the range of the training patients, would make "
        f"{tumor} the most probable type"
    ]


@ENGLISH.words_for(Form.SYMPTOMS)
def _symptoms(statement: Statement) -> list[str]:
    claims = claims_of(statement, c.SymptomClaim)
    shown = _join([f"{_symptom(claim)} ({_of_type(claim)}{_score(claim)})" for claim in claims])
    if len(claims) == 1:
        return [f"the second reader sees this visual symptom, and the measurement agrees: {shown}"]
    return [f"the second reader sees these visual symptoms, and the measurements agree: {shown}"]


@ENGLISH.words_for(Form.SYMPTOM_CONFLICT)
def _symptom_conflict(statement: Statement) -> list[str]:
    said = [
        f"{_symptom(claim)} is seen ({_score(claim)}), but the measurement denies it"
        if claim.seen
        else f"{_symptom(claim)} is measured, but not seen ({_score(claim)})"
        for claim in claims_of(statement, c.SymptomClaim)
    ]
    return [f"the second reader and the measurements contradict each other: {'; '.join(said)}"]


def _symptom(claim: c.SymptomClaim) -> str:
    return symptom_words(claim.text, Language.ENGLISH)


def _score(claim: c.SymptomClaim) -> str:
    return f"score {number_text(claim.number)}" if claim.number else ""


def _of_type(claim: c.SymptomClaim) -> str:
    return f"a symptom of {_a(claim.tumor)}, " if claim.tumor else ""


@ENGLISH.words_for(Form.SIMILAR)
def _similar(statement: Statement) -> list[str]:
    claims = claims_of(statement, c.SimilarClaim)
    total = claims[0].total
    if len(claims) == 1:
        return [f"all {total} most similar training patients had {_a(claims[0].tumor)}"]
    parts = [f"{claim.count} had {_a(claim.tumor)}" for claim in claims]
    return [f"of the {total} most similar training patients, {_join(parts)}"]
