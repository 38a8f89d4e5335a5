"""The parts of rollouts that compute or read files, loaded when they are first needed: a control plane without a
rollout shall not hold the numerical libraries in memory. Call these in a thread.
"""

from tidegate.control.monitoring.exposures import Exposures
from tidegate.control.rollouts.model import Plan, Wanted

__all__ = ["frozen", "plan_of"]


def plan_of(wanted: Wanted, *, has_staging: bool) -> tuple[Plan, tuple[str, ...]]:
    """The plan that is wanted, the default one where none is given, and what its author should know of it. Raises
    InvalidDocument or Invalid.
    """
    from tidegate.control.rollouts import defaults  # noqa: PLC0415  # lazy: costs memory

    if wanted.plan:
        from tidegate.control.rollouts.files.reading import read_plan  # noqa: PLC0415  # lazy: costs memory

        return read_plan(wanted.plan, wanted.file)
    if wanted.model is not None:
        return defaults.model_plan(), ()
    return defaults.prompt_plan(has_staging), ()


def frozen(plan: Plan, history: Exposures) -> Plan:
    """See `measuring.frozen_plan`."""
    from tidegate.control.rollouts.measuring import frozen_plan  # noqa: PLC0415  # lazy: costs memory

    return frozen_plan(plan, history)
