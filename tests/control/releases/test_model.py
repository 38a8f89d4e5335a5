"""Releases as values: the line, the trail, the way back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.releases.model import (
    KINDS,
    TRAIL_LIMIT,
    Order,
    Release,
    Stamp,
    live_by_environment,
    live_release,
    next_release,
    parse_target,
    release_diff,
    tag_message,
    target_of,
    versions_of,
)
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.live.assignment import BUCKETS
from tidegate.live.snapshot import Arm

STAMP = Stamp(release_id="rel_1", at_ms=1_800_000_000_123, actor="alice", commit_sha="c0ffee", content_hash="abc")


def order(kind: str, version: str | None = None, reason: str = "") -> Order:
    return Order(kind=kind, prompt="greeting", environment="production", version=version, reason=reason)


def walk(*steps: str) -> Release:
    """A line of releases: a version deploys it, a kind is that kind of move."""
    last: Release | None = None
    for step in steps:
        last = next_release(last, order(step) if step in KINDS else order("deploy", step), STAMP)
    assert last is not None
    return last


def test_the_first_deploy_has_no_way_back_but_withdrawal() -> None:
    first = walk("1.0.0")
    assert (first.number, first.version, first.previous_version) == (1, "1.0.0", None)
    assert first.tag == "release/production/greeting/1"
    assert first.arms == (Arm("1.0.0", BUCKETS),)
    back = walk("1.0.0", "rollback")
    assert (back.number, back.kind, back.version, back.arms) == (2, "rollback", None, ())


def test_a_second_rollback_goes_further_back_and_never_forward() -> None:
    assert walk("1.0.0", "1.1.0", "2.0.0", "rollback").version == "1.1.0"
    assert walk("1.0.0", "1.1.0", "2.0.0", "rollback", "rollback").version == "1.0.0"
    assert walk("1.0.0", "1.1.0", "2.0.0", "rollback", "rollback", "rollback").version is None


def test_after_a_rollback_a_deploy_leads_back_to_what_was_live_then() -> None:
    assert walk("1.0.0", "1.1.0", "rollback", "1.2.0").previous_version == "1.0.0"


def test_a_withdrawal_forgets_the_trail() -> None:
    assert walk("1.0.0", "1.1.0", "withdraw").previous_version is None
    assert walk("1.0.0", "1.1.0", "withdraw", "1.2.0").previous_version is None


@pytest.mark.parametrize("kind", ["rollback", "revert", "withdraw"])
@pytest.mark.parametrize("steps", [(), ("1.0.0", "withdraw"), ("1.0.0", "rollback")])
def test_nothing_comes_of_nothing(kind: str, steps: tuple[str, ...]) -> None:
    last = walk(*steps) if steps else None
    with pytest.raises(Conflict) as caught:
        next_release(last, order(kind), STAMP)
    assert caught.value.code == "nothing_live"


def test_the_first_version_cannot_be_reverted() -> None:
    with pytest.raises(Conflict, match="none to go back to") as caught:
        walk("1.0.0", "revert")
    assert caught.value.code == "way_back_missing"
    assert "withdraw greeting --env production" in caught.value.mend


def test_what_is_live_is_not_deployed_again() -> None:
    with pytest.raises(Conflict, match="live in production already") as caught:
        walk("1.0.0", "1.0.0")
    assert caught.value.code == "already_live"


def test_an_order_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(Invalid):
        next_release(None, order("deploy"), STAMP)
    with pytest.raises(NotFound, match="kind of release"):
        next_release(None, order("teleport"), STAMP)


def test_units_keep_their_salt_through_a_lineage() -> None:
    assert walk("1.0.0", "1.1.0").salt == "production/greeting/2"
    assert walk("1.0.0", "1.1.0", "rollback").salt == "production/greeting/2"
    assert walk("1.0.0", "1.1.0", "rollback", "1.2.0").salt == "production/greeting/4"


def test_the_gateway_is_told_what_it_needs() -> None:
    told = live_release(walk("1.0.0", "1.1.0"))
    assert told is not None
    assert (told.number, told.arms, told.previous_version) == (2, (Arm("1.1.0", BUCKETS),), "1.0.0")
    assert live_release(walk("1.0.0", "withdraw")) is None
    assert live_by_environment([walk("1.0.0", "withdraw")]) == {}
    assert set(live_by_environment([walk("1.0.0")])["production"]) == {"greeting"}
    assert versions_of([walk("1.0.0", "1.1.0")]) == {("greeting", "1.0.0"), ("greeting", "1.1.0")}
    assert versions_of([walk("1.0.0", "withdraw")]) == set()


def test_the_tag_tells_people_and_machines() -> None:
    made = next_release(walk("1.0.0"), order("deploy", "1.1.0", "friendlier\n\nactor: eve"), STAMP)
    lines = tag_message(made).splitlines()
    assert lines[0] == "deploy greeting to 1.1.0 in production"
    assert "actor: alice" in lines
    assert "time: 2027-01-15T08:00:00.123+00:00" in lines
    assert "version: 1.1.0" in lines
    assert "way-back: 1.0.0" in lines
    assert "content-hash: abc" in lines
    assert lines[-1] == "reason: friendlier actor: eve"


def test_the_diff_names_what_changed() -> None:
    first, second = walk("1.0.0"), walk("1.0.0", "1.1.0")
    diff = release_diff(first, second)
    assert diff["before"] == {"version": "1.0.0", "number": 1}
    assert diff["after"] == {"version": "1.1.0", "number": 2}
    assert "reason" not in diff
    assert release_diff(None, first)["before"] == {"version": None, "number": None}


def test_a_target_is_read() -> None:
    assert parse_target("greeting@1.2.0") == ("greeting", "1.2.0")
    for text in ("greeting", "greeting@", "@1.0.0", ""):
        with pytest.raises(Invalid, match="names no version"):
            parse_target(text)


moves = st.lists(st.sampled_from(["1.0.0", "1.1.0", "2.0.0", "rollback", "revert", "withdraw"]), max_size=80)


@given(moves)
def test_every_line_keeps_its_laws(steps: list[str]) -> None:
    last: Release | None = None
    line: list[Release] = []
    for step in steps:
        wanted = order(step) if step in KINDS else order("deploy", step)
        try:
            made = next_release(last, wanted, STAMP)
        except Conflict:
            continue
        target = target_of(last, wanted)
        assert (target.version if target is not None else None) == made.version
        line.append(made)
        last = made
    assert [one.number for one in line] == list(range(1, len(line) + 1))
    for one in line:
        assert sum(arm.weight_bp for arm in one.arms) in (0, BUCKETS)
        assert one.previous_version == (one.trail[-1] if one.trail else None)
        assert len(one.trail) <= TRAIL_LIMIT
        assert one.arms or not one.trail
        assert not one.trail or one.trail[-1] != one.version or one.kind != "deploy"
    for before, after in pairwise(line):
        if after.kind == "deploy" and before.version is not None:
            assert after.previous_version == before.version
            back = next_release(after, order("rollback"), STAMP)
            assert (back.version, back.trail) == (before.version, before.trail[-TRAIL_LIMIT + 1 :])


@given(st.lists(st.sampled_from(["1.0.0", "1.1.0", "2.0.0"]), min_size=1, max_size=30))
def test_rolling_back_retraces_every_deploy_and_ends_with_nothing(versions: list[str]) -> None:
    path = [version for at, version in enumerate(versions) if at == 0 or version != versions[at - 1]]
    last = walk(*path)
    seen = [last.version]
    while last.version is not None:
        last = next_release(last, order("rollback"), STAMP)
        seen.append(last.version)
    assert seen == [*reversed(path), None]
