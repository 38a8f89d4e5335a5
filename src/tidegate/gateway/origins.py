"""Web pages that may call the gateway (CORS): which origins, asked with which headers, and what they may read.

https://fetch.spec.whatwg.org/#http-cors-protocol (read 2026-11). Never with credentials: a key is sent by the page
itself, and the gateway knows no cookies.
"""

from collections.abc import Awaitable, Callable, Iterable

from tidegate.gateway.call import Reply, Request
from tidegate.gateway.openai_errors import error_reply
from tidegate.kernel.errors import Forbidden

__all__ = ["Answer", "for_origins"]

Answer = Callable[[Request], Awaitable[Reply]]

ANY = b"*"
CALLS = "/v1/"
METHODS = b"GET, HEAD, POST"
REMEMBERED_S = b"600"
VARY = (b"vary", b"origin")
ASKABLE = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"authorization",
        b"content-type",
        b"idempotency-key",
        b"x-api-key",
    }
)
ASKABLE_FAMILIES = (b"anthropic-dangerous-", b"openai-", b"x-stainless-", b"x-tidegate-")
READABLE = frozenset({b"retry-after", b"x-request-id", b"x-should-retry"})
READABLE_FAMILIES = (b"x-ratelimit-", b"x-tidegate-")


def for_origins(origins: Iterable[str], answer: Answer) -> Answer:
    """`answer` with leave for pages of these origins (exact, or `*`); without any, `answer` itself: no header is sent.

    Calls only: what operators ask for (/metrics and the like) is for no page. A page of another origin is answered
    without leave, and its browser keeps the answer from it.
    """
    allowed = frozenset(origin.encode() for origin in origins)
    if not allowed:
        return answer

    async def with_leave(request: Request) -> Reply:
        if not request.path.startswith(CALLS):
            return await answer(request)
        origin = request.headers.get(b"origin")
        leave = ANY if origin and ANY in allowed else origin if origin in allowed else None
        if origin and request.method == "OPTIONS" and b"access-control-request-method" in request.headers:
            return _preflight(request, origin, leave)
        reply = await answer(request)
        headers = [*reply.headers, VARY]
        if leave:
            headers += [(b"access-control-allow-origin", leave), (b"access-control-expose-headers", _readable(reply))]
        reply.headers = headers
        return reply

    return with_leave


def _preflight(request: Request, origin: bytes, leave: bytes | None) -> Reply:
    """May the page send what it is about to? Asked by the browser, which has no key."""
    if leave is None:
        reply = error_reply(
            Forbidden(
                f"Pages of {origin.decode('latin-1')} may not call this gateway.",
                mend="Add the origin to policies.cors_origins in tidegate.yaml, and run `tidegate apply`.",
                code="origin_not_allowed",
            )
        )
        reply.headers = [*reply.headers, VARY]
        return reply
    asked = request.headers.get(b"access-control-request-headers", b"").lower().split(b",")
    granted = [name for name in map(bytes.strip, asked) if name in ASKABLE or name.startswith(ASKABLE_FAMILIES)]
    headers = [
        (b"access-control-allow-origin", leave),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", REMEMBERED_S),
        VARY,
    ]
    if granted:
        headers.append((b"access-control-allow-headers", b", ".join(granted)))
    return Reply(200, headers)


def _readable(reply: Reply) -> bytes:
    names = (name for name, _ in reply.headers)
    return b", ".join(name for name in names if name in READABLE or name.startswith(READABLE_FAMILIES))
