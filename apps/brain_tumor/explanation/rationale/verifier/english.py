"""Clauses of English sentences and what each asserts."""

from __future__ import annotations

import re
from re import Match

from brain_tumor.explanation.facts.model import LOCATION, OUT_OF_DISTRIBUTION, Side
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.verifier import reading as shared
from brain_tumor.explanation.rationale.verifier.reading import Handler, Reading, Rule, rule
from brain_tumor.labels import TumorType

_OF_TRAINING = r"(?: (?:of|in|among) training (?:patients|data))?"
_SOURCE = r"(?:image and (?:its )?measurements|measurements|findings|image)"
_MOST = r"most (?:probable|likely)"
_SHARE = r"(?P<more>more than )?{N}"
_LIST = r"(?P<list><C:\w+>(?:(?: ,)?(?: and)? <C:\w+>)*)"

_OTHERS = r"(?P<others><E:\w+>(?:(?: ,)?(?: and)? <E:\w+>)*)"

CONNECTORS = re.compile(
    r"(?:[,;:()]|and|but|while|however|also|which|although|it|so|with|being|moreover|overall|here)"
)


def _extent(reading: Reading, m: Match[str]) -> bool:
    if "tumour" not in m[0] and reading.subject != LOCATION:
        return False
    reading.subject = LOCATION
    return reading.add(c.ValueClaim(LOCATION, reading.number(m["n"])))


def _place(reading: Reading, m: Match[str]) -> bool:
    if not m[0].startswith("tumour") and reading.subject != LOCATION:
        return False
    reading.subject = LOCATION
    groups = m.groupdict()
    side = groups.get("s")
    return reading.add(c.PlaceClaim(Side(side) if side else None, groups.get("r")))


