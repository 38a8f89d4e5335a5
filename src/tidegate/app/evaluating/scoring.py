"""The scorers of a run, by the names that files and the command line use, and what they are given to work with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.app.evaluating.function import load_function
from tidegate.control.evals.scorers.base import Loaded, Scorer, Tools
from tidegate.control.evals.scorers.registry import scorer_named
from tidegate.kernel.complete import Complete

__all__ = ["scorers_of", "tools_of"]


def tools_of(complete: Complete | None, start: Path, schema: Mapping[str, Any] | None = None) -> Tools:
    """What scorers may use: models for judges, functions by FILE:FUNCTION from `start` on, the answer's JSON Schema."""

    def load(place: str) -> Loaded:
        function, digest = load_function(place, start)
        return Loaded(function, digest)

    return Tools(complete=complete, schema=schema, load=load)


def scorers_of(names: Sequence[str], tools: Tools) -> tuple[Scorer, ...]:
    """The scorers by name. Raises NotFound, or Invalid for settings that are none."""
    return tuple(scorer_named(name, tools) for name in names)
