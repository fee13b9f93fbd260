"""The last word on every sentence: what the facts do not bear out does not pass.

A sentence passes only if all of it is understood (`reading`) and every claim in it holds. The
verifier does not trust the provider's links from sentence to evidence; it makes its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.claims import (
    Claim,
    CounterfactualClaim,
    HeatAgreementClaim,
    HeatNearClaim,
    HeatPeakClaim,
    HeatPeakNearClaim,
    HeatShareClaim,
    NoCounterfactualClaim,
    NotMeasuredClaim,
    PlaceClaim,
    TypeClaim,
)
from brain_tumor.explanation.rationale.composer.composer import ComposedSentence, compose
from brain_tumor.explanation.rationale.statements import Kind, Statement
from brain_tumor.explanation.rationale.verifier import (
    english as rules_english,
)
from brain_tumor.explanation.rationale.verifier import (
    korean as rules_korean,
)
from brain_tumor.explanation.rationale.verifier.lexicon import mark
from brain_tumor.explanation.rationale.verifier.reading import ParsedSentence, read

MOST_SENTENCES = 40
"""More sentences than this are not looked at: no honest text is that long."""


@dataclass(frozen=True)
class Problem:
    """A sentence that did not pass.

    Attributes:
        text: The sentence.
        reason: Why.
        action: "removed" or "rewritten".
    """

    text: str
    reason: str
    action: str


@dataclass(frozen=True)
class CheckedSentence:
    """A sentence that the facts bear out.

    Attributes:
        text: The sentence.
        evidence: Ids of the items that it rests on.
        kind: What kind of sentence it is.
        claims: What it asserts.
        is_summary: Whether it is one of the sentences that are read first.
    """

    text: str
    evidence: tuple[str, ...]
    kind: Kind
    claims: tuple[Claim, ...]
    is_summary: bool = False


@dataclass(frozen=True)
class VerifiedText:
    """A text after verification.

    Attributes:
        sentences: What may be shown.
        claims: Claims that were read, in kept and refused sentences; a sentence that was not
            understood counts as one.
        supported: Claims that the facts bear out.
        removed: Sentences that were dropped, also the composer's own that do not hold.
        rewritten: Sentences that the composer's sentence replaces.
        added: Required statements that the text had left out.
        problems: Sentences that did not pass.
    """

    sentences: tuple[CheckedSentence, ...]
    claims: int
    supported: int
    removed: int
    rewritten: int
    added: int
    problems: tuple[Problem, ...]


def parse(text: str, facts: Facts, language: Language) -> ParsedSentence:
    """What one sentence asserts.

    Args:
        text: One sentence.
        facts: Their reasons are recognised word for word.
        language: Of the sentence.
    """
    rules = rules_english if language is Language.ENGLISH else rules_korean
    return read(mark(text, facts, language), rules.RULES, rules.CONNECTORS)


def verify(texts: Iterable[str], facts: Facts, language: Language) -> VerifiedText:
    """Check sentences, replace what is false by what is true, add what must not be left out.

    A refused sentence is replaced by the composer's sentence on the same features if there is one
    that is not yet said; otherwise it is removed. The composer's sentences must hold like any
    other: one that does not replaces nothing and is not added.

    Args:
        texts: Sentences of a provider.
        facts: What is known.
        language: Of the sentences.
    """
    composed = compose(facts, language)
    faults: dict[str, str] = {}

    def fault(sentence: ComposedSentence) -> str:
        """Why a sentence of the composer does not hold; empty if it does."""
        if sentence.text not in faults:
            faults[sentence.text] = _fault(sentence, facts, language)
        return faults[sentence.text]

    kept: list[CheckedSentence] = []
    problems: list[Problem] = []
    claims = supported = 0
    given = [text.strip() for text in texts if text.strip()]
    for text in given[:MOST_SENTENCES]:
        parsed = parse(text, facts, language)
        wrong = [problem for claim in parsed.claims if (problem := claim.problem(facts))]
        claims += max(1, len(parsed.claims))
        supported += len(parsed.claims) - len(wrong)
        reason = parsed.problem or "; ".join(wrong)
        if not reason and _is_said(parsed.claims, kept):
            continue
        if not reason:
            kept.append(_checked(text, parsed.claims, facts, composed))
            continue
        replacement = _replacement(parsed, [s for s in composed if not fault(s)], kept)
        problems.append(Problem(text, reason, "rewritten" if replacement else "removed"))
        if replacement is not None:
            kept.append(_from_composer(replacement))
    for text in given[MOST_SENTENCES:]:
        claims += 1
        problems.append(Problem(text, f"beyond {MOST_SENTENCES} sentences", "removed"))
    missing = [
        s
        for s in composed
        if s.statement.required and not _is_said(s.statement.essential_claims, kept)
    ]
    order = {sentence.text: i for i, sentence in enumerate(composed)}
    refused = {problem.text for problem in problems}
    for sentence in missing:
        if not fault(sentence):
            _insert(kept, _from_composer(sentence), order)
        elif sentence.text not in refused:
            problems.append(Problem(sentence.text, fault(sentence), "removed"))
    kept.sort(key=lambda sentence: not sentence.is_summary)
    rewritten = sum(problem.action == "rewritten" for problem in problems)
    return VerifiedText(
        tuple(kept),
        claims,
        supported,
        len(problems) - rewritten,
        rewritten,
        sum(not fault(sentence) for sentence in missing),
        tuple(problems),
    )


def _fault(sentence: ComposedSentence, facts: Facts, language: Language) -> str:
    """Why a composed sentence does not hold, as it was planned or as it reads; empty if it does."""
    parsed = parse(sentence.text, facts, language)
    claims = dict.fromkeys((*sentence.statement.claims, *parsed.claims))
    wrong = [problem for claim in claims if (problem := claim.problem(facts))]
    return parsed.problem or "; ".join(wrong)


def _is_said(claims: tuple[Claim, ...], kept: list[CheckedSentence]) -> bool:
    """Whether all these claims are made by the sentences so far."""
    said = {_core(claim) for sentence in kept for claim in sentence.claims}
    return bool(claims) and all(_core(claim) in said for claim in claims)


def _core(claim: Claim) -> Claim:
    """A claim without the reason for a missing value, which not every language has words for."""
    return NotMeasuredClaim(claim.feature) if isinstance(claim, NotMeasuredClaim) else claim


def _checked(
    text: str, claims: tuple[Claim, ...], facts: Facts, composed: tuple[ComposedSentence, ...]
) -> CheckedSentence:
    features = dict.fromkeys(name for claim in claims for name in claim.features)
    shown = text if text.endswith(".") else text + "."
    same = _same_statement(claims, composed)
    kind = _kind(claims) if same is None else same.kind
    is_summary = same is not None and same.is_summary
    return CheckedSentence(shown, facts.evidence_ids(*features), kind, claims, is_summary)


def _same_statement(
    claims: tuple[Claim, ...], composed: tuple[ComposedSentence, ...]
) -> Statement | None:
    """The composer's statement that shares most claims; None if none shares any."""
    best = max(
        composed,
        key=lambda sentence: len(set(sentence.statement.claims) & set(claims)),
        default=None,
    )
    if best is not None and set(best.statement.claims) & set(claims):
        return best.statement
    return None


