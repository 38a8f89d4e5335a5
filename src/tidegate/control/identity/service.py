"""The verbs of identity: who comes in, who may do what, which keys open the gateway, who changed what."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tidegate.control.identity import store
from tidegate.control.identity.model import (
    LAST_MS,
    SYSTEM,
    Actor,
    AuditRow,
    CreatedKey,
    KeyInfo,
    KeySpec,
    Token,
    User,
    check_key_spec,
    check_roles,
    check_still_managed,
    masked,
)
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from tidegate.kernel.ids import new_id, new_secret
from tidegate.kernel.names import check_name
from tidegate.live.snapshot import secret_hash

__all__ = ["Identity"]

KEY_PREFIX = "tg"
USER_PREFIX = "tgt"
ADMIN = "admin"
MAX_SECRET_CHARACTERS = 512
MAX_AUDIT_ROWS = 1000


class Identity:
    """Each verb is one transaction: the change, its audit row, and for keys the new Snapshot."""

    def __init__(self, db: Database, publish: Publish) -> None:
        self._db = db
        self._publish = publish

    async def authenticate(self, token: str) -> Actor:
        """Return who holds this token; raises Unauthenticated (unknown, revoked, user disabled)."""
        if not 0 < len(token) <= MAX_SECRET_CHARACTERS:
            raise _unknown_token()
        async with self._db.read() as tx:
            found = await store.token_user(tx, secret_hash(token))
        if found is None:
            raise _unknown_token()
        held, user = found
        if held.revoked_at_ms is not None:
            raise Unauthenticated(
                f"The token {held.prefix} of {user.name!r} was revoked.",
                mend="Ask an admin for a new one.",
                code="token_revoked",
            )
        if user.disabled_at_ms is not None:
            raise Unauthenticated(f"The user {user.name!r} is disabled.", mend="Ask an admin.", code="user_disabled")
        return Actor(user.user_id, user.name, user.roles)

    async def bootstrap(self, admin_token: str) -> None:
        """Make sure that the user `admin` exists and that this token is theirs. Does nothing the second time.

        A revoked token stays revoked, a disabled admin stays disabled: bootstrap opens no closed door.
        """
        hashed = secret_hash(admin_token)
        async with self._db.write() as tx:
            if await store.token_user(tx, hashed) is not None:
                return
            now_ms = await self._db.now_ms(tx)
            if all(user.name != ADMIN for user in await store.users(tx)):
                await _add_user(tx, SYSTEM, ADMIN, ("admin",), now_ms)
            await _add_token(tx, SYSTEM, ADMIN, admin_token, now_ms)

    async def create_user(self, actor: Actor, name: str, roles: Iterable[str]) -> tuple[User, str]:
        """Create a user and a first token, which is shown this once. Raises Invalid, Conflict."""
        actor.require("user.manage")
        check_name("user", name)
        wanted = check_roles(roles)
        async with self._db.write() as tx:
            if any(user.name == name for user in await store.users(tx)) or name == SYSTEM.name:
                raise Conflict(f"There is a user {name!r} already.", mend="Choose another name.", code="user_exists")
            now_ms = await self._db.now_ms(tx)
            user = await _add_user(tx, actor, name, wanted, now_ms)
            secret = new_secret(USER_PREFIX)
            await _add_token(tx, actor, name, secret, now_ms)
            return user, secret

    async def list_users(self, actor: Actor) -> list[User]:
        """Every user, disabled ones too, by name."""
        actor.require("user.manage")
        async with self._db.read() as tx:
            return await store.users(tx)

    async def set_roles(self, actor: Actor, name: str, roles: Iterable[str]) -> User:
        """Give the user exactly these roles; raises Conflict when no admin would be left."""
        actor.require("user.manage")
        wanted = check_roles(roles)
        return await self._change_user(actor, name, "user.roles", roles=wanted)

    async def disable_user(self, actor: Actor, name: str) -> User:
        """Make every token of the user useless; raises Conflict when no admin would be left."""
        actor.require("user.manage")
        return await self._change_user(actor, name, "user.disable", roles=None)

    async def issue_token(self, actor: Actor, name: str) -> str:
        """Return a new token of the user: it is shown this once."""
        actor.require("user.manage")
        async with self._db.write() as tx:
            user = _find_user(await store.users(tx), name)
            if user.disabled_at_ms is not None:
                raise Conflict(
                    f"The user {name!r} is disabled.",
                    mend="A token would not open anything.",
                    code="user_disabled",
                )
            secret = new_secret(USER_PREFIX)
            await _add_token(tx, actor, name, secret, await self._db.now_ms(tx))
            return secret

    async def list_tokens(self, actor: Actor, name: str) -> list[Token]:
        """The user's tokens, revoked ones too, oldest first."""
        actor.require("user.manage")
        async with self._db.read() as tx:
            _find_user(await store.users(tx), name)
            return await store.tokens(tx, name)

    async def revoke_token(self, actor: Actor, token_id: str) -> Token:
        """End the token; raises NotFound when there is no living one with this id."""
        actor.require("user.manage")
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            token = await store.revoke_token(tx, token_id, now_ms)
            if token is None:
                raise NotFound("living token", token_id, mend="See `tidegate users tokens NAME`.")
            diff = {"token": token.prefix, "token_id": token_id}
            await _audit(tx, actor, "token.revoke", f"user/{token.user}", at_ms=now_ms, diff=diff)
            return token

    async def create_key(self, actor: Actor, spec: KeySpec) -> CreatedKey:
        """Create a virtual key; its secret is shown this once. Raises Invalid, Conflict (a living name)."""
        actor.require("key.manage")
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            expires_at_ms = check_key_spec(spec, now_ms)
            await _check_name_free(tx, spec.name, now_ms)
            secret = new_secret(KEY_PREFIX)
            wish: dict[str, Any] = {**msgspec.structs.asdict(spec), "expires_at_ms": expires_at_ms}
            del wish["ttl_s"]
            stamp: dict[str, Any] = {"created_at_ms": now_ms, "created_by": actor.name}
            key = KeyInfo(key_id=new_id("key"), prefix=masked(secret), **stamp, **wish)
            await store.add_key(tx, key, secret_hash(secret))
            diff = {"after": {name: value for name, value in msgspec.structs.asdict(key).items() if value}}
            await _audit(tx, actor, "key.create", f"key/{key.name}", at_ms=now_ms, diff=diff)
            await _announce(tx, actor, "key.created", key, now_ms)
            await self._publish(tx)
            return CreatedKey(key, secret)

    async def list_keys(self, actor: Actor) -> list[KeyInfo]:
        """Every key, dead ones too, newest first."""
        actor.require("key.manage")
        async with self._db.read() as tx:
            return await store.keys(tx)

    async def revoke_key(self, actor: Actor, key_id_or_name: str) -> KeyInfo:
        """Stop the key at once and for ever; raises NotFound, or Conflict when it is revoked already."""
        actor.require("key.manage")
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            key = await _find_key(tx, key_id_or_name, now_ms)
            revoked = msgspec.structs.replace(key, revoked_at_ms=now_ms)
            await _announce(tx, actor, "key.revoked", key, now_ms)
            return await self._change_key(tx, actor, "key.revoke", key, revoked)

    async def expire_key(self, actor: Actor, key_id_or_name: str, expires_at_ms: int | None) -> KeyInfo:
        """Let the key end at this Unix time in ms (now if past, never if None). Raises NotFound, Conflict."""
        actor.require("key.manage")
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            key = await _find_key(tx, key_id_or_name, now_ms)
            if key.state(now_ms) == "expired":
                await _check_name_free(tx, key.name, now_ms)
            ends = None if expires_at_ms is None else min(max(expires_at_ms, now_ms), LAST_MS)
            return await self._change_key(
                tx, actor, "key.expire", key, msgspec.structs.replace(key, expires_at_ms=ends)
            )

    async def list_audit(
        self, actor: Actor, *, limit: int = 50, before: int | None = None, subject: str | None = None
    ) -> list[AuditRow]:
        """The newest changes first, at most 1000; `before` is the last audit_id of the page before."""
        actor.require("audit.read")
        if not 1 <= limit <= MAX_AUDIT_ROWS:
            raise Invalid(f"limit is {limit}.", mend=f"Ask for 1 to {MAX_AUDIT_ROWS} rows.", param="limit")
        async with self._db.read() as tx:
            return await store.audit_rows(tx, limit=limit, before=before, subject=subject)

    async def _change_user(self, actor: Actor, name: str, action: str, *, roles: tuple[str, ...] | None) -> User:
        async with self._db.write() as tx:
            everyone = await store.users(tx)
            user = _find_user(everyone, name)
            now_ms = await self._db.now_ms(tx)
            if roles is None:
                changed = msgspec.structs.replace(user, disabled_at_ms=user.disabled_at_ms or now_ms)
                diff: dict[str, object] = {"before": "enabled", "after": "disabled"}
            else:
                changed = msgspec.structs.replace(user, roles=roles)
                diff = {"before": user.roles, "after": roles}
            if changed == user:
                return user
            check_still_managed(everyone, changed)
            await store.set_user(tx, changed)
            await _audit(tx, actor, action, f"user/{name}", at_ms=now_ms, diff=diff)
            return changed

    async def _change_key(self, tx: Tx, actor: Actor, action: str, before: KeyInfo, after: KeyInfo) -> KeyInfo:
        now_ms = await self._db.now_ms(tx)
        await store.set_key_times(
            tx, after.key_id, expires_at_ms=after.expires_at_ms, revoked_at_ms=after.revoked_at_ms
        )
        names = ("expires_at_ms", "revoked_at_ms")
        changed = [name for name in names if getattr(before, name) != getattr(after, name)]
        diff = {
            "before": {name: getattr(before, name) for name in changed},
            "after": {name: getattr(after, name) for name in changed},
        }
        await _audit(tx, actor, action, f"key/{after.name}", at_ms=now_ms, diff=diff)
        await self._publish(tx)
        return after


