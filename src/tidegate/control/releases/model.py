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
from tidegate.live.snapshot import Arm, LiveRelease

__all__ = [
    "KINDS",
    "Order",
    "Release",
    "Stamp",
    "live_by_environment",
    "live_release",
    "next_release",
    "parse_target",
    "release_diff",
    "tag_message",
    "target_of",
    "versions_of",
]

KINDS = ("deploy", "rollback", "revert", "withdraw")
TRAIL_LIMIT = 50


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One entry in the line. No arms means: nothing is live. The first arm is the baseline.

    `trail` holds the ways back, nearest last; `salt` decides which units fall into which arm and stays for a whole
    lineage (a deploy begins one), so that units keep their arm; `tag` is the annotated Git tag.
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

    @property
    def version(self) -> str | None:
        """The version that is live (of several arms, the baseline); None when the prompt is withdrawn."""
        return self.arms[0].version if self.arms else None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants: one of KINDS; `version` for a deploy only."""

    kind: str
    prompt: str
    environment: str
    version: str | None = None
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
        previous_version=trail[-1] if trail else None,
    )


def target_of(last: Release | None, order: Order) -> str | None:
    """The version that the order makes live, None for a withdrawal; raises Conflict or Invalid where none can."""
    arms, _ = _moved(last, order)
    return arms[0].version if arms else None


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
    return needed


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
    }
    return {name: value for name, value in diff.items() if value}


def _moved(last: Release | None, order: Order) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """The arms and the trail after the order."""
    if order.kind not in KINDS:
        raise NotFound("kind of release", order.kind, known=KINDS)
    if order.kind == "deploy":
        return _deployed(last, order)
    if last is None or last.version is None:
        raise Conflict(
            f"Nothing of {order.prompt} is live in {order.environment}.",
            mend=f"See `tidegate release status`; deploy with `tidegate release deploy {order.prompt}@VERSION`.",
            code="nothing_live",
        )
    if order.kind == "withdraw":
        return (), ()
    if order.kind == "revert" and not last.trail:
        raise Conflict(
            f"{order.prompt} {last.version} is the first version in {order.environment}: there is none to go back to.",
            mend=f"Take it away with `tidegate release withdraw {order.prompt} --env {order.environment}`.",
            code="way_back_missing",
        )
    return _whole(last.trail[-1:]), last.trail[:-1]


def _deployed(last: Release | None, order: Order) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    if order.version is None:
        raise Invalid("A deploy names no version.", mend="Write NAME@VERSION.", code="invalid_target")
    if last is None or last.version is None:
        return _whole((order.version,)), ()
    if last.version == order.version and len(last.arms) == 1:
        raise Conflict(
            f"{order.prompt} {order.version} is live in {order.environment} already (release {last.number}).",
            mend="Nothing is to be done.",
            code="already_live",
        )
    trail = last.trail if last.version == order.version else (*last.trail, last.version)
    return _whole((order.version,)), trail[-TRAIL_LIMIT:]


def _whole(versions: tuple[str, ...]) -> tuple[Arm, ...]:
    return tuple(Arm(version, BUCKETS) for version in versions)
