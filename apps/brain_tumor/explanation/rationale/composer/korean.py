"""Korean words for a statement. Every form has variants that mean the same."""

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
    MISSING_WORDS,
    REGION_WORDS,
    TYPE_WORDS,
    feature_words,
    reason_words,
    symptom_words,
)
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.statements import Form, Phrasebook, Statement, claims_of
from brain_tumor.labels import TumorType

SIDES = {Side.LEFT: "왼쪽", Side.RIGHT: "오른쪽", Side.MIDLINE: "정중선"}
POINTING = (
    "영상과 측정값은 {} 쪽으로 약간 기웁니다",
    "영상과 측정값은 {} 시사하지만 확실하지는 않습니다",
    "영상과 측정값은 {} 가리킵니다",
    "영상과 측정값은 {} 뚜렷하게 가리킵니다",
)

_DIGIT_FINALS = {"0": "ㅇ", "1": "ㄹ", "3": "ㅁ", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ"}
"""Last consonant of a digit read aloud; digits that end in a vowel are absent."""

KOREAN = Phrasebook()


def korean_variants(statement: Statement) -> tuple[str, ...]:
    """Sentences for a statement that differ in wording only; the first is the plainest."""
    return tuple(text + "." for text in KOREAN.phrases(statement))


def with_particle(word: str, closed: str, opened: str) -> str:
    """A word with the particle that its last sound asks for.

    Args:
        word: Ends in Hangul, a digit, or a unit that is read with a vowel at its end.
        closed: Particle after a consonant.
        opened: Particle after a vowel.

    Example:
        >>> with_particle("교종", "은", "는"), with_particle("정중선 이동", "으로", "로")
        ('교종은', '정중선 이동으로')
        >>> with_particle("1.31", "으로", "로"), with_particle("42 mm", "으로", "로")
        ('1.31로', '42 mm로')
    """
    final = _final_consonant(word)
    towards = closed == "으로"
    return word + (closed if final and not (towards and final == "ㄹ") else opened)


def _final_consonant(word: str) -> str:
    last = word[-1]
    if "가" <= last <= "힣":
        index = (ord(last) - ord("가")) % 28
        return "" if index == 0 else ("ㄹ" if index == 8 else "x")
    return _DIGIT_FINALS.get(last, "")


def _name(feature: str) -> str:
    return feature_words(feature, Language.KOREAN)


def _type_name(tumor: TumorType) -> str:
    return TYPE_WORDS[tumor][2]


def _topic(word: str) -> str:
    return with_particle(word, "은", "는")


def _object(word: str) -> str:
    return with_particle(word, "을", "를")


def _and(words: Sequence[str]) -> str:
    if len(words) == 2:
        return f"{with_particle(words[0], '과', '와')} {words[1]}"
    return ", ".join(words)


def _comparisons(statement: Statement, *, ends: bool) -> str:
    """Comparisons with the training patients; the last one ends the sentence if asked."""
    parts: list[tuple[str, str]] = []
    for rank in claims_of(statement, c.RankClaim):
        name = f"학습 {_type_name(rank.tumor)}"
        than = f"{name} 거의 전부보다" if rank.share is None else f"{name}의 {rank.share:.0%}보다"
        parts.append((than.replace("%", " %"), "높" if rank.higher else "낮"))
    text = [f"{than} {stem}{'으며' if i else '고'}" for i, (than, stem) in enumerate(parts)]
    typical = [f"학습 {_type_name(t.tumor)}" for t in claims_of(statement, c.TypicalClaim)]
    if typical:
        text.append(f"{_and(typical)}에서는 전형적이며")
    if ends and text:
        last = text[-1]
        text[-1] = last.removesuffix("고").removesuffix("으며").removesuffix("이며")
        text[-1] += "입니다" if typical else "습니다"
    return ", ".join(text) if len(text) > 2 else " ".join(text)


@KOREAN.words_for(Form.PLACE)
def _place(statement: Statement) -> list[str]:
    place = next(iter(claims_of(statement, c.PlaceClaim)), None)
    extent = next((v for v in claims_of(statement, c.ValueClaim) if v.feature == LOCATION), None)
    size = number_text(extent.number) if extent else ""
    where = _where(place) if place else ""
    fills = _fills(statement)
    if not where:
        return [f"종양의 최대 크기는 {size}입니다{fills}"]
    if not size:
        return [f"종양은 {where}에 있습니다"]
    return [
        f"종양은 {where}에 있으며 최대 크기는 {size}입니다{fills}",
        f"최대 크기 {size}의 종양이 {where}에 있습니다{fills}",
    ]


def _fills(statement: Statement) -> str:
    """Volumes in brackets: of the core, and with oedema."""
    words = {"volume_tc_ml": "핵심부", "volume_wt_ml": "부종 포함"}
    values = [v for v in claims_of(statement, c.ValueClaim) if v.feature in words]
    parts = [f"{words[v.feature]} {number_text(v.number)}" for v in values]
    return f"({', '.join(parts)})" if parts else ""


def _where(place: c.PlaceClaim) -> str:
    region = REGION_WORDS.get(place.region or "", "")
    if place.side is None:
        return region
    side = SIDES[place.side]
    if place.side is Side.MIDLINE and region:
        return f"{side}의 {region}"
    return f"{side} {region}".rstrip()


@KOREAN.words_for(Form.VOLUMES)
def _volumes(statement: Statement) -> list[str]:
    values = claims_of(statement, c.ValueClaim)
    parts = [f"{_topic(_name(v.feature))} {number_text(v.number)}" for v in values]
    return [", ".join(parts) + "입니다"]


@KOREAN.words_for(Form.TYPE)
def _type(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.TypeClaim)[0]
    shown = _probability(statement)
    name = _type_name(claim.tumor)
    pointing = POINTING[claim.strength].format(_object(name) if claim.strength else name)
    because = ""
    for value in claims_of(statement, c.ValueClaim):
        number = with_particle(number_text(value.number), "으로", "로")
        told = f"{_topic(_name(value.feature))} {number}"
        because = f"; {told}, {_comparisons(statement, ends=False)} 이를 뒷받침합니다"
    return [f"세 유형 가운데 {pointing}(확률 {shown}){because}"]


def _probability(statement: Statement) -> str:
    claim = claims_of(statement, c.ProbabilityClaim)[0]
    return f"{number_text(claim.number)}{' 초과' if claim.more else ''}"


@KOREAN.words_for(Form.LOOKALIKE)
def _lookalike(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.LookalikeClaim)[0]
    row = lookalike(claim.row)
    finding = _topic(row.korean if row else claim.row)
    lesions = _lesions(row.looks_like if row else (), claim.lesions)
    said = f"{finding} {_and(lesions)}에서도 보이며 이는 세 유형에 없습니다"
    return [_next_type(statement) + said]


@KOREAN.words_for(Form.SCOPE)
def _scope(statement: Statement) -> list[str]:
    lesions = _lesions(tuple(LESION_WORDS), claims_of(statement, c.ScopeClaim)[0].lesions)
    return [f"{_next_type(statement)}{', '.join(lesions)} 등은 세 유형에 없습니다"]


def _lesions(order: Sequence[str], chosen: frozenset[str]) -> list[str]:
    return [LESION_WORDS[name][1] for name in order if name in chosen]


def _next_type(statement: Statement) -> str:
    """The second type where there is one to name, as the beginning of a sentence."""
    for claim in claims_of(statement, c.RunnerUpClaim):
        shown = _probability(statement)
        return f"다음으로 가능성이 있는 유형은 {_type_name(claim.tumor)}입니다({shown}); "
    return ""


@KOREAN.words_for(Form.UNDETERMINED)
def _undetermined(statement: Statement) -> list[str]:
    reasons = tuple(r for claim in claims_of(statement, c.UndeterminedClaim) for r in claim.reasons)
    if reasons == (UndeterminedReason.NO_TUMOUR,):
        return ["종양이 발견되지 않았으므로 유형을 제시하지 않습니다"]
    words = "; ".join(reason_words(reason, Language.KOREAN).rstrip(".") for reason in reasons)
    return [f"종양의 유형은 판정하지 않았습니다: {words}"]


def _value(statement: Statement) -> tuple[str, str]:
    value = claims_of(statement, c.ValueClaim)[0]
    return _topic(_name(value.feature)), number_text(value.number)


@KOREAN.words_for(Form.FINDING)
def _finding(statement: Statement) -> list[str]:
    topic, number = _value(statement)
    support = claims_of(statement, c.SupportClaim)[0]
    backs = f"{_object(_type_name(support.tumor))} 뒷받침"
    compared = _comparisons(statement, ends=False)
    as_value = with_particle(number, "으로", "로")
    if not compared:
        return [f"{topic} {as_value}, {backs}합니다"]
    return [
        f"{topic} {as_value}, {compared} {backs}합니다",
        f"{backs}하는 소견: {topic} {as_value}, {_comparisons(statement, ends=True)}",
    ]


@KOREAN.words_for(Form.FINDING_AGAINST)
def _finding_against(statement: Statement) -> list[str]:
    topic, number = _value(statement)
    supports = claims_of(statement, c.SupportClaim)
    as_value = with_particle(number, "으로", "로")
    compared = _comparisons(statement, ends=False)
    said = f"{_type_name(supports[0].tumor)}에 반합니다"
    if len(supports) > 1:
        said = said.removesuffix("합니다") + "하고 "
        said += f"{_object(_type_name(supports[1].tumor))} 뒷받침합니다"
    return [f"반면 {topic} {as_value}, {compared} {said}".replace(",  ", ", ")]


@KOREAN.words_for(Form.FINDING_NEUTRAL)
def _finding_neutral(statement: Statement) -> list[str]:
    topic, number = _value(statement)
    compared = _comparisons(statement, ends=True)
    if not compared:
        return [f"{topic} {number}입니다"]
    return [f"{topic} {with_particle(number, '으로', '로')}, {compared}"]


@KOREAN.words_for(Form.ATYPICAL)
def _atypical(statement: Statement) -> list[str]:
    topic, number = _value(statement)
    support = claims_of(statement, c.SupportClaim)[0]
    backs = f"이 판정에서 {_object(_type_name(support.tumor))} 뒷받침하지만"
    as_value = with_particle(number, "으로", "로")
    return [f"{topic} {as_value}, {backs} {_comparisons(statement, ends=True)}"]


def _heat_of(share: c.HeatShareClaim) -> str:
    return f"{_type_name(share.target)} 열지도에서 열" if share.target else "열"


@KOREAN.words_for(Form.HEAT_AGREES)
def _heat_agrees(statement: Statement) -> list[str]:
    share = claims_of(statement, c.HeatShareClaim)[0]
    number = number_text(share.number)
    for near in claims_of(statement, c.HeatPeakNearClaim):
        reach = number_text(near.reach)
        return [
            f"{_heat_of(share)}의 {number}가 종양 안에 있고 정점은 종양에서 {reach} 이내에 있습니다"
        ]
    return [f"{_heat_of(share)}의 {number}가 종양 안에 있고 정점도 종양 안에 있습니다"]


@KOREAN.words_for(Form.HEAT_CONFLICT)
def _heat_conflict(statement: Statement) -> list[str]:
    share = claims_of(statement, c.HeatShareClaim)[0]
    inside = claims_of(statement, c.HeatPeakClaim)[0].inside
    number = number_text(share.number)
    heat = f"{_heat_of(share)}의 {number}{'만' if share.number.value < 50.0 else '가'} 종양 안에"
    agree = (share.number.value >= 50.0) is inside
    link = "있고" if agree else "있지만"
    return [
        f"열지도와 측정값이 위치에서 일치하지 않습니다: {heat} {link} "
        f"정점은 종양 {'안' if inside else '밖'}에 있습니다"
    ]


@KOREAN.words_for(Form.HEAT_NEAR_CONFLICT)
def _heat_near_conflict(statement: Statement) -> list[str]:
    near = claims_of(statement, c.HeatNearClaim)[0]
    tumor = claims_of(statement, c.SupportClaim)[0].tumor
    number = f"(최댓값의 {number_text(near.number)})" if near.number else ""
    topic = _topic(_name(near.feature))
    backs = f"{_object(_type_name(tumor))} 뒷받침하지만"
    return [f"{topic} {backs} 그 위치의 열지도 값은 낮습니다{number}"]


@KOREAN.words_for(Form.UNFAITHFUL)
def _unfaithful(_: Statement) -> list[str]:
    return ["열지도는 충실도 검사를 통과하지 못했으므로 신뢰해서는 안 됩니다"]


@KOREAN.words_for(Form.SET)
def _set(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.SetClaim)[0]
    types = [_type_name(tumor) for tumor in TumorType if tumor in claim.types]
    at = f"포함률 {number_text(claim.coverage)}에서 " if claim.coverage else "예측 집합에서 "
    at = f"세 유형 가운데 {at}"
    if not types:
        return [f"{at}가능한 유형이 없습니다"]
    if len(types) == 1:
        return [f"{at}{types[0]}만 가능합니다"]
    return [f"{at}{with_particle(_and(types), '이', '가')} 모두 가능합니다"]


@KOREAN.words_for(Form.OUTSIDE)
def _outside(statement: Statement) -> list[str]:
    value = next(v for v in claims_of(statement, c.ValueClaim) if v.feature == OUT_OF_DISTRIBUTION)
    limit = number_text(claims_of(statement, c.OutsideLimitClaim)[0].number)
    if not claims_of(statement, c.OutsideClaim):
        topic = _topic(_name(OUT_OF_DISTRIBUTION))
        as_value = with_particle(number_text(value.number), "으로", "로")
        return [f"{topic} {as_value}, 한계 {_object(limit)} 넘습니다"]
    words = reason_words(UndeterminedReason.OUT_OF_DISTRIBUTION, Language.KOREAN)
    return [f"{words}(거리 {number_text(value.number)}, 한계 {limit})"]


@KOREAN.words_for(Form.NOT_MEASURED)
def _not_measured(statement: Statement) -> list[str]:
    claims = claims_of(statement, c.NotMeasuredClaim)
    names = _topic(", ".join(_name(claim.feature) for claim in claims))
    reason = MISSING_WORDS.get(claims[0].reason, "")
    return [f"{names} 측정할 수 없었습니다" + (f"({reason})" if reason else "")]


@KOREAN.words_for(Form.UNKNOWN_PLACE)
def _unknown_place(statement: Statement) -> list[str]:
    what = claims_of(statement, c.UnknownPlaceClaim)[0].what
    return [f"종양이 있는 {'엽은' if what == 'region' else '쪽은'} 알 수 없었습니다"]


@KOREAN.words_for(Form.THIN)
def _thin(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.ThinEvidenceClaim)[0]
    if claim.measured == 0:
        return [f"측정 {claim.total}개 중 하나도 가능하지 않아 근거가 부족합니다"]
    return [f"측정 {claim.total}개 중 {claim.measured}개만 가능하여 근거가 부족합니다"]


@KOREAN.words_for(Form.VIEW)
def _view(statement: Statement) -> list[str]:
    name = _name(claims_of(statement, c.ViewClaim)[0].feature)
    return [f"판정의 일부는 종양이 아니라 단면의 방향에 근거합니다({name})"]


@KOREAN.words_for(Form.COUNTERFACTUAL)
def _counterfactual(statement: Statement) -> list[str]:
    claim = claims_of(statement, c.CounterfactualClaim)[0]
    old = number_text(claims_of(statement, c.ValueClaim)[0].number)
    name = with_particle(_name(claim.feature), "이", "가")
    new = with_particle(number_text(claim.to), "이었다면", "였다면")
    return [f"{name} {old} 대신 {new} {_type_name(claim.tumor)}의 확률이 가장 높았을 것입니다"]


@KOREAN.words_for(Form.NO_COUNTERFACTUAL)
def _no_counterfactual(statement: Statement) -> list[str]:
    tumor = _type_name(claims_of(statement, c.NoCounterfactualClaim)[0].tumor)
    return [
        f"학습 환자의 범위 안에서 측정값 하나를 바꾸어도 {tumor}의 확률이 가장 높아지지 않습니다"
    ]


@KOREAN.words_for(Form.SYMPTOMS)
def _symptoms(statement: Statement) -> list[str]:
    shown = []
    for claim in claims_of(statement, c.SymptomClaim):
        of = f"{_type_name(claim.tumor)}의 소견, " if claim.tumor else ""
        shown.append(f"{_symptom(claim)} ({of}{_score(claim)})")
    listed = ", ".join(shown)
    return [f"두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: {listed}"]


@KOREAN.words_for(Form.SYMPTOM_CONFLICT)
def _symptom_conflict(statement: Statement) -> list[str]:
    said = []
    for claim in claims_of(statement, c.SymptomClaim):
        how = "보이지만 측정값은 그렇지 않음" if claim.seen else "측정값은 그렇지만 보이지 않음"
        said.append(f"{_symptom(claim)} ({how}, {_score(claim)})")
    return [f"두 번째 판독기와 측정값이 서로 어긋납니다: {', '.join(said)}"]


def _symptom(claim: c.SymptomClaim) -> str:
    return symptom_words(claim.text, Language.KOREAN)


def _score(claim: c.SymptomClaim) -> str:
    return f"점수 {number_text(claim.number)}" if claim.number else ""


@KOREAN.words_for(Form.SIMILAR)
def _similar(statement: Statement) -> list[str]:
    claims = claims_of(statement, c.SimilarClaim)
    start = f"가장 비슷한 학습 환자 {claims[0].total}명"
    if len(claims) == 1:
        return [f"{start}은 모두 {_type_name(claims[0].tumor)}이었습니다"]
    parts = [f"{claim.count}명은 {_type_name(claim.tumor)}" for claim in claims]
    return [f"{start} 중 {', '.join(parts)}이었습니다"]
