"""Users, roles, tokens, virtual keys and audit rows as plain values: who may do what."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from tidegate.kernel.errors import Conflict, Forbidden, Invalid
from tidegate.kernel.names import check_name

__all__ = [
    "KNOWN_SCOPES",
    "LAST_MS",
    "RIGHTS",
    "ROLES",
    "ROLE_RIGHTS",
    "SYSTEM",
    "Actor",
    "AuditRow",
    "CreatedKey",
    "KeyInfo",
    "KeySpec",
    "Token",
    "User",
    "check_key_spec",
    "check_roles",
    "check_still_managed",
    "masked",
]

ROLES = ("editor", "reviewer", "deployer", "admin")
KNOWN_SCOPES = ("inference", "prompts")

ROLE_RIGHTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "editor": frozenset({"read", "prompt.edit", "eval.record"}),
        "reviewer": frozenset({"read", "prompt.edit", "eval.record", "release.approve", "audit.read", "content.read"}),
        "deployer": frozenset(
            {"read", "prompt.edit", "eval.record", "release.deploy", "release.emergency", "experiment.manage"}
        ),
        "admin": frozenset(
            {
                "read",
                "prompt.edit",
                "eval.record",
                "release.approve",
                "release.deploy",
                "release.emergency",
                "experiment.manage",
                "config.apply",
                "key.manage",
                "user.manage",
                "secret.manage",
                "audit.read",
                "content.read",
                "content.erase",
            }
        ),
    }
)
RIGHTS = tuple(sorted(frozenset().union(*ROLE_RIGHTS.values())))

MAX_NAMES = 256
MAX_TAGS = 32
MAX_TAG_CHARACTERS = 256
SHOWN_CHARACTERS = 7
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: what every language's dates can hold


class Actor(msgspec.Struct, frozen=True):
    """Whoever acts: a user behind a living token, or the system itself."""

    user_id: str
    name: str
    roles: tuple[str, ...]

    def may(self, right: str) -> bool:
        """Whether one of the actor's roles has this right."""
        return any(right in ROLE_RIGHTS.get(role, ()) for role in self.roles)

    def require(self, right: str) -> None:
        """Raise Forbidden, naming the right and the roles that have it, unless the actor has it."""
        if self.may(right):
            return
        holders = [role for role in ROLES if right in ROLE_RIGHTS[role]]
        mine = ", ".join(self.roles) or "none"
        raise Forbidden(
            f"{self.name!r} (roles: {mine}) lacks the right {right!r}.",
            mend=f"It belongs to {' and '.join(holders)}: ask one of them, or an admin for the role."
            if holders
            else "No role has it.",
        )


SYSTEM = Actor("system", "system", ("admin",))
"""The platform acting by itself: bootstrap, ticks, migrations."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who may hold tokens. A disabled user keeps name and history; none of the tokens works."""

    user_id: str
    name: str
    roles: tuple[str, ...]
    created_at_ms: int
    disabled_at_ms: int | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A user's way into the control plane. The secret is stored nowhere; `prefix` may be shown."""

    token_id: str
    user: str
    prefix: str
    created_at_ms: int
    revoked_at_ms: int | None = None


class KeySpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a new virtual key shall be. Empty `models`, `prompts` or `regions` mean all.

    `expires_at_ms` is Unix time, `ttl_s` counts from now; give at most one. Without any it does not expire.
    """

    name: str
    environment: str = "production"
    scopes: tuple[str, ...] = ("inference",)
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    regions: tuple[str, ...] = ()
    expires_at_ms: int | None = None
    ttl_s: float | None = None


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key as it may be shown. `prefix` is its first 7 characters and an ellipsis."""

    key_id: str
    name: str
    prefix: str
    environment: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    tags: dict[str, str]
    created_at_ms: int
    created_by: str
    regions: tuple[str, ...] = ()
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None

    def state(self, now_ms: int) -> str:
        """`living`, `expired` or `revoked` at this time."""
        if self.revoked_at_ms is not None:
            return "revoked"
        if self.expires_at_ms is not None and self.expires_at_ms <= now_ms:
            return "expired"
        return "living"


