"""The page as a whole: escaping, policy, absent sections, size, languages."""

import base64
import hashlib
import re
import runpy
from html.parser import HTMLParser

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.concepts.vocabulary import read_symptoms
from brain_tumor.errors import GeometryError, InputError, StorageError
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.facts.vocabulary import KOREAN_SYMPTOMS
from brain_tumor.explanation.heat.volume import heat_volume
from brain_tumor.explanation.page.charts import Axis, contribution_bar, probability_bar
from brain_tumor.explanation.page.labels import LABELS
from brain_tumor.explanation.page.page import render_page, write_page
from brain_tumor.explanation.page.rendering import environment
from brain_tumor.explanation.page.text import Texts, decimal_text, measured_text
from jinja2 import TemplateSyntaxError, UndefinedError

from tests.helpers.page_reports import a_page_case, a_report, a_symptom
from tests.helpers.server import REPOSITORY

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u202e\ud800"


class Reader(HTMLParser):
    """Elements, texts, ids and inner links of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.ids, self.links, self.texts = [], [], [], [], []
        self._raw = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [v for n, v in attrs if n == "href" and tag == "a"]
        self._raw = tag if tag in {"style", "script"} else None

    def handle_endtag(self, tag):
        self._raw = None

    def handle_data(self, data):
        if self._raw is None:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def poisoned(value):
    """The report with every text replaced, and every key of an open mapping too."""
    if isinstance(value, dict):
        return {key: poisoned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def shown(report=None, language="en", **given):
    case, labelmap, heat = a_page_case()
    given = {"labelmap": labelmap, "heat": heat} | given
    return Reader(render_page(report or a_report(), case, language=language, **given))


@pytest.mark.parametrize("section", [None, *a_report()])
def test_no_text_of_a_report_becomes_markup(section):
    clean = a_report()
    report = poisoned(clean) if section is None else {**clean, section: poisoned(clean[section])}
    if section in (None, "classification"):
        report["classification"]["probabilities"] = {HOSTILE: 0.5, "glioma": 0.5}
    if section in (None, "segmentation"):
        report["segmentation"]["volumes_ml"] = {HOSTILE: 1.0}
    if section in (None, "timings_s"):
        report["timings_s"] = {HOSTILE: 1.0}
    page = shown(report)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not [a for a in page.attributes if a[1].startswith("on") or a[1] == "style"]
    assert all(re.fullmatch(r"[a-z0-9-]+", own) for own in page.ids)
    assert all(re.fullmatch(r"#[a-z0-9-]+", link) for link in page.links)


def test_a_hostile_text_is_shown_as_it_was_written():
    page = shown({"warnings": [HOSTILE]})
    assert "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;?" in page.text
    assert "\u202e" not in page.text


def test_a_hostile_case_id_stays_text():
    image = Volume(np.full((6, 6, 6), 9.0, dtype=np.float32), np.eye(4))
    page = Reader(render_page({}, Case(HOSTILE, Sequence.T1, {Sequence.T1: image})))
    assert page.tags.count("script") == 1
    assert "Case \"'><script>" in page.text


def test_the_policy_lets_only_the_page_s_own_style_and_script_through():
    case, labelmap, heat = a_page_case()
    page = render_page(a_report(), case, labelmap, heat)
    policy = dict(v[1:] for v in Reader(page).attributes if v[0] == "meta")["content"]
    policies = [v[2] for v in Reader(page).attributes if v[0] == "meta" and v[1] == "content"]
    policy = next(p for p in policies if "default-src" in p)

    def digest(tag):
        content = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1)
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest('style')}'",
        f"script-src 'sha256-{digest('script')}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_nothing_is_asked_from_a_network():
    case, labelmap, heat = a_page_case()
    page = render_page(a_report(), case, labelmap, heat)
    sources = [v for _, name, v in Reader(page).attributes if name in {"href", "src"}]
    assert sources
    assert all(
        v.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")) for v in sources
    )
    assert "://" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_every_link_leads_somewhere_and_every_id_is_there_once():
    page = shown()
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_a_sentence_is_linked_to_the_rows_it_rests_on_and_back():
    case, labelmap, heat = a_page_case()
    page = render_page(a_report(), case, labelmap, heat)
    sentence = re.search(r'<li id="sentence-1".*?</li>', page).group()
    assert re.findall(r'href="#([^"]+)">([^<]+)', sentence) == [
        ("evidence-1", "ring-enhancement index 1.31"),
        ("evidence-2", "necrotic share 34 %"),
    ]
    row = re.search(r'<tr id="evidence-1".*?</tr>', page).group()
    assert re.findall(r'href="#([^"]+)">([^<]+)', row) == [("sentence-1", "1"), ("sentence-3", "3")]
    assert "main:has(#sentence-1:hover) #evidence-2" in page
    assert "main:has(#evidence-1:hover) #sentence-3" in page


@pytest.mark.parametrize("missing", a_report())
@pytest.mark.parametrize("how", ["absent", "null", "another kind"])
def test_any_section_may_be_missing(missing, how):
    report = a_report()
    if how == "absent":
        del report[missing]
    else:
        report[missing] = None if how == "null" else 7
    assert shown(report).tags.count("figure") == 3


def test_a_report_with_nothing_but_a_segmentation_has_no_empty_sections():
    full = a_report()
    report = {k: full[k] for k in ("segmentation", "models", "sequences", "timings_s", "notice")}
    page = shown(report, heat=None)
    text = page.text
    assert "Tumour segmented" in text
    assert "Whole tumour 111 mL" in text
    for heading in ("Rationale", "Evidence", "Tumour type", "Warnings", "Heat", "None", "nan"):
        assert heading not in text


def test_warnings_come_before_the_images_and_reasons_stand_out():
    report = a_report()
    report["classification"] |= {
        "prediction": "undetermined",
        "reasons": ["ambiguous", "Odd image."],
    }
    text = shown(report).text
    order = [
        "Tumour type undetermined",
        "t2 was resampled",
        "Why no type is given",
        "More than one type fits the measurements",
        "Odd image.",
        "Images",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_heat_that_failed_its_test_is_grey_and_says_so():
    report = a_report()
    trusted = shown(report)
    assert "Infidelity 0.42 (0 is best" in trusted.text
    assert "the heat changes by 7 % at most" in trusted.text
    assert "those of shuffled weights: \N{MINUS SIGN}0.30" in trusted.text
    report["heatmap"]["faithfulness"] |= {"passed": False, "reasons": ["The peak is outside."]}
    doubtful = shown(report)
    assert "do not rely on it" in doubtful.text
    assert "The peak is outside." in doubtful.text
    assert "do not rely on it" not in trusted.text

    def heats(page):
        return [v for t, n, v in page.attributes if t == "image" and v and "image/png" in v]

    assert heats(trusted)
    assert not set(heats(trusted)) & set(heats(doubtful))


def test_heat_of_a_region_is_named_as_such_and_not_as_a_reason_for_the_type():
    report = a_report()
    report["heatmap"] |= {"method": "layercam", "target": "ET"}
    report["heatmap"]["faithfulness"] = {
        "passed": True,
        "reasons": [],
        "deletion_auc": None,
        "insertion_auc": None,
        "region": {"name": "ET", "inside_share": 0.64},
    }
    page = shown(report).text
    assert "Heat for the outline of the enhancing tumour" in page
    assert "explains the outline of the enhancing tumour, not the tumour type" in page
    assert "64 % of the heat lies inside the enhancing tumour" in page
    assert "changes when the model's weights are shuffled" in page
    assert "hiding the hottest places" not in page
    assert "조영증강 종양 윤곽에 대한 열" in shown(report, language="ko").text
    assert "outline of the" not in shown(a_report()).text


def test_a_case_without_tumour_says_so_and_shows_the_head():
    case, labelmap, _ = a_page_case()
    report = {
        "classification": {
            "prediction": "undetermined",
            "probabilities": None,
            "reasons": ["No tumour was found."],
        }
    }
    page = Reader(render_page(report, case, np.zeros_like(labelmap)))
    assert "No tumour found" in page.text
    assert "No tumour was found." in page.text
    assert page.tags.count("figure") == 3
    assert not [i for i in page.ids if i.startswith("show-")]


def test_the_notice_stands_once():
    page = shown()
    assert page.text.count("Research use only; not a medical device.") == 1
    assert shown(language="ko").text.count("연구용이며 의료기기가 아닙니다.") == 1


def section_of(report, key, language="en"):
    """The section with a title, as HTML."""
    case, _, _ = a_page_case()
    title = f"<h2>{Texts(Language(language))(key)}</h2>"
    page = render_page(report, case, language=language)
    return next(html for html in re.findall("<section.*?</section>", page) if title in html)


def of_symptoms(language, *items):
    return section_of({**a_report(), "symptoms": list(items)}, "symptoms", language)


def test_symptoms_mark_the_words_that_add_most_and_say_what_the_measurement_denies():
    html = of_symptoms("en", a_symptom(matched=True, present=False))
    assert ">little brain <mark>tissue</mark> around <mark>it</mark><" in html  # 0.3 and 0.2
    assert "The picture says yes, the measurement says no." in html
    html = of_symptoms("en", a_symptom(matched=False, present=True))
    assert "The picture says no, the measurement says yes." in html
    for agreed in (True, None):
        assert "measurement says" not in of_symptoms("en", a_symptom(matched=True, present=agreed))
    assert "measurement says" not in of_symptoms("en", a_symptom(matched=False, present=False))


def test_words_that_add_nothing_are_not_marked():
    html = of_symptoms("en", a_symptom(weights=(-0.1, 0.0, 0.0, 0.0, -0.3)))
    assert "little brain tissue around it<" in html
    assert "<mark>" not in html


def test_korean_pages_tell_symptoms_in_korean_beside_the_words_of_the_model():
    html = of_symptoms("ko", a_symptom(matched=True, present=False))
    assert "<li>주변에 뇌 조직이 거의 없음 <span" in html
    assert 'lang="en"' in html
    assert "little brain <mark>tissue</mark>" in html
    assert "영상에서는 보이지만 측정값은 그렇지 않습니다." in html


def test_scores_of_symptoms_stand_among_the_evidence_only_where_a_sentence_cites_them():
    report = a_report()
    texts = ("smooth round outline", "right on the midline")
    report["symptoms"] = [
        {**a_symptom(), "text": text, "item": f"e{90 + row}"} for row, text in enumerate(texts)
    ]
    report["evidence"] = [
        *report["evidence"],
        *(
            {"id": f"e{90 + row}", "name": text, "feature": f"symptom_{row}", "value": 0.8,
             "unit": "1", "measured": True}
            for row, text in enumerate(texts)
        ),
    ]  # fmt: skip
    report["rationale"]["sentences"][0]["evidence"].append("e90")
    html = section_of(report, "evidence")
    assert "smooth round outline" in html
    assert "right on the midline" not in html
    korean = section_of(report, "evidence", "ko")
    assert KOREAN_SYMPTOMS["smooth round outline"] in korean


def test_every_reviewed_symptom_has_its_korean():
    assert {symptom.text for symptom in read_symptoms().symptoms} == set(KOREAN_SYMPTOMS)


def test_korean_pages_have_korean_labels_and_names():
    page = shown(language="ko")
    for words in (
        "교종, 확률 91 %",
        "고리 조영증강 지수",
        "왼쪽 측두엽",
        "종양 전체",
        "괴사 핵심부",
    ):
        assert words in page.text
    assert ("html", "lang", "ko") in page.attributes


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("share", [0.9941, 1.0])
def test_a_page_never_says_100_per_cent(language, share):
    report = a_report()
    rest = (1.0 - share) / 2
    report["classification"]["probabilities"] = {
        "glioma": share, "meningioma": rest, "pituitary": rest
    }  # fmt: skip
    page = shown(report, language)
    assert page.text.count("> 99 %") >= 2
    assert page.text.count("< 1 %") >= 2
    assert "100 %" not in page.text


def test_a_tumour_without_t1c_is_not_called_none():
    report = a_report()
    report["classification"] |= {
        "prediction": "undetermined",
        "probabilities": None,
        "reasons": ["The case has no contrast-enhanced T1 volume."],
    }
    page = shown(report)
    assert "Tumour type undetermined" in page.text
    assert "No tumour found" not in page.text
    report["classification"]["reasons"] = ["No tumour was found, so there is nothing to classify."]
    assert "No tumour found" in shown(report).text


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_summary_stands_first_and_the_rest_is_folded(language):
    report = a_report()
    sentences = report["rationale"]["sentences"]
    for number, sentence in enumerate(sentences):
        sentence["part"] = "detail" if number else "summary"
    page = shown(report, language)
    fold = {"en": "All the rest: ", "ko": "나머지 문장 "}[language]
    folded = page.text.index(fold)
    assert page.text.index(sentences[0]["text"][:20]) < folded
    assert all(page.text.index(s["text"][:20]) > folded for s in sentences[1:])
    for sentence in sentences:
        del sentence["part"]
    assert {"en": "All the rest: ", "ko": "나머지 문장 "}[language] not in shown(
        report, language
    ).text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "probabilities are among these three. Metastasis, lymphoma, abscess"),
        ("ko", "확률은 이 세 유형 사이의 것입니다. 전이, 림프종, 농양"),
    ],
)
def test_beside_the_type_stands_what_the_model_does_not_know(language, words):
    assert words in shown(a_report(), language).text
    untyped = a_report()
    del untyped["classification"]
    assert words not in shown(untyped, language).text


def test_both_languages_fill_the_same_places():
    for key, (english, korean) in LABELS.items():
        places = [sorted(re.findall(r"{(\w+)}", words)) for words in (english, korean)]
        assert places[0] == places[1], key


def test_a_page_of_pure_noise_stays_below_4_mb():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (256, 240, 160)).astype(np.float32)
    case = Case("noise", Sequence.T1, {Sequence.T1: Volume(image, np.eye(4))})
    heat = heat_volume(image, np.eye(4), "gradcam++", "glioma")
    assert len(render_page(a_report(), case, None, heat).encode()) < 4_000_000


def test_what_does_not_fit_the_case_is_refused():
    case, labelmap, heat = a_page_case()
    with pytest.raises(GeometryError, match="labelmap has shape"):
        render_page({}, case, labelmap[1:], heat)
    with pytest.raises(InputError, match="language is 'xx'; expected one of en, ko"):
        render_page({}, case, labelmap, heat, "xx")


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    case, labelmap, heat = a_page_case()
    path = tmp_path / "report.html"
    write_page(path, a_report(), case, labelmap, heat)
    assert path.read_text(encoding="utf-8") == render_page(a_report(), case, labelmap, heat)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError):
        write_page(tmp_path / "taken", a_report(), case, labelmap, heat)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "taken"]


def test_charts_are_drawn_to_scale():
    assert 'class="fill-glioma" width="25" ' in probability_bar(0.25, "glioma")
    assert 'x="50" y="2" width="25" height="8" class="for"' in contribution_bar(0.3, 0.6)
    assert 'x="37.5" y="2" width="12.5" height="8" class="against"' in contribution_bar(-0.15, 0.6)
    axis = Axis.holding([2.0, 12.0])  # 4 % air on both sides: 1.6 to 12.4, on 14 to 160
    assert axis.place(7.0) == pytest.approx(87.0)
    assert axis.place(2.0) == pytest.approx(14 + 146 * 0.4 / 10.8)
    assert np.isfinite(Axis.holding([0.0, 0.0]).place(0.0))


def test_numbers_that_are_none_are_not_invented():
    assert [measured_text(v, "mm") for v in (None, float("nan"), True, "7")] == ["–"] * 4  # noqa: RUF001
    assert measured_text(0.34, "1", "necrosis_fraction") == "34 %"
    assert measured_text(4.0, "1", "similar_cases") == "4"
    assert decimal_text(-0.304, signed=True) == "\N{MINUS SIGN}0.30"
    assert decimal_text(0.001, signed=True) == "0.00"


def test_symptoms_have_the_same_korean_on_the_page_and_in_the_panel():
    # the extension is installed without the package, so each has its own table
    replies = REPOSITORY / "slicer_extension/TumorLens/TumorLensLib/korean_replies.py"
    panel = runpy.run_path(str(replies))["WORDS"]
    assert {text: panel.get(text) for text in KOREAN_SYMPTOMS} == dict(KOREAN_SYMPTOMS)


def rendered(source, values):
    return environment().from_string(source).render(values)


def test_lines_of_a_template_are_joined_without_white_space():
    lines = "<p>\n  {{ one }}\n</p>\n<b\n  id='x'>a\n b</b>\n"
    values = {"one": "1 < 2", "nothing": None}
    assert rendered(lines, values) == "<p>1 &lt; 2</p><b id='x'>a b</b>"
    assert rendered("<i>{{ nothing }}</i>{{ one }}", values) == "<i></i>1 &lt; 2"


def test_a_template_that_asks_for_what_nobody_gave_fails_at_its_line():
    with pytest.raises(UndefinedError, match="nobody"):
        rendered("{{ nobody }}", {})
    with pytest.raises(TemplateSyntaxError) as raised:
        rendered("<p>\n</p>\n{% endif %}", {})
    assert raised.value.lineno == 3
