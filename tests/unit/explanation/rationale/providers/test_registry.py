"""Endpoints, local folders and the embedded model, with fakes; nothing leaves this machine."""

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Language
from brain_tumor.explanation.rationale.providers.base import ProviderError
from brain_tumor.explanation.rationale.providers.embedded import (
    EmbeddedProvider,
    distinct_openings,
    embedded_model_file,
    grammar,
)
from brain_tumor.explanation.rationale.providers.endpoint import EndpointProvider
from brain_tumor.explanation.rationale.providers.prompts import choices, messages, split_sentences
from brain_tumor.explanation.rationale.providers.transformers_folder import FolderProvider
from brain_tumor.explanation.rationale.rationale import explain_in_words
from brain_tumor.explanation.rationale.statements import Form

from tests.helpers.fact_sheets import diverse_facts, facts_of

HONEST = "The necrotic share of 34 % speaks for a glioma."
LIE = "The necrotic share of 34 % calls for surgery."


class FakeEndpoint:
    """A local server that answers as it is told and remembers what it was asked."""

    def __init__(self):
        self.requests = []
        self.reply = {"choices": [{"message": {"content": f"- {HONEST}\n- {LIE}\n"}}]}
        self.status, self.wait_s, self.drip = 200, 0.0, False
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                endpoint.requests.append((self.path, dict(self.headers), body))
                time.sleep(endpoint.wait_s)
                text = json.dumps(endpoint.reply).encode()
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                try:
                    for byte in text:
                        self.wfile.write(bytes([byte]))
                        if endpoint.drip:
                            self.wfile.flush()
                            time.sleep(0.05)
                except OSError:
                    pass  # the client has hung up, as it should

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()


@pytest.fixture
def endpoint():
    fake = FakeEndpoint()
    yield fake
    fake.server.shutdown()
    fake.thread.join()
    fake.server.server_close()