class CreatedKey(msgspec.Struct, frozen=True):
    """A new key and its secret: the only time that the secret is seen."""

    key: KeyInfo
    secret: str


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who did what to which thing, and what differed. `audit_id` counts from 1 without a hole."""

    audit_id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    diff: dict[str, object]


def masked(secret: str) -> str:
    """What may be shown of a secret: its first 7 characters and an ellipsis."""
    return f"{secret[:SHOWN_CHARACTERS]}…"


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the roles once each, in their own order; raises Invalid for none, or for an unknown one."""
    asked = frozenset(roles)
    unknown = sorted(asked.difference(ROLES))
    if unknown or not asked:
        raise Invalid(
            f"There is no role {', '.join(map(repr, unknown))}." if unknown else "A user needs a role.",
            mend=f"Choose from {', '.join(ROLES)}.",
            code="invalid_role",
            param="roles",
        )
    return tuple(role for role in ROLES if role in asked)


def check_still_managed(everyone: Iterable[User], changed: User) -> None:
    """Raise Conflict when, after this change of one user, no living admin would be left."""
    after = [changed if user.user_id == changed.user_id else user for user in everyone]
    if any("admin" in user.roles and user.disabled_at_ms is None for user in after):
        return
    raise Conflict(
        f"{changed.name!r} is the last admin: nobody could manage users, keys and policies any more.",
        mend="Give another user the role admin first.",
        code="last_admin",
    )


def check_key_spec(spec: KeySpec, now_ms: int) -> int | None:
    """Return when the key expires (Unix ms, None = never); raises Invalid naming the field that is wrong."""
    check_name("key", spec.name)
    check_name("environment", spec.environment)
    unknown = sorted(frozenset(spec.scopes).difference(KNOWN_SCOPES))
    if unknown or not spec.scopes:
        raise Invalid(
            f"A key cannot have the scopes {', '.join(unknown) or '(none)'}.",
            mend=f"Choose from {', '.join(KNOWN_SCOPES)}.",
            code="invalid_scope",
            param="scopes",
        )
    for field, names in (("models", spec.models), ("prompts", spec.prompts), ("regions", spec.regions)):
        if len(names) > MAX_NAMES or not all(0 < len(name) <= MAX_TAG_CHARACTERS for name in names):
            raise Invalid(
                f"A key lists at most {MAX_NAMES} {field}, each with 1 to {MAX_TAG_CHARACTERS} letters.",
                mend="Leave the list empty to allow all.",
                code="invalid_allow_list",
                param=field,
            )
    _check_tags(spec.tags)
    return _expiry(spec, now_ms)


def _check_tags(tags: Mapping[str, str]) -> None:
    longest = max((len(text) for pair in tags.items() for text in pair), default=0)
    if len(tags) > MAX_TAGS or longest > MAX_TAG_CHARACTERS or "" in tags:
        raise Invalid(
            f"A key has at most {MAX_TAGS} tags; a name or value has at most {MAX_TAG_CHARACTERS} letters.",
            mend="Shorten the tags, or keep only those that you report by.",
            code="invalid_tags",
            param="tags",
        )


def _expiry(spec: KeySpec, now_ms: int) -> int | None:
    if spec.ttl_s is None:
        expires_at_ms: float | None = spec.expires_at_ms
    elif spec.expires_at_ms is not None:
        raise Invalid("A key takes expires_at_ms or ttl_s, not both.", mend="Leave one away.", param="ttl_s")
    else:
        expires_at_ms = now_ms + spec.ttl_s * 1000
    if expires_at_ms is None:
        return None
    if not now_ms < expires_at_ms <= LAST_MS:  # also refuses NaN
        raise Invalid(
            "The key would be expired from its first moment, or never in any calendar.",
            mend="Give a time in the future, or none for a key that does not expire.",
            param="expires_at_ms" if spec.ttl_s is None else "ttl_s",
        )
    return round(expires_at_ms)
