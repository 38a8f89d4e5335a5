"""What the outbox carries outside, one errand at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.app.errands import Errands
from tidegate.control.policies.model import Config, NotifierSpec, PromptSource
from tidegate.jobs.notifications import Event
from tidegate.jobs.outbox import Outbox, enqueue
from tidegate.kernel.errors import Conflict, Unavailable


class Repository:
    """Keeps what it was told to do."""

    def __init__(self) -> None:
        self.tags: list[str] = []
        self.pushed: list[str] = []
        self.refuses: Exception | None = None

    def tag(self, name: str, sha: str, message: str, actor_name: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.tags.append(f"{name} {sha} {message} {actor_name}")

    def push(self, refs: Sequence[str]) -> None:
        self.pushed += refs


class Ear:
    """A notifier that hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Event]] = []

    def of(self, spec: NotifierSpec) -> "Ear.One":
        return Ear.One(self, spec.name)

    class One:
        def __init__(self, ear: "Ear", name: str) -> None:
            self._ear, self._name = ear, name

        async def notify(self, event: Event) -> None:
            self._ear.heard.append((self._name, event))


class Desk:
    """Errands with everything around them."""

    def __init__(self, db: SqliteDatabase, config: Config | None) -> None:
        self.db = db
        self.config = config
        self.repository = Repository()
        self.ear = Ear()
        errands = Errands(
            db,
            config=lambda: self.config,
            repository=lambda: self.repository,  # type: ignore[arg-type,return-value]  # the two verbs that are used
            notifier=self.ear.of,
        )
        self.errands = errands
        self.outbox = Outbox(db, errands)

    async def send(self, kind: str, payload: dict[str, Any]) -> None:
        async with self.db.write() as tx:
            await enqueue(tx, at_ms=await self.db.now_ms(tx), kind=kind, payload=payload)
        while await self.outbox.deliver():
            pass


def config(*, push: bool = True) -> Config:
    specs = (
        NotifierSpec(name="ops", kind="webhook", url="http://x", events=("key.created", "release.deployed")),
        NotifierSpec(name="log", kind="webhook", url="http://y", events=("key.created",)),
    )
    return Config(deployments={}, routes={}, environments=(), prompts=PromptSource(push=push), notifiers=specs)


@pytest.fixture
async def desk(tmp_path: Path) -> Any:
    db = await fresh_sqlite(tmp_path)
    yield Desk(db, config())
    await db.close()


TAG = {"name": "release/production/greeting/1", "sha": "c0ffee", "message": "m", "actor": "dora"}


async def test_a_tag_is_written_and_then_pushed(desk: Desk) -> None:
    await desk.send("git.tag", TAG)
    assert desk.repository.tags == ["release/production/greeting/1 c0ffee m dora"]
    assert desk.repository.pushed == ["refs/tags/release/production/greeting/1"]


async def test_nothing_is_pushed_where_the_configuration_says_so(desk: Desk) -> None:
    desk.config = config(push=False)
    await desk.send("git.tag", TAG)
    assert desk.repository.tags
    assert desk.repository.pushed == []


async def test_a_tag_that_can_never_be_written_holds_back_no_other(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.repository.refuses = Conflict("The tag stands elsewhere.")
    await desk.send("git.tag", TAG)
    assert await desk.outbox.waiting() == []
    assert "was not written: The tag stands elsewhere." in caplog.text


async def test_a_repository_that_is_away_is_asked_again(desk: Desk) -> None:
    desk.repository.refuses = Unavailable("Away.")
    await desk.send("git.tag", TAG)
    waiting = await desk.outbox.waiting()
    assert [(one.kind, one.last_error) for one in waiting] == [("git.tag", "Unavailable: Away.")]


async def test_each_notifier_hears_what_it_asked_for(desk: Desk) -> None:
    await desk.send("notify", {"event": "key.created", "subject": "key/app"})
    await desk.send("notify", {"event": "release.deployed"})
    await desk.send("notify", {"event": "config.applied"})
    assert sorted((name, event.event) for name, event in desk.ear.heard) == [
        ("log", "key.created"), ("ops", "key.created"), ("ops", "release.deployed"),
    ]  # fmt: skip
    assert len({event.event_id for _, event in desk.ear.heard}) == 2


async def test_an_event_for_a_notifier_that_is_gone_is_let_go(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await desk.send("notify:gone", {"event_id": "evt_1", "event": "key.created"})
    assert await desk.outbox.waiting() == []
    assert "no longer there" in caplog.text


async def test_before_the_first_apply_events_go_to_nobody(desk: Desk) -> None:
    desk.config = None
    await desk.send("notify", {"event": "key.created"})
    assert (desk.ear.heard, await desk.outbox.waiting()) == ([], [])


async def test_the_handlers_are_those_of_the_configuration(desk: Desk) -> None:
    assert sorted(desk.errands) == ["git.push", "git.tag", "notify", "notify:log", "notify:ops"]
    assert len(desk.errands) == 5
    assert "teleport" not in desk.errands
