"""Releases as values: what is live of a prompt in an environment, and what comes of it by a deploy or on the way back.

One (environment, prompt) has a line of releases, numbered from 1 without a hole; the newest one is what holds. A
release remembers its trail: the versions that were live before it, nearest last. A deploy lengthens the trail, a
rollback walks it back; so a second rollback goes further back, and never forward to the version that was fled from.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.live.assignment import BUCKETS
from tidegate.live.snapshot import Arm, LiveRelease, LiveRollout

__all__ = [
    "CANARY",
    "KINDS",
    "SETTLED",
    "Order",
    "Release",
    "Split",
    "Stamp",
    "Way",
    "live_by_environment",
    "live_release",
    "models_of",
    "next_release",
    "nothing_live",
    "parse_target",
    "release_diff",
    "split_release",
    "tag_message",
    "target_of",
    "versions_of",
    "way_of",
]

KINDS = ("deploy", "rollback", "revert", "withdraw")
CANARY = "canary"
"""The kind of a release that a rollout under way has made: the newest one is of this kind as long as it is live."""

SETTLED = "settle"
"""The kind of the release after which nothing is copied any more for a candidate that was rolled back."""

TRAIL_LIMIT = 50
ON = " on "


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One entry in the line. No arms means: nothing is live. The first arm is the baseline.

    `trail` holds the ways back, nearest last: versions, with ` on MODEL` where a model was asked instead of the
    version's own. `salt` decides which units fall into which arm and stays for a whole lineage (a deploy begins one),
    so that units keep their arm; `tag` is the annotated Git tag (of a canary the one that it would have: it gets none).
    `rollout` is what the gateways are told of the rollout that made it.
    """

    release_id: str
    number: int
    prompt: str
    environment: str
    kind: str
    arms: tuple[Arm, ...]
    trail: tuple[str, ...] = ()
    salt: str
    commit_sha: str
    content_hash: str = ""
    tag: str
    actor: str
    reason: str = ""
    at_ms: int
    config_revision: int | None = None
    previous_version: str | None = None
    rollout: LiveRollout | None = None

    @property
    def version(self) -> str | None:
        """The version that is live (of several arms, the baseline); None when the prompt is withdrawn."""
        return self.arms[0].version if self.arms else None

    @property
    def model(self) -> str | None:
        """The model that is asked instead of the version's own; None when it is its own."""
        return self.arms[0].model if self.arms else None


