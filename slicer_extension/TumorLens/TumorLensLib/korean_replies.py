"""Korean for what the server writes into replies: sentences with values inside, and words.

The English template is the key; `{field}` stands for a value (see told.py).
"""

REPLIES: dict[str, str] = {
    "and {count} more": "외 {count}개",
    "The tumour lies {mm} mm from the dura, where meningiomas are rare; lymphoma and metastasis, "
    "which the model does not know, cannot be excluded": (
        "종양이 경막에서 {mm} mm 떨어져 있어 수막종은 드뭅니다. 모델이 모르는 림프종과 전이를 "
        "배제할 수 없습니다"
    ),
    "The tumour measures unlike the known patients with a {type} (distance {score}, limit "
    "{limit}): a lesion that the model does not know cannot be excluded": (
        "종양의 측정값이 알려진 {type} 환자와 다릅니다 (거리 {score}, 한계 {limit}). 모델이 모르는 "
        "병변을 배제할 수 없습니다"
    ),
    "The tumour is rounder than {share} of the known gliomas; metastasis and abscess, which the "
    "model does not know, cannot be excluded": (
        "종양이 알려진 교종의 {share}보다 둥급니다. 모델이 모르는 전이와 농양을 배제할 수 없습니다"
    ),
    "The tumour lies {mm} mm from the sella, where pituitary tumours are rare": (
        "종양이 터키안에서 {mm} mm 떨어져 있어 뇌하수체 종양은 드뭅니다"
    ),
    "The volume is a thin slab of {mm} mm; it shows too little of the head to tell a type": (
        "볼륨이 {mm} mm 두께의 얇은 판이어서 머리를 너무 적게 보여 주므로 유형을 말할 수 없습니다"
    ),
    "Only glioma, meningioma and pituitary tumour are known; probabilities are among these three. "
    "Metastasis, lymphoma, abscess, schwannoma, demyelination and other lesions are not among "
    "them": (
        "교종, 수막종, 뇌하수체 종양만 알며 확률은 이 세 유형 사이의 것입니다. 전이, 림프종, 농양, "
        "신경초종, 탈수초 병변 등은 여기에 없습니다"
    ),
    # Warnings of an analysis.
    "{name} was resampled to the grid of {other}": (
        "{name}을(를) {other}의 격자로 다시 표본화했습니다"
    ),
    "{name} holds the same image as {other}; it was left out": (
        "{name}은(는) {other}와(과) 같은 영상이어서 제외했습니다"
    ),
    "t1 and t1c may be exchanged: vessels and what enhances are brighter in t1 than in t1c": (
        "t1과 t1c가 뒤바뀌었을 수 있습니다. 혈관과 조영 증강이 t1c보다 t1에서 더 밝습니다"
    ),
    "its background lay among the tissue (a z-scored image) and was put below it": (
        "배경이 조직 밝기 사이에 있어(z 점수 영상) 그 아래로 옮겼습니다"
    ),
    "its background lay far below the tissue and was put right below it": (
        "배경이 조직보다 훨씬 어두워 조직 바로 아래로 옮겼습니다"
    ),
    "voxels darker than the background (ringing of an interpolation) were taken as it": (
        "배경보다 어두운 복셀(보간 링잉)을 배경으로 보았습니다"
    ),
    "{name} lay {distance} mm and {angle} degrees off {other}; it was registered to it": (
        "{name}이(가) {other}에서 {distance} mm, {angle}도 어긋나 있어 {other}에 정합했습니다"
    ),
    "{name} does not lie on {other} and could not be registered to it ({reason}); it was left "
    "out": "{name}은(는) {other}와(과) 겹치지 않고 정합할 수 없어({reason}) 제외했습니다",
    "it would have to move by {distance} mm and {angle} degrees": (
        "{distance} mm, {angle}도를 옮겨야 합니다"
    ),
    "it is mirrored left to right": "좌우가 뒤집혀 있습니다",
    "the two do not show the same anatomy": "두 영상의 해부 구조가 다릅니다",
    "only {share} of the brain would overlap": "뇌의 {share}만 겹칩니다",
    "the way there and the way back disagree by {distance} mm": (
        "양방향 결과가 {distance} mm 다릅니다"
    ),
    "{name} covers {share} of the tissue in {other}; it is zero elsewhere": (
        "{name}은(는) {other} 조직의 {share}만 덮으며 나머지는 0입니다"
    ),
    "{name} shows only {share} of the height of {other}; slices may be missing": (
        "{name}은(는) {other} 높이의 {share}만 보여 줍니다. 단면이 빠졌을 수 있습니다"
    ),
    "{name}: {count} voxels of impossible brightness were replaced by their surroundings": (
        "{name}: 있을 수 없이 밝은 복셀 {count}개를 주변 값으로 바꾸었습니다"
    ),
    "{count} voxels without a number (NaN or infinite) were taken as background": (
        "숫자가 아닌(NaN 또는 무한대) 복셀 {count}개를 배경으로 보았습니다"
    ),
    "volume holds {count} voxels that are NaN or infinite; expected none": (
        "볼륨에 NaN 또는 무한대인 복셀이 {count}개 있습니다. 없어야 합니다"
    ),
    "its axes are not perpendicular (a sheared affine); it was resampled to a perpendicular grid, "
    "which other programs can open": (
        "축이 직각이 아니어서(기울어진 아핀) 다른 프로그램이 열 수 있는 직각 격자로 다시 "
        "표본화했습니다"
    ),
    "the volume measures {size} cm; a head has about 20 cm, so the voxel size may be in another "
    "unit than mm": (
        "볼륨의 크기가 {size} cm입니다. 머리는 약 20 cm이므로 복셀 크기의 단위가 mm가 아닐 수 "
        "있습니다"
    ),
    "the file has {count} axes, of which those of one voxel were left out; the orientation is "
    "taken to be that of the other three": (
        "파일의 축 {count}개 가운데 한 복셀인 축을 뺐으며 방향은 나머지 세 축의 것으로 봅니다"
    ),
    "the sform of the header is zero; its qform is used": ("헤더의 sform이 0이어서 qform을 씁니다"),
    "the header gives lengths in {unit}, which no head has; mm are assumed": (
        "헤더의 길이 단위 {unit}(으)로는 머리 크기가 아니어서 mm로 봅니다"
    ),
    "its name holds words that are not known; it is taken as T1 without contrast agent": (
        "이름에 알 수 없는 단어가 있어 조영제 없는 T1로 봅니다"
    ),
    "only a dynamic series of it is there, which is not used": (
        "동적 시리즈만 있어 사용하지 않습니다"
    ),
    "no name or header tells them apart; the one with brighter vessels and enhancement is taken "
    "as t1c": ("이름이나 헤더로 구별할 수 없어 혈관과 조영증강이 더 밝은 것을 t1c로 봅니다"),
    "neither names, headers nor images tell whether one of several T1 series has contrast agent; "
    "one of them is taken as T1 without contrast agent": (
        "여러 T1 시리즈 가운데 조영제를 쓴 것이 있는지 이름, 헤더, 영상이 말하지 않아 하나를 "
        "조영제 없는 T1로 봅니다"
    ),
    "no name or header says whether contrast agent was given, and several T1 series look alike; "
    "one of them is taken as T1 without contrast agent": (
        "조영제를 썼는지 이름이나 헤더가 말하지 않고 T1 시리즈들이 비슷해 하나를 조영제 없는 "
        "T1로 봅니다"
    ),
    "a series of it cannot be read; another one is used": (
        "한 시리즈를 읽을 수 없어 다른 시리즈를 씁니다"
    ),
    "{files} of {count} images of the series are there; slices may be missing": (
        "시리즈의 영상 {count}개 가운데 {files}개만 있습니다. 단면이 빠졌을 수 있습니다"
    ),
    "a second {name} beside the reference volume is not used": (
        "기준 볼륨 외의 두 번째 {name}은(는) 사용하지 않습니다"
    ),
    "no name tells the sequence; the volume is taken as t1c (T1 with contrast agent)": (
        "이름으로 시퀀스를 알 수 없어 볼륨을 t1c(조영제 T1)로 봅니다"
    ),
    "the header gives no orientation (qform and sform codes are 0); left and right may be "
    "exchanged": (
        "헤더에 방향 정보가 없습니다(qform과 sform 코드가 0). 좌우가 바뀌었을 수 있습니다"
    ),
    "the header gives no orientation; left and right may be exchanged": (
        "헤더에 방향 정보가 없습니다. 좌우가 바뀌었을 수 있습니다"
    ),
    "sform and qform of the header disagree by {mm} mm; the sform is used, other programs may "
    "use the qform": (
        "헤더의 sform과 qform이 {mm} mm 어긋납니다. sform을 사용하지만 다른 프로그램은 qform을 쓸 "
        "수 있습니다"
    ),
    "No t1c: enhancing tumour and necrotic core cannot be told reliably; trust only the whole "
    "tumour": (
        "t1c가 없어 조영 증강 종양과 괴사 중심부를 믿을 만하게 구별할 수 없습니다. 전체 종양만 "
        "믿으십시오"
    ),
    "Only t1: not even the whole tumour is to be trusted; add t1c, flair or t2": (
        "t1만 있어 전체 종양도 믿을 수 없습니다. t1c, flair 또는 t2를 추가하십시오"
    ),
    "Neither flair nor t2: the extent of oedema is a guess": (
        "flair와 t2가 모두 없어 부종의 범위는 추측입니다"
    ),
    "No tumour was found": "종양이 발견되지 않았습니다",
    "No tumour was found; the probability that there is one is {share}": (
        "종양이 발견되지 않았습니다. 종양이 있을 확률은 {share}입니다"
    ),
    "Nothing is sure enough to be outlined, although the probability that there is a tumour is "
    "{share}; look at the whole scan": (
        "표시할 만큼 확실한 곳은 없지만 종양이 있을 확률은 {share}입니다. 전체 영상을 살펴보십시오"
    ),
    "Whether there is a tumour at all is doubtful (probability {share}); look at the whole scan": (
        "종양이 있는지부터 의심스럽습니다(확률 {share}). 전체 영상을 살펴보십시오"
    ),
    "From t1 alone a tumour cannot be told from other tissue, so nothing is outlined; add flair, "
    "t1c or t2": (
        "t1만으로는 종양을 다른 조직과 구별할 수 없어 아무것도 표시하지 않습니다. flair, t1c 또는 "
        "t2를 추가하십시오"
    ),
    "From {sequences} of a head with skull a tumour cannot be told from other tissue, so nothing "
    "is outlined; add flair or t1c": (
        "두개골이 있는 머리의 {sequences}(으)로는 종양을 다른 조직과 구별할 수 없어 아무것도 "
        "표시하지 않습니다. flair 또는 t1c를 추가하십시오"
    ),
    "The tumour found is smaller than {ml} mL; check it": (
        "발견된 종양이 {ml} mL보다 작습니다. 확인하십시오"
    ),
    "{ml} mL of possible enhancement, too little or too unsure, was outlined as necrotic core; "
    "check it": (
        "조영 증강일 수 있는 {ml} mL는 너무 적거나 불확실하여 괴사 중심부로 표시했습니다. "
        "확인하십시오"
    ),
    "The case has no T1c; the outline was made on {name}, which this model has not learnt": (
        "증례에 T1c가 없어 이 모델이 배우지 않은 {name}에서 윤곽을 그렸습니다"
    ),
    "No tumour core was found": "종양 중심부가 발견되지 않았습니다",
    "A tumour that takes up no contrast agent does not show on t1c alone; add flair": (
        "조영제를 흡수하지 않는 종양은 t1c만으로는 보이지 않습니다. flair를 추가하십시오"
    ),
    "By its header the head is {mm} mm long; the outline assumes {other} mm. Volumes in mL use "
    "the header": (
        "헤더에 따르면 머리 길이가 {mm} mm입니다. 윤곽은 {other} mm로 가정하며, mL 부피는 헤더를 "
        "따릅니다"
    ),
    "this model gives no uncertainty": "이 모델은 불확실성을 제공하지 않습니다",
    "No click and no scribble: nothing was changed": "점과 선이 없어 아무것도 바뀌지 않았습니다",
    "Visual symptoms are switched off: their reader was made for another classifier": (
        "시각 징후를 껐습니다. 판독기가 다른 분류기용입니다"
    ),
    "The second reader, which reads visual symptoms, gives the same type only {share}: the type "
    "is less certain than its probability says": (
        "시각 징후를 읽는 두 번째 판독기는 같은 유형에 {share}만 줍니다. 유형은 확률이 말하는 "
        "것보다 덜 확실합니다"
    ),
    "The second reader, which reads visual symptoms, sees a {type} ({share}): the type is less "
    "certain than its probability says": (
        "시각 징후를 읽는 두 번째 판독기는 {type}(으)로 봅니다 ({share}). 유형은 확률이 말하는 "
        "것보다 덜 확실합니다"
    ),
    "The second reader, which reads visual symptoms, names a class that was added by words and "
    "that the classifier does not know: '{name}' ({share})": (
        "시각 징후를 읽는 두 번째 판독기가 분류기에는 없고 말로 추가된 종류를 봅니다: "
        "'{name}' ({share})"
    ),
    # Why a type is undetermined.
    "No tumour was found, so there is nothing to classify": (
        "종양이 발견되지 않아 분류할 것이 없습니다"
    ),
    "The tumour is too small to be read: no slice shows {count} pixels of it": (
        "종양이 너무 작아 판독할 수 없습니다. 종양이 화소 {count}개 이상 보이는 단면이 없습니다"
    ),
    "The picture does not look like an MRI of a head": "영상이 머리 MRI로 보이지 않습니다",
    "The case has no contrast-enhanced T1 volume; the type is learned on such volumes only": (
        "조영 증강 T1 볼륨이 없습니다. 유형은 그런 볼륨에서만 학습했습니다"
    ),
    "There are {count} separate tumours; metastases, which the model does not know, cannot be "
    "excluded": ("서로 떨어진 종양이 {count}개 있어 모델이 모르는 전이를 배제할 수 없습니다"),
    "The outline does not lie where the network sees tumour (agreement {share}, least {least})": (
        "윤곽이 신경망이 종양으로 보는 곳에 있지 않습니다 (일치 {share}, 최소 {least})"
    ),
    "The tumour looks unlike the training cases (distance {score}, limit {limit})": (
        "종양이 학습 증례와 다르게 보입니다 (거리 {score}, 한계 {limit})"
    ),
    "At {share} coverage {names} cannot be told apart": (
        "포함률 {share}에서 {names}을(를) 구별할 수 없습니다"
    ),
    "No type is likely enough; the most probable one has {share}": (
        "충분히 그럴듯한 유형이 없습니다. 가장 높은 확률은 {share}입니다"
    ),
    # Why heat must not be relied on.
    "Nothing in the pictures speaks for {type}: the heatmap is empty": (
        "영상에 {type}을(를) 지지하는 것이 없어 히트맵이 비어 있습니다"
    ),
    "No tumour was found, so the heat cannot be compared with one": (
        "종양이 발견되지 않아 열을 비교할 수 없습니다"
    ),
    "No slice was tested, so nobody knows whether the answer follows it": (
        "검사한 단면이 없어 답이 열을 따르는지 알 수 없습니다"
    ),
    "Only {share} of the heat lies within {mm} mm of the tumour (at least {least} expected)": (
        "열의 {share}만 종양에서 {mm} mm 안에 있습니다 (최소 {least} 필요)"
    ),
    "The hottest place is more than {mm} mm away from the tumour": (
        "가장 뜨거운 곳이 종양에서 {mm} mm 넘게 떨어져 있습니다"
    ),
    "Blurring the pictures hardly weakens the answer: it rests on measured values or on habit "
    "more than on what the heatmap shows": (
        "영상을 흐리게 해도 답이 거의 약해지지 않습니다. 답은 히트맵이 보이는 것보다 측정값이나 "
        "습관에 기댑니다"
    ),
    "Taking out or putting in the hot places moves the answer no more than random places do "
    "({own} against {other})": (
        "뜨거운 곳을 빼거나 넣어도 무작위 위치보다 답이 더 움직이지 않습니다 ({own} 대 {other})"
    ),
    "The middle of the head explains the answer better than the heatmap ({other} against {own})": (
        "머리 중앙이 히트맵보다 답을 더 잘 설명합니다 ({other} 대 {own})"
    ),
    "The network outlined no {region}, so there is nothing to explain": (
        "신경망이 {region}을(를) 그리지 않아 설명할 것이 없습니다"
    ),
    "No {region} is left in the outline, so the heat cannot be compared with one": (
        "윤곽에 {region}이(가) 남지 않아 열을 비교할 수 없습니다"
    ),
    "Only {share} of the heat lies within {mm} mm of {region} (at least {least} expected)": (
        "열의 {share}만 {region}에서 {mm} mm 안에 있습니다 (최소 {least} 필요)"
    ),
    "The hottest place is more than {mm} mm away from {region}": (
        "가장 뜨거운 곳이 {region}에서 {mm} mm 넘게 떨어져 있습니다"
    ),
    "How steady the heat is was not measured: making it again for noisy copies takes too long "
    "with this method": (
        "열이 얼마나 안정한지는 측정하지 않았습니다. 이 방법으로는 잡음을 더한 영상의 열을 다시 "
        "만드는 데 시간이 너무 많이 듭니다"
    ),
    "The heat hardly changes when the network's weights are shuffled (rank correlation {value}): "
    "it shows the pictures, not what was learnt": (
        "신경망의 가중치를 섞어도 열이 거의 변하지 않습니다 (순위 상관 {value}). 학습한 것이 "
        "아니라 영상을 보여 줍니다"
    ),
    # What was wrong with a wording.
    "{provider}: nothing it said could be kept; the composer's text is shown": (
        "{provider}: 쓸 수 있는 문장이 없어 작성기의 글을 보여 줍니다"
    ),
    "{provider}: {why}; the composer's text is shown": (
        "{provider}: {why}. 작성기의 글을 보여 줍니다"
    ),
    "removed: '{text}' ({why})": "삭제됨: '{text}' ({why})",
    "rewritten: '{text}' ({why})": "고쳐 씀: '{text}' ({why})",
    "beyond {count} sentences": "{count}문장을 넘음",
    # The promotion gate.
    "corrections / {metric}": "교정 / {metric}",
    "base / {metric}": "기본 자료 / {metric}",
    "sequences {combination} / {metric}": "시퀀스 {combination} / {metric}",
    "slices thick / {metric}": "두꺼운 단면 / {metric}",
    "slices thin / {metric}": "얇은 단면 / {metric}",
    "type {type} / {metric}": "유형 {type} / {metric}",
    "every patient": "환자 각각",
    "{current} -> {candidate}, difference {mean} ({low} to {high}), p {p}, n {n}": (
        "{current} → {candidate}, 차이 {mean} ({low}에서 {high}), p {p}, n {n}"
    ),
    "{count} corrected patients are held out; expected at least {least} to show that a version "
    "is better": (
        "평가용으로 남긴 교정 환자가 {count}명입니다. 더 나음을 보이려면 최소 {least}명이 "
        "필요합니다"
    ),
    "the corrections are doubtful: the active version scores {score} on those held out that only "
    "their annotator has seen ({count} patients), expected at least {least}; let a second reader "
    "review them, then retrain": (
        "교정이 의심스럽습니다. 작성자만 본 평가용 교정(환자 {count}명)에서 사용 중인 버전이 "
        "{score}점입니다(최소 {least} 필요). 다른 판독자가 검토하게 한 뒤 다시 학습하십시오"
    ),
    "not shown to be better on held-out corrections: {numbers}": (
        "평가용 교정에서 더 낫다고 보이지 못했습니다: {numbers}"
    ),
    "no base data to measure forgetting on": "잊음을 측정할 기본 자료가 없습니다",
    "forgets base data: {numbers}": "기본 자료를 잊습니다: {numbers}",
    "loses more than {margin} on {count} patients: {patients}": (
        "환자 {count}명에서 {margin}보다 많이 잃습니다: {patients}"
    ),
    "clearly worse on {name}: {numbers}": "'{name}'에서 분명히 나쁩니다: {numbers}",
    "better on held-out corrections, nowhere clearly worse: {numbers}": (
        "평가용 교정에서 더 낫고 분명히 나쁜 곳이 없습니다: {numbers}"
    ),
    "the gate refused {model}: {reasons}": "승격 기준이 {model}을(를) 거절했습니다: {reasons}",
    "Correct more cases and retrain; see the report of the gate": (
        "더 많은 증례를 교정하고 다시 학습하십시오. 승격 기준의 보고서를 보십시오"
    ),
    "The imported model in use was trained with {names} and has never seen a case without; "
    "check the whole outline": (
        "사용 중인 가져온 모델은 {names}(으)로 학습되었고 이것이 없는 증례를 본 적이 없습니다. "
        "윤곽 전체를 확인하십시오"
    ),
    "{model} was imported; it does not learn from corrections": (
        "{model}은(는) 가져온 모델이라 교정에서 배우지 않습니다"
    ),
    "Train it where it is from, or roll back to a version of this project": (
        "원래의 곳에서 학습하거나 이 프로젝트의 버전으로 되돌리십시오"
    ),
    "{model} was not judged; expected a version that the gate let pass": (
        "{model}은(는) 판정되지 않았습니다. 승격 기준을 통과한 버전이 필요합니다"
    ),
    "Retrain it: every training ends with the gate": (
        "다시 학습하십시오. 모든 학습은 승격 기준으로 끝납니다"
    ),
    "{model} was never judged by the gate": "{model}은(는) 승격 기준의 판정을 받은 적이 없습니다",
    "Every training ends with the gate; shipped versions need none": (
        "모든 학습은 승격 기준으로 끝나며 기본 제공 버전에는 필요 없습니다"
    ),
    # Messages of a training.
    "No training was started yet": "아직 학습을 시작하지 않았습니다",
    "the training process was killed (signal {signal}); going on": (
        "학습 프로세스가 종료되어(신호 {signal}) 이어서 진행합니다"
    ),
    "training on {count} corrections": "교정 {count}개로 학습 중",
    "stopped": "중지됨",
    "stopped; {model} is kept, but not promoted": (
        "중지됨. {model}은(는) 보관하지만 승격하지 않습니다"
    ),
    "left out: {cases}": "제외한 증례: {cases}",
    "reviews do not count: {reason}": "검토를 반영하지 못합니다: {reason}",
    "the promotion is not in the ledger: {reason}": "승격이 원장에 기록되지 않았습니다: {reason}",
    "interrupted; goes on when the server starts again": "중단됨. 서버가 다시 시작되면 이어집니다",
    "asking the gate about {model}": "{model}을(를) 승격 기준으로 확인하는 중",
    "epoch {epoch}: loss {loss}": "에포크 {epoch}: 손실 {loss}",
    "epoch {epoch}: loss {loss}, validation {score}": "에포크 {epoch}: 손실 {loss}, 검증 {score}",
    "epoch {epoch}, loss {loss}, seconds left {seconds}": (
        "에포크 {epoch}, 손실 {loss}, 남은 시간 {seconds}초"
    ),
    "epoch {epoch}, loss {loss}": "에포크 {epoch}, 손실 {loss}",
    "loss {loss}, seconds left {seconds}": "손실 {loss}, 남은 시간 {seconds}초",
    "{model} promoted: {reason}": "{model} 승격됨: {reason}",
    "{model} may be promoted: {reason}": "{model} 승격 가능: {reason}",
    "{model} kept back: {reason}": "{model} 보류됨: {reason}",
    "visual symptoms are switched off, because their reader was made for another classifier "
    "(train it again, or roll the classifier back)": (
        "시각 징후를 껐습니다. 판독기가 다른 분류기용입니다 (다시 학습하거나 분류기를 되돌리십시오)"
    ),
    "the training process ended with code {code}; see job.log": (
        "학습 프로세스가 코드 {code}(으)로 끝났습니다. job.log를 보십시오"
    ),
}

