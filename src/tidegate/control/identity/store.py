"""The SQL of identity: users, tokens, virtual keys, and the audit of every slice's changes."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.identity.model import Actor, AuditRow, KeyInfo, Token, User
from tidegate.jobs.database import METADATA
from tidegate.live.snapshot import KeyGrant

__all__ = [
    "GRANT_MEMORY_MS",
    "add_audit",
    "add_key",
    "add_token",
    "add_user",
    "audit_rows",
    "grants",
    "keys",
    "revoke_token",
    "set_key_times",
    "set_user",
    "token_user",
    "tokens",
    "users",
]

GRANT_MEMORY_MS = 30 * 24 * 3600 * 1000
"""How long a dead key stays in the Snapshot, so that its owner reads why it stopped."""

USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("disabled_at_ms", sa.BigInteger),
)

TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("user_name", sa.Text, sa.ForeignKey("users.name"), nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_at_ms", sa.BigInteger),
    sa.Index("ix_tokens_user_name", "user_name"),
)

KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("prompts", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("regions", sa.Text, nullable=False, server_default="[]"),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at_ms", sa.BigInteger),
    sa.Column("revoked_at_ms", sa.BigInteger),
    sa.Index("ix_api_keys_name", "name"),
)

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("audit_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("diff", sa.Text, nullable=False),
    sa.Index("ix_audit_subject", "subject"),
)


async def add_audit(
    tx: AsyncConnection, *, at_ms: int, actor: Actor, action: str, subject: str, diff: Mapping[str, object]
) -> None:
    """Write one change down in the transaction that makes it; `action` is `noun.verb`, `subject` `noun/name`.

    Never put a secret into `diff`. Ids have no holes: writers take turns (Database.write), so the next is the
    highest plus 1.
    """
    following = sa.select(
        sa.func.coalesce(sa.func.max(AUDIT.c.audit_id), 0) + 1,
        sa.literal(at_ms, sa.BigInteger),
        sa.literal(actor.name, sa.Text),
        sa.literal(action, sa.Text),
        sa.literal(subject, sa.Text),
        sa.literal(_json(diff), sa.Text),
    )
    names = ["audit_id", "at_ms", "actor", "action", "subject", "diff"]
    await tx.execute(sa.insert(AUDIT).from_select(names, following))


async def audit_rows(
    tx: AsyncConnection, *, limit: int, before: int | None = None, subject: str | None = None
) -> list[AuditRow]:
    """The newest rows first, below the id `before`; `subject` is `noun/name`, or `noun/` for a kind."""
    query = sa.select(AUDIT).order_by(AUDIT.c.audit_id.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.audit_id < before)
    if subject is not None:
        of_kind = AUDIT.c.subject.startswith(subject, autoescape=True)
        query = query.where(of_kind if subject.endswith("/") else AUDIT.c.subject == subject)
    return [_audit_row(row) for row in (await tx.execute(query)).all()]


async def users(tx: AsyncConnection) -> list[User]:
    """Every user, by name."""
    rows = (await tx.execute(sa.select(USERS).order_by(USERS.c.name))).all()
    return [_user(row) for row in rows]


async def add_user(tx: AsyncConnection, user: User) -> None:
    """Insert the user; the caller has made sure that the name is free."""
    await tx.execute(sa.insert(USERS).values({**msgspec.structs.asdict(user), "roles": _json(user.roles)}))


async def set_user(tx: AsyncConnection, user: User) -> None:
    """Store the user's roles and state."""
    change = sa.update(USERS).where(USERS.c.user_id == user.user_id)
    await tx.execute(change.values(roles=_json(user.roles), disabled_at_ms=user.disabled_at_ms))


async def add_token(tx: AsyncConnection, token: Token, hashed: str) -> None:
    """Insert the token with the hash of its secret."""
    await tx.execute(
        sa.insert(TOKENS).values(
            token_id=token.token_id,
            user_name=token.user,
            secret_hash=hashed,
            prefix=token.prefix,
            created_at_ms=token.created_at_ms,
            revoked_at_ms=token.revoked_at_ms,
        )
    )


async def tokens(tx: AsyncConnection, user: str) -> list[Token]:
    """A user's tokens, oldest first."""
    query = sa.select(TOKENS).where(TOKENS.c.user_name == user)
    rows = await tx.execute(query.order_by(TOKENS.c.created_at_ms, TOKENS.c.token_id))
    return [_token(row) for row in rows.all()]


