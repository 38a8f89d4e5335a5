"""A scorer of the user's own: a Python function."""

import asyncio
import inspect
from typing import Any

import msgspec

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.scorers.base import Scorer, Settings, Tools, read_settings
from tidegate.kernel.errors import Invalid

__all__ = ["python"]

FIELDS = ("value", "passed", "why")
_MEND = 'Return a number, true or false, or {"value": 0.8, "passed": true, "why": "..."}.'


class _Plugin(msgspec.Struct, frozen=True, kw_only=True):
    function: str = ""
    fact: bool = False
    name: str = ""


class _Function:
    def __init__(self, use: ScorerUse, function: Any) -> None:
        self._use = use
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    @property
    def use(self) -> ScorerUse:
        """See `Scorer`."""
        return self._use

    async def score(self, sample: Sample) -> Score:
        """Call the function with a map of what there is; one that is not async runs in a thread."""
        given = {
            "answer": sample.answer,
            "question": sample.question,
            "context": sample.context,
            "expected": sample.case.expected,
            "variables": dict(sample.case.variables),
            "tags": dict(sample.case.tags),
            "id": sample.case.id,
        }
        said = await self._function(given) if self._is_async else await asyncio.to_thread(self._function, given)
        return _score(said, self._use.name)


def python(settings: Settings, tools: Tools) -> Scorer:
    """`function: FILE:FUNCTION` is given a map (answer, question, context, expected, variables, tags, id) and returns a
    number, true or false, or a map of value, passed and why. `fact: true`: it computes a fact, and may block.
    """
    found = read_settings("python", settings, _Plugin)
    if not found.function or tools.load is None:
        raise Invalid("The scorer python names no function.", mend="python:FILE:FUNCTION", code="scorer_settings")
    loaded = tools.load(found.function)
    name = found.name or found.function.rpartition(":")[2]
    version = loaded.sha256[:12]
    use = ScorerUse(
        name=name,
        version=version,
        settings=dict(settings),
        exact=found.fact,
        quality=tools.kept.get(f"{name}@{version}", ()),
    )
    return _Function(use, loaded.function)


def _score(said: Any, name: str) -> Score:
    if isinstance(said, Score):
        return said
    if isinstance(said, bool):
        return Score(value=float(said), passed=said)
    if isinstance(said, int | float):
        return Score(value=float(said))
    if isinstance(said, dict) and not set(said) - set(FIELDS):
        value, passed = said.get("value"), said.get("passed")
        if value is not None or passed is not None:
            number = float(value) if value is not None else float(bool(passed))
            return Score(value=number, passed=None if passed is None else bool(passed), why=str(said.get("why", "")))
    raise Invalid(f"{name} returned {type(said).__name__}: {str(said)[:80]}.", mend=_MEND, code="scorer_answer")
