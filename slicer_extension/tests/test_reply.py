"""Reading replies, and what the panel writes about them; no Slicer, no Qt."""

import json
import re

import jsonschema
import pytest
from TumorLensLib import rationale
from TumorLensLib.compare import compare
from TumorLensLib.rationale import DARK, LIGHT
from TumorLensLib.reply import parse_reply
from TumorLensLib.texts import Translator
from TumorLensLib.transport import BadReplyError

from slicer_extension.tests import phantoms
from slicer_extension.tests.conftest import MODULE
from slicer_extension.tests.fake_server import FakeServer

T = Translator("en")
KEYS = (
    "classification", "heatmap", "evidence", "rationale", "counterfactual", "similar_cases",
    "symptoms", "warnings", "models", "sequences", "segmentation", "notice", "uncertainty",
)  # fmt: skip


def a_reply(**changes):
    body, _ = FakeServer().reply("analysis", "CASE-1", {"uncertainty": True})
    return {**body, **changes}


@pytest.mark.parametrize("task", ["segmentation", "explanation", "analysis", "refine"])
def test_the_test_servers_replies_obey_the_documented_schema(task):
    schema = json.loads((MODULE.parents[1] / "docs" / "reply.schema.json").read_text())
    fake = FakeServer()
    fake.refine_labels.append(phantoms.labelmap())
    clicks = {"positive": [], "negative": []}
    body, _ = fake.reply(task, "CASE-1", {"clicks": clicks})
    jsonschema.validate(body, {**schema, "additionalProperties": True})


def test_a_whole_reply_is_read():
    analysis = parse_reply(a_reply())
    assert analysis.scheme == "subregions"
    assert analysis.classification.prediction_set == ("glioma", "meningioma")
    assert analysis.heat.scale == pytest.approx(1 / 255)
    assert analysis.heat.is_faithful is True
    ring, tail = analysis.evidence
    assert (ring.value, ring.extent_mm, ring.supports) == (1.31, 8.0, "glioma")
    assert ring.ras == pytest.approx(tuple(phantoms.point_mm(phantoms.PEAK_IJK)))
    assert ring.reference["meningioma"] == (0.6, 0.9, 1.1)
    assert (tail.value, tail.ras, tail.reason) == (None, None, "the tumour does not touch the dura")
    assert analysis.sentences[0].evidence == ("e1",)
    assert analysis.claims == (3, 3)
    assert analysis.sequences_missing == ("t1", "t2")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, [], {}, "text", 7, [None], {"x": None}])
def test_sections_that_are_missing_or_of_another_kind_never_break_the_panel(key, value):
    analysis = parse_reply(a_reply(**{key: value}))
    for text in (
        rationale.warnings_html(analysis, T, LIGHT),
        rationale.classification_html(analysis.classification, T, LIGHT),
        rationale.sentences_html(analysis.sentences, LIGHT),
        rationale.evidence_html(analysis.evidence, T, LIGHT),
        rationale.more_html(analysis, T, LIGHT),
    ):
        assert isinstance(text, str)
    parse_reply({k: v for k, v in a_reply().items() if k != key})


def test_numbers_that_are_none_are_not_numbers():
    body = a_reply()
    body["evidence"][0]["value"] = float("nan")
    body["heatmap"]["peak_ras"] = [1, None, 3]
    body["classification"]["probabilities"] = {"glioma": None, "meningioma": 0.4}
    analysis = parse_reply(body)
    assert analysis.evidence[0].value is None
    assert analysis.heat.peak_ras is None
    assert analysis.classification.probabilities == {"meningioma": 0.4}


def test_only_version_1_is_read():
    assert parse_reply(a_reply(schema_version="1.7")).scheme == "subregions"
    with pytest.raises(BadReplyError, match=r"version 2\.0; this panel reads version 1"):
        parse_reply(a_reply(schema_version="2.0"))


def test_everything_from_the_server_is_escaped():
    body = a_reply(warnings=["<b>bold</b>"])
    body["evidence"][0]["id"] = "e'><script>"
    body["classification"]["reasons"] = ["<i>"]
    analysis = parse_reply(body)
    text = "".join(
        (
            rationale.warnings_html(analysis, T, LIGHT),
            rationale.classification_html(analysis.classification, T, LIGHT),
            rationale.sentences_html(analysis.sentences, LIGHT),
            rationale.evidence_html(analysis.evidence, T, LIGHT),
            rationale.more_html(analysis, T, LIGHT),
        )
    )
    assert "<script" not in text
    assert "<b>bold" not in text
    assert "<i>" not in text.replace("<i>No dural tail", "")
    assert "a core &lt;darker&gt; than it" in text
    assert "dural tail &lt;length&gt;" in text


def test_bars_are_as_long_as_the_probability_and_show_the_set():
    found = parse_reply(a_reply()).classification
    html = rationale.classification_html(found, T, LIGHT)
    widths = [int(w) for w in re.findall(rf"bgcolor='{LIGHT.bar}' width='(\d+)'", html)]
    assert widths == [round(0.87 * 130), round(0.11 * 130)]
    outside = re.findall(rf"bgcolor='{LIGHT.bar_out}' width='(\d+)'", html)
    assert outside == [str(round(0.02 * 130))]
    assert "Cannot be ruled out: glioma, meningioma (90 % of such sets" in html


def test_a_set_of_one_type_is_said_in_its_own_words():
    body = a_reply()
    body["classification"]["prediction_set"] = ["glioma"]
    html = rationale.classification_html(parse_reply(body).classification, T, LIGHT)
    assert (
        "Of these three, the others are ruled out (90 % of such sets hold the right type)." in html
    )


