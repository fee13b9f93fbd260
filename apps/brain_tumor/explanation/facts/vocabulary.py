"""The words for features, types, places and reasons, in English and Korean.

Composer and verifier share these names, so that a name means one thing only. English noun phrases
stand without article and after "the"; Korean ones take a particle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from brain_tumor.explanation.facts.model import (
    DIAMETER_3D,
    HEAT_INSIDE,
    LOCATION,
    OUT_OF_DISTRIBUTION,
    PREDICTION,
    SEPARATE_TUMOURS,
    SIMILAR_CASES,
    SPHERICITY,
    SURFACE,
    Language,
    UndeterminedReason,
    probability_id,
)
from brain_tumor.explanation.facts.numbers import WrittenNumber, written
from brain_tumor.labels import TumorType

FEATURE_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "area_mm2": ("tumour area in the slice", "단면 내 종양 면적"),
        "perimeter_mm": ("length of the outline", "윤곽선 길이"),
        "longest_diameter_mm": ("longest diameter in the slice", "단면 내 최대 지름"),
        "compactness": ("compactness of the outline", "윤곽 조밀도"),
        "solidity": ("solidity of the outline", "윤곽 충실도"),
        "eccentricity": ("eccentricity of the shape", "형태 이심률"),
        "elongation": ("ratio of long to short axis", "장축 대 단축 비"),
        "extent": ("filled share of the bounding rectangle", "외접 직사각형 충전율"),
        "irregularity": ("radial irregularity", "반지름 불규칙도"),
        "boundary_information": ("local irregularity of the outline", "윤곽 국소 불규칙도"),
        "boundary_roughness": ("roughness of the outline", "윤곽 거칠기"),
        "curvature_variation": ("variation of the outline's curvature", "윤곽 곡률 변동"),
        "concave_share": ("concave share of the outline", "윤곽의 오목한 비율"),
        "weighted_sd": ("spread of the weighted outline", "가중 윤곽의 산포"),
        "weighted_skewness": ("skewness of the weighted outline", "가중 윤곽의 왜도"),
        "weighted_roughness": ("roughness of the weighted outline", "가중 윤곽의 거칠기"),
        "lyapunov": ("Lyapunov exponent of the outline", "윤곽의 리아푸노프 지수"),
        "approximate_entropy": ("approximate entropy of the outline", "윤곽의 근사 엔트로피"),
        "sample_entropy": ("sample entropy of the outline", "윤곽의 표본 엔트로피"),
        "permutation_entropy": ("permutation entropy of the outline", "윤곽의 순열 엔트로피"),
        "correlation_dimension": ("correlation dimension of the outline", "윤곽의 상관 차원"),
        "higuchi_dimension": ("Higuchi dimension of the outline", "윤곽의 히구치 차원"),
        "katz_dimension": ("Katz dimension of the outline", "윤곽의 카츠 차원"),
        "petrosian_dimension": ("Petrosian dimension of the outline", "윤곽의 페트로시안 차원"),
        "box_dimension": ("box-counting dimension of the outline", "윤곽의 상자 계수 차원"),
        "ring_enhancement_index": ("ring-enhancement index", "고리 조영증강 지수"),
        "ring_enhancement_published": (
            "rim-to-whole enhancement ratio",
            "전체 대비 가장자리 조영증강 비",
        ),
        "rim_core_contrast": ("brightness of the rim above the core", "중심 대비 가장자리 밝기 차"),
        "enhancement_ratio": ("enhancement relative to brain", "뇌 대비 조영증강 정도"),
        "enhancement_heterogeneity": ("heterogeneity of enhancement", "조영증강 불균일도"),
        "heterogeneity_published": ("relative spread of brightness", "밝기의 상대 산포"),
        "necrosis_fraction": ("necrotic share", "괴사 비율"),
        "hypointense_fraction": ("share darker than brain", "뇌보다 어두운 비율"),
        "bright_fraction": ("share much brighter than brain", "뇌보다 훨씬 밝은 비율"),
        "brightest_tenth": ("brightness of the brightest tenth", "가장 밝은 10분위의 밝기"),
        "darkest_tenth": ("brightness of the darkest tenth", "가장 어두운 10분위의 밝기"),
        "contralateral_ratio": ("brightness relative to the mirror side", "반대측 대비 밝기"),
        "margin_contrast": ("contrast of the margin", "경계 대조도"),
        "margin_width_mm": ("width of the margin", "경계 폭"),
        "surrounding_brain_share": ("share of brain around the tumour", "종양 주변 뇌 조직 비율"),
        "surrounding_dark_share": (
            "share of air, bone or fluid around the tumour",
            "종양 주변 공기·뼈·액체 비율",
        ),
        "surrounding_bright_share": (
            "share of vessels or fat around the tumour",
            "종양 주변 혈관·지방 비율",
        ),
        "surrounding_variation": ("variation around the tumour", "종양 주변 변동"),
        "surrounding_intensity": ("brightness around the tumour", "종양 주변 밝기"),
        "oedema_extent_mm": ("reach of the oedema on FLAIR", "FLAIR 부종의 범위"),
        "oedema_ratio": ("ratio of oedema to tumour area on FLAIR", "FLAIR 부종 대 종양 면적 비"),
        "sella_distance_mm": ("distance to the sella", "터키안장까지의 거리"),
        "depth_below_top_mm": ("depth below the top of the head", "머리 꼭대기로부터의 깊이"),
        "height_in_head": ("relative depth below the top of the head", "머리 내 상대 깊이"),
        "surface_distance_mm": ("distance to the surface of the head", "머리 표면까지의 거리"),
        "central_position": ("position between centre and border", "중심과 경계 사이의 위치"),
        "lateral_offset_mm": ("offset from the midline", "정중선으로부터의 거리"),
        "lateral_offset": ("relative offset from the midline", "정중선으로부터의 상대 거리"),
        "midline_distance_mm": (
            "distance of the outline to the midline",
            "윤곽과 정중선 사이의 거리",
        ),
        "midline_shift_mm": ("midline shift", "정중선 이동"),
        "midline_shift_share": ("relative midline shift", "상대 정중선 이동"),
        "border_distance_mm": ("distance to the dura", "경막까지의 거리"),
        "border_contact_mm": ("contact length with the dura", "경막 접촉 길이"),
        "border_contact_ratio": ("share of the outline at the dura", "윤곽의 경막 접촉 비율"),
        "dural_tail_index": ("dural tail index", "경막 꼬리 지수"),
        "mirror_symmetry": ("mirror symmetry of the slice", "단면의 좌우 대칭도"),
        "space_above_brain_mm": ("height of the face above the brain", "뇌 위쪽 얼굴 높이"),
        "space_below_brain_mm": ("height of the head below the brain", "뇌 아래쪽 머리 높이"),
        LOCATION: ("largest extent of the tumour", "종양의 최대 크기"),
        "volume_wt_ml": ("volume of the whole tumour with oedema", "부종을 포함한 종양 전체 부피"),
        "volume_tc_ml": ("volume of the tumour core", "종양 핵심부 부피"),
        "volume_et_ml": ("volume of the enhancing tumour", "조영증강 종양 부피"),
        SEPARATE_TUMOURS: ("number of separate tumours", "서로 떨어진 종양의 수"),
        SURFACE: ("surface of the tumour", "종양 표면적"),
        SPHERICITY: ("sphericity of the tumour", "종양 구형도"),
        DIAMETER_3D: ("longest diameter of the tumour in space", "종양의 3차원 최대 지름"),
        PREDICTION: ("decision on the type", "유형 판정"),
        OUT_OF_DISTRIBUTION: ("distance from the training images", "학습 영상과의 거리"),
        HEAT_INSIDE: ("share of the heat inside the tumour", "종양 안에 있는 열의 비율"),
        SIMILAR_CASES: (
            "most similar training patients of the same type",
            "같은 유형의 가장 비슷한 학습 환자",
        ),
        **{
            probability_id(tumor): (f"probability of {english}", f"{korean}의 확률")
            for tumor, english, korean in (
                (TumorType.GLIOMA, "glioma", "교종"),
                (TumorType.MENINGIOMA, "meningioma", "수막종"),
                (TumorType.PITUITARY, "pituitary tumour", "뇌하수체 종양"),
            )
        },
    }
)
"""Feature id to its noun phrase in English and in Korean."""

PERCENT_FEATURES = frozenset(
    {
        "extent",
        "concave_share",
        "necrosis_fraction",
        "hypointense_fraction",
        "bright_fraction",
        "surrounding_brain_share",
        "surrounding_dark_share",
        "surrounding_bright_share",
        "border_contact_ratio",
        HEAT_INSIDE,
        *(probability_id(tumor) for tumor in TumorType),
    }
)
"""Shares of a whole, written in per cent."""

TYPE_WORDS: Mapping[TumorType, tuple[str, str, str]] = MappingProxyType(
    {
        TumorType.GLIOMA: ("glioma", "gliomas", "교종"),
        TumorType.MENINGIOMA: ("meningioma", "meningiomas", "수막종"),
        TumorType.PITUITARY: ("pituitary tumour", "pituitary tumours", "뇌하수체 종양"),
    }
)
"""English singular and plural, Korean."""

REGION_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "frontal lobe": "전두엽",
        "parietal lobe": "두정엽",
        "temporal lobe": "측두엽",
        "occipital lobe": "후두엽",
        "insula": "뇌섬엽",
        "thalamus": "시상",
        "brainstem": "뇌간",
        "corpus callosum": "뇌량",
        "upper front of the head": "머리 앞쪽 위",
        "upper middle of the head": "머리 가운데 위",
        "upper back of the head": "머리 뒤쪽 위",
        "lower front of the head": "머리 앞쪽 아래",
        "lower middle of the head": "머리 가운데 아래",
        "lower back of the head": "머리 뒤쪽 아래",
    }
)
"""Regions of the atlas; where it cannot be used, parts of a head that was imaged as a whole."""

LESION_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "metastasis": ("metastasis", "전이"),
        "lymphoma": ("lymphoma", "림프종"),
        "abscess": ("abscess", "농양"),
        "schwannoma": ("schwannoma", "신경초종"),
        "craniopharyngioma": ("craniopharyngioma", "두개인두종"),
        "rathke_cleft_cyst": ("Rathke cleft cyst", "라트케 열 낭종"),
        "solitary_fibrous_tumour": ("solitary fibrous tumour", "고립성 섬유종양"),
        "demyelination": ("demyelination", "탈수초 병변"),
        "encephalitis": ("encephalitis", "뇌염"),
        "infarct": ("infarct", "뇌경색"),
    }
)
"""Lesions that are not among the types (`classification.scope.NOT_KNOWN`), English and Korean."""

REASON_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        UndeterminedReason.NO_TUMOUR: ("no tumour was found", "종양이 발견되지 않았습니다"),
        UndeterminedReason.TOO_SMALL: (
            "the tumour is too small to be read",
            "종양이 너무 작아 판독할 수 없습니다",
        ),
        UndeterminedReason.LOW_PROBABILITY: (
            "no type is probable enough",
            "어느 유형도 확률이 충분하지 않습니다",
        ),
        UndeterminedReason.AMBIGUOUS: (
            "more than one type fits the measurements",
            "둘 이상의 유형이 측정값과 맞습니다",
        ),
        UndeterminedReason.EMPTY_SET: (
            "no type fits the measurements",
            "측정값과 맞는 유형이 없습니다",
        ),
        UndeterminedReason.OUT_OF_DISTRIBUTION: (
            "the image is unlike the training images",
            "영상이 학습 영상과 다릅니다",
        ),
        UndeterminedReason.THIN_EVIDENCE: (
            "too little could be measured",
            "측정할 수 있었던 것이 너무 적습니다",
        ),
        UndeterminedReason.PLANES_DISAGREE: (
            "the slices disagree on the type",
            "단면마다 유형이 다르게 나옵니다",
        ),
        UndeterminedReason.NO_CONTRAST: (
            "there is no contrast-enhanced T1 volume, on which alone types are learned",
            "유형 학습의 바탕인 조영증강 T1 영상이 없습니다",
        ),
        UndeterminedReason.THIN_SLAB: (
            "the volume is a thin slab, which shows too little of the head",
            "볼륨이 얇은 판이어서 머리를 너무 적게 보여 줍니다",
        ),
        UndeterminedReason.MANY_TUMOURS: (
            "there are several separate tumours, and metastases are not among the known types",
            "서로 떨어진 종양이 여럿이며 전이는 알려진 유형에 없습니다",
        ),
        UndeterminedReason.NO_HEAD: (
            "no head was recognised around the tumour",
            "종양 주위에서 머리가 인식되지 않았습니다",
        ),
        UndeterminedReason.OUTLINE_ELSEWHERE: (
            "the outline does not lie where the network sees tumour",
            "윤곽이 신경망이 종양으로 보는 곳에 있지 않습니다",
        ),
    }
)
"""Why a type is undetermined, as a clause in English and a sentence without stop in Korean."""

_CLASSIFIER_REASONS: tuple[tuple[str, UndeterminedReason], ...] = (
    (r"No tumour was found", UndeterminedReason.NO_TUMOUR),
    (r"The tumour is too small to be read", UndeterminedReason.TOO_SMALL),
    (r"The picture does not look like an MRI of a head", UndeterminedReason.NO_HEAD),
    (r"The tumour looks unlike the training cases", UndeterminedReason.OUT_OF_DISTRIBUTION),
    (r"The case has no contrast-enhanced T1", UndeterminedReason.NO_CONTRAST),
    (r"The outline does not lie where the network sees", UndeterminedReason.OUTLINE_ELSEWHERE),
    (r"The volume is a thin slab", UndeterminedReason.THIN_SLAB),
    (r"There are \d+ separate tumours", UndeterminedReason.MANY_TUMOURS),
    (r"At \d+% coverage .* cannot be told apart", UndeterminedReason.AMBIGUOUS),
    (r"No type is likely enough", UndeterminedReason.LOW_PROBABILITY),
)
"""How the classifier's sentences begin, and what they mean; their numbers are facts elsewhere."""

