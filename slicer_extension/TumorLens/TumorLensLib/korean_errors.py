"""Korean for errors with values inside: refusals of the server, and errors of this extension.

The English template is the key; `{field}` stands for a value (see told.py).
"""

ERRORS: dict[str, str] = {
    # Refusals of the server.
    "this server was started for programs on its own machine only": (
        "이 서버는 같은 컴퓨터의 프로그램만 받도록 시작되었습니다"
    ),
    "Start it with an explicit --host and a token in {name}": (
        "--host와 {name}의 토큰을 지정하여 시작하십시오"
    ),
    "the Host header is {host}; expected the address this server was started with": (
        "Host 헤더가 {host}입니다. 서버를 시작한 주소여야 합니다"
    ),
    "Use that address, or start the server with --allowed-host NAME": (
        "그 주소를 사용하거나 --allowed-host 이름으로 서버를 시작하십시오"
    ),
    "label has {count} voxels outside its volume; expected none": (
        "레이블의 복셀 {count}개가 볼륨 밖에 있습니다. 없어야 합니다"
    ),
    "labelmap holds only the value 4, which is the undivided tumour core here and the enhancing "
    "tumour in BraTS; expected to know which": (
        "레이블맵에 값 4만 있습니다. 여기서는 나누지 않은 종양 중심이고 BraTS에서는 조영증강 "
        "종양이므로 어느 것인지 알아야 합니다"
    ),
    'Send "numbering": "tumorlens" or "numbering": "brats" in params': (
        'params에 "numbering": "tumorlens" 또는 "numbering": "brats"를 보내십시오'
    ),
    "numbering is {value}; expected one of {names}": (
        "numbering이 {value}입니다. 다음 중 하나여야 합니다: {names}"
    ),
    "{what} is {value}; expected a date": "{what}이(가) {value}입니다. 날짜여야 합니다",
    "Write it as year, month and day: 2026-03-31": "연-월-일로 쓰십시오: 2026-03-31",
    "this server needs its token; the request carries another or none": (
        "이 서버에는 토큰이 필요합니다. 요청의 토큰이 다르거나 없습니다"
    ),
    "the volume of case '{case}' was replaced after this label was begun": (
        "이 레이블을 시작한 뒤 증례 '{case}'의 볼륨이 바뀌었습니다"
    ),
    "Load the case again and draw on the new volume; or submit with force, if the label fits it": (
        "증례를 다시 불러와 새 볼륨에 그리거나, 레이블이 맞으면 force로 제출하십시오"
    ),
    "Version {newer} was submitted after the version {base} that yours started from; "
    "both are kept": (
        "보내신 것이 시작한 버전 {base} 이후에 버전 {newer}이(가) 제출되었습니다. 둘 다 보존됩니다"
    ),
    "This case is reserved by {who}": "이 증례는 {who}이(가) 예약했습니다",
    "the volume of case '{case}' was replaced meanwhile": (
        "증례 '{case}'의 볼륨이 그 사이에 바뀌었습니다"
    ),
    "label {tag} of case '{case}' is at version {now}, saved by {who}; "
    "yours started from version {base}": (
        "증례 '{case}'의 레이블 {tag}은(는) {who}이(가) 저장한 버전 {now}입니다. "
        "보내신 것은 버전 {base}에서 시작했습니다"
    ),
    "Load the newer version and compare, or submit again with force: both are kept": (
        "더 새로운 버전을 불러와 비교하거나 force로 다시 제출하십시오. 둘 다 보존됩니다"
    ),
    "the server reads as many uploads as it can at once": (
        "서버가 한 번에 읽을 수 있는 만큼의 업로드를 읽고 있습니다"
    ),
    "label {tag} of case '{case}' is stored (version {version}), not yet in the ledger: {why}": (
        "증례 '{case}'의 레이블 {tag}이(가) 저장되었으나(버전 {version}) "
        "아직 원장에 없습니다: {why}"
    ),
    "Free disk space and start the server again, which completes it; do not send the label again": (
        "디스크 공간을 늘리고 서버를 다시 시작하면 완료됩니다. 레이블을 다시 보내지 마십시오"
    ),
    "{name} is active now, but that is not in the ledger: {why}": (
        "{name}이(가) 이제 사용 중이지만 원장에는 아직 없습니다: {why}"
    ),
    "Free disk space; do not switch again, the version is in use": (
        "디스크 공간을 늘리십시오. 그 버전은 이미 사용 중이므로 다시 전환하지 마십시오"
    ),
    "{count} inferences run or wait; the server takes {most}": (
        "추론 {count}개가 실행 또는 대기 중입니다. 서버는 {most}개까지 받습니다"
    ),
    "no free processor within {seconds} s": "{seconds}초 안에 빈 프로세서가 없었습니다",
    "no case '{case}' in the studies folder": "자료 폴더에 증례 '{case}'이(가) 없습니다",
    "case {case} is not in the studies folder": "자료 폴더에 증례 {case}이(가) 없습니다",
    "List the cases (GET /datastore/?output=all) and try again": (
        "증례 목록을 새로 고치고 다시 시도하십시오"
    ),
    "case '{case}' has no label with the tag '{tag}'": (
        "증례 '{case}'에 태그 '{tag}'의 레이블이 없습니다"
    ),
    "case '{case}' was removed in the meantime": "증례 '{case}'이(가) 그사이 제거되었습니다",
    "case '{case}' is reserved by {holder} until {time}": (
        "증례 '{case}'은(는) {time}까지 {holder}이(가) 예약했습니다"
    ),
    "Ask for another case, or wait until it is released": (
        "다른 증례를 고르거나 풀릴 때까지 기다리십시오"
    ),
    "label '{case}' with tag '{tag}' has no version {version}": (
        "'{case}'의 태그 '{tag}' 레이블에 버전 {version}이(가) 없습니다"
    ),
    "List the versions (GET /datastore/label/history)": "기록을 다시 불러오십시오",
    "version {version} of '{case}' is a removal and has no file": (
        "'{case}'의 버전 {version}은(는) 삭제 기록이라 파일이 없습니다"
    ),
    "version {version} of '{case}' does not match its checksum": (
        "'{case}'의 버전 {version}이(가) 체크섬과 맞지 않습니다"
    ),
    "Restore the history folder from a backup": "기록 폴더를 백업에서 복원하십시오",
    "segments {names} are no labels of this server; expected {known}": (
        "분할 영역 {names}은(는) 이 서버의 레이블이 아닙니다. 가능한 값: {known}"
    ),
    "Rename or remove the segments and submit again": (
        "분할 영역의 이름을 바꾸거나 지우고 다시 제출하십시오"
    ),
    "label has {shape} voxels; expected {expected} as its volume": (
        "레이블의 복셀이 {shape}입니다. 볼륨과 같은 {expected}이어야 합니다"
    ),
    "label lies {mm} mm away from its volume; expected {most} mm or less": (
        "레이블이 볼륨에서 {mm} mm 떨어져 있습니다. {most} mm 이하여야 합니다"
    ),
    "Export the label with the volume of this case as its reference": (
        "이 증례의 볼륨을 기준으로 레이블을 내보내십시오"
    ),
    "the DICOM segmentation belongs to another examination; nothing was stored": (
        "다른 검사의 DICOM 분할입니다(기준 좌표계가 다름). 아무것도 저장하지 않았습니다"
    ),
    "Send a segmentation that was made on the series of this case": (
        "이 증례의 시리즈에서 만든 분할을 보내십시오"
    ),
    "a training is running already": "이미 학습이 진행 중입니다",
    "Wait until it is done, or stop it (DELETE /train/)": "끝나기를 기다리거나 중지하십시오",
    "no training is running": "진행 중인 학습이 없습니다",
    "Start one (POST /train/MODEL)": "학습을 시작하십시오",
    "there are {count} corrections, none of which may be learnt from": (
        "교정이 {count}개 있지만 학습에 쓸 수 있는 것이 없습니다"
    ),
    "there are {count} corrections, none of which may be learnt from; left out: {cases}": (
        "교정이 {count}개 있지만 학습에 쓸 수 있는 것이 없습니다. 제외한 증례: {cases}"
    ),
    "the masks of {one} and {other} for case '{case}' lie on different grids; expected one": (
        "증례 '{case}'에 대한 {one}와(과) {other}의 마스크가 서로 다른 격자에 있습니다. "
        "같은 격자여야 합니다"
    ),
    "Submit the older mask again: the volume was replaced between the two": (
        "둘 사이에 볼륨이 바뀌었으므로 이전 마스크를 다시 보내십시오"
    ),
    "scribbles consist of {pieces} pieces; expected {most} at most": (
        "선이 {pieces}조각입니다. 최대 {most}조각까지 가능합니다"
    ),
    "Send the corrected labelmap along and only the scribbles made since": (
        "고친 레이블과 그 뒤에 그린 선만 함께 보내십시오"
    ),
    "'{model}' cannot be retrained; expected one of {known}": (
        "'{model}'은(는) 다시 학습할 수 없습니다. 가능한 모델: {known}"
    ),
    "no correction that '{model}' can learn from": "'{model}'이(가) 학습할 수 있는 교정이 없습니다",
    "no correction that '{model}' can learn from; left out: {cases}": (
        "'{model}'이(가) 학습할 수 있는 교정이 없습니다. 제외한 증례: {cases}"
    ),
    "Correct more cases; one in four patients is held out for the gate": (
        "더 많은 증례를 교정하십시오. 환자 네 명 중 한 명은 승격 평가용으로 남깁니다"
    ),
    "a label cannot be read: {error}": "레이블을 읽을 수 없습니다: {error}",
    "{option} is {value}; expected {low}-{high}": (
        "{option}이(가) {value}입니다. {low}-{high}이어야 합니다"
    ),
    "the server failed while answering this request (reference {reference})": (
        "서버가 이 요청에 답하다가 실패했습니다 (참조 {reference})"
    ),
    "Look up the reference in the server's log and report it": (
        "서버 로그에서 참조 번호를 찾아 알려 주십시오"
    ),
    "session has no files; expected one volume or several sequences": (
        "보낸 파일이 없습니다. 볼륨 하나나 여러 시퀀스가 필요합니다"
    ),
    "no session '{session}'; it expired or was removed": (
        "세션 '{session}'이(가) 없습니다. 만료되었거나 제거되었습니다"
    ),
    "Upload the volume again (PUT /session/)": "볼륨을 다시 보내십시오",
    "model '{model}' cannot be trained on this server; those that can: {known}": (
        "이 서버에서는 '{model}'을(를) 학습할 수 없습니다. 가능한 모델: {known}"
    ),
    "See 'trainers' in GET /info/": "학습 모델 목록에서 고르십시오",
    "no model is named; those that can be trained: {known}": (
        "모델을 지정하지 않았습니다. 학습할 수 있는 모델: {known}"
    ),
    "params holds {unknown}; expected only {known}": (
        "알 수 없는 옵션: {unknown}. 가능한 옵션: {known}"
    ),
    "no model '{model}'; there are {known}": "모델 '{model}'이(가) 없습니다. 있는 모델: {known}",
    "model '{model}' has no version '{version}'; it has {known}": (
        "모델 '{model}'에 버전 '{version}'이(가) 없습니다. 있는 버전: {known}"
    ),
    "List the models (tumorlens models list, GET /models)": "모델 목록을 다시 불러오십시오",
    "bundle is named {model}; expected a-z, 0-9 and _": (
        "번들 이름이 {model}입니다. a-z, 0-9, _만 쓸 수 있습니다"
    ),
    "bundle {model} has no card; expected {card}": "번들 {model}에 모델 카드 {card}이(가) 없습니다",
    "{model} exists with other weights; versions never change": (
        "{model}이(가) 다른 가중치로 이미 있습니다. 버전은 바뀌지 않습니다"
    ),
    "Give the new weights a new version": "새 가중치에 새 버전을 주십시오",
    "{model} is the only version that ever was active": "지금까지 사용된 버전은 {model}뿐입니다",
    "Name a version (tumorlens models list shows them)": "버전을 지정하십시오",
    "another process changes the models": "다른 프로세스가 모델을 바꾸는 중입니다",
    "no submission {number}": "제출 번호 {number}이(가) 없습니다",
    "List the corrections (GET /corrections)": "교정 목록을 다시 불러오십시오",
    "click at voxel {voxel} is outside the volume of {shape} voxels": (
        "복셀 {voxel}의 점이 볼륨({shape}) 밖에 있습니다"
    ),
    "Click inside the reference volume of the case": "증례의 기준 볼륨 안을 클릭하십시오",
    "scribbles have {voxels} voxels; expected {shape} as their case": (
        "선의 복셀이 {voxels}입니다. 증례와 같은 {shape}이어야 합니다"
    ),
    "Draw the scribbles on the reference volume of the case": (
        "증례의 기준 볼륨 위에 선을 그리십시오"
    ),
    "scribbles hold the value {value}; expected 0, a label value or {most} for background": (
        "선에 값 {value}이(가) 있습니다. 0, 레이블 값, 배경 {most}만 가능합니다"
    ),
    "a click or scribble has the label {value}; the labelmap to correct holds {known}": (
        "점이나 선의 레이블이 {value}입니다. 교정할 레이블맵의 값: {known}"
    ),
    "Choose a label of the labelmap's scheme": "레이블맵에 있는 종류를 고르십시오",
    "target is the region {region}; the outline by {model} has the scheme '{scheme}' and no "
    "network that tells regions": (
        "{region} 영역을 설명할 수 없습니다. {model}의 윤곽은 '{scheme}' 방식이라 영역을 구별하지 "
        "않습니다"
    ),
    "Add t1, t2 or flair to the case, or explain the tumour type (target prediction)": (
        "증례에 t1, t2 또는 flair를 더하거나 종양 유형을 설명하게 하십시오"
    ),
    "no method is named, and the default '{method}' fails the sanity check of this classifier "
    "(rank correlation {value} with shuffled weights; expected at most {limit})": (
        "방법을 정하지 않았고, 기본 방법 '{method}'은(는) 이 분류기의 타당성 검사를 통과하지 "
        "못합니다 (가중치를 섞었을 때 순위 상관 {value}, 최대 {limit})"
    ),
    "Name a method; those that pass: {known}": "방법을 고르십시오. 통과한 방법: {known}",
    "provider '{provider}' is not set up; expected one of {known}": (
        "문장 생성기 '{provider}'이(가) 설정되지 않았습니다. 가능한 것: {known}"
    ),
    "Use 'composer', or set the server up with an endpoint or a model folder": (
        "'composer'를 쓰거나 서버에 문장 생성기를 설정하십시오"
    ),
    "'{file}' cannot be stored: {error}": "'{file}'을(를) 저장할 수 없습니다: {error}",
    "Free disk space or fix the permissions of the folder, then try again": (
        "디스크 공간을 늘리거나 폴더 권한을 고친 뒤 다시 시도하십시오"
    ),
    "the ledger cannot hold a value: {error}": "장부에 넣을 수 없는 값입니다: {error}",
    "the ledger failed: {error}": "장부를 쓸 수 없습니다: {error}",
    "Free disk space or start the database, then send it again": (
        "디스크 공간을 늘리거나 데이터베이스를 시작한 뒤 다시 보내십시오"
    ),
    "volume is empty: every voxel has the same value": (
        "볼륨이 비어 있습니다. 모든 복셀의 값이 같습니다"
    ),
    "Choose a volume with signal": "신호가 있는 볼륨을 고르십시오",
    "{name} holds {count} voxels above background; expected a head or a brain": (
        "{name}에 배경보다 밝은 복셀이 {count}개뿐입니다. 머리나 뇌가 있어야 합니다"
    ),
    "foreground spans {cm} cm; expected a head (at most about 30 cm on a side)": (
        "전경이 {cm} cm입니다. 머리(한 변이 약 30 cm 이하)여야 합니다"
    ),
    "Check the voxel size in the file's header and crop to the head": (
        "파일 헤더의 복셀 크기를 확인하고 머리만 잘라 내십시오"
    ),
    "{name} covers {share} of the tissue in {other}; expected at least {least}": (
        "{name}은(는) {other} 조직의 {share}만 덮습니다. 최소 {least}이어야 합니다"
    ),
    "Leave {name} out, or register it to {other} first": (
        "{name}을(를) 빼거나 먼저 {other}에 정합하십시오"
    ),
    "case {case} has no volumes; expected at least one sequence": (
        "증례 {case}에 볼륨이 없습니다. 시퀀스가 하나 이상 필요합니다"
    ),
    "reference {name} is missing; case {case} has {known}": (
        "기준 {name}이(가) 없습니다. 증례 {case}에 있는 것: {known}"
    ),
    "orientation in the NIfTI header is unusable ({error})": (
        "NIfTI 헤더의 방향 정보를 쓸 수 없습니다 ({error})"
    ),
    # Errors of this extension.
    "this server does not offer {route}": "이 서버는 {route}을(를) 제공하지 않습니다",
    "this server does not offer {route}: {error}": (
        "이 서버는 {route}을(를) 제공하지 않습니다: {error}"
    ),
    "the server answered {route} with status {status}": (
        "서버가 {route}에 상태 {status}(으)로 답했습니다"
    ),
    "the server answered {route} with status {status}: {error}": (
        "서버가 {route}에 상태 {status}(으)로 답했습니다: {error}"
    ),
    "Check that a TumorLens server runs at this address": (
        "이 주소에서 TumorLens 서버가 실행 중인지 확인하십시오"
    ),
    "Enter the token that the server printed when it started": (
        "서버가 시작할 때 표시한 토큰을 입력하십시오"
    ),
    "'{address}' is not a server address": "'{address}'은(는) 서버 주소가 아닙니다",
    "'{address}' holds more than an address": "'{address}'에 주소가 아닌 것이 들어 있습니다",
    "Write it as http://127.0.0.1:8000": "http://127.0.0.1:8000처럼 적으십시오",
    "{host} means 'every address' to a server and none to a client": (
        "{host}은(는) 서버에는 '모든 주소'이지만 클라이언트에는 주소가 아닙니다"
    ),
    "Use 127.0.0.1 for a server on this computer, else the name of its computer": (
        "이 컴퓨터의 서버는 127.0.0.1, 다른 컴퓨터는 그 이름을 쓰십시오"
    ),
    "no server answers at {address}": "{address}에서 답하는 서버가 없습니다",
    "Start it (tumorlens serve) and check address and port": (
        "서버를 시작하고(tumorlens serve) 주소와 포트를 확인하십시오"
    ),
    "the name '{host}' is unknown": "'{host}'은(는) 알 수 없는 이름입니다",
    "Check the address": "주소를 확인하십시오",
    "no secure connection to {address}: {error}": "{address}에 보안 연결할 수 없습니다: {error}",
    "Use http:// if the server has no certificate, or install its certificate": (
        "서버에 인증서가 없으면 http://를 쓰거나 인증서를 설치하십시오"
    ),
    "the server at {address} did not answer {route} in time": (
        "{address}의 서버가 {route}에 제때 답하지 않았습니다"
    ),
    "device {name} ran out of memory": "장치 {name}의 메모리가 부족합니다",
    "this machine ran out of memory": "이 컴퓨터의 메모리가 부족합니다",
    "Close other programs and try again, one case at a time": (
        "다른 프로그램을 닫고 한 번에 한 사례씩 다시 시도하십시오"
    ),
    "Close other programs that use it, or start again with --device cpu (TUMORLENS_DEVICE=cpu)": (
        "이 장치를 쓰는 다른 프로그램을 닫거나 --device cpu (TUMORLENS_DEVICE=cpu)로 다시 "
        "시작하십시오"
    ),
    "It may be busy; try again in a minute": "바쁠 수 있습니다. 잠시 후 다시 시도하십시오",
    "the connection to {address} broke off": "{address}와(과)의 연결이 끊어졌습니다",
    "Check that the server still runs": "서버가 아직 실행 중인지 확인하십시오",
    "what answers at {address} is no MONAI Label server": (
        "{address}에서 답하는 것은 MONAI Label 서버가 아닙니다"
    ),
    "Check address and port": "주소와 포트를 확인하십시오",
    "{name}: no answer within {seconds} s": "{name}: {seconds}초 안에 답이 없었습니다",
    "the correction could not be saved on this computer: {error}": (
        "교정을 이 컴퓨터에 저장하지 못했습니다: {error}"
    ),
    "the server's reply has no JSON part": "서버의 응답에 JSON 부분이 없습니다",
    "the server's reply cannot be read: {why}": "서버의 응답을 읽을 수 없습니다: {why}",
    "the server's reply is not JSON": "서버의 응답이 JSON이 아닙니다",
    "the server's reply names no {key}": "서버의 응답에 {key}이(가) 없습니다",
    "the server's reply holds no segmentation": "서버의 응답에 분할이 없습니다",
    "{route} answered with something else than a list": "{route}의 응답이 목록이 아닙니다",
    "{route} answered with something else than an object": "{route}의 응답이 객체가 아닙니다",
    "content type '{kind}' names no boundary": "콘텐츠 형식 '{kind}'에 경계가 없습니다",
    "the reply ends in the middle": "응답이 중간에 끊겼습니다",
    "a part of the reply has no name": "응답의 한 부분에 이름이 없습니다",
    "labelmaps of {shape} and {other} voxels cannot be compared": (
        "복셀이 {shape}와(과) {other}인 레이블맵은 비교할 수 없습니다"
    ),
    "the labelmap holds the values {values}; expected 1, 2, 3 (sub-regions) or only 4 (undivided "
    "core)": (
        "레이블맵의 값이 {values}입니다. 1, 2, 3(세부 영역)이나 4(나누지 않은 중심부)만 가능합니다"
    ),
    "the labelmap holds the values {values}; expected {known}": (
        "레이블맵의 값이 {values}입니다. 가능한 값: {known}"
    ),
    "Slicer could not import the labelmap": "Slicer가 레이블맵을 가져오지 못했습니다",
    "the segments {segments} belong to no class of the tumour; move their voxels into one of its "
    "classes, or delete them": (
        "분할 영역 {segments}은(는) 어느 종류에도 속하지 않습니다. 복셀을 종류 하나로 옮기거나 "
        "지우십시오"
    ),
    "place at least one point inside the image first": "먼저 영상 안에 점을 하나 이상 찍으십시오",
    "a point marked as tumour is also marked as no tumour; remove one of them": (
        "같은 점이 종양이면서 종양 아님으로 표시되었습니다. 하나를 지우십시오"
    ),
    "the server writes replies of version {version}; this panel reads version 1": (
        "서버의 응답 버전은 {version}이고 이 패널은 버전 1을 읽습니다"
    ),
    "Update the TumorLens extension or the server, so that both fit": (
        "TumorLens 확장이나 서버를 서로 맞게 업데이트하십시오"
    ),
    "'{value}' is neither true nor false": "'{value}'은(는) true도 false도 아닙니다",
    "the volume cannot be read: {why}": "볼륨을 읽을 수 없습니다: {why}",
    "the NRRD header has no end": "NRRD 헤더의 끝이 없습니다",
    "the NRRD header points to another file": "NRRD 헤더가 다른 파일을 가리킵니다",
    "the NRRD volume has {count} axes; expected 3": (
        "NRRD 볼륨의 축이 {count}개입니다. 3개여야 합니다"
    ),
    "NRRD encoding '{kind}' is not read; expected raw or gzip": (
        "NRRD 인코딩 '{kind}'은(는) 읽지 않습니다. raw나 gzip이어야 합니다"
    ),
    "the file is neither NRRD nor NIfTI-1": "파일이 NRRD도 NIfTI-1도 아닙니다",
    "the NIfTI volume has the sizes {shape}; expected 3D": (
        "NIfTI 볼륨의 크기가 {shape}입니다. 3차원이어야 합니다"
    ),
    "the volume has the sizes {shape}; expected at most {most}": (
        "볼륨의 크기가 {shape}입니다. 최대 {most}까지 가능합니다"
    ),
    "the volume is torn: {count} of {most} bytes": (
        "볼륨이 잘렸습니다: {most}바이트 중 {count}바이트"
    ),
    "the volume's axes do not span space": "볼륨의 축이 공간을 이루지 않습니다",
    "the volume '{volume}' is moved by a transform; harden the transform first": (
        "볼륨 '{volume}'이(가) 변환으로 움직여 있습니다. 먼저 변환을 적용하십시오"
    ),
    "the {what} that the server sent does not lie on the image ({mm} mm away); it is not shown": (
        "서버가 보낸 {what}이(가) 영상 위에 있지 않아 ({mm} mm 떨어짐) 표시하지 않습니다"
    ),
    "the server's segmentation cannot be shown: {why}": "서버의 분할을 표시할 수 없습니다: {why}",
}
