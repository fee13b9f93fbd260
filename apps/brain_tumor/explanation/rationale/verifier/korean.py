"""Clauses of Korean sentences and what each asserts."""

from __future__ import annotations

import re
from re import Match

from brain_tumor.explanation.facts.model import LOCATION, OUT_OF_DISTRIBUTION, Side
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.verifier import reading as shared
from brain_tumor.explanation.rationale.verifier.reading import Handler, Reading, Rule, rule
from brain_tumor.labels import TumorType

_TOPIC = r"(?:은|는|이|가)"
_OBJECT = r"(?:을|를)"
_ENDS = r"(?:으로|로|입니다|이며|이고|의)?"
_LIST = r"(?P<list><C:\w+>(?:(?:과|와| ,) <C:\w+>)*)"

_OTHERS = r"(?P<others><E:\w+>(?:(?:과|와| ,) <E:\w+>)*)"

CONNECTORS = re.compile(r"(?:[,;:()]|반면|또한|그리고|하지만|그러나)")


def _place(reading: Reading, m: Match[str]) -> bool:
    reading.subject = LOCATION
    groups = m.groupdict()
    side = groups.get("s")
    return reading.add(c.PlaceClaim(Side(side) if side else None, groups.get("r")))


def _rank(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    share = None
    if m["n"] is not None:
        number = reading.number(m["n"])
        if number.unit != "%":
            return False
        share = number.value / 100.0
    tumor = TumorType(m["c"])
    return reading.add(c.RankClaim(reading.subject, m["way"] == "높", share, tumor))


def _typical(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    types = [TumorType(t) for t in re.findall(r"<C:(\w+)>", m[0])]
    return reading.add(*(c.TypicalClaim(reading.subject, tumor) for tumor in types))


def _support(*, favours: bool) -> Handler:
    def handler(reading: Reading, m: Match[str]) -> bool:
        if reading.subject is None:
            return False
        return reading.add(c.SupportClaim(reading.subject, TumorType(m["c"]), favours))

    return handler


def _speaking(*, favours: bool) -> Handler:
    def handler(reading: Reading, m: Match[str]) -> bool:
        reading.pending.append((TumorType(m["c"]), favours))
        return True

    return handler


def _probability(reading: Reading, m: Match[str]) -> bool:
    if reading.tumor is None:
        return False
    more = bool(m["more"])
    return reading.add(c.ProbabilityClaim(reading.tumor, reading.number(m["n"]), more))


def _second(reading: Reading, m: Match[str]) -> bool:
    reading.tumor = TumorType(m["c"])
    if m["n"] is None:
        return reading.add(c.RunnerUpClaim(reading.tumor))
    share = c.ProbabilityClaim(reading.tumor, reading.number(m["n"]), bool(m["more"]))
    return reading.add(c.RunnerUpClaim(reading.tumor), share)


def _set(reading: Reading, m: Match[str]) -> bool:
    groups = m.groupdict()
    types = frozenset(TumorType(t) for t in re.findall(r"<C:(\w+)>", groups.get("list") or ""))
    coverage = groups.get("n")
    return reading.add(c.SetClaim(types, reading.number(coverage) if coverage else None))


def _no_tumour(reading: Reading, _: Match[str]) -> bool:
    return reading.add(c.UndeterminedClaim(), c.UndeterminedClaim(("no_tumour",)))


def _reason(reading: Reading, m: Match[str]) -> bool:
    reason = reading.marked.decision_reasons[int(m["w"])]
    if reason == OUT_OF_DISTRIBUTION and not reading.has(c.UndeterminedClaim):
        return reading.add(c.OutsideClaim())
    return reading.add(c.UndeterminedClaim((reason,)))


def _unknown_place(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.UnknownPlaceClaim("side" if m["what"] == "쪽은" else "region"))


def _thin(reading: Reading, m: Match[str]) -> bool:
    total, made = reading.count(m["n"]), reading.count(m["n2"])
    if made is None or total is None:
        return False
    return reading.add(c.ThinEvidenceClaim(made, total))


def _heat_share(reading: Reading, m: Match[str]) -> bool:
    target = TumorType(m["c"]) if m["c"] else None
    return reading.add(c.HeatShareClaim(reading.number(m["n"]), target))


def _peak(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.HeatPeakClaim(m["where"] == "안"))


def _peak_near(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.HeatPeakNearClaim(reading.number(m["n"])))


def _agreement(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.HeatAgreementClaim(m["what"] == "일치합니다"))


def _near(reading: Reading, m: Match[str]) -> bool:
    if reading.subject is None:
        return False
    number = reading.number(m["n"]) if m["n"] else None
    return reading.add(c.HeatNearClaim(reading.subject, m["level"] == "높", number))


def _faithful(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.FaithfulnessClaim("통과했습니다" in m[0]))


def _counterfactual(reading: Reading, m: Match[str]) -> bool:
    return reading.add(
        c.CounterfactualClaim(m["f"], reading.number(m["n2"]), TumorType(m["tumor"])),
        c.ValueClaim(m["f"], reading.number(m["n"])),
    )


def _no_counterfactual(reading: Reading, m: Match[str]) -> bool:
    return reading.add(c.NoCounterfactualClaim(TumorType(m["tumor"])))


_HIGHEST = r"<F:probability_(?P<tumor>\w+)>이 가장"
_SOURCE = r"(?:영상과 측정값|측정값|영상)은"
_BE = r"(?:에 있습니다|에 있으며|에 있고)"

RULES: tuple[Rule, ...] = (
    rule(rf"{{F}}{_TOPIC}? {{N}}{_ENDS}", shared.value),
    rule(rf"{{F}}{_TOPIC}?", shared.mention),
    rule(rf"종양{_TOPIC} (?:{{S}}(?:의)? )?{{R}}{_BE}", _place),
    rule(rf"종양{_TOPIC} {{S}}{_BE}", _place),
    rule(
        r"(?:학습 )?{C}(?:의 {N}| 거의 전부)보다 (?P<way>높|낮)(?:고|습니다|으며|지만|아|은)",
        _rank,
    ),
    rule(
        r"(?:학습 )?<C:\w+>(?:(?:과|와) (?:학습 )?<C:\w+>)*(?:에서는|에서) "
        r"전형적(?:이며|입니다|이고)",
        _typical,
    ),
    rule(
        rf"(?:이 판정에서 )?{{C}}{_OBJECT} 뒷받침(?:합니다|하며|하고|하지만)",
        _support(favours=True),
    ),
    rule(r"{C}에 반(?:합니다|하며|하고|하지만)", _support(favours=False)),
    rule(r"이를 뒷받침합니다", shared.for_it),
    rule(rf"{{C}}{_OBJECT} 뒷받침하는 소견", _speaking(favours=True)),
    rule(r"{C}에 반하는 소견", _speaking(favours=False)),
    rule(rf"{_SOURCE} {{C}}{_OBJECT} 뚜렷하게 가리킵니다", shared.tumor_type(3)),
    rule(rf"{_SOURCE} {{C}}{_OBJECT} 가리킵니다", shared.tumor_type(2)),
    rule(
        rf"{_SOURCE} {{C}}{_OBJECT} 시사(?:하지만 확실하지는 않습니다|합니다)", shared.tumor_type(1)
    ),
    rule(rf"{_SOURCE} {{C}} 쪽으로 약간 기웁니다", shared.tumor_type(0)),
    rule(r"가장 가능성이 높은 유형은 {C}입니다", shared.tumor_type(0)),
    rule(r"확률(?:은)? {N}(?P<more> 초과)?(?:입니다)?", _probability),
    rule(r"다음으로 가능성이 있는 유형은 {C}입니다(?: \( {N}(?P<more> 초과)? \))?", _second),
    rule(rf"포함률 {{N}}에서 {_LIST}{_TOPIC} 모두 가능합니다", _set),
    rule(r"포함률 {N}에서 (?P<list><C:\w+>)만 가능합니다", _set),
    rule(r"포함률 {N}에서 가능한 유형이 없습니다", _set),
    rule(rf"예측 집합에서 {_LIST}{_TOPIC} 모두 가능합니다", _set),
    rule(r"예측 집합에서 (?P<list><C:\w+>)만 가능합니다", _set),
    rule(r"예측 집합에서 가능한 유형이 없습니다", _set),
    rule(r"세 유형 가운데", shared.among_types),
    rule(rf"{{D}}{_TOPIC} {_OTHERS}에서도 보이며 이는 세 유형에 없습니다", shared.also_seen_in),
    rule(rf"{_OTHERS} 등은 세 유형에 없습니다", shared.not_among_types),
    rule(r"핵심부 {N}", shared.volume("volume_tc_ml")),
    rule(r"부종 포함 {N}", shared.volume("volume_wt_ml")),
    rule(r"종양의 유형은 판정하지 않았습니다", shared.undetermined),
    rule(r"종양이 발견되지 않았으므로 유형을 제시하지 않습니다", _no_tumour),
    rule(r"{W}", _reason),
    rule(r"거리 {N}", shared.distance),
    rule(r"한계 {N}", shared.limit),
    rule(r"한계 {N}(?:을|를) 넘습니다", shared.above_limit),
    rule(r"측정할 수 없었습니다", shared.not_measured),
    rule(r"{M}", shared.missing_reason),
    rule(r"종양이 있는 (?P<what>엽은|쪽은) 알 수 없었습니다", _unknown_place),
    rule(r"측정 {N}개 중 {N2}개만 가능하여 근거가 부족합니다", _thin),
    rule(r"측정 {N}개 중 하나도 가능하지 않아 근거가 부족합니다", shared.none_made),
    rule(r"판정의 일부는 종양이 아니라 단면의 방향에 근거합니다 \( {F} \)", shared.view),
    rule(
        r"(?:{C} 열지도에서 )?열의 {N}(?:가|만)? 종양 안에 있(?:고|습니다|지만|으며)", _heat_share
    ),
    rule(r"정점(?:은|도|이) 종양 (?P<where>안|밖)에 있(?:습니다|고|으며)", _peak),
    rule(r"정점(?:은|도|이) 종양에서 {N} 이내에 있(?:습니다|고|으며)", _peak_near),
    rule(
        r"열지도와 측정값이 위치에서 (?P<what>일치합니다|일치하지 않습니다)",
        _agreement,
    ),
    rule(r"그 위치의 열지도 값은 (?P<level>높|낮)습니다(?: \( (?:최댓값의 )?{N} \))?", _near),
    rule(r"열지도는 충실도 검사를 통과하지 못했으므로 신뢰해서는 안 됩니다", _faithful),
    rule(r"열지도는 충실도 검사를 통과(?:하지 못했습니다|했습니다)", _faithful),
    rule(
        rf"{{F}}{_TOPIC} {{N}} 대신 {{N2}}(?:였|이었)다면 {_HIGHEST} 높았을 것입니다",
        _counterfactual,
    ),
    rule(
        rf"학습 환자의 범위 안에서 측정값 하나를 바꾸어도 {_HIGHEST} 높아지지 않습니다",
        _no_counterfactual,
    ),
    rule(r"가장 비슷한 학습 환자 {N}명 중", shared.similar_total),
    rule(r"{N}명은 {C}(?:이었습니다)?", shared.similar),
    rule(r"가장 비슷한 학습 환자 {N}명은 모두 {C}이었습니다", shared.all_similar),
    *shared.KOREAN_SYMPTOM_RULES,
)