class Way(msgspec.Struct, frozen=True):
    """Where a step back leads: a version, and the model where it was not its own."""

    version: str
    model: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants: one of KINDS. For a deploy only: `version`; `emergency` replaces what is live at once in a
    protected environment, `supersede` ends a rollout that is under way.
    """

    kind: str
    prompt: str
    environment: str
    version: str | None = None
    reason: str = ""
    emergency: bool = False
    supersede: bool = False


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout makes of what is live: `canary` while it is under way, at its end `deploy` (the candidate takes
    over, what was live goes to the trail) or `rollback` (what was live is whole again, and after a deploy the trail is
    as it was), and `settle` when nothing is copied any more for what was rolled back.
    """

    kind: str
    prompt: str
    environment: str
    arms: tuple[Arm, ...]
    rollout: LiveRollout | None
    salt: str
    reason: str = ""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What the world adds to an order: id, time (the database's, Unix ms), who, where the version stands in Git."""

    release_id: str
    at_ms: int
    actor: str
    commit_sha: str = ""
    content_hash: str = ""
    config_revision: int | None = None


def next_release(last: Release | None, order: Order, stamp: Stamp) -> Release:
    """The release that comes of `order` after `last` (None: none yet); raises Conflict or Invalid where none can."""
    number = last.number + 1 if last else 1
    arms, trail = _moved(last, order)
    kept_salt = last.salt if last and order.kind != "deploy" else f"{order.environment}/{order.prompt}/{number}"
    return Release(
        release_id=stamp.release_id,
        number=number,
        prompt=order.prompt,
        environment=order.environment,
        kind=order.kind,
        arms=arms,
        trail=trail,
        salt=kept_salt,
        commit_sha=stamp.commit_sha,
        content_hash=stamp.content_hash,
        tag=f"release/{order.environment}/{order.prompt}/{number}",
        actor=stamp.actor,
        reason=order.reason,
        at_ms=stamp.at_ms,
        config_revision=stamp.config_revision,
        previous_version=way_of(trail[-1]).version if trail else None,
    )


def split_release(last: Release, split: Split, stamp: Stamp) -> Release:
    """The release by which a rollout changes what is live after `last`."""
    trail = last.trail
    if split.kind == "deploy" and last.arms:
        trail = (*trail, _entry(last.arms[0]))[-TRAIL_LIMIT:]
    elif split.kind == "rollback" and last.kind == "deploy":
        trail = trail[:-1]
    return Release(
        release_id=stamp.release_id,
        number=last.number + 1,
        prompt=split.prompt,
        environment=split.environment,
        kind=split.kind,
        arms=split.arms,
        trail=trail,
        salt=split.salt,
        commit_sha=stamp.commit_sha,
        content_hash=stamp.content_hash,
        tag=f"release/{split.environment}/{split.prompt}/{last.number + 1}",
        actor=stamp.actor,
        reason=split.reason,
        at_ms=stamp.at_ms,
        config_revision=stamp.config_revision,
        previous_version=way_of(trail[-1]).version if trail else None,
        rollout=split.rollout,
    )


def way_of(entry: str) -> Way:
    """What an entry of a trail says."""
    version, _, model = entry.partition(ON)
    return Way(version, model or None)


def target_of(last: Release | None, order: Order) -> Way | None:
    """What the order makes live, None for a withdrawal; raises Conflict or Invalid where none can."""
    arms, _ = _moved(last, order)
    return Way(arms[0].version, arms[0].model) if arms else None


def live_release(release: Release) -> LiveRelease | None:
    """What the gateway is told of a release; None when nothing is live."""
    if not release.arms:
        return None
    return LiveRelease(
        release_id=release.release_id,
        number=release.number,
        prompt=release.prompt,
        environment=release.environment,
        arms=release.arms,
        salt=release.salt,
        previous_version=release.previous_version,
        rollout=release.rollout,
    )


def live_by_environment(releases: Iterable[Release]) -> dict[str, dict[str, LiveRelease]]:
    """What is live of the newest releases, as the Snapshot wants it: [environment][prompt]."""
    found: dict[str, dict[str, LiveRelease]] = {}
    for release in releases:
        told = live_release(release)
        if told is not None:
            found.setdefault(release.environment, {})[release.prompt] = told
    return found


def versions_of(releases: Iterable[Release]) -> set[tuple[str, str]]:
    """Every (prompt, version) that is live in the newest releases, or the way back of a live one."""
    needed: set[tuple[str, str]] = set()
    for release in releases:
        needed.update((release.prompt, arm.version) for arm in release.arms)
        if release.arms and release.previous_version is not None:
            needed.add((release.prompt, release.previous_version))
        shadow = release.rollout.shadow if release.rollout is not None else None
        if release.arms and shadow is not None and shadow.version is not None:
            needed.add((release.prompt, shadow.version))
    return needed


def models_of(release: Release) -> tuple[str, ...]:
    """The models that a live release and its way back ask for instead of their versions' own."""
    named = [arm.model for arm in release.arms]
    named += [way_of(release.trail[-1]).model] if release.trail else []
    return tuple(dict.fromkeys(model for model in named if model is not None))


def parse_target(text: str) -> tuple[str, str]:
    """Split `NAME@VERSION`; raises Invalid with the mend when it is something else."""
    name, separator, version = text.partition("@")
    if not separator or not name or not version:
        raise Invalid(
            f"{text!r} names no version.", mend="Write NAME@VERSION, for example greeting@1.2.0.", code="invalid_target"
        )
    return name, version


def tag_message(release: Release) -> str:
    """The annotated tag's text: a line for people, then `key: value` lines for machines."""
    stands = f"to {release.version}" if release.version else "withdrawn"
    lines = [
        f"{release.kind} {release.prompt} {stands} in {release.environment}",
        "",
        f"release: {release.release_id}",
        f"number: {release.number}",
        f"actor: {release.actor}",
        f"time: {datetime.fromtimestamp(release.at_ms / 1000, UTC).isoformat(timespec='milliseconds')}",
        f"version: {release.version or 'none'}",
        f"way-back: {release.previous_version or 'withdrawal'}",
    ]
    lines += [f"content-hash: {release.content_hash}"] if release.content_hash else []
    lines += [f"reason: {' '.join(release.reason.split())}"] if release.reason else []
    return "\n".join(lines) + "\n"


def release_diff(last: Release | None, release: Release) -> dict[str, object]:
    """What an audit row and a notifier are told of a release."""
    diff: dict[str, object] = {
        "before": {"version": last.version if last else None, "number": last.number if last else None},
        "after": {"version": release.version, "number": release.number},
        "way_back": release.previous_version,
        "commit": release.commit_sha,
        "content_hash": release.content_hash,
        "reason": release.reason,
        "model": release.model,
    }
    return {name: value for name, value in diff.items() if value}


def nothing_live(prompt: str, environment: str) -> Conflict:
    """Nothing is live that could be changed."""
    return Conflict(
        f"Nothing of {prompt} is live in {environment}.",
        mend=f"See `tidegate release status`; deploy with `tidegate release deploy {prompt}@VERSION`.",
        code="nothing_live",
    )


def _moved(last: Release | None, order: Order) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """The arms and the trail after the order."""
    if order.kind not in KINDS:
        raise NotFound("kind of release", order.kind, known=KINDS)
    if order.kind == "deploy":
        return _deployed(last, order)
    if last is None or last.version is None:
        raise nothing_live(order.prompt, order.environment)
    if order.kind == "withdraw":
        return (), ()
    if order.kind == "revert" and not last.trail:
        raise Conflict(
            f"{order.prompt} {last.version} is the first version in {order.environment}: there is none to go back to.",
            mend=f"Take it away with `tidegate release withdraw {order.prompt} --env {order.environment}`.",
            code="way_back_missing",
        )
    back = way_of(last.trail[-1]) if last.trail else None
    return ((Arm(back.version, BUCKETS, model=back.model),) if back is not None else ()), last.trail[:-1]


def _deployed(last: Release | None, order: Order) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    if order.version is None:
        raise Invalid("A deploy names no version.", mend="Write NAME@VERSION.", code="invalid_target")
    whole = (Arm(order.version, BUCKETS),)
    if last is None or last.version is None:
        return whole, ()
    same = last.version == order.version and last.model is None
    if same and len(last.arms) == 1:
        raise Conflict(
            f"{order.prompt} {order.version} is live in {order.environment} already (release {last.number}).",
            mend="Nothing is to be done.",
            code="already_live",
        )
    trail = last.trail if same else (*last.trail, _entry(last.arms[0]))
    return whole, trail[-TRAIL_LIMIT:]


def _entry(arm: Arm) -> str:
    return arm.version if arm.model is None else f"{arm.version}{ON}{arm.model}"
