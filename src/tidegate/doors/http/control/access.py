"""The routes of keys, users, tokens and the audit."""

from typing import Annotated

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from tidegate.control.identity.model import Actor, AuditRow, CreatedKey, KeyInfo, KeySpec, Token, User
from tidegate.doors.http.control.admission import Number, TheActor, TheControl

__all__ = [
    "Expiry",
    "IssuedToken",
    "NewKey",
    "NewUser",
    "Roles",
    "audit",
    "create_key",
    "create_user",
    "disable_user",
    "expire_key",
    "issue_token",
    "keys",
    "revoke_key",
    "revoke_token",
    "set_roles",
    "tokens",
    "users",
    "whoami",
]


class NewKey(KeySpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual key to create."""


class Expiry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the key ends, in Unix ms; null means never."""

    expires_at_ms: int | None


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to create."""

    name: str
    roles: tuple[str, ...]


class Roles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly the roles that the user shall have."""

    roles: tuple[str, ...]


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A user and a new token, shown this once."""

    user: str
    token: str
    roles: tuple[str, ...] = ()


async def whoami(actor: TheActor) -> Actor:
    """Who the token says you are, and your roles."""
    return actor


async def keys(control: TheControl, actor: TheActor) -> list[KeyInfo]:
    """Every virtual key, newest first; never a secret."""
    return await control.identity.list_keys(actor)


async def create_key(control: TheControl, actor: TheActor, data: JSONBody[NewKey]) -> CreatedKey:
    """Create a virtual key. The secret is in this answer and nowhere else."""
    return await control.identity.create_key(actor, data)


async def revoke_key(control: TheControl, actor: TheActor, key_id: FromPath[str]) -> KeyInfo:
    """Stop a key (id or name) at once and for ever."""
    return await control.identity.revoke_key(actor, key_id)


async def expire_key(control: TheControl, actor: TheActor, key_id: FromPath[str], data: JSONBody[Expiry]) -> KeyInfo:
    """Let a key (id or name) end at a time."""
    return await control.identity.expire_key(actor, key_id, data.expires_at_ms)


async def users(control: TheControl, actor: TheActor) -> list[User]:
    """Every user, disabled ones too."""
    return await control.identity.list_users(actor)


async def create_user(control: TheControl, actor: TheActor, data: JSONBody[NewUser]) -> IssuedToken:
    """Create a user with a first token, shown this once."""
    user, secret = await control.identity.create_user(actor, data.name, data.roles)
    return IssuedToken(user=user.name, token=secret, roles=user.roles)


async def set_roles(control: TheControl, actor: TheActor, name: FromPath[str], data: JSONBody[Roles]) -> User:
    """Give a user exactly these roles."""
    return await control.identity.set_roles(actor, name, data.roles)


async def disable_user(control: TheControl, actor: TheActor, name: FromPath[str]) -> User:
    """Make all of a user's tokens useless."""
    return await control.identity.disable_user(actor, name)


async def tokens(control: TheControl, actor: TheActor, name: FromPath[str]) -> list[Token]:
    """A user's tokens, revoked ones too; never a secret."""
    return await control.identity.list_tokens(actor, name)


async def issue_token(control: TheControl, actor: TheActor, name: FromPath[str]) -> IssuedToken:
    """A new token of a user, shown this once."""
    return IssuedToken(user=name, token=await control.identity.issue_token(actor, name))


async def revoke_token(control: TheControl, actor: TheActor, token_id: FromPath[str]) -> Token:
    """Make one token useless."""
    return await control.identity.revoke_token(actor, token_id)


async def audit(
    control: TheControl,
    actor: TheActor,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    before: Number = None,
    subject: FromQuery[str | None] = None,
) -> list[AuditRow]:
    """Who changed what, newest first. `before` is the last audit_id of a page; `subject` is noun/name or noun/."""
    return await control.identity.list_audit(actor, limit=limit, before=before, subject=subject)
