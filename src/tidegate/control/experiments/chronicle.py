"""How a change of an experiment is written down: row, event, audit, news and Snapshot, in the caller's transaction."""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.control.experiments import store
from tidegate.control.experiments.model import Decision, Experiment, Happening
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.jobs.database import Publish, Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import enqueue

__all__ = ["begun", "ended", "reweighed"]

ACTIONS: Mapping[str, str] = MappingProxyType(
    {"started": "experiment.start", "stopped": "experiment.stop", "decided": "experiment.decide"}
)


async def begun(tx: Tx, publish: Publish, actor: Actor, experiment: Experiment, reason: str = "") -> None:
    """A run begins."""
    definition = experiment.definition
    detail: dict[str, object] = {
        "experiment_id": experiment.experiment_id,
        "subject": definition.subject,
        "layer": definition.layer,
        "from_bp": experiment.from_bp,
        "to_bp": experiment.to_bp,
        store.WEIGHTS: experiment.weights_bp,
        "rule": definition.rule,
    }
    detail |= {"reason": reason} if reason else {}
    await store.add(tx, experiment)
    happening = Happening(kind="started", at_ms=experiment.started_at_ms, actor=actor.name, detail=detail)
    await _tell(tx, actor, experiment, happening)
    await publish(tx)


async def ended(tx: Tx, publish: Publish, actor: Actor, experiment: Experiment, detail: dict[str, object]) -> None:
    """A run is over: `experiment` as it is now, decided or stopped, with its end."""
    at_ms = experiment.ended_at_ms
    assert at_ms is not None
    happening = Happening(
        kind="decided" if experiment.state == "decided" else "stopped",
        at_ms=at_ms,
        actor=actor.name,
        detail={"experiment_id": experiment.experiment_id, **_decision(experiment.decision), **detail},
    )
    await store.change(tx, experiment)
    await _tell(tx, actor, experiment, happening)
    await publish(tx)


async def reweighed(tx: Tx, publish: Publish, actor: Actor, experiment: Experiment, at_ms: int) -> None:
    """A bandit's weights are others now. The events tell of it; audit and notifiers would drown in it."""
    detail: dict[str, object] = {store.WEIGHTS: experiment.weights_bp}
    await store.change(tx, experiment)
    happening = Happening(kind="reweighed", at_ms=at_ms, actor=actor.name, detail=detail)
    await store.add_event(tx, experiment.experiment_id, happening)
    await publish(tx)


def _decision(decision: Decision | None) -> dict[str, object]:
    if decision is None:
        return {}
    return {"answer": decision.answer, "variant": decision.variant, "why": decision.why}


async def _tell(tx: Tx, actor: Actor, experiment: Experiment, happening: Happening) -> None:
    """Write the event, the audit row, and the news for the notifiers."""
    definition = experiment.definition
    subject = f"experiment/{definition.environment}/{definition.name}"
    at_ms, detail = happening.at_ms, happening.detail
    await store.add_event(tx, experiment.experiment_id, happening)
    await add_audit(tx, at_ms=at_ms, actor=actor, action=ACTIONS[happening.kind], subject=subject, diff=detail)
    news = {
        "event": f"experiment.{happening.kind}",
        "at_ms": at_ms,
        "actor": actor.name,
        "subject": subject,
        "detail": detail,
    }
    await enqueue(tx, at_ms=at_ms, kind=NOTIFY, payload=news)
