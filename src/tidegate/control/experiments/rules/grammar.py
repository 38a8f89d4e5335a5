"""The text of a decision rule, read into a tree.

rule    = all { "or" all }                     all = atom { "and" atom }
atom    = "(" rule ")"
        | METRIC "wins" [at]                   METRIC may be `primary`
        | METRIC "holds"
        | METRIC "does" "not" "lose"
        | "no" "guardrail" "loses"
        | "all" "guardrails" "hold"
        | ["treatment" "must"] ("wins" | "win") ["on"] ">=" K "of" N ["metrics"] [at]
at      = ("at" | "with") "p" "<" X
"""

import re
from typing import NamedTuple, TypeAlias

import msgspec

from tidegate.kernel.errors import Invalid

__all__ = [
    "PRIMARY",
    "RESERVED",
    "All",
    "AnyOf",
    "BadRule",
    "Holds",
    "HoldsAll",
    "NotLost",
    "Rule",
    "Unharmed",
    "Wins",
    "WinsAtLeast",
    "parse_rule",
]

PRIMARY = "primary"
"""How a rule calls the primary metric."""

RESERVED = frozenset(
    ("all", "and", "at", "does", "guardrail", "guardrails", "hold", "holds", "lose", "loses", "metrics", "must", "no")
) | frozenset(("not", "of", "on", "or", "p", PRIMARY, "treatment", "win", "wins", "with"))
"""Words of the grammar, which are no names of metrics."""

_KINDS = (
    "`primary wins`, `METRIC wins`, `METRIC holds`, `METRIC does not lose`, `no guardrail loses`, "
    "`all guardrails hold`, `wins >= K of N at p < X`; joined by `and`, `or` and parentheses."
)
_DEEPEST = 20
_TOKEN = re.compile(r"\s*(>=|≥|[()<]|[A-Za-z0-9_][A-Za-z0-9_.\-]*)")
_POSTERIOR = re.compile(r"\bp\s*\(|probability|posterior|p_?best", re.IGNORECASE)


class BadRule(Invalid):
    """A decision rule that cannot be read, or that would decide wrongly. `at`: where in its text, from 0."""

    code = "bad_rule"

    def __init__(self, message: str, *, at: int = 0, mend: str = "", code: str = "") -> None:
        super().__init__(message, mend=mend, code=code)
        self.at = at


class Wins(msgspec.Struct, frozen=True, tag="wins"):
    """The metric is surely better; `p`: at the rule's own level instead of the definition's alpha."""

    metric: str
    p: float | None = None


class Holds(msgspec.Struct, frozen=True, tag="holds"):
    """The guardrail surely keeps its margin."""

    metric: str


class NotLost(msgspec.Struct, frozen=True, tag="not-lost"):
    """The metric is not surely worse, and if it is a guardrail it is not breached."""

    metric: str


class Unharmed(msgspec.Struct, frozen=True, tag="unharmed"):
    """No guardrail that blocks is breached; which ones that are is put in by rule_of."""

    metrics: tuple[str, ...] = ()


class HoldsAll(msgspec.Struct, frozen=True, tag="holds-all"):
    """Every guardrail that blocks surely keeps its margin; which ones that are is put in by rule_of."""

    metrics: tuple[str, ...] = ()


class WinsAtLeast(msgspec.Struct, frozen=True, tag="wins-at-least"):
    """`count` of the `of` metrics win; which ones that are is put in by rule_of. `p` as in Wins."""

    count: int
    of: int
    p: float | None = None
    metrics: tuple[str, ...] = ()


class All(msgspec.Struct, frozen=True, tag="all"):
    """Each part holds."""

    parts: tuple["Rule", ...]


class AnyOf(msgspec.Struct, frozen=True, tag="any-of"):
    """One part holds, or more."""

    parts: tuple["Rule", ...]


Rule: TypeAlias = Wins | Holds | NotLost | Unharmed | HoldsAll | WinsAtLeast | All | AnyOf


