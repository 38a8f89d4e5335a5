"""The verbs of policies: apply the file, whole or not at all, and say what holds."""

from collections.abc import Awaitable, Callable

import msgspec

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.policies import store
from tidegate.control.policies.model import Config, changes, parse_config, priced, warnings
from tidegate.control.policies.ports import Prices
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import NotFound

__all__ = ["Applied", "Guard", "Policies"]

Guard = Callable[[Tx, Config], Awaitable[None]]
"""A later slice's say before a configuration holds: raises Conflict when something live would break."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply did. `changes` is empty, and the revision an old one, when the file already held; `warnings` say
    what holds but may not be meant.
    """

    revision: int
    generation: int
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Policies:
    """The configuration that holds, and its history."""

    def __init__(self, db: Database, publish: Publish, prices: Prices, *, guards: tuple[Guard, ...] = ()) -> None:
        self._db = db
        self._publish = publish
        self._prices = prices
        self._guards = guards

    async def apply(self, actor: Actor, text: str, file: str = "tidegate.yaml") -> Applied:
        """Check the text and make it hold, whole; raises Invalid with all faults, Forbidden or Conflict."""
        actor.require("config.apply")
        config = priced(parse_config(text, file), self._prices)
        async with self._db.write() as tx:
            last = await store.latest(tx)
            if last is not None and last.text == text and last.config == config:
                return Applied(revision=last.revision, generation=last.generation, warnings=warnings(config))
            for guard in self._guards:
                await guard(tx, config)
            told = changes(last.config if last else None, config) or ("~ comments, order or layout only",)
            number = last.revision + 1 if last else 1
            row = store.StoredConfig(
                revision=number,
                applied_at_ms=await self._db.now_ms(tx),
                actor=actor.name,
                text=text,
                sha256=store.text_hash(text),
                config=config,
                generation=0,
            )
            await store.add(tx, row)
            await self._tell(tx, actor, row, told)
            generation = await self._publish(tx)
            await store.set_generation(tx, number, generation)
        return Applied(revision=number, generation=generation, changes=told, warnings=warnings(config))

    async def current(self) -> Config:
        """The Config that holds; raises NotFound before the first apply."""
        return (await self._latest()).config

    async def shown(self) -> str:
        """The text of the file that holds; raises NotFound before the first apply."""
        return (await self._latest()).text

    async def revision(self) -> store.StoredConfig:
        """The newest revision whole: number, time, actor, text; raises NotFound before the first apply."""
        return await self._latest()

    async def _tell(self, tx: Tx, actor: Actor, row: store.StoredConfig, told: tuple[str, ...]) -> None:
        """Write the audit row and the news for the notifiers."""
        subject = f"config/{row.revision}"
        at_ms, diff = row.applied_at_ms, {"changes": list(told)}
        await add_audit(tx, at_ms=at_ms, actor=actor, action="config.apply", subject=subject, diff=dict(diff))
        news = {"event": "config.applied", "subject": subject, "actor": actor.name, **diff}
        await enqueue(tx, at_ms=at_ms, kind="notify", payload=news)

    async def _latest(self) -> store.StoredConfig:
        async with self._db.read() as tx:
            found = await store.latest(tx)
        if found is None:
            raise NotFound(
                "configuration", "tidegate.yaml", mend="Apply one: `tidegate apply`.", code="config_not_found"
            )
        return found
