"""The verbs of releases: deploy, roll back, revert, withdraw, and what is live.

Each change is one transaction: release and pointer, audit row, errands for Git and the notifiers, Snapshot.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.policies import store as policies_store
from tidegate.control.policies.model import Config
from tidegate.control.prompts import store as prompts_store
from tidegate.control.prompts.ports import PromptRepository
from tidegate.control.prompts.service import Prompts
from tidegate.control.prompts.shape import path_of
from tidegate.control.releases import store
from tidegate.control.releases.ground import check_config_keeps, check_environment, check_model, check_way_back
from tidegate.control.releases.model import (
    Order,
    Release,
    Stamp,
    next_release,
    release_diff,
    tag_message,
    target_of,
    versions_of,
)
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.kernel.ids import new_id
from tidegate.kernel.names import semver_key
from tidegate.live.snapshot import PromptVersion

__all__ = ["Releases", "keep_ground"]

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "deploy": "release.deployed",
        "rollback": "release.rolled_back",
        "revert": "release.reverted",
        "withdraw": "release.withdrawn",
    }
)
HISTORY_LIMIT = 1000
LOG_LIMIT = 100
REASON_LIMIT = 2000


class Releases:
    """Which version of a prompt is live where."""

    def __init__(self, db: Database, publish: Publish, prompts: Prompts, repository: PromptRepository) -> None:
        self._db = db
        self._publish = publish
        self._prompts = prompts
        self._repository = repository

    async def deploy(self, actor: Actor, prompt: str, version: str, environment: str, *, reason: str = "") -> Release:
        """Make a version live for all traffic of an environment.

        Raises NotFound (prompt, version, environment, model), Conflict when it is live already, when a published
        version was edited, or when the way back from it is missing; Forbidden.
        """
        actor.require("release.deploy")
        semver_key(version)
        order = Order(kind="deploy", prompt=prompt, version=version, environment=environment, reason=_checked(reason))
        async with self._db.write() as tx:
            config, revision = await _configuration(tx, environment)
            registered = await self._prompts.register(tx, actor, prompt, version)
            check_model(config, registered.version)
            last = await store.last(tx, prompt, environment)
            if last is not None and last.version is not None:
                kept = await prompts_store.find(tx, prompt, last.version)
                check_way_back(config, last, kept[1] if kept is not None else None)
            stamp = await self._stamp(
                tx, actor, commit=registered.commit, version=registered.version, revision=revision
            )
            return await self._commit(tx, actor, last, next_release(last, order, stamp))

    async def rollback(self, actor: Actor, prompt: str, environment: str, *, reason: str = "") -> Release:
        """Go back, at once, to the version that was live before; the first version of all is withdrawn.

        Waits for nothing but the database: Git is told afterwards. Raises Conflict when nothing is live, or when the
        version before can no longer be served; Forbidden.
        """
        return await self._step(actor, Order(kind="rollback", prompt=prompt, environment=environment, reason=reason))

    async def withdraw(self, actor: Actor, prompt: str, environment: str, *, reason: str = "") -> Release:
        """Take the prompt out of the environment. Raises Conflict when nothing is live; Forbidden."""
        return await self._step(actor, Order(kind="withdraw", prompt=prompt, environment=environment, reason=reason))

    async def revert(self, actor: Actor, prompt: str, environment: str, *, reason: str = "") -> Release:
        """Undo the live version's file in Git with a revert commit, and deploy the version before it.

        Git comes first: if it refuses (Conflict: the file there has changes of its own), nothing is changed. A revert
        that was cut short between Git and the database is finished by asking again.
        """
        actor.require("release.deploy")
        order = Order(kind="revert", prompt=prompt, environment=environment, reason=_checked(reason))
        async with self._db.read() as tx:
            last = await store.last(tx, prompt, environment)
        wanted = target_of(last, order)  # refuses what makes no sense before Git is touched
        live = last.version if last is not None else None
        assert live is not None
        commit = await asyncio.to_thread(self._revert_in_git, actor, order, live, wanted)
        return await self._step(actor, order, expected=live, commit=commit)

    async def status(self, environment: str | None = None, prompt: str | None = None) -> tuple[Release, ...]:
        """The newest release of each prompt in each environment, sorted by name; no arms means withdrawn."""
        async with self._db.read() as tx:
            return await store.current(tx, environment=environment, prompt=prompt)

    async def history(self, prompt: str, environment: str, limit: int = 50) -> tuple[Release, ...]:
        """Every release of the prompt in the environment, newest first."""
        async with self._db.read() as tx:
            return await store.history(tx, prompt, environment, limit=min(limit, HISTORY_LIMIT))

    async def _step(self, actor: Actor, order: Order, *, expected: str | None = None, commit: str = "") -> Release:
        """One move along the trail, or out of it. `expected` is the version that must still be live."""
        actor.require("release.deploy")
        _checked(order.reason)
        async with self._db.write() as tx:
            config, revision = await _configuration(tx, order.environment)
            last = await store.last(tx, order.prompt, order.environment)
            if expected is not None and (last is None or last.version != expected):
                raise Conflict(
                    f"Another release of {order.prompt} to {order.environment} came in between.",
                    mend="See `tidegate release status`, then decide anew.",
                    code="release_overtaken",
                )
            target = target_of(last, order)
            found = await prompts_store.find(tx, order.prompt, target) if target is not None else None
            version = found[1] if found is not None else None
            if last is not None and target is not None:
                check_way_back(config, last, version, target=target)
            before = last.commit_sha if last is not None else ""
            at = commit or (found[0].commit_sha if found is not None else before)
            stamp = await self._stamp(tx, actor, commit=at, version=version, revision=revision)
            branch = (f"refs/heads/{config.prompts.branch}",) if order.kind == "revert" else ()
            return await self._commit(tx, actor, last, next_release(last, order, stamp), push=branch)

    async def _commit(
        self, tx: Tx, actor: Actor, last: Release | None, release: Release, *, push: Sequence[str] = ()
    ) -> Release:
        """Write the release and everything that goes with it."""
        await store.add(tx, release)
        subject = f"release/{release.environment}/{release.prompt}"
        diff = release_diff(last, release)
        at_ms = release.at_ms
        await add_audit(tx, at_ms=at_ms, actor=actor, action=f"release.{release.kind}", subject=subject, diff=diff)
        tag = {"name": release.tag, "sha": release.commit_sha, "message": tag_message(release), "actor": actor.name}
        await enqueue(tx, at_ms=at_ms, kind="git.tag", payload=tag)
        if push:
            await enqueue(tx, at_ms=at_ms, kind="git.push", payload={"refs": push})
        news = {"event": EVENTS[release.kind], "at_ms": at_ms, "actor": actor.name, "subject": subject, "detail": diff}
        await enqueue(tx, at_ms=at_ms, kind="notify", payload=news)
        await self._publish(tx)
        return release

    async def _stamp(self, tx: Tx, actor: Actor, *, commit: str, version: PromptVersion | None, revision: int) -> Stamp:
        return Stamp(
            release_id=new_id("rel"),
            at_ms=await self._db.now_ms(tx),
            actor=actor.name,
            commit_sha=commit,
            content_hash=version.content_hash if version is not None else "",
            config_revision=revision,
        )

    def _revert_in_git(self, actor: Actor, order: Order, live: str, wanted: str | None) -> str:
        """Undo what commits did to the live version's file, newest first, back to the one that brought it.

        Nothing else that they did is touched, and nothing is done when the file is gone. Returns the newest commit.
        """
        repository = self._repository
        path = path_of(order.prompt, live)
        head = repository.head()
        if head is None:
            raise NotFound("commit", order.prompt, mend="The repository is empty.", code="commit_not_found")
        if not repository.exists(head.sha, path):
            return head.sha
        brought = repository.introduced(path).sha
        newest = head.sha
        for commit in repository.log(path, LOG_LIMIT):
            message = f"Revert {order.prompt} {live}: back to {wanted} in {order.environment}\n"
            message += f"\nThis undoes what {commit.sha} did to {path}.\n"
            message += f"\nReason: {' '.join(order.reason.split())}\n" if order.reason else ""
            newest = repository.revert(commit.sha, [path], message, actor.name).sha
            if commit.sha == brought:
                break
        return newest


async def keep_ground(tx: Tx, config: Config) -> None:
    """A guard for `Policies`: raises Conflict when the configuration would take away what a live release stands on."""
    releases = await store.current(tx)
    check_config_keeps(config, releases, await prompts_store.load(tx, versions_of(releases)))


async def _configuration(tx: Tx, environment: str) -> tuple[Config, int]:
    """The configuration that holds and its revision; raises NotFound when there is none, or no such environment."""
    stored = await policies_store.latest(tx)
    if stored is None:
        raise NotFound("configuration", "tidegate.yaml", mend="Apply one: `tidegate apply`.", code="config_not_found")
    check_environment(stored.config, environment)
    return stored.config, stored.revision


def _checked(reason: str) -> str:
    if len(reason) > REASON_LIMIT:
        raise Invalid(f"A reason has at most {REASON_LIMIT} characters.", mend="Shorten it.", param="reason")
    return reason
