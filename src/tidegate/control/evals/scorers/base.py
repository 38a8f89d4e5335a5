"""What a scorer is, what it may use, and how its settings are read."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from tidegate.control.evals.model import Quality, Sample, Score, ScorerUse
from tidegate.kernel.complete import Complete
from tidegate.kernel.errors import Invalid

__all__ = [
    "Check",
    "Embed",
    "Fact",
    "Kind",
    "Loaded",
    "Scorer",
    "Tools",
    "digest_of",
    "read_settings",
    "texts_of",
]

Settings = Mapping[str, Any]
Check = Callable[[Sample], Score]
T = TypeVar("T", bound=msgspec.Struct)


class Scorer(Protocol):
    """Gives an answer a score. What goes wrong in it is a Score with an `error`, or an exception: never a number."""

    @property
    def use(self) -> ScorerUse:
        """Its name and version, its settings, and what it is worth."""
        ...

    async def score(self, sample: Sample) -> Score:
        """The score of one answer. May raise a TidegateError (of a judge's model); it counts as the score's error."""
        ...


class Embed(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length 1 for each text, in their order."""
        ...


class Loaded(msgspec.Struct, frozen=True):
    """A Python function of the user's, and the SHA-256 of its file."""

    function: Callable[..., Any]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What scorers may use; None where it is not to be had. `schema`: the JSON Schema that the prompt's answer must
    have. `load` reads `FILE:FUNCTION`. `kept`: what calibrations on the user's own labels have found, by name@version.
    """

    complete: Complete | None = None
    embed: Embed | None = None
    schema: Mapping[str, Any] | None = None
    load: Callable[[str], Loaded] | None = None
    kept: Mapping[str, tuple[Quality, ...]] = field(default_factory=dict)


class Kind(Protocol):
    """Makes one kind of scorer from its settings. A text or a number stands for the setting that the kind is about."""

    def __call__(self, settings: Settings, tools: Tools) -> Scorer: ...


class Fact:
    """A scorer that computes a fact: no model, no opinion."""

    def __init__(self, use: ScorerUse, check: Check) -> None:
        self._use = use
        self._check = check

    @property
    def use(self) -> ScorerUse:
        """See `Scorer`."""
        return self._use

    async def score(self, sample: Sample) -> Score:
        """See `Scorer`."""
        return self._check(sample)


def read_settings(name: str, settings: Settings, kind: type[T]) -> T:
    """The settings as a Struct. Raises Invalid (`scorer_settings`), naming what does not fit and what there is."""
    known = kind.__struct_fields__
    unknown = [word for word in settings if word not in known]
    try:
        if unknown:
            raise msgspec.ValidationError(f"there is no setting `{unknown[0]}`")
        return msgspec.convert(dict(settings), kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise Invalid(
            f"The scorer {name} cannot be set so: {error}.",
            mend=f"Its settings: {', '.join(known) or 'none'}; see docs/reference/scorers.md.",
            code="scorer_settings",
        ) from error


def texts_of(value: Any) -> tuple[str, ...]:
    """What a case expects, as texts: one, or each of a list. Numbers are as JSON writes them; None is nothing."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(text for one in value for text in texts_of(one))
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode(),)


def digest_of(*texts: str) -> str:
    """16 characters that tell texts apart."""
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:16]