def parse_rule(text: str) -> Rule:
    """Read a rule; raises BadRule with the place of the first fault."""
    found = _POSTERIOR.search(text)
    if found:
        raise BadRule(
            "A rule cannot ask for the probability to be best: stopping when P(best) reaches 95 % names a winner "
            "between two equal variants in 58 % of experiments that are looked at again and again.",
            at=found.start(),
            mend="Write `primary wins`, which holds whenever one looks.",
            code="rule_posterior",
        )
    reader = _Reader(text)
    rule = reader.either(0)
    reader.end()
    return rule


class _Token(NamedTuple):
    """A word of the rule, in lower case, and where it stands."""

    word: str
    at: int


class _Reader:
    """One walk through the words of one rule."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._end = len(text.rstrip())
        self._next = 0

    def either(self, depth: int) -> Rule:
        parts = [self._both(depth)]
        while self._take("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def end(self) -> None:
        """Refuses what is left over."""
        if self._next < len(self._tokens):
            raise self._wrong("the end, `and` or `or`")

    def _both(self, depth: int) -> Rule:
        parts = [self._atom(depth)]
        while self._take("and"):
            parts.append(self._atom(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _atom(self, depth: int) -> Rule:
        if depth > _DEEPEST:
            raise BadRule(f"The rule has more than {_DEEPEST} parentheses inside each other.", at=self._at())
        if self._take("("):
            rule = self.either(depth + 1)
            self._need(")")
            return rule
        if self._take("no"):
            self._need("guardrail", "guardrails")
            self._need("loses", "lose")
            return Unharmed()
        if self._take("all"):
            self._need("guardrails")
            self._need("hold")
            return HoldsAll()
        if self._take("treatment"):
            self._need("must")
            self._need("win")
            return self._counted()
        if self._take("wins", "win"):
            return self._counted()
        return self._of_metric()

    def _of_metric(self) -> Rule:
        word = self._word()
        if not re.match(r"[a-z0-9_]", word) or (word in RESERVED and word != PRIMARY):
            raise self._wrong("a metric's name")
        self._next += 1
        if self._take("wins"):
            return Wins(word, self._level())
        if self._take("holds"):
            return Holds(word)
        if self._take("does"):
            self._need("not")
            self._need("lose")
            return NotLost(word)
        raise self._wrong(f"`wins`, `holds` or `does not lose` after `{word}`")

    def _counted(self) -> Rule:
        self._take("on")
        self._need(">=", "≥")
        count = self._whole()
        self._need("of")
        of = self._whole()
        self._take("metrics")
        return WinsAtLeast(count, of, self._level())

    def _level(self) -> float | None:
        if not self._take("at", "with"):
            return None
        self._need("p")
        self._need("<")
        at, word = self._at(), self._word()
        try:
            level = float(word)
        except ValueError:
            raise self._wrong("a level such as 0.05") from None
        if not 0 < level < 1:
            raise BadRule(f"A level lies between 0 and 1, and `{word}` does not.", at=at, mend="Write 0.05 for 5 %.")
        self._next += 1
        return level

    def _whole(self) -> int:
        if not self._word().isdecimal():
            raise self._wrong("a whole number")
        self._next += 1
        return int(self._tokens[self._next - 1].word[:9])

    def _take(self, *words: str) -> bool:
        if self._word() in words:
            self._next += 1
            return True
        return False

    def _need(self, *words: str) -> None:
        if not self._take(*words):
            raise self._wrong(f"`{words[0]}`")

    def _word(self) -> str:
        return self._tokens[self._next].word if self._next < len(self._tokens) else ""

    def _at(self) -> int:
        return self._tokens[self._next].at if self._next < len(self._tokens) else self._end

    def _wrong(self, wanted: str) -> BadRule:
        found = f"`{self._word()}`" if self._word() else "nothing"
        return BadRule(
            f"The rule should go on with {wanted}, and here is {found}.", at=self._at(), mend=f"A rule: {_KINDS}"
        )


def _tokens(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            mend = "Write a share as 0.05." if text[place] == "%" else f"A rule: {_KINDS}"
            raise BadRule(f"A rule has no `{text[place]}`.", at=place, mend=mend)
        tokens.append(_Token(match[1].lower(), match.start(1)))
        at = match.end()
    return tokens