MISSING_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "no tumour to measure": "측정할 종양이 없음",
        "a single slice has no surface": "단일 단면에는 표면이 없음",
        "slices thicker than 2.5 mm do not show the surface": (
            "2.5 mm보다 두꺼운 단면에서는 표면을 알 수 없음"
        ),
        "the tumour is under 3 voxels across": "종양의 너비가 3복셀 미만임",
        "no mirror plane in this slice": "이 단면에 대칭면이 없음",
        "no FLAIR": "FLAIR 영상이 없음",
        "too little brain on FLAIR": "FLAIR 영상에 뇌가 너무 적음",
        "no head was found in this slice": "이 단면에서 머리가 발견되지 않음",
        "no head around the tumour": "종양 주위에 머리가 없음",
        "no border of the brain in the direction of the tumour": "종양 방향에 뇌의 경계가 없음",
        "the tumour does not reach the border of the brain": "종양이 뇌의 경계에 닿지 않음",
        "too little border of the brain beside the tumour": "종양 옆 뇌의 경계가 너무 짧음",
        "the core is not brighter than black": "중심부가 배경보다 밝지 않음",
        "the margin has too little contrast": "경계의 대조가 너무 약함",
        "the mirror image of the tumour is black": "종양의 반대측이 배경임",
        "the mirror image of the tumour is tumour or not brain": (
            "종양의 반대측이 종양이거나 뇌가 아님"
        ),
        "the tumour is smaller than a pixel of 2 mm": "종양이 2 mm 화소보다 작음",
        "no FLAIR of this slice": "이 단면의 FLAIR 영상이 없음",
        "no tumour in this slice": "이 단면에 종양이 없음",
        "the brain could not be told from the rest of the head": (
            "뇌를 머리의 나머지와 구별할 수 없음"
        ),
        "the outline is too smooth to be described": "윤곽이 너무 매끄러워 기술할 수 없음",
        "the tumour is not brighter than black": "종양이 배경보다 밝지 않음",
        "the middle of the brain is not clear at the levels of the tumour": (
            "종양 높이에서 뇌의 중앙이 뚜렷하지 않음"
        ),
    }
)
"""Korean for the reasons of `classification`; an unknown reason is left out of Korean sentences."""


