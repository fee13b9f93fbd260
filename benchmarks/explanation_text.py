"""Rationale in words: time by provider, and what the verifier refuses of honest and lying ones.

    python -m benchmarks.explanation_text [--cases 200] [--quick] [--endpoint URL --model NAME]

Cases are made-up fact sheets (seeded). The liar tells every true sentence with one thing changed;
the reach is that none of it survives and that the composer is kept whole. The embedded model is
measured where its packages are installed, warmed up, with the time that it needs and without the
time limit of the server; `in_time_share` tells how many answers keep to that limit. On a machine
that does other work, `cpu_s_per_answer` tells more than the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

import psutil
from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import TextProvider
from brain_tumor.explanation.rationale.providers.embedded import (
    TIMEOUT_S,
    EmbeddedProvider,
    embedded_model_file,
)
from brain_tumor.explanation.rationale.providers.endpoint import EndpointProvider
from brain_tumor.explanation.rationale.rationale import explain_in_words
from brain_tumor.explanation.rationale.verifier.verifier import parse

from benchmarks.environment import spread, write_result
from tests.helpers.fact_sheets import diverse_facts, random_facts
from tests.helpers.lying import LyingProvider, lies

EMBEDDED_CASES = 10


def false_sentences(facts: Facts, texts: list[str]) -> int:
    """Sentences that are among the lies, or that do not hold when read again."""
    told = {text for _, text in lies(facts)}
    count = 0
    for text in texts:
        parsed = parse(text, facts, Language.ENGLISH)
        wrong = parsed.problem or any(claim.problem(facts) for claim in parsed.claims)
        count += bool(wrong) or text in told
    return count


def measure_composer(sheets: list[Facts], language: Language) -> dict:
    seconds, checked, sentences, kept = [], [], 0, 0
    for facts in sheets:
        begun = time.perf_counter()
        composed = compose(facts, language)
        seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        rationale = explain_in_words(facts, language)
        checked.append(time.perf_counter() - begun)
        sentences += len(composed)
        kept += len(composed) - rationale.text.removed - rationale.text.rewritten
    return {
        "compose_s": spread(seconds),
        "compose_and_verify_s": spread(checked),
        "sentences": sentences,
        "kept_share": kept / sentences,
    }


def measure_provider(provider: TextProvider, sheets: list[Facts]) -> dict:
    seconds: list[float] = []
    counts: Counter[str] = Counter()
    for facts in sheets:
        begun = time.perf_counter()
        rationale = explain_in_words(facts, Language.ENGLISH, provider)
        seconds.append(time.perf_counter() - begun)
        text = rationale.text
        counts["claims"] += text.claims
        counts["supported"] += text.supported
        counts["sentences_refused"] += text.removed + text.rewritten
        counts["sentences_shown"] += len(text.sentences)
        counts["fallbacks"] += rationale.provider != provider.name
        counts["false_sentences_shown"] += false_sentences(
            facts, [sentence.text for sentence in text.sentences]
        )
    in_time = sum(second <= TIMEOUT_S for second in seconds) / len(seconds)
    return {"total_s": spread(seconds), "in_time_share": in_time, **counts}


def measure_embedded(sheets: list[Facts]) -> dict:
    provider = EmbeddedProvider(timeout_s=120.0)
    try:
        begun = time.perf_counter()
        provider.warm_up()
        start = time.perf_counter() - begun
        (process,) = psutil.Process().children()
        before = sum(process.cpu_times()[:2])
        measured = measure_provider(provider, sheets)
        cpu = sum(process.cpu_times()[:2]) - before
        return {"start_s": start, "cpu_s_per_answer": cpu / len(sheets), **measured}
    finally:
        provider.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="20 cases, 2 for the embedded model")
    parser.add_argument("--endpoint", help="base address of an OpenAI-compatible endpoint")
    parser.add_argument("--model", default="default", help="model to ask the endpoint for")
    arguments = parser.parse_args()
    count = 20 if arguments.quick else arguments.cases
    sheets = [*diverse_facts().values(), *(random_facts(seed) for seed in range(count))][:count]
    told = [text for facts in sheets for text in lies(facts)]
    result = {
        "cases": len(sheets),
        "load_before": psutil.getloadavg()[0],
        "composer": {language.value: measure_composer(sheets, language) for language in Language},
        "liar": {
            "lies_told": len(told),
            "lies_by_kind": dict(Counter(name for name, _ in told)),
            **measure_provider(LyingProvider(), sheets),
        },
    }
    if embedded_model_file() is not None:
        few = sheets[: 2 if arguments.quick else EMBEDDED_CASES]
        result["smollm2"] = {"cases": len(few), **measure_embedded(few)}
    if arguments.endpoint:
        provider = EndpointProvider(arguments.endpoint, arguments.model)
        result["endpoint"] = measure_provider(provider, sheets[:EMBEDDED_CASES])
    path = write_result("explanation_text", result)
    print(json.dumps(result, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