WORDS: dict[str, str] = {
    # What the strategies look for.
    "Where the model doubts about the tumour most": "모델이 종양을 가장 의심하는 증례",
    "Where models differ most, or the tumour type is in doubt": (
        "모델들이 가장 다르거나 종양 유형이 불확실한 증례"
    ),
    "First unlabelled case by name": "이름순으로 첫 미표시 증례",
    "Random unlabelled case, never-served ones first": ("무작위 미표시 증례, 나온 적 없는 것 먼저"),
    "Least like the cases that are corrected already": "이미 교정한 증례와 가장 다른 증례",
    "Doubt, disagreement and diversity against the expected effort": (
        "예상 작업량 대비 불확실성, 불일치, 다양성"
    ),
    "place and largest extent of the tumour": "종양의 위치와 최대 크기",
    # States of a training.
    "IDLE": "학습 없음",
    "PENDING": "대기 중",
    "SUBMITTED": "대기 중",
    "STARTED": "시작됨",
    "RUNNING": "진행 중",
    "DONE": "완료",
    "STOPPED": "중지됨",
    "CANCELED": "취소됨",
    "INTERRUPTED": "중단됨",
    "ERROR": "오류",
    "UNKNOWN": "알 수 없음",
    "mean": "평균",
    "accuracy": "정확도",
    "log_likelihood": "로그 가능도",
    "segmentation": "분할",
    "heatmap": "히트맵",
    "correction": "교정",
    "pituitary tumour": "뇌하수체 종양",
    # Symptoms of the second reader.
    "dull lump hardly brighter than the healthy side": "건강한 쪽보다 거의 밝지 않은 흐릿한 덩이",
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
"""Words and phrases without values, as the server writes them."""