def test_an_endpoint_is_asked_as_openai_compatible_servers_want_it(endpoint):
    provider = EndpointProvider(endpoint.url, "llama", key="hush")
    assert provider.phrase(facts_of(), Language.ENGLISH) == [HONEST, LIE]
    path, headers, body = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer hush"
    assert (body["model"], body["temperature"]) == ("llama", 0.0)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_an_endpoints_lie_is_refused_and_its_truth_is_kept(endpoint):
    rationale = explain_in_words(facts_of(), "en", EndpointProvider(endpoint.url))
    texts = [sentence.text for sentence in rationale.sentences]
    assert rationale.provider == "endpoint"
    assert HONEST in texts
    assert LIE not in texts
    assert [problem.text for problem in rationale.text.problems] == [LIE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wait_s": 0.6}, "no answer within"),
        ({"drip": True}, "no answer within"),
        ({"status": 500}, "cannot be used"),
        ({"reply": {"error": "overloaded"}}, "no chat completion"),
        ({"reply": {"choices": [{"message": {"content": None}}]}}, "is empty"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_a_provider_error(endpoint, change, message):
    vars(endpoint).update(change)
    provider = EndpointProvider(endpoint.url, timeout_s=0.3)
    with pytest.raises(ProviderError, match=message):
        provider.phrase(facts_of(), Language.ENGLISH)


@pytest.mark.parametrize(
    "answer",
    [
        b"what?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        b"",
    ],
)
def test_an_endpoint_that_breaks_the_protocol_is_a_provider_error(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(ProviderError, match="cannot be used"):
            EndpointProvider(url, timeout_s=5.0).phrase(facts_of(), Language.ENGLISH)
        thread.join()


def test_an_endpoint_that_is_not_there_is_a_provider_error():
    with pytest.raises(ProviderError, match="cannot be used"):
        EndpointProvider("http://127.0.0.1:9/v1").phrase(facts_of(), Language.ENGLISH)
    with pytest.raises(InputError, match="http"):
        EndpointProvider("file:///etc/passwd")


@pytest.mark.parametrize("language", Language)
def test_a_prompt_holds_instructions_and_sentences_of_facts_only(language):
    """What is sent is made of the composer's wordings: no id, date, path or coordinate."""
    for facts in diverse_facts().values():
        system, user = messages(facts, language)
        wordings = {c.wordings[0] for c in choices(facts, language)}
        assert {line.removeprefix("- ") for line in user["content"].splitlines()} == wordings
        for item in facts.evidence:
            assert item.ras is None or str(item.ras) not in user["content"]
        assert "case" not in user["content"].lower().replace("in this case", "")
        assert system["content"].isprintable()


def test_an_answer_is_split_into_sentences_at_lines_and_stops():
    answer = '1. The index is 1.31. It is high.\n* "One."\n\n- 34 % of it.\n'
    assert split_sentences(answer) == ["The index is 1.31.", "It is high.", "One.", "34 % of it."]


def phrased(facts):
    return [
        choice
        for choice in choices(facts, Language.ENGLISH)
        if choice.statement.form in {Form.TYPE, Form.FINDING, Form.FINDING_AGAINST}
    ]


def test_openings_tell_every_wording_from_all_others():
    for facts in diverse_facts().values():
        open_choices = phrased(facts)
        openings = distinct_openings(open_choices)
        everything = [text for choice in open_choices for text in choice.wordings]
        for choice, starts in zip(open_choices, openings, strict=True):
            for start, text in zip(starts, choice.wordings, strict=True):
                assert [other for other in everything if other.startswith(start)] == [text]


def test_the_grammar_lets_through_true_openings_in_any_order_only():
    open_choices = phrased(facts_of())
    text = grammar(open_choices, distinct_openings(open_choices))
    root, *rules = text.splitlines()
    assert root == "root ::= (s0) (s1 s2 | s2 s1) (s3)"
    assert rules[0] == 's0 ::= ("Among" | "Of") "\\n"'
    assert len(rules) == len(open_choices)


def test_the_embedded_model_falls_back_where_it_has_nothing_to_do():
    provider = EmbeddedProvider()
    with pytest.raises(ProviderError, match="English only"):
        provider.phrase(facts_of(), Language.KOREAN)
    with pytest.raises(ProviderError, match="nothing to phrase"):
        provider.phrase(diverse_facts()["no tumour"], Language.ENGLISH)


def test_without_its_packages_the_embedded_model_is_a_provider_error():
    if embedded_model_file() is not None:
        pytest.skip("the packages of the extra 'llm' are installed")
    with pytest.raises(ProviderError, match="not installed"):
        EmbeddedProvider().phrase(facts_of(), Language.ENGLISH)


def test_the_embedded_model_says_only_what_holds():
    if embedded_model_file() is None:
        pytest.skip("the packages of the extra 'llm' are not installed")
    provider = EmbeddedProvider(timeout_s=120.0)
    try:
        rationale = explain_in_words(facts_of(), "en", provider)
    finally:
        provider.close()
    assert rationale.provider == "smollm2"
    assert rationale.text.problems == ()
    assert len(rationale.sentences) == len(explain_in_words(facts_of()).sentences)


def test_an_embedded_model_that_is_late_is_ended(monkeypatch, tmp_path):
    (tmp_path / "xllamacpp.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    module = "brain_tumor.explanation.rationale.providers.embedded"
    monkeypatch.setattr(f"{module}.embedded_model_file", lambda: tmp_path / "model.gguf")
    provider = EmbeddedProvider(timeout_s=0.3)
    rationale = explain_in_words(facts_of(), "en", provider)
    assert rationale.provider == "composer"
    assert "no answer within" in rationale.notes[0]
    assert provider._worker is None


FAKE_RUNTIME = """
class Settings:
    def __getattr__(self, name):
        found = Settings()
        object.__setattr__(self, name, found)
        return found

CommonParams = Settings

class Server:
    def __init__(self, parameters):
        assert parameters.hostnames == ["127.0.0.1"] and len(parameters.api_keys[0]) > 30
        print("native code prints what it likes")

    def handle_chat_completions(self, request):
        lines = request["grammar"].splitlines()[1:]
        openings = [line.split('"')[1] for line in lines]
        return {"choices": [{"message": {"content": "\\n".join(openings) + "\\n"}}]}
"""


def test_the_embedded_model_answers_through_its_own_process(monkeypatch, tmp_path):
    (tmp_path / "xllamacpp.py").write_text(FAKE_RUNTIME, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    module = "brain_tumor.explanation.rationale.providers.embedded"
    monkeypatch.setattr(f"{module}.embedded_model_file", lambda: tmp_path / "model.gguf")
    provider = EmbeddedProvider(timeout_s=30.0)
    try:
        facts = facts_of()
        rationale = explain_in_words(facts, "en", provider)
        assert (rationale.provider, rationale.notes) == ("smollm2", ())
        first = [choice.wordings[0] for choice in choices(facts, Language.ENGLISH)]
        assert [sentence.text for sentence in rationale.sentences] == first
    finally:
        provider.close()


@pytest.mark.slow
def test_a_local_model_folder_is_run_from_disk(tmp_path):
    """A tiny random network: what it says is nonsense, which the verifier refuses."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(["[UNK]", "the", "tumour", "surgery", "is", "."])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    rationale = explain_in_words(facts_of(), "en", FolderProvider(tmp_path, timeout_s=0.5))
    assert rationale.provider == "composer"
    assert "nothing it said could be kept" in rationale.notes[0]
    assert rationale.text.removed >= 1


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        FolderProvider(tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ProviderError, match="cannot be run"):
        FolderProvider(tmp_path).phrase(facts_of(), Language.ENGLISH)