def test_sentences_link_to_their_evidence_and_evidence_to_its_place():
    analysis = parse_reply(a_reply())
    sentences = rationale.sentences_html(analysis.sentences, LIGHT)
    assert re.findall(r"href='(evidence:\w+)'", sentences) == ["evidence:e1", "evidence:e2"]
    table = rationale.evidence_html(analysis.evidence, T, LIGHT)
    assert re.findall(r"href='(evidence:\w+)'", table) == ["evidence:e1"]
    assert "glioma: 0.9–1.9" in table
    assert "not measured: the tumour does not touch the dura" in table


def test_warnings_come_with_the_strangest_first():
    body = a_reply()
    body["classification"]["out_of_distribution"]["is_out"] = True
    body["heatmap"]["faithfulness"] = {"passed": False, "reasons": ["no better than chance"]}
    html = rationale.warnings_html(parse_reply(body), T, LIGHT)
    lines = re.findall(r"<div>⚠ (.*?)</div>", html)
    assert lines[0].startswith("This case is unlike")
    assert lines[1] == "t2 was resampled to the grid of t1c"
    assert lines[2].endswith("do not rely on it. (no better than chance)")
    assert rationale.warnings_html(parse_reply(a_reply(warnings=[])), T, LIGHT) == ""


def test_more_says_what_would_change_the_type_and_who_answered():
    html = rationale.more_html(parse_reply(a_reply()), T, LIGHT)
    assert (
        "With ring-enhancement index at 1.02 instead of 1.31, the type would be meningioma." in html
    )
    assert "✓ <b>ring</b> enhancement (glioma) 0.71" in html
    assert "measurement says" not in html
    assert "3 of 3 statements were checked" in html
    assert "Models: segmentation 1.0.0 (a1a1a1a1)" in html
    assert "Sequences: t1c, flair; missing: t1, t2" in html


@pytest.mark.parametrize(
    ("matched", "present", "said"),
    [
        (True, False, "The picture says yes, the measurement says no."),
        (False, True, "The picture says no, the measurement says yes."),
    ],
)
def test_a_symptom_that_the_measurement_contradicts_says_so(matched, present, said):
    body = a_reply()
    body["symptoms"][0] |= {"matched": matched, "present": present}
    assert said in rationale.more_html(parse_reply(body), T, LIGHT)
    body["symptoms"][0] |= {"matched": matched, "present": None}
    assert "measurement says" not in rationale.more_html(parse_reply(body), T, LIGHT)


def test_a_comparison_names_every_class_and_region():
    before, after = phantoms.labels(), phantoms.labels()
    after[after == 1] = 3
    found = compare(before, after, (1.0, 2.0, 2.5), "subregions")
    html = rationale.comparison_html(found, T, LIGHT)
    assert "8 voxels changed (0.04 mL)." in html
    for name in ("necrotic core", "oedema", "enhancing tumour", "Whole tumour", "Tumour core"):
        assert name in html
    assert "-0.04" in html
    same = compare(before, before, (1.0, 2.0, 2.5), "subregions")
    assert "as proposed" in rationale.comparison_html(same, T, LIGHT)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("theme", "background"), [(LIGHT, "#efefef"), (DARK, "#323232")])
def test_texts_can_be_read_on_their_background(theme, background):
    def contrast(colour):
        high, low = sorted((luminance(colour), luminance(background)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for colour in (theme.text, theme.faint, theme.warning, theme.link):
        assert contrast(colour) >= 4.5, colour
    assert rationale.theme_for(0.2) is DARK
    assert rationale.theme_for(0.9) is LIGHT


def test_no_probability_is_shown_as_certain():
    body = a_reply()
    body["classification"]["probabilities"] = {"glioma": 0.9941, "meningioma": 0.0059}
    html = rationale.classification_html(parse_reply(body).classification, T, LIGHT)
    assert "&gt; 99 %" in html
    assert "&lt; 1 %" in html
    assert "100" not in html.replace("100 -", "")


def test_beside_the_type_stands_what_the_model_does_not_know():
    note = (
        "Only glioma, meningioma and pituitary tumour are known; probabilities are among these "
        "three. Metastasis, lymphoma, abscess, schwannoma, demyelination and other lesions are "
        "not among them."
    )
    body = a_reply()
    body["classification"]["scope"] = {"known": [], "not_known": [], "note": note}
    found = parse_reply(body).classification
    assert note in rationale.classification_html(found, T, LIGHT)
    korean = rationale.classification_html(found, Translator("ko"), LIGHT)
    assert "전이, 림프종, 농양, 신경초종, 탈수초 병변" in korean
    del body["classification"]["scope"]
    assert parse_reply(body).classification.scope == ""


def test_the_summary_is_shown_and_the_rest_behind_a_link():
    sentences = parse_reply(a_reply()).sentences
    assert [s.is_summary for s in sentences] == [True, False]
    closed = rationale.folded_html(sentences, T, LIGHT, is_open=False)
    assert "A ring of enhancement" in closed
    assert "No dural tail" not in closed
    assert "<a href='fold:'" in closed
    assert "Show 1 more sentences" in closed
    opened = rationale.folded_html(sentences, Translator("ko"), LIGHT, is_open=True)
    assert "No dural tail" in opened
    assert "자세한 내용 숨기기" in opened
    older = a_reply()
    for sentence in older["rationale"]["sentences"]:
        del sentence["part"]
    whole = rationale.folded_html(parse_reply(older).sentences, T, LIGHT, is_open=False)
    assert "No dural tail" in whole
    assert "fold:" not in whole
