"""The kernel of simulations is `step`, move for move, whatever the plan and whatever is seen."""

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rollouts import ERRORS, FAITH, begun, canary, plan_of
from tidegate.control.rollouts.model import Evidence
from tidegate.control.rollouts.simulations import kernel
from tidegate.control.rollouts.step import moved, step

METRICS = ("error_rate", "faithfulness")
seconds = st.integers(0, 30)


@st.composite
def canaries(draw):
    """A plan of canary stages only, short enough to be walked to its end."""
    percents = sorted(draw(st.lists(st.sampled_from((1, 5, 25, 50, 100)), min_size=1, unique=True)))
    stages = [
        canary(
            percent,
            hold_s=draw(seconds),
            max_hold_s=draw(st.none() | seconds),
            min_units=draw(st.integers(0, 30)),
            needs=tuple(name for name in METRICS if draw(st.integers(0, 3)) == 0),
        )
        for percent in percents
    ]
    warns = msgspec.structs.replace(FAITH, block=draw(st.booleans()))
    return plan_of(
        *stages,
        gates=(ERRORS, warns),
        on_breach=draw(st.sampled_from(("rollback", "pause"))),
        stale_after_s=draw(st.integers(5, 60)),
    )


def path(random, ticks):
    """What is seen at each tick: mostly good, now and then not."""
    rate = random.uniform(0, 0.2)
    breached = random.random((ticks, 2)) < rate / 4
    holds = random.random((ticks, 2)) < random.uniform(0.2, 1)
    units = random.integers(0, 60, ticks)
    at_ms = np.cumsum(random.integers(1, 12_000, ticks))
    ago = random.integers(0, 20_000, ticks) + 100_000 * (random.random(ticks) < rate / 2)
    seen = np.where(random.random(ticks) < rate / 2, kernel.NEVER, np.maximum(at_ms - ago, 0))
    split = np.where(random.random(ticks) < rate / 10, 1e-4, 0.5)
    return at_ms, breached, holds, units, seen, split


def by_step(plan, one):
    """The states, stages and times of entry after each tick, one `step` after the other."""
    rollout, found = begun(plan), []
    for at_ms, breached, holds, units, seen, split in zip(*one, strict=True):
        evidence = Evidence(
            at_ms=int(at_ms),
            breached=tuple(name for name, flag in zip(METRICS, breached, strict=True) if flag),
            holds=tuple(name for name, flag in zip(METRICS, holds, strict=True) if flag),
            units=int(units),
            seen_at_ms=None if seen == kernel.NEVER else int(seen),
            split_p=float(split),
        )
        move = step(rollout, evidence)
        rollout = rollout if move is None else moved(rollout, move, int(at_ms))
        found.append((rollout.state, rollout.stage, rollout.entered_at_ms))
    return found


@settings(max_examples=150, deadline=None)
@given(canaries(), st.integers(0, 2**32 - 1))
def test_the_kernel_moves_as_step_does_at_every_tick(plan, seed):
    random = np.random.default_rng(seed)
    paths = [path(random, 30) for _ in range(8)]
    walk = kernel.walk_of(plan)
    blocks = np.asarray([one.block for one in plan.gates])
    standing, found = kernel.begun(len(paths)), []
    columns = [np.stack(one) for one in zip(*paths, strict=True)]
    for tick in range(30):
        at_ms, breached, holds, units, seen, split = (one[:, tick] for one in columns)
        looks = kernel.Looks(at_ms, (breached & blocks).any(axis=-1), holds, units, seen, split)
        standing = kernel.look(walk, standing, looks)
        found.append(standing)
    for number, one in enumerate(paths):
        expected = by_step(plan, one)
        states = [(kernel.STATES[at.state[number]], int(at.stage[number]), int(at.entered_ms[number])) for at in found]
        assert states == expected


def test_such_paths_come_to_every_end():
    ends = set()
    for seed in range(60):
        random = np.random.default_rng(seed)
        plan = plan_of(canary(5, hold_s=5, min_units=5, max_hold_s=40, needs=("error_rate",)), stale_after_s=20)
        ends.add(by_step(plan, path(random, 30))[-1][0])
    assert ends == {"promoted", "rolled_back", "paused", "inconclusive"}
