"""The words of a visual symptom in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from brain_tumor.explanation.facts.model import Language

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
