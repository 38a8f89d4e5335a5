"""Plans, rollouts and looks of any kind, for properties that must hold of all of them."""

from hypothesis import strategies as st

from tests.support.rollouts import ERRORS, FAITH, begun, canary, plan_of, stage
from tidegate.control.rollouts.model import Approval, Evidence, Plan, Rollout, Stage

METRICS = ("error_rate", "faithfulness")
PEOPLE = ("ann", "bob", "zoe")

seconds = st.integers(min_value=0, max_value=200)
names = st.lists(st.sampled_from(METRICS), unique=True).map(tuple)


@st.composite
def stages(draw) -> tuple[Stage, ...]:
    """In the order that a plan's file allows: offline, staging, copies, an approval, canaries that grow, approvals."""
    found = []
    for kind in ("offline", "staging", "shadow", "approval"):
        if draw(st.booleans()):
            longest = draw(st.none() | seconds)
            found.append(stage(kind, hold_s=draw(seconds), max_hold_s=longest, drill=draw(st.booleans())))
    if found and found[-1].kind == "shadow":
        found[-1] = stage("shadow", share_bp=100, hold_s=draw(seconds), min_units=draw(st.integers(0, 50)))
    for percent in sorted(draw(st.lists(st.sampled_from((1, 5, 25, 50, 100)), min_size=1, unique=True))):
        found.append(
            canary(
                percent,
                hold_s=draw(seconds),
                max_hold_s=draw(st.none() | seconds),
                min_units=draw(st.integers(0, 50)),
                needs=draw(names) if percent < 100 else (),
            )
        )
        if percent < 100 and draw(st.integers(0, 4)) == 0:
            found.append(stage("approval", max_hold_s=None, approvals=draw(st.integers(1, 2))))
    return tuple(found)


@st.composite
def plans(draw) -> Plan:
    found: Plan = plan_of(
        *draw(stages()),
        gates=(ERRORS, FAITH),
        shadow_gates=(ERRORS, FAITH),
        on_breach=draw(st.sampled_from(("rollback", "pause"))),
        on_rollback=draw(st.sampled_from(("stop", "shadow"))),
        stale_after_s=draw(st.integers(10, 300)),
    )
    return found


@st.composite
def approvals_for(draw, rollout: Rollout) -> tuple[Approval, ...]:
    return tuple(
        Approval(
            stage=draw(st.sampled_from((rollout.stage, rollout.stage, 0))),
            plan_hash=draw(st.sampled_from((rollout.plan_hash, rollout.plan_hash, "of another plan"))),
            who=who,
            roles=("reviewer",),
            at_ms=0,
        )
        for who in draw(st.lists(st.sampled_from(PEOPLE), max_size=3))
    )


@st.composite
def looks(draw, rollout: Rollout, at_ms: int) -> Evidence:
    """What may be known at a time: seldom a harm, mostly enough to go on."""
    seldom = st.integers(0, 11).map(lambda drawn: drawn == 11)
    fresh = st.integers(0, 10_000)
    ago = draw(st.none() | st.integers(0, 400_000)) if draw(seldom) else draw(fresh)
    return Evidence(
        at_ms=at_ms,
        breached=draw(names) if draw(seldom) else (),
        holds=draw(names) if draw(st.booleans()) else METRICS,
        units=draw(st.integers(0, 100)),
        seen_at_ms=None if ago is None else at_ms - ago,
        split_p=1e-5 if draw(seldom) else 0.5,
        offline=draw(st.sampled_from((None, "inconclusive", "block"))) if draw(seldom) else "pass",
        staged=not draw(seldom),
        drilled=not draw(seldom),
        approvals=draw(approvals_for(rollout)),
        stage=rollout.stage + 1 if draw(seldom) else draw(st.sampled_from((None, rollout.stage))),
    )


@st.composite
def rollouts(draw) -> Rollout:
    """A rollout at its beginning."""
    found: Rollout = begun(draw(plans()), at_ms=0, authors=("ann",))
    return found
