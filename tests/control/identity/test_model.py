"""Rights, roles and the checks of identity, as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.identity.model import (
    RIGHTS,
    ROLE_RIGHTS,
    ROLES,
    SYSTEM,
    Actor,
    KeyInfo,
    KeySpec,
    User,
    check_key_spec,
    check_roles,
    check_still_managed,
    masked,
)
from tidegate.kernel.errors import Conflict, Forbidden, Invalid

MATRIX = {
    "read": "editor reviewer deployer admin",
    "prompt.edit": "editor reviewer deployer admin",
    "release.approve": "reviewer admin",
    "eval.record": "editor reviewer deployer admin",
    "release.deploy": "deployer admin",
    "release.emergency": "deployer admin",
    "experiment.manage": "deployer admin",
    "config.apply": "admin",
    "key.manage": "admin",
    "user.manage": "admin",
    "audit.read": "reviewer admin",
    "secret.manage": "admin",
    "content.read": "reviewer admin",
    "content.erase": "admin",
}


def actor(*roles: str) -> Actor:
    return Actor("user_1", "maria", roles)


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_do_what(role: str, right: str) -> None:
    may = role in MATRIX[right].split()
    assert actor(role).may(right) is may
    if may:
        actor(role).require(right)
        return
    with pytest.raises(Forbidden) as caught:
        actor(role).require(right)
    assert right in caught.value.message
    assert "maria" in caught.value.message
    assert all(holder in caught.value.mend for holder in MATRIX[right].split())


def test_the_matrix_names_every_right() -> None:
    assert set(RIGHTS) == set(MATRIX)
    assert set(ROLE_RIGHTS) == set(ROLES)


def test_rights_of_several_roles_add_up() -> None:
    both = actor("reviewer", "deployer")
    both.require("release.approve")
    both.require("release.deploy")
    with pytest.raises(Forbidden):
        both.require("user.manage")


def test_an_unknown_right_belongs_to_nobody() -> None:
    with pytest.raises(Forbidden, match="No role has it"):
        SYSTEM.require("moon.land")


def test_a_role_that_no_longer_exists_gives_nothing() -> None:
    with pytest.raises(Forbidden):
        actor("viewer").require("read")


@given(st.lists(st.sampled_from(ROLES), min_size=1))
def test_roles_come_once_each_and_in_their_order(roles: list[str]) -> None:
    assert check_roles(roles) == tuple(role for role in ROLES if role in roles)


@pytest.mark.parametrize("roles", [[], ["owner"], ["admin", "Admin"]])
def test_wrong_roles_are_refused_with_the_right_ones(roles: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        check_roles(roles)
    assert "editor, reviewer, deployer, admin" in caught.value.mend


def test_only_the_beginning_of_a_secret_is_shown() -> None:
    assert masked("tg-3f9a0123456789") == "tg-3f9a…"


@pytest.mark.parametrize(
    ("spec", "param"),
    [
        (KeySpec(name="My Key"), None),
        (KeySpec(name="key", environment="Prod!"), None),
        (KeySpec(name="key", scopes=("inference", "everything")), "scopes"),
        (KeySpec(name="key", scopes=()), "scopes"),
        (KeySpec(name="key", tags={"": "x"}), "tags"),
        (KeySpec(name="key", tags={"team": "x" * 257}), "tags"),
        (KeySpec(name="key", tags={str(n): "x" for n in range(33)}), "tags"),
        (KeySpec(name="key", expires_at_ms=1_000), "expires_at_ms"),
        (KeySpec(name="key", ttl_s=0), "ttl_s"),
        (KeySpec(name="key", ttl_s=-1), "ttl_s"),
        (KeySpec(name="key", ttl_s=float("nan")), "ttl_s"),
        (KeySpec(name="key", ttl_s=1e30), "ttl_s"),
        (KeySpec(name="key", expires_at_ms=2**63), "expires_at_ms"),
        (KeySpec(name="key", models=("",)), "models"),
        (KeySpec(name="key", prompts=("x",) * 257), "prompts"),
        (KeySpec(name="key", ttl_s=float("inf")), "ttl_s"),
        (KeySpec(name="key", ttl_s=60, expires_at_ms=9_000), "ttl_s"),
    ],
)
def test_a_wrong_key_is_refused_naming_the_field(spec: KeySpec, param: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        check_key_spec(spec, now_ms=1_000)
    assert caught.value.param == param
    assert caught.value.mend


def test_when_a_key_ends() -> None:
    assert check_key_spec(KeySpec(name="key"), 1_000) is None
    assert check_key_spec(KeySpec(name="key", ttl_s=1.5), 1_000) == 2_500
    assert check_key_spec(KeySpec(name="key", expires_at_ms=1_001), 1_000) == 1_001


@pytest.mark.parametrize(
    ("expires", "revoked", "state"),
    [(None, None, "living"), (11, None, "living"), (10, None, "expired"), (None, 5, "revoked"), (9, 5, "revoked")],
)
def test_the_state_of_a_key(expires: int | None, revoked: int | None, state: str) -> None:
    key = KeyInfo(
        key_id="key_1",
        name="key",
        prefix="tg-3f9a…",
        environment="production",
        scopes=("inference",),
        models=(),
        prompts=(),
        tags={},
        created_at_ms=1,
        created_by="admin",
        expires_at_ms=expires,
        revoked_at_ms=revoked,
    )
    assert key.state(10) == state


def user(name: str, roles: tuple[str, ...], disabled_at_ms: int | None = None) -> User:
    return User(user_id=f"user_{name}", name=name, roles=roles, created_at_ms=1, disabled_at_ms=disabled_at_ms)


def test_the_last_living_admin_stays() -> None:
    ada, old = user("ada", ("admin",)), user("old", ("admin",), disabled_at_ms=5)
    editor = user("edi", ("editor",))
    everyone = [ada, old, editor]
    for after in (user("ada", ("editor",)), user("ada", ("admin",), disabled_at_ms=9)):
        with pytest.raises(Conflict) as caught:
            check_still_managed(everyone, after)
        assert caught.value.code == "last_admin"
        check_still_managed([*everyone, user("bob", ("admin",))], after)
    check_still_managed(everyone, user("edi", ("reviewer",)))
