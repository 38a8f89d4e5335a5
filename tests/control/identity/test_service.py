"""The verbs of identity against a real database: who comes in, who may do what, what each change leaves behind."""

import asyncio
from collections.abc import Awaitable

import pytest

from tests.control.identity.conftest import ADMIN_TOKEN
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity.model import SYSTEM, Actor, KeySpec
from tidegate.control.identity.service import Identity
from tidegate.jobs.database import Tx
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TidegateError, Unauthenticated


async def actions(identity: Identity, admin: Actor) -> list[str]:
    return [f"{row.actor} {row.action} {row.subject}" for row in await identity.list_audit(admin)]


async def code_of(attempt: Awaitable[object]) -> str:
    with pytest.raises(TidegateError) as caught:
        await attempt
    return caught.value.code


async def test_bootstrap_makes_the_admin_once(identity: Identity, admin: Actor) -> None:
    await identity.bootstrap(ADMIN_TOKEN)
    assert (admin.name, admin.roles) == ("admin", ("admin",))
    assert [user.name for user in await identity.list_users(admin)] == ["admin"]
    assert await actions(identity, admin) == ["system token.issue user/admin", "system user.create user/admin"]


async def test_a_new_admin_token_opens_too(identity: Identity, admin: Actor) -> None:
    await identity.bootstrap("another-" + "x" * 40)
    assert await identity.authenticate("another-" + "x" * 40) == admin
    assert await identity.authenticate(ADMIN_TOKEN) == admin


async def test_bootstrap_opens_no_door_that_was_closed(identity: Identity, admin: Actor) -> None:
    _, token = await identity.create_user(admin, "ada", ["admin"])
    ada = await identity.authenticate(token)
    (first,) = await identity.list_tokens(ada, "admin")
    await identity.revoke_token(ada, first.token_id)
    await identity.bootstrap(ADMIN_TOKEN)
    assert await code_of(identity.authenticate(ADMIN_TOKEN)) == "token_revoked"
    await identity.disable_user(ada, "admin")
    await identity.bootstrap("another-" + "x" * 40)
    assert await code_of(identity.authenticate("another-" + "x" * 40)) == "user_disabled"


