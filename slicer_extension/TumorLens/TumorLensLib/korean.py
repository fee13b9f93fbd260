"""Korean panel texts by English sentence."""

KOREAN: dict[str, str] = {
    # Tabs, sections and buttons.
    "Case": "증례",
    "See": "보기",
    "Question": "질문",
    "Correct": "교정",
    "Teach": "학습",
    "Server": "서버",
    "Address:": "주소:",
    "Token:": "토큰:",
    "only if the server asks for one": "서버가 요구할 때만",
    "Your name:": "이름:",
    "Stands beside your corrections, so that others know whom to ask.": (
        "교정 옆에 표시되어 누구에게 물어볼지 알 수 있습니다."
    ),
    "Language:": "언어:",
    "Connect": "연결",
    "Ask the server what it offers; sends nothing about your images.": (
        "서버가 제공하는 기능을 묻습니다. 영상 정보는 보내지 않습니다."
    ),
    "Ask again before sending": "전송 전에 다시 묻기",
    "Withdraw the permission to send images and corrections.": (
        "영상과 교정을 보내도록 한 허락을 거둡니다."
    ),
    "Cases of the server": "서버의 증례",
    "Open": "열기",
    "Open the selected case, with its correction if it has one.": (
        "선택한 증례를 열고, 교정이 있으면 함께 불러옵니다."
    ),
    "Next case": "다음 증례",
    "Let the server choose, by the strategy on the right (Ctrl+Shift+N).": (
        "오른쪽 전략에 따라 서버가 고릅니다 (Ctrl+Shift+N)."
    ),
    "Refresh": "새로 고침",
    "Volumes of this scene": "현재 장면의 볼륨",
    "T1:": "T1:",
    "T1 contrast:": "T1 조영:",
    "T2:": "T2:",
    "FLAIR:": "FLAIR:",
    "Recognise by name": "이름으로 인식",
    "Send to the server": "서버로 보내기",
    "Sends the chosen volumes to the server for a while; it does not keep them.": (
        "선택한 볼륨을 서버에 잠시 보냅니다. 서버는 보관하지 않습니다."
    ),
    "Analyse": "분석",
    "Segment the tumour, name its type and explain (Ctrl+Shift+A).": (
        "종양을 분할하고 유형과 그 이유를 알려 줍니다 (Ctrl+Shift+A)."
    ),
    "with uncertainty": "불확실성 포함",
    "Segments": "분할 영역",
    "Show the segments (Ctrl+Shift+G)": "분할 영역 표시 (Ctrl+Shift+G)",
    "Fill:": "채움:",
    "Show them in 3D": "3차원으로 표시",
    "Heatmap": "히트맵",
    "Show where the model looked (Ctrl+Shift+H)": "모델이 본 곳 표시 (Ctrl+Shift+H)",
    "Colours:": "색상:",
    "0 did not matter to the model, 1 mattered most. Heat of the thin part is not shown.": (
        "0은 모델에 중요하지 않음, 1은 가장 중요함. 얇은 부분의 값은 표시되지 않습니다."
    ),
    "Show the colours in the views, too": "보기에도 색상 범례 표시",
    "Opacity:": "불투명도:",
    "Heat from – to:": "열 범위:",
    "Method:": "방법:",
    "For the type:": "대상 유형:",
    "Compute": "계산",
    "Ask the server for the heatmap of this method and type.": (
        "이 방법과 유형의 히트맵을 서버에 요청합니다."
    ),
    "Go to the hottest point": "가장 뜨거운 곳으로",
    "Slices jump there (Ctrl+Shift+J).": "단면이 그곳으로 이동합니다 (Ctrl+Shift+J).",
    "Uncertainty": "불확실성",
    "Show where the model doubts its outline (Ctrl+Shift+U)": (
        "모델이 윤곽을 확신하지 못하는 곳 표시 (Ctrl+Shift+U)"
    ),
    "Drawn over the heatmap and below the outlines of changed voxels.": (
        "히트맵 위, 변경된 복셀의 윤곽 아래에 그립니다."
    ),
    "Doubt from – to:": "불확실성 범위:",
    "0: the model is sure of the class of the voxel; 1: to it, all classes are equally likely. "
    "Doubt of the thin part is not shown.": (
        "0은 모델이 복셀의 종류를 확신함, 1은 모든 종류가 똑같이 가능함. "
        "얇은 부분의 값은 표시되지 않습니다."
    ),
    "Outline it": "윤곽으로 표시",
    "Go to the greatest doubt": "가장 불확실한 곳으로",
    "Slices jump there.": "단면이 그곳으로 이동합니다.",
    "Lies over the heatmap: lower its opacity, or outline it alone, to see the heat below.": (
        "히트맵 위에 놓입니다. 아래의 열을 보려면 불투명도를 낮추거나 윤곽만 표시하십시오."
    ),
    "The model is sure everywhere.": "모델이 모든 곳에서 확신합니다.",
    "{ml} mL lie in this range.": "이 범위에 {ml} mL가 있습니다.",
    "This analysis came without uncertainty; tick 'with uncertainty' (tab Case) and analyse "
    "again.": (
        "이 분석에는 불확실성이 없습니다. '불확실성 포함'(증례 탭)을 선택하고 다시 분석하십시오."
    ),
    "Analyse the case to see it.": "증례를 분석하면 볼 수 있습니다.",
    "Show the explanation with its heatmap": "히트맵과 함께 설명 보기",
    "Hide the explanation": "설명 숨기기",
    "Look at the images first (Ctrl+Shift+E).": "먼저 영상을 보십시오 (Ctrl+Shift+E).",
    "Judge the images first. Text and heatmap are shown together, because text alone convinces "
    "too easily.": (
        "먼저 영상을 판단하십시오. 글만으로는 쉽게 설득되므로 글과 히트맵을 함께 보여 줍니다."
    ),
    "Explain again": "다시 설명",
    "With the language of this panel and the wording on the left.": (
        "이 패널의 언어와 왼쪽의 문장 생성기로 다시 설명합니다."
    ),
    "Refine by points": "점으로 다듬기",
    "Points are:": "점의 종류:",
    "Tumour here": "여기는 종양",
    "No tumour here": "여기는 종양 아님",
    "Clear": "지우기",
    "Refine": "다듬기",
    "Change the segments by points and strokes (Ctrl+Shift+R).": (
        "점과 선으로 분할을 바꿉니다 (Ctrl+Shift+R)."
    ),
    "Changes": "변경",
    "Outline changed voxels": "변경된 복셀의 윤곽 표시",
    "Against the proposal (Ctrl+Shift+D).": "제안과 비교합니다 (Ctrl+Shift+D).",
    "Compare now": "지금 비교",
    "Back to the proposal": "제안으로 되돌리기",
    "Type and sentences": "유형과 문장",
    "Right type:": "올바른 유형:",
    "Because:": "근거:",
    "what shows it": "무엇을 보고 판단했는지",
    "Submit the correction": "교정 제출",
    "Shows a summary first (Ctrl+Shift+S).": "먼저 요약을 보여 줍니다 (Ctrl+Shift+S).",
    "Corrections": "교정",
    "note": "메모",
    "Accept": "승인",
    "Reject": "거절",
    "Retraining": "재학습",
    "Start": "시작",
    "Stop": "중지",
    "Models": "모델",
    "Would it pass?": "통과할까요?",
    "Asks the promotion gate without changing anything.": (
        "아무것도 바꾸지 않고 승격 기준에 맞는지 묻습니다."
    ),
    "Promote": "승격",
    "Roll back": "되돌리기",
    "History of the open case": "열린 증례의 기록",
    "Show history": "기록 보기",
    "Outline differences": "차이의 윤곽 표시",
    "Bring back": "되살리기",
    "Cancel": "취소",
    "Give up the running request; nothing is lost.": (
        "진행 중인 요청을 그만둡니다. 잃는 것은 없습니다."
    ),
    "Research use only; not a medical device. The model can be wrong: check every contour.": (
        "연구용이며 의료기기가 아닙니다. 모델은 틀릴 수 있으니 모든 윤곽을 확인하십시오."
    ),
    # Server and cases.
    "Not connected.": "연결되지 않았습니다.",
    "{name} {version} at {host}: {models}": "{name} {version}, {host}: {models}",
    "Connecting": "연결하는 중",
    "The labels of this server differ: {what}.": "이 서버의 레이블이 다릅니다: {what}.",
    "Use the server and the extension of the same release.": (
        "같은 배포판의 서버와 확장을 사용하십시오."
    ),
    "Connection lost. Connect again; your work is kept.": (
        "연결이 끊어졌습니다. 다시 연결하십시오. 작업은 보존됩니다."
    ),
    "Connect to a server first (tab Case).": "먼저 서버에 연결하십시오 (증례 탭).",
    "This server does not offer that: {what}.": "이 서버는 그 기능을 제공하지 않습니다: {what}.",
    "This server does not offer: {what}.": "이 서버가 제공하지 않는 기능: {what}.",
    "You will be asked before anything is sent.": "무엇이든 보내기 전에 묻습니다.",
    "Send data": "데이터 전송",
    "Send images and corrections to {host}? {where} You are asked once for each server.": (
        "영상과 교정을 {host}(으)로 보낼까요? {where} 서버마다 한 번만 묻습니다."
    ),
    "It runs on this computer.": "이 컴퓨터에서 실행 중입니다.",
    "It is another computer, and the connection is encrypted.": (
        "다른 컴퓨터이며 연결은 암호화됩니다."
    ),
    "It is another computer, and the connection is NOT encrypted.": (
        "다른 컴퓨터이며 연결이 암호화되지 않습니다."
    ),
    "Nothing was sent.": "아무것도 보내지 않았습니다.",
    "{what} … {seconds} s": "{what} … {seconds}초",
    "Cancelled: {what}.": "취소됨: {what}.",
    "Listing the cases": "증례 목록을 가져오는 중",
    "Status": "상태",
    "{status}, unsent changes here": "{status}, 이 컴퓨터에 제출하지 않은 변경",
    "Reserved by": "예약자",
    "Updated": "갱신",
    "Reopen": "다시 열기",
    "'{case}' is already submitted. Open it for another correction?": (
        "'{case}'은(는) 이미 제출되었습니다. 다시 교정하려고 여시겠습니까?"
    ),
    "Opening {case}": "{case} 여는 중",
    "the next case": "다음 증례",
    "No case is left: each is labelled or reserved by somebody.": (
        "남은 증례가 없습니다. 모두 레이블이 있거나 예약되었습니다."
    ),
    "Only the segments are shown, without explanation: {why}": "설명 없이 분할만 표시합니다: {why}",
    "No case is open.": "열린 증례가 없습니다.",
    "Open: {case} ({kind})": "열림: {case} ({kind})",
    "from the server": "서버에서",
    "from this scene": "현재 장면에서",
    "Took up the case '{case}'.": "증례 '{case}'을(를) 이어서 작업합니다.",
    "One volume is chosen for two sequences.": "한 볼륨이 두 시퀀스에 선택되었습니다.",
    "Sending {count} volumes": "볼륨 {count}개를 보내는 중",
    "The volume was removed from the scene meanwhile.": "그사이 볼륨이 장면에서 제거되었습니다.",
    # Analysis.
    "A new analysis replaces your edits of the segments. Go on?": (
        "새로 분석하면 수정한 분할이 바뀝니다. 계속할까요?"
    ),
    "Analysing {case}": "{case} 분석 중",
    "This server does not offer explanations; only the segments are shown.": (
        "이 서버는 설명을 제공하지 않아 분할만 표시합니다."
    ),
    "Look at the images, then ask (tab Question) and correct.": (
        "영상을 본 다음 질문하고(질문 탭) 교정하십시오."
    ),
    "There is no heat.": "히트맵에 값이 없습니다.",
    "Computing the heatmap": "히트맵 계산 중",
    "{count} voxels are outlined.": "복셀 {count}개에 윤곽을 표시했습니다.",
    "This server sent no heatmap for this case.": "서버가 이 증례의 히트맵을 보내지 않았습니다.",
    "{method} for {type}": "{type}에 대한 {method}",
    "{share} % of the heat lies inside the tumour": "열의 {share}%가 종양 안에 있습니다",
    "passed its faithfulness test": "충실도 검사를 통과했습니다",
    "failed its faithfulness test: shown in grey, do not rely on it": (
        "충실도 검사에 실패하여 회색으로 표시합니다. 의존하지 마십시오"
    ),
    "The heatmap failed its faithfulness test and is shown in grey: do not rely on it.": (
        "히트맵이 충실도 검사에 실패하여 회색으로 표시됩니다. 의존하지 마십시오."
    ),
    "This case is unlike those the model learned from; expect it to be wrong.": (
        "이 증례는 모델이 학습한 증례와 다릅니다. 틀릴 수 있다고 생각하십시오."
    ),
    "This server does not offer a tumour type.": "이 서버는 종양 유형을 제공하지 않습니다.",
    "This server does not offer a written explanation.": (
        "이 서버는 글로 된 설명을 제공하지 않습니다."
    ),
    "Cannot be ruled out: {types} ({share} % of such sets hold the right type).": (
        "배제할 수 없는 유형: {types} (이런 집합의 {share}%에 올바른 유형이 들어 있습니다)."
    ),
    "Show {count} more sentences": "문장 {count}개 더 보기",
    "Hide the details": "자세한 내용 숨기기",
    "Of these three, the others are ruled out ({share} % of such sets hold the right type).": (
        "세 유형 가운데 나머지는 배제됩니다 (이런 집합의 {share}%에 올바른 유형이 들어 있습니다)."
    ),
    "Cannot be ruled out: {types}.": "배제할 수 없는 유형: {types}.",
    "This measurement has no place in the image.": "이 측정값은 영상에서 위치가 없습니다.",
    "Explaining": "설명하는 중",
    "Measurement": "측정",
    "Value": "값",
    "Usual range (5–95 %)": "일반적인 범위 (5–95 %)",
    "Speaks for": "지지하는 유형",
    "not measured": "측정되지 않음",
    "With {name} at {to} instead of {value}, the type would be {type}.": (
        "{name} 값이 {value} 대신 {to}(이)라면 유형은 {type}입니다."
    ),
    "The picture says yes, the measurement says no.": (
        "영상에서는 보이지만 측정값은 그렇지 않습니다."
    ),
    "The picture says no, the measurement says yes.": (
        "영상에서는 보이지 않지만 측정값은 그렇습니다."
    ),
    "Similar training case: {type} (distance {distance}; alike in {names})": (
        "비슷한 학습 증례: {type} (거리 {distance}, 닮은 점: {names})"
    ),
    "{supported} of {claims} statements were checked against a measurement.": (
        "진술 {claims}개 중 {supported}개를 측정값과 대조했습니다."
    ),
    "Models: {names}": "모델: {names}",
    "Wording: {name}": "문장 생성: {name}",
    "Sequences: {names}": "시퀀스: {names}",
    "Probability that there is a tumour: {share}": "종양이 있을 확률: {share}",
    "missing: {names}": "없음: {names}",
    # Correction.
    "Unsent changes.": "제출하지 않은 변경이 있습니다.",
    "Unsent changes, saved on this computer.": "제출하지 않은 변경을 이 컴퓨터에 저장했습니다.",
    "Unsent correction": "제출하지 않은 교정",
    "An unsent correction of this case was saved on {when}. Bring it back?": (
        "이 증례의 제출하지 않은 교정이 {when}에 저장되었습니다. 되살릴까요?"
    ),
    "The correction of '{case}' was not submitted. It is kept on this computer and offered when "
    "you open the case again. Go on?": (
        "'{case}'의 교정을 제출하지 않았습니다. 이 컴퓨터에 보관하며 증례를 다시 열 때 "
        "되살릴 수 있습니다. 계속할까요?"
    ),
    "Saving": "저장 중",
    "Click into the slices; press the button again to end.": (
        "단면을 클릭하십시오. 끝내려면 버튼을 다시 누르십시오."
    ),
    "The server sent no refined segments.": "서버가 다듬은 분할을 보내지 않았습니다.",
    "The segments were refined; check them.": "분할을 다듬었습니다. 확인하십시오.",
    "Refining": "다듬는 중",
    "This server does not offer refinement.": "이 서버는 다듬기를 제공하지 않습니다.",
    "{yes} tumour, {no} not, {strokes} strokes": "종양 {yes}개, 아님 {no}개, 선 {strokes}개",
    "draw strokes": "선으로 그리기",
    "Each press of a button below begins a new stroke.": (
        "아래 버튼을 누를 때마다 새 선을 그립니다."
    ),
    "Replace the segments by the proposal? Undo brings your edits back.": (
        "분할을 제안으로 바꿀까요? 실행 취소로 수정을 되살릴 수 있습니다."
    ),
    "The segments are as proposed.": "분할이 제안과 같습니다.",
    "proposed": "제안",
    "now": "현재",
    "change": "변화",
    "patients": "환자",
    "{voxels} voxels changed ({ml} mL).": "복셀 {voxels}개가 바뀌었습니다 ({ml} mL).",
    "Say what shows the type (field Because).": "유형의 근거를 적으십시오 (근거 칸).",
    "Submit '{case}' to {host}?": "'{case}'을(를) {host}에 제출할까요?",
    "Type: {type}": "유형: {type}",
    "{count} sentences are judged.": "문장 {count}개를 판정했습니다.",
    "Not submitted; your changes are kept.": "제출하지 않았습니다. 변경은 보존됩니다.",
    "{what} Submit yours anyway? Both are kept. Otherwise your changes stay here.": (
        "{what} 그래도 제출할까요? 둘 다 보존됩니다. 취소하면 변경은 이 컴퓨터에 남습니다."
    ),
    "Somebody else was faster": "다른 사람이 먼저 제출했습니다",
    "Submitting {case}": "{case} 제출 중",
    "Submitted '{case}'.": "'{case}'을(를) 제출했습니다.",
    "Submitted as version {version}.": "버전 {version}(으)로 제출했습니다.",
    "The segments are stored, but not everything: {what}. Submit again to retry.": (
        "분할은 저장되었지만 일부는 저장되지 않았습니다: {what}. 다시 제출하십시오."
    ),
    "as predicted": "예측대로",
    "Verdict": "판정",
    "Sentence": "문장",
    # Teaching.
    "Asking for corrections and models": "교정과 모델을 가져오는 중",
    "Number": "번호",
    "What": "종류",
    "State": "상태",
    "By": "작성자",
    "When": "시각",
    "For": "용도",
    "Choice of the next case": "다음 증례 선택",
    "Wording:": "문장 생성:",
    "Nothing was corrected yet.": "아직 교정이 없습니다.",
    "{count} wait for a review.": "{count}개가 검토를 기다립니다.",
    "Reviewing": "검토 중",
    "Model": "모델",
    "Version": "버전",
    "Created": "생성",
    "From": "출처",
    "Let {model} {version} answer all requests from now on?": (
        "이제부터 {model} {version}이(가) 모든 요청에 답하게 할까요?"
    ),
    "Asking the promotion gate": "승격 기준을 확인하는 중",
    "It would pass.": "통과합니다.",
    "It would not pass.": "통과하지 못합니다.",
    "Promoted.": "승격했습니다.",
    "Not promoted.": "승격하지 않았습니다.",
    "Roll {model} back to the version before?": "{model}을(를) 이전 버전으로 되돌릴까요?",
    "Rolled back.": "되돌렸습니다.",
    "Rolling back": "되돌리는 중",
    "Option": "옵션",
    "Train '{model}' on the server with the submitted corrections?": (
        "제출된 교정으로 서버에서 '{model}'을(를) 학습할까요?"
    ),
    "Starting the training": "학습을 시작하는 중",
    "Stopping the training": "학습을 중지하는 중",
    "Watching": "지켜보는 중",
    "The server does not answer.": "서버가 응답하지 않습니다.",
    "Asking for the history": "기록을 가져오는 중",
    "Label": "레이블",
    "From model": "제안한 모델",
    "Nothing was submitted for this case yet.": "이 증례는 아직 제출된 것이 없습니다.",
    "That version has another grid.": "그 버전은 격자가 다릅니다.",
    "Fetching a version": "버전을 가져오는 중",
    "Make version {version} of '{case}' the newest one again? Nothing is overwritten.": (
        "'{case}'의 버전 {version}을(를) 다시 최신으로 할까요? 덮어쓰지 않습니다."
    ),
    "Bringing a version back": "버전을 되살리는 중",
    "Version {version} is the newest again.": "버전 {version}이(가) 다시 최신입니다.",
    # Words.
    "necrotic core": "괴사 중심부",
    "oedema": "부종",
    "enhancing tumour": "조영 증강 종양",
    "tumour core": "종양 중심부",
    "Whole tumour": "전체 종양",
    "Tumour core": "종양 중심부",
    "Enhancing tumour": "조영 증강 종양",
    "glioma": "교종",
    "meningioma": "수막종",
    "pituitary": "뇌하수체 종양",
    "other": "기타",
    "none": "종양 없음",
    "undetermined": "판정 불가",
    "Grad-CAM++": "Grad-CAM++",
    "Grad-CAM": "Grad-CAM",
    "Layer-CAM": "Layer-CAM",
    "integrated gradients": "적분 기울기",
    "occlusion": "가림법",
    "guided Grad-CAM": "유도 Grad-CAM",
    "guided backpropagation": "유도 역전파",
    "corrections": "교정",
    "models": "모델",
    "training": "학습",
    "final": "제출본",
    "original": "제안",
    "prediction": "예측된 유형",
    "runner_up": "두 번째 유형",
    "outline of {region}": "{region}의 윤곽",
    "new": "새 증례",
    "predicted": "예측됨",
    "corrected": "교정 중",
    "submitted": "제출됨",
    "reviewed": "검토됨",
    "draft": "초안",
    "rejected": "거절됨",
    "right": "맞음",
    "wrong": "틀림",
    "unclear": "불분명",
    "mask": "분할",
    "type": "유형",
    "sentences": "문장",
    "train": "학습용",
    "hold_out": "평가용",
    "active": "사용 중",
    "shipped": "기본 제공",
    "candidate": "후보",
    "accepted": "통과함",
    "refused": "통과 못함",
    "retired": "이전 버전",
    "uncertainty": "불확실성",
    "disagreement": "불일치",
    "diversity": "다양성",
    "combined": "결합",
    "random": "무작위",
    "first": "이름순",
}
