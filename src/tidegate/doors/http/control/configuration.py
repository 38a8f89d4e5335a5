"""The routes of the configuration: what holds, and apply."""

import msgspec
from litestar.params import JSONBody

from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["AppliedConfig", "ConfigText", "HeldConfig", "apply", "config"]


class ConfigText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text of a tidegate.yaml, and the name that faults shall show."""

    text: str
    file: str = "tidegate.yaml"


class AppliedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply did; no changes means that the text held already. `warnings`: what holds but may not be meant."""

    revision: int
    generation: int
    changes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class HeldConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that holds, as it was written. `applied_at_ms` is Unix time."""

    revision: int
    applied_at_ms: int
    actor: str
    sha256: str
    text: str


async def config(control: TheControl) -> HeldConfig:
    """The configuration that holds."""
    held = await control.policies.revision()
    return HeldConfig(
        revision=held.revision,
        applied_at_ms=held.applied_at_ms,
        actor=held.actor,
        sha256=held.sha256,
        text=held.text,
    )


async def apply(control: TheControl, actor: TheActor, data: JSONBody[ConfigText]) -> AppliedConfig:
    """Check a configuration and make it hold, whole or not at all."""
    applied = await control.apply(actor, data.text, data.file)
    return AppliedConfig(
        revision=applied.revision,
        generation=applied.generation,
        changes=applied.changes,
        warnings=applied.warnings,
    )