def feature_words(feature: str, language: Language) -> str:
    """Noun phrase of a feature, without article or particle."""
    english, korean = FEATURE_WORDS[feature]
    return english if language is Language.ENGLISH else korean


def written_value(feature: str, value: float, unit: str) -> WrittenNumber:
    """A value of a feature as it is written.

    Args:
        feature: Tells whether a share is written in per cent.
        value: Finite value.
        unit: Unit of the facts.
    """
    return written(value, unit, percent=feature in PERCENT_FEATURES)


def reason_code(reason: str) -> str:
    """Value of `UndeterminedReason` for a sentence of the classifier; others are left as they are.

    Example:
        >>> reason_code("No type is likely enough; the most probable one has 48%.")
        'low_probability'
    """
    for pattern, code in _CLASSIFIER_REASONS:
        if re.match(pattern, reason):
            return code.value
    return reason


def reason_words(reason: str, language: Language) -> str:
    """Words of a reason for "undetermined"; a reason that is no code stands for itself.

    English is a clause, without capital and stop.
    """
    if reason not in REASON_WORDS:
        clause = reason.rstrip(".")
        return clause if clause[:2].isupper() else clause[:1].lower() + clause[1:]
    english, korean = REASON_WORDS[reason]
    return english if language is Language.ENGLISH else korean


