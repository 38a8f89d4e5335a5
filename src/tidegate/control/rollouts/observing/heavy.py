"""What computes, loaded when it is first needed: a control plane without a rollout shall not hold the numerical
libraries in memory. Call these in a thread.
"""

from collections.abc import Sequence

import msgspec

from tidegate.control.experiments.model import Definition
from tidegate.control.monitoring.stretches.model import Rolled
from tidegate.control.rollouts.model import Rollout
from tidegate.control.rollouts.observing.model import Cell, Kind, Span, Weighed

__all__ = ["judged", "weighed"]


def judged(rollout: Rollout, kind: Kind, rolled: Rolled, span: Span) -> list[Cell]:
    """The cells of the windows in the span. See `cells.unit_cells` and `cells.pair_cells`."""
    from tidegate.control.rollouts.observing.cells import pair_cells, unit_cells  # noqa: PLC0415  # lazy: costs memory

    definition = _definition(rollout, kind)
    return unit_cells(definition, rolled, span) if kind == "canary" else pair_cells(definition, rolled, span)


def weighed(rollout: Rollout, kind: Kind, cells: Sequence[Cell]) -> Weighed:
    """What the gates of this kind say of all the cells."""
    from tidegate.control.rollouts.measuring import told_of  # noqa: PLC0415  # lazy: costs memory
    from tidegate.control.rollouts.observing.evidence import split_p, verdict_of  # noqa: PLC0415  # lazy: costs memory

    verdict = verdict_of(_definition(rollout, kind), cells)
    told = told_of(verdict)
    return Weighed(
        verdict=verdict, breached=told.breached, holds=told.holds, warned=told.warned, split_p=split_p(cells)
    )


def _definition(rollout: Rollout, kind: Kind) -> Definition:
    """The rollout as an experiment whose guardrails are the gates of this kind."""
    from tidegate.control.rollouts.measuring import definition_of  # noqa: PLC0415  # lazy: costs memory

    gates = rollout.plan.gates if kind == "canary" else rollout.plan.shadow_gates
    return msgspec.structs.replace(definition_of(rollout), guardrails=gates)