def _kind(claims: tuple[Claim, ...]) -> Kind:
    """Kind by the claims alone."""
    for kinds, kind in (
        ((TypeClaim,), Kind.CLASS),
        ((CounterfactualClaim, NoCounterfactualClaim), Kind.COUNTERFACTUAL),
        (
            (PlaceClaim, HeatShareClaim, HeatPeakClaim, HeatPeakNearClaim, HeatAgreementClaim),
            Kind.LOCATION,
        ),
        ((HeatNearClaim,), Kind.FINDING),
    ):
        if any(isinstance(claim, kinds) for claim in claims):
            return kind
    return Kind.FINDING


def _from_composer(sentence: ComposedSentence) -> CheckedSentence:
    statement = sentence.statement
    return CheckedSentence(
        sentence.text,
        sentence.evidence,
        statement.kind,
        statement.claims,
        statement.is_summary,
    )


def _replacement(
    parsed: ParsedSentence, composed: Sequence[ComposedSentence], kept: list[CheckedSentence]
) -> ComposedSentence | None:
    """The composer's sentence on the features of a refused one, if it is not said yet."""
    wanted = {name for claim in parsed.claims for name in claim.features} | set(parsed.features)
    fitting = [
        sentence
        for sentence in composed
        if wanted & set(sentence.statement.features)
        and not _is_said(sentence.statement.claims, kept)
    ]
    if not fitting:
        return None
    return max(fitting, key=lambda s: len(wanted & set(s.statement.features)))


def _insert(kept: list[CheckedSentence], new: CheckedSentence, order: dict[str, int]) -> None:
    """Put a sentence after the last one that the composer would say before it."""
    place = order[new.text]
    before = [i for i, s in enumerate(kept) if order.get(s.text, len(order)) < place]
    kept.insert(before[-1] + 1 if before else (0 if place == 0 else len(kept)), new)
