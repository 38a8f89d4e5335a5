"""What the scorers without a model are worth: their agreement with people's labels, as `python -m bench.scorers` finds
it. Generated: `python -m bench.scorers --data PATH... --table > THIS FILE`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.control.evals.model import Quality
from tidegate.control.evals.scorers.base import Tools

__all__ = ["MEASURED", "quality_of"]

MEASURED: Mapping[str, tuple[Quality, ...]] = MappingProxyType({})
"""By name@version."""


def quality_of(name: str, version: str, tools: Tools, *, own: bool = True) -> tuple[Quality, ...]:
    """What a scorer is worth: as measured here (unless its settings make it another one: not `own`), then on labels of
    the user's own.
    """
    word = f"{name}@{version}"
    return (*(MEASURED.get(word, ()) if own else ()), *tools.kept.get(word, ()))
