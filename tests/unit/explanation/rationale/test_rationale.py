import json

import pytest
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import ProviderError
from brain_tumor.explanation.rationale.providers.registry import (
    ComposerProvider,
    ProviderSettings,
    available_providers,
    make_provider,
    warmed_beside,
)
from brain_tumor.explanation.rationale.rationale import explain_in_words

from tests.helpers.fact_sheets import facts_of


class FailingProvider:
    name = "endpoint"

    def phrase(self, facts, language):
        raise ProviderError("no answer within 20 s")


class Provider:
    name = "endpoint"

    def __init__(self, *texts):
        self._texts = texts

    def phrase(self, facts, language):
        return self._texts


def composed(language=Language.ENGLISH):
    return [sentence.text for sentence in compose(facts_of(), language)]


def shown(rationale):
    return [sentence.text for sentence in rationale.sentences]


def test_the_composer_is_the_default_and_is_kept_whole():
    rationale = explain_in_words(facts_of())
    assert shown(rationale) == composed()
    assert (rationale.provider, rationale.notes) == ("composer", ())


def test_the_rationale_is_serialised_as_the_contract_says():
    document = json.loads(json.dumps(explain_in_words(facts_of(), "ko").to_json()))
    assert set(document) == {"language", "provider", "sentences", "checks"}
    assert (document["language"], document["provider"]) == ("ko", "composer")
    first = document["sentences"][0]
    assert first == {
        "id": "s1",
        "text": "종양은 왼쪽 측두엽에 있으며 최대 크기는 42 mm입니다"
        "(핵심부 31 mL, 부종 포함 61 mL).",
        "evidence": ["e1", "e3", "e2"],
        "kind": "location",
        "part": "summary",
    }
    checks = document["checks"]
    assert checks["claims"] == checks["supported"] > 20
    assert (checks["removed"], checks["rewritten"], checks["problems"]) == (0, 0, [])


def test_a_provider_that_fails_falls_back_to_the_composer_and_says_so():
    rationale = explain_in_words(facts_of(), "en", FailingProvider())
    assert shown(rationale) == composed()
    assert rationale.provider == "composer"
    assert rationale.to_json()["checks"]["problems"] == [
        "endpoint: no answer within 20 s; the composer's text is shown"
    ]


class BreakingProvider:
    name = "transformers"

    def phrase(self, facts, language):
        raise KeyError("chat_template of /home/someone/model")


def test_whatever_a_provider_throws_the_composer_stands_in(caplog):
    rationale = explain_in_words(facts_of(), "en", BreakingProvider())
    assert shown(rationale) == composed()
    assert rationale.provider == "composer"
    assert rationale.notes == ("transformers: it failed (KeyError); the composer's text is shown",)
    assert "failed unexpectedly" in caplog.text


@pytest.mark.parametrize("texts", [(), ("",), ("Surgery is advised.", "It is a glioblastoma.")])
def test_a_provider_of_which_nothing_holds_falls_back_to_the_composer(texts):
    rationale = explain_in_words(facts_of(), "en", Provider(*texts))
    assert shown(rationale) == composed()
    assert rationale.provider == "composer"
    assert rationale.text.removed == len([text for text in texts if text])


def test_honest_words_of_a_provider_are_kept_under_its_name():
    text = "The probability of glioma is 93 %."
    rationale = explain_in_words(facts_of(), "en", Provider(text))
    assert rationale.provider == "endpoint"
    assert text in shown(rationale)
    assert rationale.text.added > 0  # what speaks against the type was left out


def test_what_was_refused_is_reported_with_its_reason():
    rationale = explain_in_words(
        facts_of(), "en", Provider("The probability of glioma is 93 %.", "It is malignant.")
    )
    assert rationale.to_json()["checks"]["problems"] == [
        "removed: 'It is malignant.' (no fact accounts for 'is malignant')"
    ]


def test_an_unknown_language_or_provider_is_refused():
    with pytest.raises(InputError, match="expected en or ko"):
        explain_in_words(facts_of(), "de")
    with pytest.raises(InputError, match="is not set up"):
        explain_in_words(facts_of(), "en", "oracle")


def test_providers_are_made_by_name_from_the_settings(tmp_path):
    environ = {"TUMORLENS_LLM_URL": "http://127.0.0.1:1/v1", "TUMORLENS_LLM_FOLDER": str(tmp_path)}
    settings = ProviderSettings.from_environment(environ)
    names = available_providers(settings)
    assert names[0] == "composer"
    assert {"endpoint", "transformers"} <= set(names)
    assert make_provider("endpoint", settings).name == "endpoint"
    assert make_provider("endpoint", settings) is make_provider("endpoint", settings)
    assert not {"endpoint", "transformers"} & set(available_providers())
    with pytest.raises(InputError, match="is not set up"):
        make_provider("endpoint")
    with pytest.raises(InputError, match=r"no config\.json"):
        make_provider("transformers", settings)


def test_a_key_is_not_shown_with_the_settings():
    assert "hush" not in repr(ProviderSettings(endpoint_key="hush"))


def test_the_composer_is_a_provider_like_others():
    assert ComposerProvider().phrase(facts_of(), Language.ENGLISH) == composed()


def test_what_a_provider_raved_is_quoted_only_so_far():
    raving = Provider(*(f"Surgery is advised {number} {'x' * 5000}." for number in range(60)))
    problems = explain_in_words(facts_of(), "en", raving).to_json()["checks"]["problems"]
    # one note that nothing could be kept, and 60 sentences: 19 are quoted, 42 counted
    assert len(problems) == 20
    assert problems[-1] == "and 42 more"
    assert max(map(len, problems)) <= 2 * 300 + len("rewritten: '' ()")
    assert problems[1].startswith("removed: 'Surgery is advised 0 xxx")
    assert "\N{HORIZONTAL ELLIPSIS}" in problems[1]


class SlowProvider(Provider):
    def __init__(self, *texts):
        super().__init__(*texts)
        self.told = []

    def warm_up(self):
        self.told.append("warm")
        if self._texts:
            raise ProviderError("it has no weights")


def test_a_provider_that_is_slow_to_start_is_warm_before_it_is_asked(caplog):
    quick, slow, broken = Provider(), SlowProvider(), SlowProvider("text")
    for provider in (quick, slow, broken):
        warmed_beside(provider)()
    assert (slow.told, broken.told) == (["warm"], ["warm"])
    assert "not warm: it has no weights" in caplog.text
