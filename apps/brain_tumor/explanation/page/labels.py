"""Every label of the page, English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LABELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "title": ("Case {case}", "증례 {case}"),
        "product": ("TumorLens report", "TumorLens 보고서"),
        "notice": (
            "Research use only; not a medical device.",
            "연구용이며 의료기기가 아닙니다.",
        ),
        "sequences": ("Sequences used: {used}", "사용한 시퀀스: {used}"),
        "sequences_missing": ("missing: {missing}", "없음: {missing}"),
        "result_type": ("{type}, probability {probability}", "{type}, 확률 {probability}"),
        "result_undetermined": ("Tumour type undetermined", "종양 유형을 판정할 수 없음"),
        "result_likeliest": (
            "Most probable, but not certain enough: {type} ({probability})",
            "가장 가능성이 높지만 충분히 확실하지 않음: {type} ({probability})",
        ),
        "result_no_tumour": ("No tumour found", "종양이 발견되지 않음"),
        "result_segmented": ("Tumour segmented", "종양 분할 결과"),
        "result_none": ("No result", "결과 없음"),
        "warnings": ("Warnings", "주의"),
        "undetermined": ("Why no type is given", "유형을 판정하지 않은 이유"),
        "images": ("Images", "영상"),
        "axial": ("Axial", "축상면"),
        "coronal": ("Coronal", "관상면"),
        "sagittal": ("Sagittal", "시상면"),
        "slice_choice": ("{plane}: choose a slice", "{plane}: 단면 선택"),
        "picture": ("{plane} slices of {sequence}", "{sequence} {plane} 단면"),
        "show_outline": ("Outline", "윤곽"),
        "show_heat": ("Heat", "열지도"),
        "radiological": (
            "Radiological view: the patient's left (L) is on the right of the axial and coronal "
            "pictures. Positions in scanner coordinates.",
            "영상의학 표시: 축상면과 관상면에서 환자의 왼쪽(L)이 그림의 오른쪽에 있습니다. "
            "위치는 스캐너 좌표입니다.",
        ),
        "oblique": (
            "Planes follow the scan, which is tilted by {degrees}°.",
            "단면은 {degrees}° 기울어진 촬영 방향을 따릅니다.",
        ),
        "shown": (
            "Shown: {sequence}, {count} slices a plane.",
            "표시: {sequence}, 면당 단면 {count}개.",
        ),
        "legend_heat": ("Heat for {target}: 0", "{target} 판정에 대한 열: 0"),
        "legend_region_heat": (
            "Heat for the outline of the {target}: 0",
            "{target} 윤곽에 대한 열: 0",
        ),
        "region_heat": (
            "The heat explains the outline of the {target}, not the tumour type.",
            "열은 종양 유형이 아니라 {target} 윤곽을 설명합니다.",
        ),
        "cold": ("up to {level} transparent", "{level}까지 투명"),
        "no_heat": (
            "Nothing in the images speaks for {target}; there is no heat to show.",
            "영상에서 {target}을(를) 뒷받침하는 곳이 없어 표시할 열이 없습니다.",
        ),
        "heat_method": ("Heatmap by {method}.", "열지도 방법: {method}."),
        "heat_inside": (
            "{share} of the heat lies inside the tumour.",
            "열의 {share}가 종양 안에 있습니다.",
        ),
        "peak_inside": (
            "The hottest place ({place}) lies inside the tumour or within 5 mm of it.",
            "가장 뜨거운 곳({place})은 종양 안이나 종양에서 5 mm 이내에 있습니다.",
        ),
        "peak_outside": (
            "The hottest place ({place}) lies more than 5 mm outside the tumour.",
            "가장 뜨거운 곳({place})은 종양에서 5 mm 넘게 떨어져 있습니다.",
        ),
        "faithful": (
            "The heatmap passed its test: hiding the hottest places changes the answer faster than "
            "hiding random ones.",
            "열지도가 시험을 통과했습니다. 가장 뜨거운 곳을 가리면 무작위로 가릴 때보다 "
            "답이 더 빨리 바뀝니다.",
        ),
        "region_faithful": (
            "The heatmap passed its tests: it lies at its region and changes when the model's "
            "weights are shuffled.",
            "열지도가 시험을 통과했습니다. 해당 영역에 위치하며 모델의 가중치를 섞으면 달라집니다.",
        ),
        "region_share": (
            "{share} of the heat lies inside the {target}.",
            "열의 {share}가 {target} 안에 있습니다.",
        ),
        "unfaithful": (
            "The heatmap failed its test and is drawn in grey: do not rely on it.",
            "열지도가 시험을 통과하지 못해 회색으로 표시했습니다. 신뢰하지 마십시오.",
        ),
        "untested": ("The heatmap was not tested.", "열지도를 시험하지 않았습니다."),
        "curves": (
            "Deletion {deletion} (random {random_deletion}; lower is better), "
            "insertion {insertion} (random {random_insertion}; higher is better).",
            "삭제 {deletion} (무작위 {random_deletion}, 낮을수록 좋음), 삽입 {insertion} "
            "(무작위 {random_insertion}, 높을수록 좋음).",
        ),
        "infidelity": (
            "Infidelity {value} (0 is best, 1 foretells nothing).",
            "불충실도 {value} (0이 가장 좋고, 1이면 아무것도 예측하지 못함).",
        ),
        "sensitivity": (
            "Under faint noise the heat changes by {share} at most.",
            "약한 잡음을 더하면 열이 최대 {share} 변합니다.",
        ),
        "shuffled": (
            "Rank correlation of the method's maps with those of shuffled weights: {value} (above "
            "0.5 in size it would show the pictures only).",
            "가중치를 섞은 신경망의 열지도와의 순위 상관 (방법의 값): {value} (크기가 0.5를 넘으면 "
            "영상만 보여 주는 것임).",
        ),
        "volumes": ("Volumes", "부피"),
        "presence": (
            "Probability that there is a tumour: {share}.",
            "종양이 있을 확률: {share}.",
        ),
        "region": ("Region", "영역"),
        "volume": ("Volume", "부피"),
        "type": ("Tumour type", "종양 유형"),
        "in_set": ("in the prediction set", "예측 집합에 포함"),
        "prediction_set": (
            "Prediction set: {types}. In {coverage} of cases such a set holds the true type.",
            "예측 집합: {types}. 증례의 {coverage}에서 이러한 집합에 실제 유형이 들어 있습니다.",
        ),
        "prediction_set_only": ("Prediction set: {types}.", "예측 집합: {types}."),
        "empty_set": ("empty", "비어 있음"),
        "scope": (
            "Only glioma, meningioma and pituitary tumour are known; probabilities are among these "
            "three. Metastasis, lymphoma, abscess, schwannoma, demyelination and other lesions are "
            "not among them.",
            "교종, 수막종, 뇌하수체 종양만 알며 확률은 이 세 유형 사이의 것입니다. 전이, 림프종, "
            "농양, 신경초종, 탈수초 병변 등은 여기에 없습니다.",
        ),
        "calibrated": (
            "Probabilities are calibrated on training patients.",
            "확률은 학습 환자에서 보정되었습니다.",
        ),
        "no_probabilities": (
            "There are no probabilities for this case.",
            "이 증례에는 확률이 없습니다.",
        ),
        "known": (
            "Likeness to the training images: distance {score}, limit {threshold}.",
            "학습 영상과의 유사성: 거리 {score}, 한계 {threshold}.",
        ),
        "outlier": (
            "The image is unlike the training images: distance {score}, limit {threshold}.",
            "영상이 학습 영상과 다릅니다: 거리 {score}, 한계 {threshold}.",
        ),
        "slices": ("Read from {count} slices ({planes}).", "단면 {count}개에서 판독 ({planes})."),
        "rationale": ("Rationale", "판정 근거"),
        "more_sentences": ("All the rest: {count} sentences", "나머지 문장 {count}개"),
        "no_sentences": (
            "There is nothing to say with certainty.",
            "확실하게 말할 수 있는 것이 없습니다.",
        ),
        "rests_on": ("Rests on", "근거"),
        "written_by": ("Written by: {provider}.", "작성: {provider}."),
        "checks": (
            "{supported} of {claims} claims are supported by measurements; sentences removed: "
            "{removed}, rewritten: {rewritten}.",
            "주장 {claims}개 중 {supported}개가 측정값으로 뒷받침됩니다. 삭제한 문장: {removed}, "
            "고쳐 쓴 문장: {rewritten}.",
        ),
        "evidence": ("Evidence", "근거 측정값"),
        "finding": ("Finding", "소견"),
        "value": ("Value", "값"),
        "reference": ("Training patients, 5 to 95 %", "학습 환자 5~95 %"),
        "contribution": ("For or against", "지지·반대"),
        "contribution_to": ("For or against {type}", "{type} 지지·반대"),
        "place": ("Place", "위치"),
        "sentences": ("Sentence {numbers}", "문장 {numbers}"),
        "supports": ("most for {type}", "{type} 쪽을 가장 지지"),
        "heat_here": ("heat {heat}", "열 {heat}"),
        "evidence_help": (
            "Lines: middle 90 % of the training patients of each type, tick at the median; the "
            "vertical line is this case. Bars: change of the log-odds.",
            "선: 각 유형 학습 환자의 가운데 90 %, 눈금은 중앙값, 세로선은 이 증례입니다. "
            "막대: 로그 오즈의 변화.",
        ),
        "range": (
            "{type}: {low} to {high}, median {middle}",
            "{type}: {low}~{high}, 중앙값 {middle}",
        ),
        "further": ("Further measurements ({count})", "그 밖의 측정값 ({count})"),
        "not_measured": ("Could not be measured ({count})", "측정할 수 없었던 항목 ({count})"),
        "counterfactual": ("What would change the answer", "답을 바꾸는 조건"),
        "counterfactual_text": (
            "If {name} were {to} instead of {from_}, {type} would be more probable.",
            "{name}이(가) {from_} 대신 {to}(이)라면 {type}의 확률이 더 높아집니다.",
        ),
        "similar": ("Most similar training patients", "가장 비슷한 학습 환자"),
        "patient": ("Patient", "환자"),
        "distance": ("Distance", "거리"),
        "agrees": ("Agrees in", "일치하는 항목"),
        "symptoms": ("Visual symptoms", "영상 소견"),
        "matched": ("Matched", "일치"),
        "unmatched": ("Missing", "없음"),
        "symptom_words": (
            "Read from the picture alone; marked are the words that add most to the score.",
            "영상만 보고 판독한 결과입니다. 모델이 읽는 영어 문구에 점수에 가장 많이 "
            "기여한 단어를 표시했습니다.",
        ),
        "symptom_only_seen": (
            "The picture says yes, the measurement says no.",
            "영상에서는 보이지만 측정값은 그렇지 않습니다.",
        ),
        "symptom_only_measured": (
            "The picture says no, the measurement says yes.",
            "영상에서는 보이지 않지만 측정값은 그렇습니다.",
        ),
        "models": ("Models", "모델"),
        "model": ("Model", "모델"),
        "version": ("Version", "버전"),
        "checksum": ("SHA-256", "SHA-256"),
        "card": ("Model card", "모델 카드"),
        "card_place": (
            "in the TumorLens installation: models/{name}/docs/README.md",
            "TumorLens 설치 폴더의 models/{name}/docs/README.md",
        ),
        "timings": ("Times", "소요 시간"),
        "seconds": ("{value} s", "{value}초"),
    }
)
"""Key to the label in English and in Korean."""

NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "WT": ("Whole tumour", "종양 전체"),
        "TC": ("Tumour core", "종양 핵심부"),
        "ET": ("Enhancing tumour", "조영증강 종양"),
        "necrotic core": ("necrotic core", "괴사 핵심부"),
        "oedema": ("oedema", "부종"),
        "enhancing tumour": ("enhancing tumour", "조영증강 종양"),
        "tumour core": ("tumour core", "종양 핵심부"),
        "undetermined": ("undetermined", "판정 불가"),
        "prediction": ("the predicted type", "예측된 유형"),
        "runner_up": ("the second type", "두 번째 유형"),
        "gradcam++": ("Grad-CAM++", "Grad-CAM++"),
        "gradcam": ("Grad-CAM", "Grad-CAM"),
        "layercam": ("Layer-CAM", "Layer-CAM"),
        "integrated_gradients": ("integrated gradients", "적분 기울기"),
        "occlusion": ("occlusion", "가림법"),
        "guided_gradcam": ("guided Grad-CAM", "유도 Grad-CAM"),
        "guided_backpropagation": ("guided backpropagation", "유도 역전파"),
        "composer": ("fixed phrases", "고정 문구"),
        "axial": ("axial", "축상면"),
        "coronal": ("coronal", "관상면"),
        "sagittal": ("sagittal", "시상면"),
        "t1": ("T1", "T1"),
        "t1c": ("T1 with contrast", "조영증강 T1"),
        "t2": ("T2", "T2"),
        "flair": ("FLAIR", "FLAIR"),
        "load": ("loading", "읽기"),
        "compute": ("computing", "계산"),
        "encode": ("writing", "쓰기"),
        "total": ("total", "합계"),
    }
)
"""Words of the reply in English and in Korean."""
