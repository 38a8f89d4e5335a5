"""Takes out of texts what points to a person or opens a door, before they are written into a dataset. Pure.

One table of patterns, some with a check beyond the pattern (a card's check digit, an IBAN's remainder, an address's
bytes). What is found is replaced by its kind in brackets; within one case the same thing by the same mark, a second one
by `[EMAIL_2]`, so that a text still says that two people are two. It finds shapes, not meanings: names, addresses and
whatever looks like nothing else stay.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from tidegate.kernel.errors import Invalid

__all__ = ["PATTERNS", "Pattern", "Redacted", "own_patterns", "redacted"]

LONGEST_PATTERN = 500
MOST_PATTERNS = 100
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Pattern(NamedTuple):
    """What is looked for, under what name. The group `secret`, where there is one, is what is replaced, else all of it;
    `part` says how much of that is really one (none: the empty text).
    """

    name: str
    shape: re.Pattern[str]
    part: Callable[[str], str] = str


class Redacted(NamedTuple):
    """A value without what was found in it, and how many things of each kind that were."""

    value: Any
    counts: dict[str, int]


def _digits(text: str) -> list[int]:
    return [int(one) for one in text if one.isdigit()]


def _longest(text: str, holds: Callable[[str], bool]) -> str:
    """The longest beginning, cut between words, of which it holds: what follows a number may look like more of it."""
    ends = [len(text), *(found.start() for found in re.finditer(r"[ -]", text))]
    return next((text[:end] for end in sorted(ends, reverse=True) if holds(text[:end])), "")


def _card(text: str) -> str:
    """13 to 19 digits whose check digit is right (Luhn, ISO/IEC 7812-1), not all alike."""

    def holds(some: str) -> bool:
        digits = _digits(some)
        if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
            return False
        doubled = [one * 2 - 9 * (one > 4) if at % 2 else one for at, one in enumerate(reversed(digits))]
        return sum(doubled) % 10 == 0

    return _longest(text, holds)


def _iban(text: str) -> str:
    """15 to 34 letters and digits whose remainder is 1 (ISO 13616: modulo 97, letters as 10 to 35)."""

    def holds(some: str) -> bool:
        plain = re.sub(r"[ -]", "", some).upper()
        if not 15 <= len(plain) <= 34:
            return False
        return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1

    return _longest(text, holds)


def _address(text: str) -> str:
    return text if all(int(one) <= 255 for one in text.split(".")) else ""


def _phone(text: str) -> str:
    """7 to 15 digits (ITU-T E.164), not a date and not a decimal number."""
    few = re.fullmatch(r"\d{4}[-./]\d{2}[-./]\d{2}.*|\d+\.\d+", text) is not None
    return "" if few or not 7 <= len(_digits(text)) <= 15 else text


_SECRETS = "|".join(
    (
        r"sk-[A-Za-z0-9_-]{16,}",
        r"tg[ai]?-[A-Za-z0-9_-]{16,}",
        r"gh[pousr]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"glpat-[A-Za-z0-9_-]{16,}",
        r"xox[abeprs]-[A-Za-z0-9-]{10,}",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"AIza[A-Za-z0-9_-]{35}",
        r"hf_[A-Za-z0-9]{20,}",
        r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s]{1,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
    )
)
_NAMED = r"(?:api[_-]?key|access[_-]?token|auth[_-]?token|secret|passw(?:or)?d|bearer)"

PATTERNS: tuple[Pattern, ...] = (
    Pattern("key", re.compile(rf"(?<![A-Za-z0-9_-])(?:{_SECRETS})")),
    Pattern("key", re.compile(rf"(?i){_NAMED}[\"']?(?:\s?[:=]\s?|\s)[\"']?(?P<secret>[A-Za-z0-9_./+=-]{{16,}})")),
    Pattern("login", re.compile(r"(?<=://)(?P<secret>[^\s/:@]{1,100}:[^\s/@]{1,100})(?=@)")),
    Pattern(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])"),
    ),
    Pattern("iban", re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])"), _iban),
    Pattern("card", re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d]|[.-]\d)"), _card),
    Pattern("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d]|\.\d)"), _address),
    Pattern(
        "ip",
        re.compile(
            r"(?<![\w:])(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}"
            r"|(?:[0-9A-Fa-f]{1,4}:){2,7}:)(?![\w:])"
        ),
    ),
    Pattern("phone", re.compile(r"(?<![\w.+-])(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){6,14}(?![\w]|[.-]\d)"), _phone),
    Pattern("phone", re.compile(r"(?<![\w.+-])\(?0\d{1,5}\)?[ /-]{1,3}\d(?:[ /-]?\d){3,11}(?![\w]|[.-]\d)"), _phone),
    Pattern("phone", re.compile(r"(?<![\w.+-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w]|[.-]\d)"), _phone),
)
"""In this order: what one has taken, the next ones no longer see."""


def redacted(value: Any, own: Sequence[Pattern] = ()) -> Redacted:
    """The value (a text, or lists and maps of texts) without what the patterns find, `own` ones first. Names of fields
    stay as they are.
    """
    marks: dict[str, dict[str, str]] = {}
    counts: dict[str, int] = {}
    patterns = (*own, *PATTERNS)

    def clean(text: str) -> str:
        for pattern in patterns:
            text = pattern.shape.sub(partial(_mark, pattern, marks, counts), text)
        return text

    return Redacted(_walked(value, clean), counts)


def own_patterns(given: Mapping[str, str]) -> tuple[Pattern, ...]:
    """Patterns of somebody's own, by name. Raises Invalid (`bad_redaction`) for what is none, or finds nothing at all
    everywhere.
    """
    if len(given) > MOST_PATTERNS:
        raise Invalid(f"{len(given)} patterns are too many.", mend=f"At most {MOST_PATTERNS}.", code="bad_redaction")
    found = []
    for name, text in given.items():
        if not NAME.fullmatch(name):
            mend = "Write a-z, 0-9 and _, as customer_id."
            raise Invalid(f"{name!r} is no name for a pattern.", mend=mend, code="bad_redaction")
        try:
            shape = re.compile(text)
        except re.error as error:
            raise Invalid(
                f"The pattern {name} cannot be read: {error}.", mend="See Python's `re`.", code="bad_redaction"
            ) from error
        if len(text) > LONGEST_PATTERN or shape.fullmatch(""):
            mend = f"At most {LONGEST_PATTERN} characters, and none that matches nothing."
            raise Invalid(
                f"The pattern {name} is too long, or matches the empty text.", mend=mend, code="bad_redaction"
            )
        found.append(Pattern(name, shape))
    return tuple(found)


def _mark(pattern: Pattern, marks: dict[str, dict[str, str]], counts: dict[str, int], found: re.Match[str]) -> str:
    """What stands in the place of what was found; the text itself where there is less than it looked like."""
    whole = found[0]
    secret = pattern.part(found["secret"] if "secret" in pattern.shape.groupindex else whole)
    if not secret:
        return whole
    counts[pattern.name] = counts.get(pattern.name, 0) + 1
    known = marks.setdefault(pattern.name, {})
    number = len(known) + 1
    mark = known.setdefault(secret, f"[{pattern.name.upper()}{f'_{number}' if number > 1 else ''}]")
    return whole.replace(secret, mark)


def _walked(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _walked(one, clean) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(one, clean) for one in value]
    return value
