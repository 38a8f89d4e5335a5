"""Scorers that compute a fact of an answer: equality, words, patterns, schemas, numbers, and what it took."""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.scorers.base import Fact, Scorer, Settings, Tools, read_settings, texts_of
from tidegate.kernel.errors import Invalid
from tidegate.templates.schemas import compile_schema

__all__ = ["contains", "cost", "exact", "json_schema", "latency", "length", "numeric", "regex", "starts_with"]

VERSION = "1.0.0"
NANO = 1e9
SHOWN = 80
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:[,\u202f ]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
FENCE = re.compile(r"\A\s*```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)


class _Equal(msgspec.Struct, frozen=True, kw_only=True):
    value: Any = None
    ignore_case: bool = False


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    ignore_case: bool = False
    whole_words: bool = False


class _Pattern(msgspec.Struct, frozen=True, kw_only=True):
    pattern: str = ""
    whole: bool = False
    absent: bool = False
    ignore_case: bool = False


class _Schema(msgspec.Struct, frozen=True, kw_only=True):
    schema: dict[str, Any] = {}
    fenced: bool = False


class _Number(msgspec.Struct, frozen=True, kw_only=True):
    value: float | None = None
    tolerance: float = 0.0
    relative: float = 0.0
    which: Literal["last", "first", "any"] = "last"


class _Most(msgspec.Struct, frozen=True, kw_only=True):
    max: float | None = None


class _Length(msgspec.Struct, frozen=True, kw_only=True):
    max: int | None = None
    min: int | None = None
    unit: Literal["words", "characters", "lines"] = "words"


def exact(settings: Settings, tools: Tools) -> Scorer:
    """The answer is what is expected (or one of several), whitespace at its ends apart."""
    found = read_settings("exact", settings, _Equal)

    def same(text: str) -> str:
        return text.strip().casefold() if found.ignore_case else text.strip()

    def check(sample: Sample) -> Score:
        wanted = texts_of(sample.case.expected if found.value is None else found.value)
        if not wanted:
            return _nothing_expected()
        return _said(same(sample.answer) in [same(one) for one in wanted], f"expected {_quoted(wanted[0])}")

    return _fact("exact", settings, check)


def contains(settings: Settings, tools: Tools) -> Scorer:
    """The answer has every text of `all`, one of `any`, and none of `none`; without any of them, all that is expected.
    `whole_words`: not as a part of a longer word.
    """
    found = read_settings("contains", settings, _Words)
    said = found.all or found.any or found.none

    def has(answer: str, text: str) -> bool:
        if found.ignore_case:
            answer, text = answer.casefold(), text.casefold()
        if found.whole_words:
            return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", answer) is not None
        return text in answer

    def check(sample: Sample) -> Score:
        needed = found.all if said else texts_of(sample.case.expected)
        if not said and not needed:
            return _nothing_expected()
        for text in needed:
            if not has(sample.answer, text):
                return _said(False, f"lacks {_quoted(text)}")
        if found.any and not any(has(sample.answer, text) for text in found.any):
            return _said(False, f"has none of {', '.join(map(_quoted, found.any))}")
        for text in found.none:
            if has(sample.answer, text):
                return _said(False, f"has {_quoted(text)}")
        return _said(True)

    return _fact("contains", settings, check)


def starts_with(settings: Settings, tools: Tools) -> Scorer:
    """The answer begins with the value, or with what is expected; whitespace before it apart."""
    found = read_settings("starts_with", settings, _Equal)

    def check(sample: Sample) -> Score:
        wanted = texts_of(sample.case.expected if found.value is None else found.value)
        if not wanted:
            return _nothing_expected()
        answer = sample.answer.lstrip()
        begins = [answer[: len(one)] for one in wanted]
        same = str.casefold if found.ignore_case else str
        good = any(same(begin) == same(one) for begin, one in zip(begins, wanted, strict=True))
        return _said(good, f"begins with {_quoted(answer)}")

    return _fact("starts_with", settings, check)


def regex(settings: Settings, tools: Tools) -> Scorer:
    """The pattern is found in the answer (`whole`: is all of it; `absent`: is not found); without one, the pattern that
    is expected. Python's syntax.
    """
    found = read_settings("regex", settings, _Pattern)
    flags = re.IGNORECASE if found.ignore_case else re.NOFLAG
    fixed = _pattern(found.pattern, flags) if found.pattern else None

    def check(sample: Sample) -> Score:
        pattern = fixed
        if pattern is None:
            wanted = texts_of(sample.case.expected)
            if not wanted:
                return _nothing_expected()
            pattern = _pattern(wanted[0], flags)
        match = pattern.fullmatch(sample.answer.strip()) if found.whole else pattern.search(sample.answer)
        if found.absent:
            return _said(match is None, f"has {_quoted(match[0])}" if match else "")
        return _said(match is not None, f"/{pattern.pattern}/ is not found")

    return _fact("regex", settings, check)


def json_schema(settings: Settings, tools: Tools) -> Scorer:
    """The answer is JSON that the schema allows: the one of the settings, else the prompt's own output schema, else any
    JSON. `fenced`: a Markdown fence around it is taken off.
    """
    found = read_settings("json_schema", settings, _Schema)
    schema = found.schema or dict(tools.schema or {})
    try:
        validator = compile_schema(schema)
    except ValueError as error:
        raise Invalid(
            f"The schema of json_schema is none: {error}.", mend="Mend it.", code="scorer_settings"
        ) from error

    def check(sample: Sample) -> Score:
        fence = FENCE.match(sample.answer) if found.fenced else None
        try:
            value = msgspec.json.decode(fence[1] if fence else sample.answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _said(False, f"no JSON: {error}")
        fault = next(iter(validator.iter_errors(value)), None)
        if fault is None:
            return _said(True)
        return _said(False, f"at /{'/'.join(map(str, fault.instance_path))}: {fault.message}")

    return _fact("json_schema", settings, check)


def numeric(settings: Settings, tools: Tools) -> Scorer:
    """The last number of the answer (`which`: first or any) is the expected one, within `tolerance`, or within the
    share `relative` of it. 1,234.5 and 12% are read as 1234.5 and 12.
    """
    found = read_settings("numeric", settings, _Number)

    def check(sample: Sample) -> Score:
        wanted = found.value
        if wanted is None:
            known = [*_numbers(" ".join(texts_of(sample.case.expected)))]
            if not known:
                return _nothing_expected()
            wanted = known[-1]
        numbers = [*_numbers(sample.answer)]
        if not numbers:
            return _said(False, "there is no number")
        asked = {"last": numbers[-1:], "first": numbers[:1], "any": numbers}[found.which]
        allowed = max(found.tolerance, found.relative * abs(wanted)) + 1e-12 * abs(wanted)
        return _said(any(abs(one - wanted) <= allowed for one in asked), f"{asked[-1]:.10g} is not {wanted:.10g}")

    return _fact("numeric", settings, check)


def latency(settings: Settings, tools: Tools) -> Scorer:
    """How long the answer took, in ms; with `max`, whether that was at most so long."""
    found = read_settings("latency", settings, _Most)

    def check(sample: Sample) -> Score:
        return _measured(sample.outcome.latency_ms, found.max, "ms")

    return _fact("latency", settings, check, better="lower")


def cost(settings: Settings, tools: Tools) -> Scorer:
    """What the answer cost, in US dollars; with `max`, whether that was at most so much."""
    found = read_settings("cost", settings, _Most)

    def check(sample: Sample) -> Score:
        paid = sample.outcome.cost_nano_usd
        return _measured(None if paid is None else paid / NANO, found.max, "USD")

    return _fact("cost", settings, check, better="lower")


def length(settings: Settings, tools: Tools) -> Scorer:
    """How long the answer is, in `unit` (words, characters, lines); whether it lies between `min` and `max`."""
    found = read_settings("length", settings, _Length)

    def check(sample: Sample) -> Score:
        text = sample.answer
        count = {"words": len(text.split()), "characters": len(text), "lines": len(text.splitlines())}[found.unit]
        limited = found.max is not None or found.min is not None
        good = (found.max is None or count <= found.max) and (found.min is None or count >= found.min)
        bound = f"at least {found.min}" if found.min is not None and count < found.min else f"at most {found.max}"
        why = f"{count} {found.unit}, {bound}"
        return Score(value=float(count), passed=good if limited else None, why="" if good else why)

    return _fact("length", settings, check, better="lower")


def _fact(name: str, settings: Settings, check: Any, *, better: Literal["higher", "lower"] = "higher") -> Scorer:
    return Fact(ScorerUse(name=name, version=VERSION, settings=dict(settings), better=better, exact=True), check)


def _said(good: bool, why: str = "") -> Score:
    return Score(value=float(good), passed=good, why="" if good else why)


def _measured(value: float | None, most: float | None, unit: str) -> Score:
    if value is None:
        return Score(error="unknown_value", why=f"The {unit} of this answer are not known.")
    good = most is None or value <= most
    why = "" if most is None or good else f"{value:.6g} {unit}, at most {most:.6g}"
    return Score(value=value, passed=None if most is None else good, why=why)


def _nothing_expected() -> Score:
    return Score(error="nothing_expected", why="The case says no `expected`, and the scorer has no value of its own.")


def _pattern(text: str, flags: re.RegexFlag) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise Invalid(f"/{text}/ is no pattern: {error}.", mend="Mend it.", code="scorer_settings") from error


def _numbers(text: str) -> Iterator[float]:
    for match in NUMBER.finditer(text):
        yield float(re.sub(r"[,\u202f %]", "", match[0]))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
