"""What the outbox carries outside: tags and pushes to Git, events to each notifier."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec

from tidegate.control.policies.model import Config, NotifierSpec
from tidegate.control.prompts.ports import PromptRepository
from tidegate.jobs.database import Database
from tidegate.jobs.notifications import Event, Notifier, event_of
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import Conflict, Invalid, NotFound

__all__ = ["Errands", "Handler"]

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], Awaitable[None]]
NOTIFY_ONE = "notify:"


class Errands(Mapping[str, Handler]):
    """The outbox's handlers by kind: `git.tag`, `git.push`, `notify`, and `notify:NAME` for each notifier.

    `notify` only deals the event out, so that a receiver that is away holds back nothing but its own events. The
    configuration, the repository and the notifiers are asked for at each errand: they may have changed meanwhile.
    """

    def __init__(
        self,
        db: Database,
        *,
        config: Callable[[], Config | None],
        repository: Callable[[], PromptRepository],
        notifier: Callable[[NotifierSpec], Notifier],
    ) -> None:
        self._db = db
        self._config = config
        self._repository = repository
        self._notifier = notifier
        self._fixed: dict[str, Handler] = {"git.tag": self._tag, "git.push": self._push, "notify": self._deal}

    def __getitem__(self, kind: str) -> Handler:
        if kind.startswith(NOTIFY_ONE):
            name = kind.removeprefix(NOTIFY_ONE)
            return lambda payload: self._notify(name, payload)
        return self._fixed[kind]

    def __iter__(self) -> Iterator[str]:
        yield from self._fixed
        yield from (NOTIFY_ONE + spec.name for spec in self._specs())

    def __len__(self) -> int:
        return len(self._fixed) + len(self._specs())

    def _specs(self) -> tuple[NotifierSpec, ...]:
        config = self._config()
        return config.notifiers if config is not None else ()

    async def _tag(self, payload: dict[str, Any]) -> None:
        """Write a release's tag. The push is an errand of its own, so that a remote that is away delays no tag."""
        name, sha = payload["name"], payload["sha"]
        try:
            await asyncio.to_thread(self._repository().tag, name, sha, payload["message"], payload["actor"])
        except (
            Conflict,
            Invalid,
            NotFound,
        ) as error:  # trying again would change nothing and hold back every later tag
            log.error("the tag %s was not written: %s", name, error)
            return
        await self._enqueue("git.push", {"refs": [f"refs/tags/{name}"]})

    async def _push(self, payload: dict[str, Any]) -> None:
        config = self._config()
        if config is None or config.prompts.push:
            await asyncio.to_thread(self._repository().push, payload["refs"])

    async def _deal(self, payload: dict[str, Any]) -> None:
        event = event_of(payload)
        for spec in self._specs():
            if event.event in spec.events:
                await self._enqueue(NOTIFY_ONE + spec.name, msgspec.to_builtins(event))

    async def _notify(self, name: str, payload: dict[str, Any]) -> None:
        for spec in self._specs():
            if spec.name == name:
                await self._notifier(spec).notify(msgspec.convert(payload, Event))
                return
        log.warning("the event %s was for the notifier %s, which is no longer there", payload.get("event"), name)

    async def _enqueue(self, kind: str, payload: Mapping[str, object]) -> None:
        async with self._db.write() as tx:
            await enqueue(tx, at_ms=await self._db.now_ms(tx), kind=kind, payload=payload)