async def _audit(tx: Tx, actor: Actor, action: str, subject: str, *, at_ms: int, diff: Mapping[str, object]) -> None:
    await store.add_audit(tx, at_ms=at_ms, actor=actor, action=action, subject=subject, diff=diff)


async def _add_user(tx: Tx, actor: Actor, name: str, roles: tuple[str, ...], now_ms: int) -> User:
    user = User(user_id=new_id("user"), name=name, roles=roles, created_at_ms=now_ms)
    await store.add_user(tx, user)
    await _audit(tx, actor, "user.create", f"user/{name}", at_ms=now_ms, diff={"after": roles})
    return user


async def _add_token(tx: Tx, actor: Actor, name: str, secret: str, now_ms: int) -> None:
    token = Token(token_id=new_id("token"), user=name, prefix=masked(secret), created_at_ms=now_ms)
    await store.add_token(tx, token, secret_hash(secret))
    diff = {"token": token.prefix, "token_id": token.token_id}
    await _audit(tx, actor, "token.issue", f"user/{name}", at_ms=now_ms, diff=diff)


async def _announce(tx: Tx, actor: Actor, event: str, key: KeyInfo, now_ms: int) -> None:
    detail = {"key_id": key.key_id, "environment": key.environment, "tags": key.tags}
    news = {"event": event, "at_ms": now_ms, "actor": actor.name, "subject": f"key/{key.name}", "detail": detail}
    await enqueue(tx, at_ms=now_ms, kind=NOTIFY, payload=news)


