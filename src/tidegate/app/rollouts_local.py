"""Rollout files from the command line's side, without a server: check them, foresee them, write pages."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.app.experiments_local import Finding, finding_of
from tidegate.control.rollouts.defaults import model_plan, prompt_plan
from tidegate.control.rollouts.files.shape import rollout_schema
from tidegate.control.rollouts.model import Plan, RolloutForecast
from tidegate.control.rollouts.reports.page import html
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import NotFound

__all__ = ["DEFAULTS", "CheckedPlan", "checked", "foreseen", "page", "plan_in", "schema_text"]

DEFAULTS = ("prompt", "model")
"""Words that stand for the plans without a file."""


class CheckedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout file means, None when it has errors, and what was found in it."""

    plan: Plan | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.severity == "error" for one in self.findings)


def checked(file: Path) -> CheckedPlan:
    """Check a file; raises NotFound, or InvalidDocument when it is no text."""
    from tidegate.control.rollouts.files.reading import lint_plan  # noqa: PLC0415  # lazy: costs half a second

    plan, faults, warnings = lint_plan(_text_of(file), file.name)
    findings = [*(finding_of(one, "error") for one in faults), *(finding_of(one, "warning") for one in warnings)]
    return CheckedPlan(plan=plan, findings=tuple(findings))


def plan_in(spec: str) -> Plan:
    """The plan of a file, or of one of DEFAULTS; raises as `checked`, and Invalid with a line for each fault."""
    if spec in DEFAULTS and not Path(spec).exists():
        return model_plan(scored=True) if spec == "model" else prompt_plan(has_staging=False, scored=True)
    from tidegate.control.rollouts.files.reading import read_plan  # noqa: PLC0415  # lazy: costs half a second

    file = Path(spec)
    return read_plan(_text_of(file), file.name)[0]


def foreseen(
    plan: Plan, units_per_minute: float, *, runs: int, seed: int, tick_s: int, progress: Callable[[float], None] | None
) -> RolloutForecast:
    """What the plan does at this traffic, by simulation; `progress` is told which share of the work is done."""
    from tidegate.control.rollouts.simulations.simulate import simulate  # noqa: PLC0415  # lazy: costs half a second

    return simulate(plan, units_per_minute=units_per_minute, runs=runs, seed=seed, tick_s=tick_s, progress=progress)


def page(forecast: RolloutForecast) -> str:
    """The forecast as one page of HTML that needs nothing else."""
    return html(forecast)


def schema_text() -> str:
    """The JSON Schema of a rollout file."""
    return msgspec.json.format(msgspec.json.encode(rollout_schema())).decode() + "\n"


def _text_of(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        mend = f"Name a rollout's YAML file, or one of the plans without a file: {', '.join(DEFAULTS)}."
        raise NotFound("file", str(file), mend=mend) from error
    return decode_text(data, file.name)
