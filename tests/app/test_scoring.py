"""What there is to score, and judges whose key the gateways must first be told of."""

import asyncio
from pathlib import Path

import pytest

from tests.control.rollouts.observing.test_observing import rollout_of
from tests.support.databases import fresh_sqlite
from tidegate.app.scoring import Scorers, ScoringBench, _Judges, gateway_url
from tidegate.control.policies.model import Config, Scoring
from tidegate.control.rollouts import store as rollouts
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import NotFound, Unauthenticated
from tidegate.settings import Settings

MASTER = "0123456789abcdef0123456789abcdef"


async def nothing() -> None:
    """Nobody need be told."""


class Gateway:
    """Knows the key once it was told; `stubborn` never does."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.told = 0
        self.asked: list[str] = []
        self._stubborn = stubborn

    async def renew(self) -> None:
        self.told += 1

    async def complete(self, ask: Ask) -> Said:
        self.asked.append(ask.origin)
        if self._stubborn or not self.told:
            raise Unauthenticated("Unknown key.")
        return Said(text="yes")

    async def close(self) -> None:
        """Nothing to give back."""


async def test_a_gateway_is_told_of_the_key_once_and_every_call_is_a_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.app.scoring.AGAIN_S", 0.0)
    gateway = Gateway()
    judges = _Judges(gateway, gateway.renew)
    said = await asyncio.gather(*(judges.complete(Ask(model="m", text="?")) for _ in range(5)))
    assert [one.text for one in said] == ["yes"] * 5
    assert (gateway.told, set(gateway.asked)) == (1, {"judge"})
    stubborn = Gateway(stubborn=True)
    never = _Judges(stubborn, stubborn.renew)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await never.complete(Ask(model="m", text="?"))
    assert stubborn.told == 1


async def test_jobs_are_of_routes_and_of_rollouts_with_a_gate_that_a_scorer_is_named_after(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    scoring = Scoring(scorers=("length:100",), share_bp=5_000, cap_nano_usd_per_day=7)
    config = Config(deployments={}, routes={}, environments=(), scoring={"chat": scoring})
    scorers = Scorers(Settings(workspace=tmp_path), MASTER, nothing)
    bench = ScoringBench(db, lambda: config, scorers)
    scored = rollout_of(score_percent=30.0, observe_s=120)
    async with db.write() as tx:
        await rollouts.add(tx, scored)
    found = {one.about: one for one in await bench.jobs()}
    assert (found["route:chat"].scorers, found["route:chat"].share_bp) == (("length:100",), 5_000)
    known = scorers.known("faithfulness", "production")
    assert ("roll_1" in found) is known
    if known:
        one = found["roll_1"]
        assert (one.scorers, one.share_bp, one.within_ms) == (("faithfulness",), 3_000, 120_000)
    with pytest.raises(NotFound):
        bench.scorer("nothing-of-that-name", "production")
    assert await ScoringBench(db, lambda: None, scorers).jobs() == ()
    await scorers.close()
    await db.close()


def test_who_listens_everywhere_is_asked_here(tmp_path: Path) -> None:
    everywhere = Settings(workspace=tmp_path, gateway_host="0.0.0.0", gateway_port=9)
    assert gateway_url(everywhere) == "http://127.0.0.1:9"