async def _check_name_free(tx: Tx, name: str, now_ms: int) -> None:
    if any(key.state(now_ms) == "living" for key in await store.keys(tx, name)):
        raise Conflict(
            f"There is a living key named {name!r} already.",
            mend="Revoke it first, or choose another name.",
            code="key_exists",
        )


async def _find_key(tx: Tx, wanted: str, now_ms: int) -> KeyInfo:
    """The key of this id, or the living one of this name, else the newest dead one that is not revoked."""
    found = await store.keys(tx, wanted)
    if not found:
        raise NotFound("key", wanted, known=[key.name for key in await store.keys(tx)], code="key_not_found")
    unrevoked = sorted(
        (key for key in found if key.revoked_at_ms is None), key=lambda key: key.state(now_ms) != "living"
    )
    if not unrevoked:
        raise Conflict(f"The key {wanted!r} is revoked already.", mend="Create a new one.", code="key_revoked")
    return unrevoked[0]


def _find_user(everyone: list[User], name: str) -> User:
    for user in everyone:
        if user.name == name:
            return user
    raise NotFound("user", name, known=[user.name for user in everyone])


def _unknown_token() -> Unauthenticated:
    return Unauthenticated(
        "This token opens nothing here.",
        mend="Log in with `tidegate login --server URL`, or ask an admin for a token.",
        code="invalid_token",
    )
