"""Words of sequence names, as radiographers, archives and public data sets write them.

English, German, French, Spanish, Italian, Portuguese, Dutch, Korean, Chinese and Japanese.
All words are lower case and without accents, as `sequences` brings names to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


OTHER = _words(
    "adc dwi dti trace tracew diff diffusion",
    "ep2d epi perf perfusion dsc dce pwi asl rcbv rcbf cbv cbf mtt ttp ktrans",
    "swi swan mip minip phase tof mra mrv angio venogram bold fmri task mrs csi",
    "pd stir dir ciss fiesta fisp trufi inv1 inv2 ct cta pet spect dose",
    "localizer localiser localizador localizzatore localisateur scout survey loc calibration",
    "map maps mapping relaxometry t1rho t2star subtraction subtracted subtraktion subtract ratio",
    "soustraction sustraccion subtracao sottrazione dyn dynamic dynamik dynamique dinamico twist",
    "jacobian warp warpfield deformation xfm gm wm csf pve probability prob",
    "seg segm segmentation segmentations segmentacion segmentazione segmentierung",
    "label labels labelmap mask masks maske masque mascara maschera brainmask roi rois",
    "gt groundtruth truth annotation annotations annot heatmap uncertainty pred prediction",
    "gtv ctv ptv rtstruct contour contours delineation mosaic",
)
"""Words that make any image something else than the four sequences."""

LABELS = _words(
    "tumor tumour tumors tumours tumeur tumore tumoren lesion lesions laesion lasion lesione",
    "edema oedema odem oedem necrosis necrotic nekrose core outline",
)
"""What a labelmap marks; as a word behind a sequence (`t1c_tumor`) it names the labelmap."""
LABEL_ENDINGS = _words("wt tc et ncr ed")
"""The same, as the last word only."""

T2_GRADIENT_ECHO = _words("gre ffe fl2d fl3d flash hemo heme haem haemo merge")
"""T2-weighted gradient echoes show blood, not what a T2 spin echo shows."""

T1_CORES = _words("t1 mprage memprage mp2rage bravo spgr fspgr irfspgr vibe thrive ethrive mdeft")
"""Words that make an image T1-weighted."""

CONTRAST = _words(
    "ce gd gad gado km kontrast kontrastmittel kontrastverstarkt contrast contrasts contraste",
    "contrasto contrastado contrastada contrasted contrastmiddel contraststof contrastvloeistof",
    "mdc mdk civ pdc enhanced enhancement enh realce rehausse rehaussee",
    "postcontrast postcontraste postcontrasto postcon postgad postgado postgd postkm postmdc postc",
    "inj inject injected injecte injectee injektion injection inyectado inyeccion iniezione",
    "injecao injetado geinjecteerd cte contr gbca",
    "magnevist prohance multihance omniscan optimark dotarem clariscan dotagraf dotagita",
    "gadograf cyclolux artirem magnegita magnetolux elucirem vueway eovist primovist ablavar",
    "vasovist pixxoscan ferumoxytol feraheme",
)
"""Words of a contrast agent and of giving it. Words that begin with `gado` or `gadav` are too."""
CONTRAST_STEMS = ("gado", "gadav", "gddtpa", "gddota", "gdbt", "gdhp")

WEAK_CONTRAST = _words("c iv ev ci k agent medium medio mezzo")
"""Words that speak of contrast agent only beside "with", "without", "after" or a sign."""

WITH_AGENT = _words("with mit avec con com met")
WITHOUT = _words("without wo ohne sans sin senza sem zonder")
AFTER = _words("post pos apres nach dopo despues depois apos after")
BEFORE = _words("pre pra prae vor avant antes prima before prior voor ante")
NOT = _words(
    "no non not without wo ohne senza sans ss sin sem zonder geen kein keine keinen nicht niet",
    "nao un s o v bez",
)
"""Words that deny what follows; single letters only directly before a contrast word."""
NOT_LETTERS = frozenset({"s", "o", "v"})
NONE = _words("none no nein non nil neg negative negativ negativo minus null off 0 nee free")
"""Words that deny the contrast word before them."""
NO_AGENT_TEXTS = (
    NONE
    | _words("na nothing without unenhanced ungiven false f 00 0ml kein keine keines geen")
    | {
        *("n a", "not given", "not applicable", "not applied", "not used", "none given", "0 ml"),
        *("0 cc", "0 0", "0 0 ml", "no agent", "nothing given", "non utilise", "non iniettato"),
    }
)
"""Texts of ContrastBolusAgent that mean none."""
UNKNOWN_TEXTS = frozenset({"unknown", "unk", "unspecified", "undefined", "not known", "xxx", "x"})
NATIVE = _words(
    "native nativ nativo nativa natif natief nat n plain plaine plano simple basal basale blanco",
    "blank unenhanced nonenhanced noncontrast noncontrasted nongad nongd precontrast precontraste",
    "precontrasto precon pregad pregado pregd prekm premdc noncon unkontrastiert nativaufnahme",
    "smdc leer leeraufnahme vacio bianco diretta diretto blanc",
)
"""Words of an image without contrast agent."""

FILLERS = _words(
    "di de del della dell d l la le les los las du des do da dos das dem den der the a any of to",
    "van von het iv ev i v via agent medium media medio mezzo produit product produto middel",
    "administration administracion amministrazione somministrazione application applikation",
    "gabe injection injektion iniezione inyeccion injecao inj bolus vein intravenous intravenoso",
    "intraveneux endovenosa endovenoso",
)
"""Words that may stand between a denial and the contrast word it denies."""

AFTER_WHICH_IT_IS_A_DATE = _words(
    "op ops operative operation operatif operatoire operatorio operatoria operativ operativa",
    "surgery surgical chirurgie chirurgia cirugia cirurgia quirurgico quirurgica cirurgico",
    "operatie resection resektion resezione reseccion resseccao exerese biopsy biopsie biopsia",
    "rt xrt rx radiation radio radiotherapy radiotherapie radioterapia bestrahlung bestraling",
    "treatment therapy therapie terapia traitement tratamiento tratamento behandlung behandeling",
    "tx chemo chemotherapy stupp stroke trauma day week month tag monat mois jour dia mes",
)
"""Behind "pre" or "post" these speak of a date, not of contrast agent."""
DATES = _words(
    "postop preop praop praeop intraop postoperative postoperativ postoperatoire postoperatorio",
    "preoperative praoperativ preoperatoire preoperatorio preoperatoria postoperatoria postrt",
)

BIDS_ENTITIES = frozenset({"ses", "sub"})
SPACE_PREPOSITIONS = frozenset({"to", "in", "on"})
"""`flair_to_t1`, `t2_in_t1_space`: what follows names a space, not the image."""

JOINED_PLAIN = _words(
    "w wi weighted mpr mp se tse fse frfse tfe ffe gre spgr fspgr space spc cube ir tir tirm blade",
    "propeller prop flash fl2d fl3d 2d 3d iso fs fatsat hr sag cor ax axi axial tra brain bet n4",
    "images image mprage memprage bravo vibe",
)
JOINED_NATIVE = _words("n pre nativ native nat precontrast nativo natif plain")
JOINED_CONTRAST = _words(
    "c ce gd gad gado gadolinium gadovist post pos contrast contraste km kontrast mdc inj postgd",
    "postgad postkm postcontrast postcon enhanced",
)
"""Parts of words such as `t1wce` or `gdt1`."""
JOINED_PREFIXES = _words("2d 3d ax sag cor tra pre post gd ce gad brain axial iso fs")

FLAIR = _words("flair darkfluid t2f fluidattenuated dafl")

KNOWN = (
    CONTRAST
    | WITH_AGENT
    | AFTER
    | BEFORE
    | NOT
    | NONE
    | NATIVE
    | FILLERS
    | AFTER_WHICH_IT_IS_A_DATE
    | DATES
    | JOINED_PLAIN
    | T1_CORES
    | WEAK_CONTRAST
    | SPACE_PREPOSITIONS
    | _words(
        "flair star rage turbo spin echo gradient field fast spoiled recovery inversion saturation",
        "transversal transverse axiale sagittal sagital coronal koronar coronaal coronale",
        "sagittale",
        "obl oblique isotropic resolution high low thin thick slice slices mm tr te ti fov",
        "fat sat water dixon opp norm nd dis2d dis3d reformat recon reconstruction volume vol",
        "sense grappa caipi caipirinha compressed cs acc wip stealth brainlab nav navigation",
        "neuronavigation gamma knife gk head kopf tete cabeza testa cabeca hoofd neuro cranium",
        "cerveau cerebro encefalo cervello hirn gehirn hersenen skull base tumor protocol",
        "reg registered coreg coregistered aligned resampled mni space skullstripped stripped",
        "mri mr irm rm rmn mrt scan serie series image img images pulse sequence seq dark fluid",
        "later earlier nothing both and und et plus na patient case rms uni ns eg dtpa dota",
        "kontrastmittelgabe gre fse dicom nifti reorient cropped crop final",
        "corrected bias biascorrected n4corrected",
    )
)
"""Words that say nothing about contrast agent, and all that do."""

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        # contrast agent and giving it
        "조영증강": "contrast",
        "조영제": "contrast",
        "조영": "contrast",
        "증강": "contrast",
        "가돌리늄": "contrast",
        "가도비스트": "contrast",
        "增强": "contrast",
        "增強": "contrast",
        "强化": "contrast",
        "強化": "contrast",
        "造影剂": "contrast",
        "造影劑": "contrast",
        "造影剤": "contrast",
        "造影": "contrast",
        "对比剂": "contrast",
        "對比劑": "contrast",
        "钆": "contrast",
        "釓": "contrast",
        "ガドリニウム": "contrast",
        "ガドビスト": "contrast",
        "注射": "inj",
        "注药": "inj",
        "주입": "inj",
        # denials before and behind
        "비": "non",
        "무": "non",
        "未": "non",
        "非": "non",
        "不": "non",
        "无": "nothing",
        "無し": "nothing",
        "無": "nothing",
        "なし": "nothing",
        "없음": "nothing",
        "없이": "nothing",
        "미사용": "nothing",
        "안함": "nothing",
        "あり": "with",
        "有り": "with",
        "有": "with",
        "있음": "with",
        "사용": "with",
        # before and after stand behind what they speak of
        "之前": "earlier",
        "前": "earlier",
        "이전": "earlier",
        "전": "earlier",
        "之后": "later",
        "之後": "later",
        "后": "later",
        "後": "later",
        "이후": "later",
        "후": "later",
        "전후": "earlier later",
        "前后": "earlier later",
        "前後": "earlier later",
        # without contrast agent
        "平扫": "native",
        "平掃": "native",
        "单纯": "native",
        "単純": "native",
        "基线": "native",
        # dates
        "术后": "postop",
        "術後": "postop",
        "手术后": "postop",
        "手術後": "postop",
        "수술후": "postop",
        "术前": "preop",
        "術前": "preop",
        "手术前": "preop",
        "手術前": "preop",
        "수술전": "preop",
        "수술": "surgery",
        "手术": "surgery",
        "手術": "surgery",
        "治疗": "therapy",
        "治療": "therapy",
        "치료": "therapy",
        "放疗": "therapy",
        # the image
        "压水": "flair",
        "壓水": "flair",
        "水抑制": "flair",
        "压脂": "fs",
        "脂肪抑制": "fs",
        "지방억제": "fs",
        "加权": "w",
        "加權": "w",
        "強調": "w",
        "强调": "w",
        "강조": "w",
        "像": "image",
        "画像": "image",
        "图像": "image",
        "영상": "image",
        "轴位": "ax",
        "横断": "ax",
        "横轴": "ax",
        "水平断": "ax",
        "축상": "ax",
        "횡단": "ax",
        "矢状": "sag",
        "시상": "sag",
        "冠状": "cor",
        "관상": "cor",
        "位": "image",
        "面": "image",
        "断": "image",
        "头颅": "head",
        "頭部": "head",
        "脑": "brain",
        "脳": "brain",
        "뇌": "brain",
        # other images
        "弥散": "dwi",
        "扩散": "dwi",
        "拡散": "dwi",
        "확산": "dwi",
        "灌注": "perfusion",
        "관류": "perfusion",
        "定位": "localizer",
        "动态": "dynamic",
        "動態": "dynamic",
        "动态增强": "dynamic",
        "분할": "seg",
        "分割": "seg",
        "标注": "seg",
        "標註": "seg",
        "라벨": "seg",
        "마스크": "mask",
        "肿瘤": "tumor",
        "腫瘤": "tumor",
        "腫瘍": "tumor",
        "종양": "tumor",
        "病灶": "lesion",
        "病变": "lesion",
        "병변": "lesion",
        "부종": "edema",
    }
)
"""Words of scripts that put no space between words; the longest counts."""
