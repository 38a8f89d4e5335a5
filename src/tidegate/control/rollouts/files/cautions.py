"""What a rollout file may not mean: it can be started, and its author should know."""

from collections.abc import Iterator

from tidegate.control.rollouts.model import Plan, Stage
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.plain import joined

__all__ = ["warnings_of"]

Found = Iterator[InvalidDocument]

WHOLE_BP = 10_000


def warnings_of(document: Document, root: Path, plan: Plan) -> Found:
    """Every warning of a plan that could be read."""
    yield from _unguarded(document, root, plan)
    yield from _untried(document, root, plan)
    yield from _unscored(document, root, plan)
    yield from _hurried(document, root, plan)


def _unguarded(document: Document, root: Path, plan: Plan) -> Found:
    if not any(one.block for one in plan.gates):
        message = "No gate can roll this back: only people can."
        mend = "Write `gates: {error_rate: {ratio: 1.5}}`."
        yield document.fault((*root, "gates" if plan.gates else "stages"), message, mend=mend, code="unguarded")


def _untried(document: Document, root: Path, plan: Plan) -> Found:
    first = plan.stages[0]
    if first.kind == "canary":
        message = f"Users get it at once, {first.share_bp / 100:g}% of them: nothing is tried before."
        mend = "Begin with `- kind: offline` and `- {kind: shadow, percent: 1, hold: 10m}`."
        yield document.fault((*root, "stages", 0), message, mend=mend, code="untried")


def _unscored(document: Document, root: Path, plan: Plan) -> Found:
    scores = {one.name for one in plan.metrics if one.source == "feedback"}
    named = tuple(dict.fromkeys(gate.metric for gate in plan.gates if gate.metric in scores))
    if named and not plan.score_percent:
        message = f"Only feedback from users or your application tells of {joined(named)}: no scorer judges calls."
        mend = "Write `score_percent: 20` to have a fifth of the calls judged."
        yield document.fault((*root, "score_percent"), message, mend=mend, code="unscored")


def _hurried(document: Document, root: Path, plan: Plan) -> Found:
    """Where users get 100% without anything having been shown."""
    served = [(at, one) for at, one in enumerate(plan.stages) if one.kind == "canary"]
    before = [one for _, one in served if one.share_bp < WHOLE_BP]
    if plan.gates and not any(one.needs for one in before):
        at = served[-1][0] if served else 0
        message = "Users get 100% without any gate having been shown to hold: not finding harm is no proof of none."
        mend = f"Write `needs: [{plan.gates[0].metric}]` into the stage before."
        yield document.fault((*root, "stages", at), message, mend=mend, code="unshown")
    for at, one in served:
        if _same_time(one, plan.window_s):
            message = f"`{one.name}` lasts no longer than a window, so that nothing is known when it is left."
            yield document.fault((*root, "stages", at), message, mend="Make `hold` longer.", code="hold_short")


def _same_time(stage: Stage, window_s: int) -> bool:
    return stage.share_bp < WHOLE_BP and stage.hold_s <= window_s and stage.min_units == 0
