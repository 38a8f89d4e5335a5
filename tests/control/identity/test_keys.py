"""Virtual keys: created, ended, found by their owners, and told to the gateways; their secrets kept nowhere."""

# ruff: noqa: ASYNC240  # tests touch files

from collections.abc import Awaitable
from pathlib import Path

import pytest

from tests.control.identity.conftest import ADMIN_TOKEN, Press
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity import store
from tidegate.control.identity.model import Actor, KeySpec
from tidegate.control.identity.service import Identity
from tidegate.jobs.notifications import EVENTS, NOTIFY, event_of
from tidegate.jobs.outbox import Outbox
from tidegate.kernel.errors import NotFound, TidegateError
from tidegate.live.snapshot import secret_hash

DAY_MS = 24 * 3600 * 1000


async def code_of(attempt: Awaitable[object]) -> str:
    with pytest.raises(TidegateError) as caught:
        await attempt
    return caught.value.code


async def test_a_key_is_published_with_all_that_it_may(identity: Identity, admin: Actor, press: Press) -> None:
    spec = KeySpec(
        name="shop",
        environment="staging",
        scopes=("inference", "prompts"),
        models=("small",),
        prompts=("greeter",),
        tags={"team": "shop"},
        regions=("eu",),
        ttl_s=60,
    )
    created = await identity.create_key(admin, spec)
    assert created.secret.startswith("tg-")
    assert len(created.secret) == 43
    grant = press.editions[-1][secret_hash(created.secret)]
    assert (grant.name, grant.environment, grant.scopes) == ("shop", "staging", ("inference", "prompts"))
    assert (grant.models, grant.prompts, grant.tags) == (("small",), ("greeter",), {"team": "shop"})
    assert grant.regions == created.key.regions == ("eu",)
    assert created.key.expires_at_ms == created.key.created_at_ms + 60_000 == grant.expires_at_ms
    assert await identity.list_keys(admin) == [created.key]
    assert created.key.prefix == created.secret[:7] + "…"


async def test_a_secret_is_in_no_table_and_no_list(
    identity: Identity, admin: Actor, db: SqliteDatabase, tmp_path: Path
) -> None:
    created = await identity.create_key(admin, KeySpec(name="shop"))
    _, token = await identity.create_user(admin, "maria", ["editor"])
    await identity.revoke_key(admin, "shop")
    shown = repr([await identity.list_keys(admin), await identity.list_audit(admin)])
    await db.close()
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (created.secret, token, ADMIN_TOKEN):
        assert secret not in shown
        assert secret.encode() not in files
        assert secret[8:].encode() not in files


async def test_a_revoked_key_is_published_as_revoked(identity: Identity, admin: Actor, press: Press) -> None:
    created = await identity.create_key(admin, KeySpec(name="shop"))
    revoked = await identity.revoke_key(admin, "shop")
    assert revoked.revoked_at_ms is not None
    assert press.editions[-1][secret_hash(created.secret)].revoked_at_ms == revoked.revoked_at_ms
    assert await code_of(identity.revoke_key(admin, "shop")) == "key_revoked"
    assert await code_of(identity.expire_key(admin, created.key.key_id, None)) == "key_revoked"
    again = await identity.create_key(admin, KeySpec(name="shop"))  # the name is free again
    assert (await identity.revoke_key(admin, "shop")).key_id == again.key.key_id


async def test_a_living_name_is_taken(identity: Identity, admin: Actor, press: Press) -> None:
    await identity.create_key(admin, KeySpec(name="shop"))
    assert await code_of(identity.create_key(admin, KeySpec(name="shop"))) == "key_exists"
    assert len(press.editions) == 1


async def test_an_expiry_can_be_set_moved_and_taken_away(identity: Identity, admin: Actor, press: Press) -> None:
    created = await identity.create_key(admin, KeySpec(name="shop"))
    later = created.key.created_at_ms + DAY_MS
    assert (await identity.expire_key(admin, "shop", later)).expires_at_ms == later
    assert (await identity.expire_key(admin, created.key.key_id, None)).expires_at_ms is None
    gone = await identity.expire_key(admin, "shop", 0)  # a past time means now
    assert gone.expires_at_ms is not None
    assert gone.expires_at_ms >= created.key.created_at_ms
    assert gone.state(gone.expires_at_ms) == "expired"
    assert press.editions[-1][secret_hash(created.secret)].expires_at_ms == gone.expires_at_ms
    newest = (await identity.list_audit(admin, limit=1))[0]
    assert newest.diff == {"before": {"expires_at_ms": None}, "after": {"expires_at_ms": gone.expires_at_ms}}


async def test_an_expired_key_comes_back_unless_its_name_is_taken(identity: Identity, admin: Actor) -> None:
    old = await identity.create_key(admin, KeySpec(name="shop"))
    await identity.expire_key(admin, "shop", 0)
    await identity.expire_key(admin, "shop", None)
    assert await code_of(identity.create_key(admin, KeySpec(name="shop"))) == "key_exists"
    await identity.expire_key(admin, "shop", 0)
    await identity.create_key(admin, KeySpec(name="shop"))
    assert await code_of(identity.expire_key(admin, old.key.key_id, None)) == "key_exists"


async def test_notifiers_hear_of_new_and_revoked_keys(identity: Identity, admin: Actor, db: SqliteDatabase) -> None:
    created = await identity.create_key(admin, KeySpec(name="shop", tags={"team": "a"}))
    await identity.expire_key(admin, "shop", 2**60)
    await identity.revoke_key(admin, "shop")
    waiting = await Outbox(db, {}).waiting()
    events = [event_of(errand.payload) for errand in waiting]
    assert [errand.kind for errand in waiting] == [NOTIFY, NOTIFY]
    assert [(event.event, event.subject, event.actor) for event in events] == [
        ("key.created", "key/shop", "admin"),
        ("key.revoked", "key/shop", "admin"),
    ]
    assert {event.event for event in events} <= set(EVENTS)
    assert events[0].detail["tags"] == {"team": "a"}
    assert created.secret not in repr(waiting)


async def test_an_unknown_key_is_answered_with_near_names(identity: Identity, admin: Actor) -> None:
    await identity.create_key(admin, KeySpec(name="checkout"))
    with pytest.raises(NotFound) as caught:
        await identity.revoke_key(admin, "chekout")
    assert caught.value.nearest == ("checkout",)


async def test_dead_keys_leave_the_snapshot_after_thirty_days(
    identity: Identity, admin: Actor, db: SqliteDatabase
) -> None:
    living = await identity.create_key(admin, KeySpec(name="living"))
    revoked = await identity.create_key(admin, KeySpec(name="revoked"))
    expired = await identity.create_key(admin, KeySpec(name="expired", ttl_s=1))
    await identity.revoke_key(admin, "revoked")
    dead = {secret_hash(revoked.secret), secret_hash(expired.secret)}
    async with db.read() as tx:
        now_ms = await db.now_ms(tx)
        assert set(await store.grants(tx, now_ms=now_ms + 29 * DAY_MS)) == {secret_hash(living.secret), *dead}
        assert set(await store.grants(tx, now_ms=now_ms + 31 * DAY_MS)) == {secret_hash(living.secret)}