async def token_user(tx: AsyncConnection, hashed: str) -> tuple[Token, User] | None:
    """The token with this hash and its user, dead or living; None when there is none."""
    query = (
        sa.select(
            TOKENS.c.token_id,
            TOKENS.c.prefix,
            TOKENS.c.created_at_ms.label("issued_at_ms"),
            TOKENS.c.revoked_at_ms,
            USERS,
        )
        .join(USERS, USERS.c.name == TOKENS.c.user_name)
        .where(TOKENS.c.secret_hash == hashed)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    token = Token(
        token_id=row.token_id,
        user=row.name,
        prefix=row.prefix,
        created_at_ms=row.issued_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )
    return token, _user(row)


async def revoke_token(tx: AsyncConnection, token_id: str, at_ms: int) -> Token | None:
    """Revoke a living token and return it as it was; None when there is no living one with this id."""
    living = (TOKENS.c.token_id == token_id) & TOKENS.c.revoked_at_ms.is_(None)
    row = (await tx.execute(sa.select(TOKENS).where(living))).one_or_none()
    if row is None:
        return None
    await tx.execute(sa.update(TOKENS).where(living).values(revoked_at_ms=at_ms))
    return _token(row)


async def keys(tx: AsyncConnection, wanted: str | None = None) -> list[KeyInfo]:
    """Every key, newest first; with `wanted`, those of this id or name."""
    query: sa.Select[Any] = sa.select(KEYS).order_by(KEYS.c.created_at_ms.desc(), KEYS.c.key_id.desc())
    if wanted is not None:
        query = query.where(sa.or_(KEYS.c.key_id == wanted, KEYS.c.name == wanted))
    return [_key(row) for row in (await tx.execute(query)).all()]


async def add_key(tx: AsyncConnection, key: KeyInfo, hashed: str) -> None:
    """Insert the key with the hash of its secret."""
    values = msgspec.structs.asdict(key)
    for name in ("scopes", "models", "prompts", "tags", "regions"):
        values[name] = _json(values[name])
    await tx.execute(sa.insert(KEYS).values(secret_hash=hashed, **values))


async def set_key_times(
    tx: AsyncConnection, key_id: str, *, expires_at_ms: int | None, revoked_at_ms: int | None
) -> None:
    """Store when the key expires and since when it is revoked."""
    change = sa.update(KEYS).where(KEYS.c.key_id == key_id)
    await tx.execute(change.values(expires_at_ms=expires_at_ms, revoked_at_ms=revoked_at_ms))


async def grants(tx: AsyncConnection, *, now_ms: int) -> dict[str, KeyGrant]:
    """What the gateway must know of keys, by secret hash: the living, and the dead of the last 30 days."""
    since = now_ms - GRANT_MEMORY_MS
    query = sa.select(KEYS).where(
        sa.or_(KEYS.c.revoked_at_ms.is_(None), KEYS.c.revoked_at_ms > since),
        sa.or_(KEYS.c.expires_at_ms.is_(None), KEYS.c.expires_at_ms > since),
    )
    return {row.secret_hash: _grant(row) for row in (await tx.execute(query)).all()}


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _names(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _tags(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def _audit_row(row: sa.Row[Any]) -> AuditRow:
    return AuditRow(
        audit_id=row.audit_id,
        at_ms=row.at_ms,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        diff=msgspec.json.decode(row.diff, type=dict[str, object]),
    )


def _user(row: sa.Row[Any]) -> User:
    return User(
        user_id=row.user_id,
        name=row.name,
        roles=_names(row.roles),
        created_at_ms=row.created_at_ms,
        disabled_at_ms=row.disabled_at_ms,
    )


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        token_id=row.token_id,
        user=row.user_name,
        prefix=row.prefix,
        created_at_ms=row.created_at_ms,
        revoked_at_ms=row.revoked_at_ms,
    )


def _key(row: sa.Row[Any]) -> KeyInfo:
    return KeyInfo(prefix=row.prefix, created_at_ms=row.created_at_ms, created_by=row.created_by, **_grant_values(row))


def _grant(row: sa.Row[Any]) -> KeyGrant:
    return KeyGrant(**_grant_values(row))


def _grant_values(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "name": row.name,
        "environment": row.environment,
        "scopes": _names(row.scopes),
        "models": _names(row.models),
        "prompts": _names(row.prompts),
        "tags": _tags(row.tags),
        "regions": _names(row.regions),
        "expires_at_ms": row.expires_at_ms,
        "revoked_at_ms": row.revoked_at_ms,
    }
