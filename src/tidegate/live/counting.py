"""Counters: how a limit is split, and what each part is called in the store that all gateways share. Pure."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from tidegate.live.snapshot import ANY, LimitRule

__all__ = ["Counted", "counter_name", "counts", "rule_name", "split_words"]

MODEL = "model"


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """One counter's window in the store that all gateways share: settled + held <= cap, in the unit of its rule."""

    counter: str
    window: str
    cap: int
    settled: int
    held: int
    ends_at_ms: int


def counts(rule: LimitRule, words: Mapping[str, str]) -> bool:
    """Whether a call with these words (`key`, `model`, `environment`, and its tags) counts under the rule. A call that
    lacks a word of `each` counts too, under its empty value: a limit is not left by leaving out a tag. A model's rule
    counts its LoRA adapters (`alias:adapter`) too.
    """
    for word, value in rule.match.items():
        found = words.get(word)
        if found is None or (value not in (ANY, found) and not (word == MODEL and found.startswith(f"{value}:"))):
            return False
    return True


def counter_name(rule: LimitRule, words: Mapping[str, str]) -> str:
    """The counter of a call with these words: `support-month`, or `support-month|key=app` with each value's own."""
    parts = [f"{quote(word, safe='')}={quote(words.get(word, ''), safe='')}" for word in rule.each]
    return "|".join([rule.name, *parts])


def rule_name(counter: str) -> str:
    """The name of the rule that a counter belongs to."""
    return counter.partition("|")[0]


def split_words(counter: str) -> dict[str, str]:
    """The values that a counter is for, by word: {"key": "app"}."""
    pairs = [part.partition("=") for part in counter.split("|")[1:]]
    return {unquote(word): unquote(value) for word, _, value in pairs}
