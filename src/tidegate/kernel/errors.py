"""Every error a user can meet, as one tree.

    TidegateError
    ├── Invalid              the request or file is wrong                          (HTTP 400)
    │   ├── InvalidDocument  a file is wrong at a line                             (400)
    │   ├── InvalidVariables a prompt's variables are missing, unknown or mistyped (400)
    │   └── TooLarge         the body is over max_body_bytes                       (413)
    ├── Unauthenticated      no key or token, or not a living one                  (401)
    ├── Forbidden            a living key or token without this right              (403)
    ├── NotFound             no such thing; carries the nearest names              (404)
    ├── Conflict             the thing exists, or changed underneath               (409)
    ├── Refused              a limit, budget or guard says no                      (429)
    ├── ProviderFailed       the upstream answered with an error, or with nonsense (its status, or 502)
    │   ├── ProviderUnreachable  no connection, or it broke before an answer       (502)
    │   └── ProviderTimeout      no answer in time                                 (504)
    └── Unavailable          we cannot do this now: starting, draining, no store   (503)

Each carries a stable `code` (machines match on it), a message that names the thing, and a `mend`: what to do next.
The doors alone turn an error into a status, an exit code or a page.
"""

from collections.abc import Sequence
from difflib import get_close_matches

__all__ = [
    "Conflict",
    "Forbidden",
    "Invalid",
    "InvalidDocument",
    "InvalidVariables",
    "NotFound",
    "ProviderFailed",
    "ProviderTimeout",
    "ProviderUnreachable",
    "Refused",
    "TidegateError",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]


class TidegateError(Exception):
    """The root. `code` is stable, `message` names the thing, `mend` says what to do, `param` points into the body."""

    code = "internal_error"

    def __init__(self, message: str, *, mend: str = "", code: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.param = param
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.mend}".strip()


class Invalid(TidegateError):
    """The request or file is wrong: the caller can mend it."""

    code = "invalid_request"


class InvalidDocument(Invalid):
    """A file is wrong at a place. `line` and `column` count from 1; None when the place is unknown."""

    code = "invalid_document"

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        mend: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message, mend=mend, code=code)
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {super().__str__()}"


class InvalidVariables(Invalid):
    """A prompt was asked for with variables that it does not take, or without ones that it needs."""

    code = "invalid_variables"


class TooLarge(Invalid):
    """The body is over the limit."""

    code = "request_too_large"


class Unauthenticated(TidegateError):
    """No key or token came, or it is unknown, revoked or expired (the code tells which)."""

    code = "invalid_api_key"


class Forbidden(TidegateError):
    """The caller is known and lacks the right."""

    code = "permission_denied"


class NotFound(TidegateError):
    """There is no such thing. Pass `known` to offer the nearest names in the mend."""

    code = "not_found"

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        known: Sequence[str] = (),
        mend: str = "",
        code: str = "",
        param: str | None = None,
    ) -> None:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else ""
        some = f"Known: {', '.join(sorted(known)[:8])}." if known and not near else ""
        super().__init__(
            f"There is no {kind} named {name!r}.",
            mend=" ".join(part for part in (hint or some, mend) if part),
            code=code or f"{kind.replace(' ', '_')}_not_found",
            param=param,
        )
        self.kind = kind
        self.name = name
        self.nearest = tuple(near)


class Conflict(TidegateError):
    """The thing exists already, is immutable, or changed since it was read."""

    code = "conflict"


class Refused(TidegateError):
    """A limit, a budget or a guard says no. `retry_after_s` is None when waiting does not help."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float | None = None, mend: str = "", code: str = "") -> None:
        super().__init__(message, mend=mend, code=code)
        self.retry_after_s = retry_after_s


class ProviderFailed(TidegateError):
    """The upstream answered with an error, or with something that is not an answer. `status` is its own, if it gave
    one.
    """

    code = "provider_error"

    def __init__(self, message: str, *, status: int | None = None, mend: str = "", code: str = "") -> None:
        super().__init__(message, mend=mend, code=code)
        self.status = status


class ProviderUnreachable(ProviderFailed):
    """No connection to the upstream, or it broke before the first byte of an answer."""

    code = "provider_unreachable"


class ProviderTimeout(ProviderFailed):
    """The upstream did not answer, or fell silent, for longer than the deployment's limit."""

    code = "provider_timeout"


class Unavailable(TidegateError):
    """Not now: the process is starting or draining, or a store is away."""

    code = "unavailable"
