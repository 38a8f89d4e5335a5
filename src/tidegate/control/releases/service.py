"""The verbs of releases: deploy, roll back, revert, withdraw, and what is live.

Each change is one transaction: release and pointer, audit row, errands for Git and the notifiers, Snapshot. What a
rollout makes live goes in by `write_split`, in the rollout's own transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from tidegate.control.releases.ground import (
    check_config_keeps,
    check_direct,
    check_environment,
    check_model,
    check_way_back,
)
from tidegate.control.releases.model import (
    CANARY,
    SETTLED,
    Order,
    Release,
    Split,
    Stamp,
    next_release,
    nothing_live,
    release_diff,
    split_release,
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

__all__ = ["Overtake", "Proven", "Releases", "configuration_for", "keep_ground", "write_release", "write_split"]

Overtake = Callable[[Tx, Actor, Release], Awaitable[None]]
"""Called in the transaction in which this release replaces what a rollout under way has made live: that is over."""

Proven = Callable[[Tx, str, str, str], Awaitable[bool]]
"""Whether a decided experiment has shipped this version of this prompt in this environment: then it may go live at once
in a protected one."""

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "deploy": "release.deployed",
        "rollback": "release.rolled_back",
        "revert": "release.reverted",
        "withdraw": "release.withdrawn",
    }
)
DEPLOY = "release.deploy"
HISTORY_LIMIT = 1000
LOG_LIMIT = 100
REASON_LIMIT = 2000


class Releases:
    """Which version of a prompt is live where."""

    def __init__(
        self,
        db: Database,
        publish: Publish,
        prompts: Prompts,
        repository: PromptRepository,
        *,
        overtake: Overtake | None = None,
        proven: Proven | None = None,
    ) -> None:
        self._db = db
        self._publish = publish
        self._prompts = prompts
        self._repository = repository
        self._overtake = overtake
        self._proven = proven

    async def deploy(self, actor: Actor, prompt: str, version: str, environment: str, *, reason: str = "") -> Release:
        """Make a version live for all traffic of an environment: see `place`."""
        order = Order(kind="deploy", prompt=prompt, version=version, environment=environment, reason=reason)
        return await self.place(actor, order)

    async def place(self, actor: Actor, order: Order) -> Release:
        """Make the ordered version live for all traffic of an environment.

        Raises NotFound (prompt, version, environment, model), Conflict when it is live already, when a published
        version was edited, when the way back from it is missing, when a rollout is under way (unless it supersedes it),
        or when the environment is protected (unless it is an emergency); Invalid for an emergency without a reason;
        Forbidden.
        """
        actor.require(DEPLOY)
        version = order.version or ""
        semver_key(version)
        _checked(order.reason)
        if order.emergency:
            actor.require("release.emergency")
            _need_reason(order)
        async with self._db.write() as tx:
            config, revision = await configuration_for(tx, order.environment)
            registered = await self._prompts.register(tx, actor, order.prompt, version)
            check_model(config, registered.version)
            last = await store.last(tx, order.prompt, order.environment)
            if not order.emergency and not await self._is_proven(tx, order):
                check_direct(config, last, version, order.environment)
            if last is not None and last.version is not None:
                kept = await prompts_store.find(tx, order.prompt, last.version)
                check_way_back(config, last, kept[1] if kept is not None else None)
            stamp = await self._stamp(
                tx, actor, commit=registered.commit, version=registered.version, revision=revision
            )
            release = next_release(last, order, stamp)
            await self._make_room(tx, actor, last, release, by_force=order.supersede)
            detail: dict[str, object] = {"emergency": True} if order.emergency else {}
            return await self._commit(tx, actor, last, release, detail=detail)

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
        actor.require(DEPLOY)
        order = Order(kind="revert", prompt=prompt, environment=environment, reason=_checked(reason))
        async with self._db.read() as tx:
            last = await store.last(tx, prompt, environment)
        if last is not None and last.kind == CANARY:
            raise _under_way(last)
        wanted = target_of(last, order)  # refuses what makes no sense before Git is touched
        live = last.version if last is not None else None
        assert live is not None
        commit = await asyncio.to_thread(
            self._revert_in_git, actor, order, live, wanted.version if wanted is not None else None
        )
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
        actor.require(DEPLOY)
        _checked(order.reason)
        async with self._db.write() as tx:
            config, revision = await configuration_for(tx, order.environment)
            last = await store.last(tx, order.prompt, order.environment)
            if expected is not None and (last is None or last.version != expected):
                raise Conflict(
                    f"Another release of {order.prompt} to {order.environment} came in between.",
                    mend="See `tidegate release status`, then decide anew.",
                    code="release_overtaken",
                )
            target = target_of(last, order)
            found = await prompts_store.find(tx, order.prompt, target.version) if target is not None else None
            version = found[1] if found is not None else None
            if last is not None and target is not None:
                check_way_back(config, last, version, target=target)
            before = last.commit_sha if last is not None else ""
            at = commit or (found[0].commit_sha if found is not None else before)
            stamp = await self._stamp(tx, actor, commit=at, version=version, revision=revision)
            branch = (f"refs/heads/{config.prompts.branch}",) if order.kind == "revert" else ()
            release = next_release(last, order, stamp)
            await self._make_room(tx, actor, last, release, by_force=order.kind == "withdraw")
            return await self._commit(tx, actor, last, release, push=branch)

    async def _is_proven(self, tx: Tx, order: Order) -> bool:
        """Whether a decided experiment has shipped the version that is ordered."""
        if self._proven is None or order.version is None:
            return False
        return await self._proven(tx, order.prompt, order.version, order.environment)

    async def _make_room(self, tx: Tx, actor: Actor, last: Release | None, release: Release, *, by_force: bool) -> None:
        """End the rollout that is under way, or raise Conflict when it may not be ended by this."""
        if last is None or last.kind != CANARY:
            return
        if not by_force or self._overtake is None:
            raise _under_way(last)
        await self._overtake(tx, actor, release)

    async def _commit(
        self,
        tx: Tx,
        actor: Actor,
        last: Release | None,
        release: Release,
        *,
        push: Sequence[str] = (),
        detail: Mapping[str, object] = MappingProxyType({}),
    ) -> Release:
        """Write the release and everything that goes with it."""
        await write_release(tx, actor, last, release, detail)
        if push:
            await enqueue(tx, at_ms=release.at_ms, kind="git.push", payload={"refs": push})
        news = {
            "event": EVENTS[release.kind],
            "at_ms": release.at_ms,
            "actor": actor.name,
            "subject": _subject(release),
            "detail": release_diff(last, release) | dict(detail),
        }
        await enqueue(tx, at_ms=release.at_ms, kind="notify", payload=news)
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


async def write_split(tx: Tx, actor: Actor, split: Split, stamp: Stamp) -> Release:
    """Write what a rollout makes live, in its transaction: see `write_release`. The Snapshot and the news are the
    caller's. Raises Conflict when nothing is live that it could stand on.
    """
    last = await store.last(tx, split.prompt, split.environment)
    if last is None or last.version is None:
        raise nothing_live(split.prompt, split.environment)
    release = split_release(last, split, stamp)
    await write_release(tx, actor, last, release)
    return release


async def write_release(
    tx: Tx,
    actor: Actor,
    last: Release | None,
    release: Release,
    detail: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """The release and its pointer and, unless a rollout only goes on with it, its audit row and its tag's errand."""
    await store.add(tx, release)
    if release.kind in (CANARY, SETTLED):
        return
    diff = release_diff(last, release) | dict(detail)
    await add_audit(
        tx,
        at_ms=release.at_ms,
        actor=actor,
        action=f"release.{release.kind}",
        subject=_subject(release),
        diff=diff,
    )
    tag = {"name": release.tag, "sha": release.commit_sha, "message": tag_message(release), "actor": actor.name}
    await enqueue(tx, at_ms=release.at_ms, kind="git.tag", payload=tag)


def _subject(release: Release) -> str:
    return f"release/{release.environment}/{release.prompt}"


def _under_way(last: Release) -> Conflict:
    there = f"{last.prompt} --env {last.environment}"
    return Conflict(
        f"A rollout of {last.prompt} is under way in {last.environment}: "
        f"{' and '.join(f'{arm.version} ({arm.weight_bp / 100:g}%)' for arm in last.arms)}.",
        mend=f"See `tidegate release status {there}`; end it with `tidegate release rollback {there}`, or deploy with "
        "--supersede.",
        code="rollout_live",
    )


def _need_reason(order: Order) -> None:
    if not order.reason.strip():
        raise Invalid("An emergency needs a reason.", mend="Say why: --reason TEXT.", param="reason")


async def configuration_for(tx: Tx, environment: str) -> tuple[Config, int]:
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
