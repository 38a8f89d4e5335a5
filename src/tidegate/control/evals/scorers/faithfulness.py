"""Faithfulness without a model: is every sentence of the answer supported by the context? Each sentence is aligned with
the context; what counts against it is what the context does not have (words, and twice numbers and names), wording that
no place of the context bears out (short runs of common words, neighbours that are no neighbours there), and a negation
on one side alone.

The four weights were chosen on three sets of human labels and measured on other documents: docs/reference/scorers.md.
It is blind to a paraphrase that shares no words, and to a claim that is wrong in words that are all there.
"""

import math
import re
from functools import lru_cache
from typing import Literal

import msgspec

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.scorers.base import Fact, Scorer, Settings, Tools, read_settings
from tidegate.control.evals.scorers.qualities import quality_of
from tidegate.control.evals.scorers.text import (
    FUNCTION_WORDS,
    NEGATIONS,
    bigrams,
    is_number,
    names,
    sentences,
    stem,
    words,
)

__all__ = ["Evidence", "Support", "faithfulness", "support_of"]

VERSION = "1.0.0"
THRESHOLD = 0.5
SHOWN = 120
MISSING, NEIGHBOURS, NEGATION, RUNS = 0.15, 1.0, 0.15, 1.0
SLOPE, SHIFT = 1.9, 0.07
RUNS_SEEN = 32
"""Places of one word in the context that are tried as the beginning of a run."""

_FUNCTION_STEMS = frozenset(stem(one) for one in FUNCTION_WORDS)
_SILENT = re.compile(
    r"\b(?:context|documents?|passages?|texts?|sources?|articles?|information)\b.{0,60}\b(?:not|n't|no)\b"
    r"|\b(?:not|n't|no)\b.{0,60}\b(?:context|documents?|passages?|provided|sources?)\b"
    r"|\bi (?:do not|don't|cannot|can't) (?:know|tell|say)\b|\bi['’ a]*m not sure\b",
    re.IGNORECASE,
)
"""What says that the context does not tell: no claim about the world."""


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    threshold: float = THRESHOLD
    over: Literal["all", "worst"] = "all"


class Support(msgspec.Struct, frozen=True):
    """How far one sentence is supported: `value` 0..1, the words that the context lacks, and whether a negation stands
    on one side alone. `raw`: the value before it is moved to 0..1.
    """

    sentence: str
    value: float
    raw: float
    missing: tuple[str, ...] = ()
    negated: bool = False


class Evidence:
    """A context, read once: its sentences as stems, and where each stem stands."""

    def __init__(self, context: str) -> None:
        self._stems: list[str] = []
        self._places: dict[str, list[int]] = {}
        self._sets: list[frozenset[str]] = []
        self._negated: list[bool] = []
        neighbours: set[tuple[str, str]] = set()
        for sentence in sentences(context):
            spoken = words(sentence)
            tokens = [stem(one) for one in spoken]
            for place, token in enumerate(tokens, len(self._stems)):
                self._places.setdefault(token, []).append(place)
            self._stems += [*tokens, ""]
            self._sets.append(frozenset(tokens))
            self._negated.append(not NEGATIONS.isdisjoint(spoken))
            neighbours.update(bigrams([one for one in tokens if one not in _FUNCTION_STEMS]))
        self._neighbours = neighbours

    def support(self, sentence: str) -> Support | None:
        """How far a sentence is supported; None for one that claims nothing: no word of weight, or that the context
        does not tell.
        """
        spoken = words(sentence)
        tokens = [stem(one) for one in spoken]
        weighty = [one for one in tokens if one not in _FUNCTION_STEMS]
        if not weighty or _SILENT.search(sentence):
            return None
        named = {stem(one) for one in names(sentence)}
        absent = [(word, token) for word, token in zip(spoken, tokens, strict=True) if self._lacks(token)]
        missing = len(absent)
        missing += any(is_number(token) for _, token in absent) + any(token in named for _, token in absent)
        pairs = bigrams(weighty)
        neighbours = sum(pair in self._neighbours for pair in pairs) / max(1, len(pairs))
        negated = NEGATIONS.isdisjoint(spoken) == self._best_is_negated(tokens)
        raw = NEIGHBOURS * neighbours - MISSING * missing - RUNS * self._runs(tokens) / len(tokens) - NEGATION * negated
        return Support(sentence, _unit(raw), raw, tuple(dict.fromkeys(word for word, _ in absent)), negated)

    def _lacks(self, token: str) -> bool:
        return token not in _FUNCTION_STEMS and token not in self._places

    def _best_is_negated(self, tokens: list[str]) -> bool:
        """Whether the sentence of the context that shares most has a negation."""
        heavy = frozenset(one for one in tokens if one not in _FUNCTION_STEMS)
        light = frozenset(tokens) - heavy
        best, negated = 0.0, False
        for having, one in zip(self._sets, self._negated, strict=True):
            shared = len(heavy & having)
            if shared and (score := shared + 0.15 * len(light & having)) > best:
                best, negated = score, one
        return negated

    def _runs(self, tokens: list[str]) -> int:
        """Into how few runs of words that stand so in the context the sentence can be cut, greedily from the left; a
        word that it lacks is a run of its own.
        """
        runs = at = 0
        source, end = self._stems, len(self._stems)
        while at < len(tokens):
            longest = 1
            for place in self._places.get(tokens[at], ())[:RUNS_SEEN]:
                length = 1
                while (
                    at + length < len(tokens) and place + length < end and source[place + length] == tokens[at + length]
                ):
                    length += 1
                longest = max(longest, length)
            runs += 1
            at += longest
        return runs


def support_of(answer: str, context: str) -> list[Support]:
    """How far each sentence of an answer that claims something is supported by a context."""
    evidence = _evidence(context)
    return [found for sentence in sentences(answer) if (found := evidence.support(sentence)) is not None]


def faithfulness(settings: Settings, tools: Tools) -> Scorer:
    """How far the answer is supported by the context, 0..1; passes from `threshold` (0.5) on. `over`: all sentences
    (their mean), or the worst one. An answer that claims nothing is faithful.
    """
    found = read_settings("faithfulness", settings, _Settings)

    def check(sample: Sample) -> Score:
        context = sample.context
        if not context:
            return Score(
                error="no_context",
                why="The case has no context: name it `context`, in the case or among its variables.",
            )
        supports = support_of(sample.answer, context)
        if not supports:
            return Score(value=1.0, passed=True, why="Nothing is claimed.")
        worst = min(supports, key=lambda one: one.raw)
        raw = worst.raw if found.over == "worst" else sum(one.raw for one in supports) / len(supports)
        value = _unit(raw)
        passed = value >= found.threshold
        return Score(value=value, passed=passed, why="" if passed and worst.value >= found.threshold else _why(worst))

    use = ScorerUse(
        name="faithfulness",
        version=VERSION,
        settings={"threshold": found.threshold, **settings},
        quality=quality_of("faithfulness", VERSION, tools, own=found.over == "all"),
    )
    return Fact(use, check)


def _unit(raw: float) -> float:
    return 1 / (1 + math.exp(-SLOPE * (raw - SHIFT)))


def _why(worst: Support) -> str:
    said = worst.sentence if len(worst.sentence) <= SHOWN else worst.sentence[: SHOWN - 1] + "…"
    if worst.missing:
        return f"“{said}” has what the context does not: {', '.join(worst.missing[:8])}."
    if worst.negated:
        return f"“{said}”: the context and the answer do not negate alike."
    return f"“{said}” is put together as nowhere in the context."


@lru_cache(maxsize=256)
def _evidence(context: str) -> Evidence:
    return Evidence(context)