KOREAN_SYMPTOMS: Mapping[str, str] = MappingProxyType(
    {
        "dull lump hardly brighter than the healthy side": (
            "건강한 쪽보다 거의 밝지 않은 흐릿한 덩이"
        ),
        "faint edge that melts into the brain": "뇌로 녹아드는 희미한 경계",
        "much of the lump is darker than the brain": "덩이의 많은 부분이 뇌보다 어두움",
        "deep in the white matter with brain on all sides": "사방이 뇌로 둘러싸인 백질 깊은 곳",
        "gap of brain between the lump and the skull": "덩이와 두개골 사이에 뇌가 있음",
        "large dark dead area inside": "안쪽의 크고 어두운 괴사 부위",
        "far brighter than the same place on the healthy side": "건강한 쪽 같은 곳보다 훨씬 밝음",
        "evenly bright all through without dark parts": "어두운 부분 없이 고르게 밝음",
        "far above the middle of the skull base": "두개저 중앙보다 훨씬 위",
        "lies at the outer side of the head close to the skull": "두개골 가까운 머리 바깥쪽",
        "solid bright centre without a ring": "고리 없이 속이 찬 밝은 중심",
        "smooth round outline": "매끄럽고 둥근 윤곽",
        "sits in the bony saddle at the middle of the skull base": "두개저 중앙의 뼈 안장에 자리함",
        "in the very middle of the head far from its surface": "표면에서 먼 머리 한가운데",
        "right on the midline": "정중선 바로 위",
        "little brain tissue around it": "주변에 뇌 조직이 거의 없음",
        "black air, bone or fluid around it": "주변에 검은 공기, 뼈 또는 액체",
        "mixed bright and black surroundings": "밝고 검은 것이 섞인 주변",
    }
)
"""The symptoms of the shipped second reader in Korean."""


def symptom_words(text: str, language: Language) -> str:
    """A symptom as it is written; one that has no Korean stands in the words that the model reads.

    Args:
        text: The symptom in English.
        language: Of the sentence.
    """
    return KOREAN_SYMPTOMS.get(text, text) if language is Language.KOREAN else text