def _rank(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    higher = m["way"] in {"higher", "greater", "larger"}
    return _rank_of(reading, m, higher)


def _rank_again(reading: Reading, m: Match[str]) -> bool:
    last = reading.last(c.RankClaim)
    return last is not None and _rank_of(reading, m, last.higher)


def _rank_of(reading: Reading, m: Match[str], higher: bool) -> bool:
    share = None
    if m["n"] is not None:
        number = reading.number(m["n"])
        if number.unit != "%":
            return False
        share = number.value / 100.0
    tumor = TumorType(m["p"])
    return reading.add(c.RankClaim(reading.subject or "", higher, share, tumor))


def _typical(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    return reading.add(c.TypicalClaim(reading.subject, TumorType(m["p"])))


def _typical_again(reading: Reading, m: Match[str]) -> bool:
    return reading.last(c.TypicalClaim) is not None and _typical(reading, m)


def _support(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    favours = m.groupdict().get("way") != "against"
    return reading.add(c.SupportClaim(reading.subject, TumorType(m["c"]), favours))


def _support_again(reading: Reading, m: Match[str]) -> bool:
    return reading.last(c.SupportClaim) is not None and _support(reading, m)


def _speaking(reading: Reading, m: Match[str]) -> bool:
    reading.pending.append((TumorType(m["c"]), m["way"] == "for"))
    return True


def _probability(reading: Reading, m: Match[str]) -> bool:
    tumor = m.groupdict().get("c")
    reading.tumor = TumorType(tumor) if tumor else reading.tumor
    if reading.tumor is None:
        return False
    more = bool(m.groupdict().get("more"))
    return reading.add(c.ProbabilityClaim(reading.tumor, reading.number(m["n"]), more))


def _share_of_named(reading: Reading, m: Match[str]) -> bool:
    named = reading.last(c.RunnerUpClaim) or reading.last(c.TypeClaim)
    return named is not None and _probability(reading, m)


def _second(reading: Reading, m: Match[str]) -> bool:
    reading.tumor = TumorType(m["c"])
    return reading.add(c.RunnerUpClaim(reading.tumor))


def _set(reading: Reading, m: Match[str]) -> bool:
    groups = m.groupdict()
    types = frozenset(TumorType(t) for t in re.findall(r"<C:(\w+)>", groups.get("list") or ""))
    coverage = groups.get("n")
    if not types and "no type" not in m[0]:
        return False
    if "both" in m[0] and len(types) != 2:
        return False
    return reading.add(c.SetClaim(types, reading.number(coverage) if coverage else None))


def _reason(reading: Reading, m: Match[str]) -> bool:
    reason = reading.marked.decision_reasons[int(m["w"])]
    if reason == OUT_OF_DISTRIBUTION and not reading.has(c.UndeterminedClaim):
        reading.subject = OUT_OF_DISTRIBUTION
        return reading.add(c.OutsideClaim())
    return reading.add(c.UndeterminedClaim((reason,)))


def _unknown_place(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.UnknownPlaceClaim("side" if m["what"] == "side" else "region"))


def _thin(reading: Reading, m: Match[str]) -> bool:
    made, total = reading.count(m["n"]), reading.count(m["n2"])
    if made is None or total is None:
        return False
    return reading.add(c.ThinEvidenceClaim(made, total))


def _only_after(kind: type[c.Claim]) -> Handler:
    """A clause that repeats in words what a claim of this class has already said."""

    def handler(reading: Reading, _: Match[str]) -> bool:
        return reading.last(kind) is not None

    return handler


def _heat_target(reading: Reading, m: Match[str]) -> bool:
    reading.heat_target = TumorType(m["c"])
    return True


def _heat_share(reading: Reading, m: Match[str]) -> bool:
    target = TumorType(m["c"]) if m["c"] else reading.heat_target
    peak = (c.HeatPeakClaim(inside=True),) if "peak" in m[0] else ()
    return reading.add(c.HeatShareClaim(reading.number(m["n"]), target), *peak)


def _peak(reading: Reading, m: Match[str]) -> bool:
    inside = m.groupdict().get("where") != "outside"
    if "so does" in m[0] and reading.last(c.HeatShareClaim) is None:
        return False
    return reading.add(c.HeatPeakClaim(inside))


def _peak_near(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.HeatPeakNearClaim(reading.number(m["n"])))


def _agreement(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.HeatAgreementClaim(m["what"] == "agree"))


def _near(reading: Reading, m: Match[str]) -> bool:
    feature = m.groupdict().get("f") or reading.subject
    if feature is None:
        return False
    number = reading.number(m["n"]) if m["n"] else None
    return reading.add(c.HeatNearClaim(feature, m["level"] == "high", number))


def _faithful(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.FaithfulnessClaim(m["what"] == "passed"))


def _not_relied_on(reading: Reading, _: Match[str]) -> bool:
    last = reading.last(c.FaithfulnessClaim)
    return last is not None and not last.passed


def _counterfactual(reading: Reading, m: Match[str]) -> bool:
    value = (c.ValueClaim(m["f"], reading.number(m["n2"])),) if m["n2"] else ()
    would = c.CounterfactualClaim(m["f"], reading.number(m["n"]), TumorType(m["c"]))
    return reading.add(would, *value)


def _no_counterfactual(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.NoCounterfactualClaim(TumorType(m["c"])))


RULES: tuple[Rule, ...] = (
    rule(r"{F}(?: (?:is|was|of|measures|amounts to|,))?(?: \()? {N}(?: \))?", shared.value),
    rule(r"{F}", shared.mention),
    rule(r"core {N}", shared.volume("volume_tc_ml")),
    rule(r"with oedema {N}", shared.volume("volume_wt_ml")),
    rule(r"tumour of {N}", _extent),
    rule(r"(?:tumour )?(?:measures|has largest extent of) {N}(?: across)?", _extent),
    rule(r"(?:tumour )?(?:lies|is located|sits|is) in (?:{S} )?{R}", _place),
    rule(r"(?:tumour )?(?:lies|is located|sits|is) in {R} on {S}(?: side)?", _place),
    rule(r"(?:tumour )?(?:lies|is located|sits|is) on {S} side", _place),
    rule(r"(?:tumour )?(?:lies|is located|sits|is) (?:at|on) {S}(?: ,? ?in {R})?", _place),
    rule(
        r"(?:is |lies )?(?P<way>higher|greater|larger|lower|smaller) than in "
        r"(?:{N} of|(?:nearly|almost) all) (?:training )?{P}" + _OF_TRAINING,
        _rank,
    ),
    rule(r"in (?:{N} of|(?:nearly|almost) all) (?:training )?{P}" + _OF_TRAINING, _rank_again),
    rule(r"(?:is )?typical (?:of|for) (?:training )?{P}" + _OF_TRAINING, _typical),
    rule(r"(?:training )?{P}" + _OF_TRAINING, _typical_again),
    rule(
        r"(?:speaks|counts|argues) (?P<way>for|against|in favour of|towards) {C}"
        r"(?: in this decision)?",
        _support,
    ),
    rule(r"(?:supports|favours) {C}(?: in this decision)?", _support),
    rule(r"speaks for it", shared.for_it),
    rule(r"(?P<way>for|against) {C}(?: in this decision)?", _support_again),
    rule(r"speaking (?P<way>for|against) {C}", _speaking),
    rule(
        rf"{_SOURCE} (?:point clearly to|clearly point to|clearly indicate) {{C}}",
        shared.tumor_type(3),
    ),
    rule(rf"{_SOURCE} (?:point to|indicate) {{C}}", shared.tumor_type(2)),
    rule(
        rf"{_SOURCE} (?:suggest|are consistent with) {{C}}(?: , without certainty)?",
        shared.tumor_type(1),
    ),
    rule(rf"{_SOURCE} favour {{C}} only slightly", shared.tumor_type(0)),
    rule(rf"{_SOURCE} slightly favour {{C}}", shared.tumor_type(0)),
    rule(
        rf"(?:{_MOST} type|prediction|predicted type)(?: of tumour)? is {{C}}", shared.tumor_type(0)
    ),
    rule(rf"{{C}} is {_MOST}(?: type)?", shared.tumor_type(0)),
    rule(r"tumour is (?:probably|most likely) {C}", shared.tumor_type(1)),
    rule(rf"(?:has )?(?:its )?probability(?: of| is)? {_SHARE}", _probability),
    rule(rf"{{C}} \( {_SHARE} \)", _probability),
    rule(rf"{{C}} (?:has|with|follows with) (?:probability of )?{_SHARE}", _probability),
    rule(rf"{_SHARE} probability of {{C}}", _probability),
    rule(rf"next (?:possibility|{_MOST} type) is {{C}}", _second),
    rule(r"{C} is next possibility", _second),
    rule(_SHARE, _share_of_named),
    rule(rf"at {{N}} coverage(?: ,)? (?:only )?{_LIST}(?: both| all)? remains? possible", _set),
    rule(r"at {N} coverage(?: ,)? no type remains possible", _set),
    rule(rf"(?:only ){_LIST} remains possible(?: at {{N}} coverage)?", _set),
    rule(rf"{_LIST}(?: both| all)? remain possible(?: at {{N}} coverage)?", _set),
    rule(r"(?:among|of) three types", shared.among_types),
    rule(
        rf"{{D}} (?:is|are) also seen in {_OTHERS} , which (?:is|are) not among three types",
        shared.also_seen_in,
    ),
    rule(rf"{_OTHERS} and other lesions are not among three types", shared.not_among_types),
    rule(r"type(?: of tumour)? (?:remains|is) undetermined", shared.undetermined),
    rule(r"no type is given", shared.undetermined),
    rule(r"(?:because )?{W}", _reason),
    rule(r"distance {N}", shared.distance),
    rule(r"limit {N}", shared.limit),
    rule(r"above limit of {N}", shared.above_limit),
    rule(r"could not be (?:measured|determined)", shared.not_measured),
    rule(r"(?:was|were|is|are) not (?:measured|measurable)", shared.not_measured),
    rule(r"(?:because )?{M}", shared.missing_reason),
    rule(
        r"(?:its )?(?P<what>lobe|region|side)(?: of tumour)? could not be determined",
        _unknown_place,
    ),
    rule(r"only {N} of {N2} (?:measurements|features) could be made", _thin),
    rule(r"none of {N} (?:measurements|features) could be made", shared.none_made),
    rule(r"evidence is thin", _only_after(c.ThinEvidenceClaim)),
    rule(r"part of decision rests on view of slice \( {F} \) , not on tumour", shared.view),
    rule(r"in heatmap (?:of|for) {C}", _heat_target),
    rule(r"(?:only )?{N} of heat(?: (?:of|for) {C})? (?:lies|is) inside tumour", _heat_share),
    rule(r"{N} of heat(?: (?:of|for) {C})? and its peak lie inside tumour", _heat_share),
    rule(r"so does its peak", _peak),
    rule(r"(?:its |heatmap )?peak lies (?P<where>inside|outside)(?: tumour| it)?", _peak),
    rule(r"(?:its |heatmap )?peak lies within {N} of (?:tumour|it)", _peak_near),
    rule(r"heatmap and measurements (?P<what>agree|disagree)(?: on place)?", _agreement),
    rule(r"heatmap is (?P<level>low|high)(?: \( {N}(?: of its maximum)? \))? at its place", _near),
    rule(
        r"heatmap is (?P<level>low|high)(?: \( {N}(?: of its maximum)? \))? at place of {F}", _near
    ),
    rule(r"heatmap (?P<what>passed|failed) its faithfulness test", _faithful),
    rule(r"should not be relied on", _not_relied_on),
    rule(
        rf"if {{F}} were {{N}}(?: instead of {{N2}})? , {{C}} would be {_MOST} type",
        _counterfactual,
    ),
    rule(
        rf"{{C}} would be {_MOST} type if {{F}} were {{N}}(?: instead of {{N2}})?",
        _counterfactual,
    ),
    rule(
        r"no single measurement , changed within range of training patients , would make "
        rf"{{C}} {_MOST} type",
        _no_counterfactual,
    ),
    rule(r"of {N} most similar training patients", shared.similar_total),
    rule(r"{N} had {C}", shared.similar),
    rule(r"all {N} most similar training patients had {C}", shared.all_similar),
    *shared.ENGLISH_SYMPTOM_RULES,
)
