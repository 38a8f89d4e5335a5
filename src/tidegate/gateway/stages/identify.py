"""Who calls: the virtual key, found by its hash in the Snapshot. Refuses the unknown, the revoked, the expired, and
the unscoped. The platform's own keys say what their calls are for; nobody else's can.
"""

from datetime import UTC, datetime

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.kernel.errors import Forbidden, Invalid, Unauthenticated
from tidegate.live.snapshot import KeyGrant, secret_hash

__all__ = ["Identify"]

MAX_TAGS_BYTES = 4096
MAX_TAGS = 32
MAX_SENDERS = 20_000
INTERNAL = "internal"
"""The scope of the platform's own keys. No key that somebody makes can have it."""
ORIGINS = ("judge", "eval", "probe")


class Identify:
    """Reads `Authorization: Bearer KEY`, or `x-api-key`, or Azure's `api-key`; then the call's tags."""

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        fault = call.request.fault
        call.grant = _grant(call)  # noted though it may be refused
        grant = _living(call.grant, call.started_at_ms)
        if call.endpoint.scope not in grant.scopes:
            raise Forbidden(
                f"The key {grant.name!r} lacks the scope {call.endpoint.scope!r}.",
                mend=f"Create one with `tidegate keys create NAME --scope {call.endpoint.scope}`.",
            )
        claimed = call.request.headers.get(b"x-tidegate-origin")
        if claimed is not None or INTERNAL in grant.scopes:
            call.origin = _origin(claimed, grant)
        call.tags = _tags(call.request.headers.get(b"x-tidegate-tags"), grant)
        if fault is not None:
            raise fault
        return await inner(call)


def _grant(call: Call) -> KeyGrant | None:
    """The grant of the key that was sent. Who was found once in this World is found again without hashing."""
    world, headers = call.world, call.request.headers
    sent = headers.get(b"authorization")
    if sent is not None:
        known = world.known_senders.get(sent)
        if known is not None:
            return known
    found = world.grant(secret_hash(_secret(headers)))
    if sent is not None and found is not None and sent[:7].lower() == b"bearer ":
        if len(world.known_senders) >= MAX_SENDERS:  # one key can be sent in many spellings
            world.known_senders.clear()
        world.known_senders[sent] = found
    return found


def _secret(headers: dict[bytes, bytes]) -> str:
    value = headers.get(b"authorization")
    if value is not None and value[:7].lower() == b"bearer ":
        return value[7:].strip().decode("latin-1")
    value = headers.get(b"x-api-key") or headers.get(b"api-key")
    if not value:
        raise Unauthenticated(
            "No API key was sent.",
            mend="Send `Authorization: Bearer KEY`; create a key with `tidegate keys create NAME`.",
            code="missing_api_key",
        )
    return value.decode("latin-1")


def _living(grant: KeyGrant | None, now_ms: int) -> KeyGrant:
    if grant is None:
        raise Unauthenticated(
            "The API key is not known here.", mend="Check it, or create one with `tidegate keys create NAME`."
        )
    if grant.revoked_at_ms is not None:
        raise Unauthenticated(
            f"The API key {grant.name!r} was revoked on {_date(grant.revoked_at_ms)}.",
            mend="Ask its owner for a new one.",
            code="key_revoked",
        )
    if grant.expires_at_ms is not None and now_ms >= grant.expires_at_ms:
        raise Unauthenticated(
            f"The API key {grant.name!r} expired on {_date(grant.expires_at_ms)}.",
            mend="Create a new one with `tidegate keys create NAME`.",
            code="key_expired",
        )
    return grant


def _origin(claimed: bytes | None, grant: KeyGrant) -> str:
    """What a call of the platform's own is for. Such calls are in no user's limit, experiment, rollout or shadow."""
    if INTERNAL not in grant.scopes:
        raise Forbidden(
            f"The key {grant.name!r} may not say what its calls are for.",
            mend="Leave the header x-tidegate-origin out.",
            code="origin_not_allowed",
        )
    origin = (claimed or b"").decode("latin-1")
    if origin not in ORIGINS:
        raise Invalid(
            "A call of the platform's own says what it is for.",
            mend=f"Send x-tidegate-origin: {', '.join(ORIGINS)}.",
            code="invalid_origin",
        )
    return origin


def _tags(header: bytes | None, grant: KeyGrant) -> dict[str, str]:
    """The call's tags `a=1, b=2`, under the key's own, which a caller cannot change."""
    if header is None:
        return grant.tags
    pairs = [part.partition("=") for part in header.decode("latin-1").split(",") if part.strip()]
    if len(header) > MAX_TAGS_BYTES or len(pairs) > MAX_TAGS or not all(name.strip() and sep for name, sep, _ in pairs):
        raise Invalid(
            "The header x-tidegate-tags cannot be read.",
            mend=f"Write NAME=VALUE, NAME=VALUE: at most {MAX_TAGS} tags and {MAX_TAGS_BYTES} bytes.",
            code="invalid_tags",
        )
    return {name.strip(): value.strip() for name, _, value in pairs} | grant.tags


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
