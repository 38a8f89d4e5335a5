"""Does an answer speak to its question? Without a model: how many of the question's words of weight it takes up, and
whether it has what the question asks for (who: a name; when: a time; how many: a number; where: a place).

It cannot tell a right answer from a wrong one, and a short answer that repeats no word of the question scores low.
"""

import math
import re

import msgspec

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.scorers.base import Fact, Scorer, Settings, Tools, read_settings
from tidegate.control.evals.scorers.qualities import quality_of
from tidegate.control.evals.scorers.text import FUNCTION_WORDS, bigrams, is_number, names, stem, words

__all__ = ["Relevance", "expected_kind", "relevance", "relevance_of"]

VERSION = "1.0.0"
THRESHOLD = 0.4
SHARED, PAIRS, HAS, LACKS, LENGTH = 4.0, 1.2, 0.9, 0.9, 0.15
SHIFT = 2.2
HALF_WEIGHT = 6
"""A word of so many letters counts half of the most: long words are rarer."""
_ASKING = frozenset(
    stem(one)
    for one in "what who whom whose when where which why how much many long far old name kind type".split()  # noqa: SIM905
)
_LIGHT = frozenset(stem(one) for one in FUNCTION_WORDS)
_MONTHS = """january february march april may june july august september october november december monday tuesday
    wednesday thursday friday saturday sunday century decade bc ad""".split()  # noqa: SIM905
_TIME = re.compile(rf"\b(?:1[0-9]{{3}}|20[0-9]{{2}}|\d{{1,2}}:\d{{2}}|{'|'.join(_MONTHS)})\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|"
    r"ten|dozen|hundred|thousand|million|billion|half)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\b(?:in|at|from|near|of|north|south|east|west|located|between)\s+(?:the\s+)?[A-Z]")
_REASON = re.compile(
    r"\b(?:because|due to|since|so that|caused?|reason|"
    r"result|therefore|in order to|leads? to|by \w+ing)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(r"\b(?:is|are|was|were|means|refers to|defined as|known as|called|consists? of)\b", re.IGNORECASE)
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("number", (r"\bhow (?:many|much|old|long|far|tall|big|large|high|deep|fast|often|wide|heavy|hot|cold)\b|"
                   r"\b(?:population|percentage|number) of\b|\bwhat (?:age|number|percent)")),
        ("time", r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|time|century)\b"),
        ("person", r"\bwho(?:se|m)?\b|\bwhat (?:\w+ )?(?:person|president|actor|author|singer|king|queen)\b"),
        ("place", (r"\bwhere\b|"
                  r"\b(?:what|which) (?:\w+ )?(?:city|country|state|county|place|town|continent|river|location)\b")),
        ("reason", r"\bwhy\b|\bhow (?:do|does|did|can|to|is|are)\b"),
        ("definition", r"\bwhat (?:is|are|was|were|does)\b"),
    )
)  # fmt: skip


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    threshold: float = THRESHOLD


class Relevance(msgspec.Struct, frozen=True):
    """How far an answer speaks to a question (0..1), the question's words that it leaves out, the kind of answer that
    is asked for, and whether it has that (None: no kind is asked for).
    """

    value: float
    missing: tuple[str, ...]
    kind: str
    has_kind: bool | None


def expected_kind(question: str) -> str:
    """number, time, person, place, reason or definition; empty when the words do not tell."""
    return next((kind for kind, pattern in _KINDS if pattern.search(question)), "")


def relevance_of(question: str, answer: str) -> Relevance:
    """How far an answer speaks to a question."""
    asked = [one for one in words(question) if stem(one) not in _LIGHT and stem(one) not in _ASKING]
    said = [stem(one) for one in words(answer)]
    have = frozenset(said)
    weights = {one: _weight(one) for one in asked}
    total = sum(weights.values())
    missing = tuple(one for one in weights if not _has(stem(one), have))
    shared = 1 - sum(weights[one] for one in missing) / total if total else 0.5
    pairs = bigrams([stem(one) for one in asked])
    near = frozenset(bigrams([one for one in said if one not in _LIGHT]))
    joined = sum(pair in near for pair in pairs) / len(pairs) if pairs else 0.0
    kind = expected_kind(question)
    has = _has_kind(kind, answer, frozenset(words(question))) if kind else None
    raw = SHARED * shared + PAIRS * joined - SHIFT
    raw += 0 if has is None else HAS if has else -LACKS
    raw += LENGTH * math.log((1 + min(len(said), 40)) / 20)
    return Relevance(1 / (1 + math.exp(-raw)), missing, kind, has)


def relevance(settings: Settings, tools: Tools) -> Scorer:
    """How far the answer speaks to the question (the last message of the user), 0..1; passes from `threshold` on."""
    found = read_settings("relevance", settings, _Settings)

    def check(sample: Sample) -> Score:
        if not sample.question.strip():
            return Score(error="no_question", why="There is no message of a user to be relevant to.")
        told = relevance_of(sample.question, sample.answer)
        passed = told.value >= found.threshold
        return Score(value=told.value, passed=passed, why="" if passed else _why(told))

    use = ScorerUse(
        name="relevance", version=VERSION, settings=dict(settings), quality=quality_of("relevance", VERSION, tools)
    )
    return Fact(use, check)


def _weight(word: str) -> float:
    return 1.5 if is_number(word) else len(word) / (len(word) + HALF_WEIGHT)


def _has(token: str, have: frozenset[str]) -> bool:
    """The stem itself, or a word of the same first letters (invent, inventor)."""
    return token in have or (len(token) >= 5 and any(one.startswith(token[:5]) for one in have))


def _has_kind(kind: str, answer: str, asked: frozenset[str]) -> bool:
    if kind in ("person", "place"):
        new = names(answer) - asked
        return bool(new) and (kind == "person" or _PLACE.search(answer) is not None)
    if kind == "number":
        return _NUMBER.search(answer) is not None
    pattern = {"time": _TIME, "reason": _REASON, "definition": _DEFINES}[kind]
    return pattern.search(answer) is not None


def _why(told: Relevance) -> str:
    parts = []
    if told.missing:
        parts.append(f"does not take up {', '.join(told.missing[:6])}")
    if told.has_kind is False:
        wanted = {"person": "a name", "place": "a place", "time": "a time", "number": "a number"}
        parts.append(f"lacks {wanted.get(told.kind, f'a {told.kind}')}, which the question asks for")
    return f"It {' and '.join(parts)}." if parts else "It has little to do with the question."