@pytest.mark.parametrize("token", ["", "tgt-", "tgt-" + "ab" * 19 + "ac", "x" * 10_000, "' OR 1=1 --", "\x00", "é"])
async def test_a_token_that_nobody_gave_opens_nothing(identity: Identity, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await identity.authenticate(token)
    assert caught.value.code == "invalid_token"
    assert not token or token not in str(caught.value)


async def test_a_user_comes_in_with_the_first_token(identity: Identity, admin: Actor) -> None:
    user, token = await identity.create_user(admin, "maria", ["deployer", "editor"])
    assert user.roles == ("editor", "deployer")
    assert await identity.authenticate(token) == Actor(user.user_id, "maria", ("editor", "deployer"))
    assert token.startswith("tgt-")
    assert len(token) == 44


async def test_a_name_is_taken_once_and_system_never(identity: Identity, admin: Actor) -> None:
    await identity.create_user(admin, "maria", ["editor"])
    assert await code_of(identity.create_user(admin, "maria", ["editor"])) == "user_exists"
    assert await code_of(identity.create_user(admin, "system", ["admin"])) == "user_exists"
    assert await code_of(identity.create_user(admin, "Maria Rossi", ["editor"])) == "invalid_name"
    assert await code_of(identity.create_user(admin, "bob", ["owner"])) == "invalid_role"


async def test_new_roles_hold_from_the_next_request_on(identity: Identity, admin: Actor) -> None:
    _, token = await identity.create_user(admin, "maria", ["editor"])
    await identity.set_roles(admin, "maria", ["reviewer", "admin"])
    assert (await identity.authenticate(token)).roles == ("reviewer", "admin")
    newest = (await identity.list_audit(admin, limit=1))[0]
    assert (newest.action, newest.diff) == ("user.roles", {"before": ["editor"], "after": ["reviewer", "admin"]})
    await identity.set_roles(admin, "maria", ["admin", "reviewer"])
    assert (await identity.list_audit(admin, limit=1))[0] == newest  # nothing changed, nothing to write down


async def test_a_disabled_user_is_out_with_every_token(identity: Identity, admin: Actor) -> None:
    _, first = await identity.create_user(admin, "maria", ["editor"])
    second = await identity.issue_token(admin, "maria")
    await identity.disable_user(admin, "maria")
    for token in (first, second):
        assert await code_of(identity.authenticate(token)) == "user_disabled"
    assert await code_of(identity.issue_token(admin, "maria")) == "user_disabled"
    before = await actions(identity, admin)
    await identity.disable_user(admin, "maria")
    assert await actions(identity, admin) == before


async def test_the_last_admin_can_neither_go_nor_step_down(identity: Identity, admin: Actor) -> None:
    assert await code_of(identity.disable_user(admin, "admin")) == "last_admin"
    assert await code_of(identity.set_roles(admin, "admin", ["editor"])) == "last_admin"
    await identity.create_user(admin, "ada", ["admin"])
    await identity.set_roles(admin, "admin", ["editor"])
    assert await code_of(identity.disable_user(SYSTEM, "ada")) == "last_admin"


async def test_two_admins_who_disable_each_other_leave_one(identity: Identity, admin: Actor) -> None:
    await identity.create_user(admin, "ada", ["admin"])
    outcomes = await asyncio.gather(
        identity.disable_user(admin, "ada"), identity.disable_user(admin, "admin"), return_exceptions=True
    )
    assert [isinstance(outcome, Conflict) for outcome in outcomes].count(True) == 1


async def test_an_unknown_user_is_answered_with_near_names(identity: Identity, admin: Actor) -> None:
    await identity.create_user(admin, "maria", ["editor"])
    for attempt in (
        identity.set_roles(admin, "mario", ["editor"]),
        identity.disable_user(admin, "mario"),
        identity.issue_token(admin, "mario"),
        identity.list_tokens(admin, "mario"),
    ):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert caught.value.nearest == ("maria",)


async def test_a_revoked_token_opens_nothing_and_others_go_on(identity: Identity, admin: Actor) -> None:
    _, first = await identity.create_user(admin, "maria", ["editor"])
    second = await identity.issue_token(admin, "maria")
    old, new = await identity.list_tokens(admin, "maria")
    assert (old.prefix, new.prefix) == (first[:7] + "…", second[:7] + "…")
    await identity.revoke_token(admin, old.token_id)
    assert await code_of(identity.authenticate(first)) == "token_revoked"
    await identity.authenticate(second)
    assert await code_of(identity.revoke_token(admin, old.token_id)) == "living_token_not_found"


async def test_each_verb_asks_for_its_right(identity: Identity) -> None:
    nobody = Actor("user_0", "nobody", ())
    for attempt in (
        identity.create_user(nobody, "x", ["admin"]),
        identity.list_users(nobody),
        identity.set_roles(nobody, "nobody", ["admin"]),
        identity.disable_user(nobody, "admin"),
        identity.issue_token(nobody, "admin"),
        identity.list_tokens(nobody, "admin"),
        identity.revoke_token(nobody, "token_0"),
        identity.create_key(nobody, KeySpec(name="x")),
        identity.list_keys(nobody),
        identity.revoke_key(nobody, "x"),
        identity.expire_key(nobody, "x", 0),
        identity.list_audit(nobody),
    ):
        with pytest.raises(Forbidden):
            await attempt


async def test_a_change_that_cannot_be_published_did_not_happen(db: SqliteDatabase, identity: Identity) -> None:
    async def broken(tx: Tx) -> int:
        raise Conflict("The press is broken.")

    admin = await identity.authenticate(ADMIN_TOKEN)
    before = await identity.list_audit(admin)
    with pytest.raises(Conflict, match="press"):
        await Identity(db, broken).create_key(admin, KeySpec(name="shop"))
    assert await identity.list_keys(admin) == []
    assert await identity.list_audit(admin) == before


async def test_the_audit_has_no_holes_and_turns_its_pages(identity: Identity, admin: Actor) -> None:
    for number in range(5):
        await identity.create_key(admin, KeySpec(name=f"key-{number}"))
    everything = await identity.list_audit(admin)
    assert [row.audit_id for row in everything] == [7, 6, 5, 4, 3, 2, 1]
    page = await identity.list_audit(admin, limit=3)
    assert page == everything[:3]
    assert await identity.list_audit(admin, limit=3, before=page[-1].audit_id) == everything[3:6]


async def test_the_audit_of_one_thing_and_of_one_kind(identity: Identity, admin: Actor) -> None:
    for name in ("a", "ab"):
        await identity.create_key(admin, KeySpec(name=name))
    assert [row.subject for row in await identity.list_audit(admin, subject="key/a")] == ["key/a"]
    assert [row.subject for row in await identity.list_audit(admin, subject="key/")] == ["key/ab", "key/a"]
    assert await identity.list_audit(admin, subject="key_/") == []


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_bounds(identity: Identity, admin: Actor, limit: int) -> None:
    with pytest.raises(Invalid):
        await identity.list_audit(admin, limit=limit)
