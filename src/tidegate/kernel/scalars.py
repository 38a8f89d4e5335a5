"""What an unquoted word in a YAML file means: a value of JSON, or a refusal where readers would disagree."""

import math
import re
from collections.abc import Iterable

__all__ = ["TWO_FACED", "UNFIT_NUMBER", "read_scalar"]

TWO_FACED = "yaml_two_faced"
UNFIT_NUMBER = "yaml_number"


def _cases(words: Iterable[str]) -> frozenset[str]:
    return frozenset(form for word in words for form in (word, word.title(), word.upper()))


_NULL = _cases(("", "~", "null"))
_TRUE = _cases(("true",))
_FALSE = _cases(("false",))
_TWO_FACED_WORDS = _cases(("yes", "no", "on", "off"))
_TWO_FACED_NUMBER = re.compile(
    r"[-+]?(?:0[0-9_]+|0b[01_]+|0o[0-7]+|[0-9][0-9_]*_[0-9_.]*|[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]+[eE][-+]?[0-9]+|[0-9]*\.[0-9]*[eE][0-9]+)"
)
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER = 64


def read_scalar(text: str) -> tuple[object, str]:
    """Return an unquoted scalar's value and an empty text, or the text itself and the code of what is wrong.

    `yaml_two_faced`: YAML 1.1 and 1.2 read it differently (no, 010, 12:30, 1_000, 1e3).
    `yaml_number`: a number that is infinite, not a number, or too large for 64 bits.
    """
    if text in _NULL:
        return None, ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, ""
    if text in _TWO_FACED_WORDS or _TWO_FACED_NUMBER.fullmatch(text):
        return text, TWO_FACED
    if _WHOLE.fullmatch(text):
        return _whole(text)
    if _NUMBER.fullmatch(text):
        return _fraction(text)
    return text, UNFIT_NUMBER if _NOT_FINITE.fullmatch(text) else ""


def _whole(text: str) -> tuple[object, str]:
    if len(text) <= _LONGEST_NUMBER:
        number = int(text, 0)
        if -(2**63) <= number < 2**63:
            return number, ""
    return text, UNFIT_NUMBER


def _fraction(text: str) -> tuple[object, str]:
    if len(text) <= _LONGEST_NUMBER:
        number = float(text)
        if math.isfinite(number):
            return number, ""
    return text, UNFIT_NUMBER
