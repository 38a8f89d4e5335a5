"""The parts of experiments that compute, loaded when they are first needed: a control plane without a running
experiment shall not hold the numerical libraries in memory. Call these in a thread.
"""

from collections.abc import Sequence

import msgspec

from tidegate.control.experiments.model import Analysis, Definition, Experiment
from tidegate.control.monitoring.exposures import Exposures

__all__ = ["analysis_of", "frozen", "judged_until_ms", "next_weights_of", "read"]


def read(text: str, file: str) -> tuple[Definition, tuple[str, ...]]:
    """The definition, and what its author should know of it. Raises as `reading.read_experiment`."""
    from tidegate.control.experiments.files import reading  # noqa: PLC0415  # lazy: costs memory

    definition, _, warnings = reading.lint_experiment(text, file)
    return definition or reading.read_experiment(text, file), tuple(map(str, warnings))


def frozen(definition: Definition, history: Exposures) -> Definition:
    """See `freeze.freeze`."""
    from tidegate.control.experiments.findings.freeze import freeze  # noqa: PLC0415  # lazy: costs memory

    return freeze(definition, history)


def judged_until_ms(experiment: Experiment, now_ms: int) -> int:
    """The end of the last window that can be judged (Unix ms); the start while there is none."""
    from tidegate.control.experiments.findings.outcomes import complete_windows  # noqa: PLC0415  # lazy: costs memory

    definition, began = experiment.definition, experiment.started_at_ms
    return began + complete_windows(definition, started_at_ms=began, now_ms=now_ms) * definition.window_s * 1000


def next_weights_of(experiment: Experiment, exposures: Exposures, now_ms: int) -> tuple[int, ...]:
    """A bandit's weights by everything that was judged until now."""
    from tidegate.control.experiments.findings.bandits import next_weights  # noqa: PLC0415  # lazy: costs memory
    from tidegate.control.experiments.findings.outcomes import outcomes_of  # noqa: PLC0415  # lazy: costs memory

    definition, began = experiment.definition, experiment.started_at_ms
    outcomes = outcomes_of(definition, exposures, started_at_ms=began, now_ms=now_ms)
    return next_weights(definition, outcomes, now_ms, began)


def analysis_of(
    experiment: Experiment,
    exposures: Exposures,
    now_ms: int,
    history: Exposures | None,
    weights_log: Sequence[tuple[int, tuple[int, ...]]],
) -> Analysis:
    """See `analysis.analyse`. A run that ended by another answer than its rule's says so."""
    from tidegate.control.experiments.findings.analysis import analyse  # noqa: PLC0415  # lazy: costs memory

    found = analyse(experiment, exposures, now_ms=now_ms, history=history, weights_log=weights_log)
    ended, rule = experiment.decision, found.decision
    if ended is None or (ended.answer, ended.variant) == (rule.answer, rule.variant):
        return found
    said = f"It was ended by `{ended.answer}`, which is not what the rule says now. {ended.why}"
    return msgspec.structs.replace(found, warnings=(said, *found.warnings))
