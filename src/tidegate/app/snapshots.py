"""The writer of Snapshots: composes the world from a transaction's own state, and writes it in that transaction."""

import logging

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.app.internal import internal_grants
from tidegate.control.experiments import store as experiments
from tidegate.control.experiments.placing import live_by_environment as live_experiments
from tidegate.control.experiments.placing import versions_of as versions_tried
from tidegate.control.identity import store as identity
from tidegate.control.identity.store import KEYS
from tidegate.control.policies import store as policies
from tidegate.control.policies.model import Config
from tidegate.control.prompts import store as prompts
from tidegate.control.releases import store as rollouts
from tidegate.control.releases.model import live_by_environment, versions_of
from tidegate.jobs.database import Database, Publish
from tidegate.jobs.snapshots import add_snapshot, newest_generation
from tidegate.live.snapshot import SCHEMA, KeyGrant, Policy, PromptVersion, Snapshot, encode_snapshot

__all__ = ["Press", "make_publish"]

log = logging.getLogger(__name__)

GRANTS_KEPT_MS = 3_600_000


def make_publish(db: Database, master_key: str = "") -> Publish:
    """Bind the writer to a database whose writers take turns, so that no Snapshot misses what another one told. With
    the master key, gateways know the platform's own keys.
    """
    return Press(db, master_key).publish


class Press:
    """Prints Snapshots, quickly: a rollback waits for it. What cannot change is decoded once: prompt versions for good,
    keys until one of them expires, is revoked, made or given another end."""

    def __init__(self, db: Database, master_key: str = "") -> None:
        self._db = db
        self._master_key = master_key
        self._versions: dict[tuple[str, str], PromptVersion] = {}
        self._grants: dict[str, KeyGrant] = {}
        self._grants_of: tuple[tuple[object, ...], ...] | None = None
        self._grants_at_ms = 0

    async def publish(self, tx: AsyncConnection) -> int:
        """Compose, write, and return the generation, which is one more than the newest."""
        snapshot = await self.compose(tx)
        blob, sha256 = encode_snapshot(snapshot)
        await add_snapshot(
            tx,
            generation=snapshot.generation,
            written_at_ms=snapshot.written_at_ms,
            schema=snapshot.schema,
            blob=blob,
            sha256=sha256,
        )
        return snapshot.generation

    async def compose(self, tx: AsyncConnection) -> Snapshot:
        """The Snapshot that the transaction's state amounts to."""
        now_ms = await self._db.now_ms(tx)
        config = await policies.current(tx)
        releases = await rollouts.current(tx)
        running = await experiments.running(tx)
        live = versions_of(releases)
        return Snapshot(
            schema=SCHEMA,
            generation=await newest_generation(tx) + 1,
            written_at_ms=now_ms,
            policy=config.policy if config else Policy(),
            keys=await self._keys(tx, now_ms) | self._own_keys(config),
            deployments=config.deployments if config else {},
            routes=config.routes if config else {},
            limits=config.limits if config else (),
            sealed={stored.sealed.name: stored.sealed for stored in await policies.secrets(tx)},
            prompts=await self._prompts(tx, live | versions_tried(running), _shadowed(config, live)),
            releases=live_by_environment(releases),
            experiments=live_experiments(running),
        )

    async def _keys(self, tx: AsyncConnection, now_ms: int) -> dict[str, KeyGrant]:
        """The grants, decoded anew only when a key came or changed, or after an hour, since dead keys are forgotten."""
        columns = (KEYS.c.key_id, KEYS.c.secret_hash, KEYS.c.expires_at_ms, KEYS.c.revoked_at_ms)
        found = tuple(map(tuple, (await tx.execute(select(*columns).order_by(KEYS.c.key_id))).all()))
        if found != self._grants_of or not 0 <= now_ms - self._grants_at_ms < GRANTS_KEPT_MS:
            self._grants = await identity.grants(tx, now_ms=now_ms)
            self._grants_of, self._grants_at_ms = found, now_ms
        return self._grants

    def _own_keys(self, config: Config | None) -> dict[str, KeyGrant]:
        environments = config.environments if config else ()
        return internal_grants(self._master_key, (one.name for one in environments))

    async def _prompts(
        self, tx: AsyncConnection, needed: set[tuple[str, str]], shadowed: set[tuple[str, str]]
    ) -> dict[str, dict[str, PromptVersion]]:
        """The versions that are needed, and those of the shadows' that there are, as [name][version]."""
        wanted = needed | shadowed
        known = {pair: version for pair, version in self._versions.items() if pair in wanted}
        known |= await prompts.load(tx, wanted - known.keys()) if wanted - known.keys() else {}
        for pair in sorted(needed - known.keys()):  # a damaged database: the others must be served still
            log.error("%s@%s is live, a way back or tried out, but is not in the registry", *pair)
        self._versions = known
        found: dict[str, dict[str, PromptVersion]] = {}
        for (name, number), version in known.items():
            found.setdefault(name, {})[number] = version
        return found


def _shadowed(config: Config | None, live: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The versions that routes copy calls to, of every prompt that is live."""
    routes = config.routes.values() if config else ()
    versions = {route.shadow.version for route in routes if route.shadow is not None}
    return {(name, version) for name, _ in live for version in versions if version is not None}
