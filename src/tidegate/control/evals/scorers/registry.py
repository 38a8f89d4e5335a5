"""Every scorer by its name, and how a name is read: `faithfulness`, `faithfulness@1.0.0`, `regex:^yes`, or a map of one
name to its settings, `{contains: {any: [yes, no]}}`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidegate.control.evals.scorers import exact, faithfulness, judges, plugin, refusal, relevance, safety, similarity
from tidegate.control.evals.scorers.base import Kind, Scorer, Tools
from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["KINDS", "SUBJECTS", "scorer_named"]

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "exact": exact.exact,
        "contains": exact.contains,
        "starts_with": exact.starts_with,
        "regex": exact.regex,
        "json_schema": exact.json_schema,
        "numeric": exact.numeric,
        "latency": exact.latency,
        "cost": exact.cost,
        "length": exact.length,
        "faithfulness": faithfulness.faithfulness,
        "relevance": relevance.relevance,
        "refusal": refusal.refusal,
        "similarity": similarity.similarity,
        "lexical_similarity": similarity.lexical_similarity,
        "safety_terms": safety.safety_terms,
        "judge": judges.judge,
        "pairwise": judges.pairwise,
        "faithfulness_judge": judges.faithfulness_judge,
        "relevance_judge": judges.relevance_judge,
        "python": plugin.python,
    }
)
"""Each makes its scorer from settings and tools."""

SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "exact": "value",
        "contains": "all",
        "starts_with": "value",
        "regex": "pattern",
        "json_schema": "schema",
        "numeric": "value",
        "latency": "max",
        "cost": "max",
        "length": "max",
        "faithfulness": "threshold",
        "relevance": "threshold",
        "refusal": "wanted",
        "similarity": "threshold",
        "lexical_similarity": "threshold",
        "safety_terms": "terms",
        "judge": "rubric",
        "pairwise": "model",
        "faithfulness_judge": "model",
        "relevance_judge": "model",
        "python": "function",
    }
)
"""The setting that a text, number or list after the name stands for."""

_NUMBERS = ("numeric", "latency", "cost", "length", "faithfulness", "relevance", "similarity", "lexical_similarity")
_LISTS = ("contains", "safety_terms")


def scorer_named(said: str | Mapping[str, Any], tools: Tools) -> Scorer:
    """The scorer. Raises NotFound with the nearest names, Invalid for settings that do not fit or a version that is
    not this one's.
    """
    name, version, settings = _read(said)
    kind = KINDS.get(name)
    if kind is None:
        raise NotFound("scorer", name, known=[*KINDS], mend="See `tidegate eval scorers`.")
    scorer = kind(settings, tools)
    if version and version != scorer.use.version and version != scorer.use.version.partition("+")[0]:
        raise Invalid(
            f"The scorer {name} is of version {scorer.use.version} here, not {version}.",
            mend=f"Write {name}@{scorer.use.version}, and evaluate the baseline anew: their scores do not compare.",
            code="scorer_version",
        )
    return scorer


def _read(said: str | Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    if isinstance(said, str):
        word, separator, subject = said.partition(":")
        name, _, version = word.partition("@")
        return name, version, _settings(name, _typed(name, subject) if separator else None)
    if len(said) != 1:
        raise Invalid(
            f"A check is one scorer and its settings; this one names {', '.join(map(str, said)) or 'none'}.",
            mend="Write {contains: yes}, or {contains: {any: [yes, no]}}.",
            code="scorer_settings",
        )
    word, value = next(iter(said.items()))
    name, _, version = str(word).partition("@")
    return name, version, _settings(name, value)


def _settings(name: str, value: Any) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    subject = SUBJECTS.get(name, "")
    if isinstance(value, Mapping) and not (name == "json_schema" and "schema" not in value and "fenced" not in value):
        return dict(value)
    if name in _LISTS and not isinstance(value, list | tuple):
        value = [value]
    return {subject: value}


def _typed(name: str, subject: str) -> Any:
    """What stands behind the colon: a number where the scorer is about one."""
    if name not in _NUMBERS:
        return subject
    try:
        number = float(subject)
    except ValueError as error:
        raise Invalid(f"{subject!r} is no number.", mend=f"Write {name}:10.", code="scorer_settings") from error
    return int(number) if number.is_integer() else number
