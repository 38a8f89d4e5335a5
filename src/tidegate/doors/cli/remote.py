"""The command line's way to control: HTTP with a token, errors coming back as what they were on the other side."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from tidegate.doors.cli.logins import Login, read_logins
from tidegate.doors.cli.options import settings_of
from tidegate.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProviderFailed,
    Refused,
    TidegateError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from tidegate.settings import read_keys

__all__ = ["API", "Remote", "connect", "part"]

API = "/api/v1"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
ONE_BY_ONE = httpx.Limits(max_keepalive_connections=0)
"""A command asks once or twice: no connection is kept, so none is left open."""

KINDS: Mapping[int, type[TidegateError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    409: Conflict,
    413: TooLarge,
    429: Refused,
    502: ProviderFailed,
    503: Unavailable,
}

T = TypeVar("T")


class Remote:
    """One control plane. Every verb returns the answer decoded as `kind`, or raises the error that the server named."""

    def __init__(self, login: Login, *, transport: httpx.BaseTransport | None = None) -> None:
        self.server = login.server
        self.is_local = _is_loopback(login.server)
        self._client = httpx.Client(
            base_url=login.server,
            headers={"authorization": f"Bearer {login.token}"},
            timeout=TIMEOUT,
            limits=ONE_BY_ONE,
            transport=transport,
            trust_env=not self.is_local,
        )

    def get(self, path: str, kind: type[T], **query: str | int | None) -> T:
        """GET under /api/v1; query values that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, kind, query=given)

    def post(self, path: str, kind: type[T], body: object | None = None) -> T:
        """POST under /api/v1: a Struct or plain values as JSON, or no body."""
        return self._ask("POST", path, kind, body=body)

    def put(self, path: str, kind: type[T], body: object) -> T:
        """PUT under /api/v1."""
        return self._ask("PUT", path, kind, body=body)

    def close(self) -> None:
        """Give back the connection."""
        self._client.close()

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, str | int] | None = None,
        body: object | None = None,
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"content-type": "application/json"}
        try:
            answer = self._client.request(method, API + path, params=query, content=content, headers=headers)
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"Control at {self.server} did not answer in time.",
                mend="Try again, or look at its log.",
                code="control_silent",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"Control does not answer at {self.server}.",
                mend="Start it with `tidegate up`, or name another with --server URL.",
                code="control_unreachable",
            ) from error
        if not answer.is_success:
            raise _error_of(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _not_control(answer) from error


def connect(workspace: Path | None, server: str | None) -> Remote:
    """The control plane that is meant: `server`, else TIDEGATE_SERVER, else the workspace's own if its keys are here,
    else the server of `tidegate login`. The token: TIDEGATE_TOKEN, else the login's, else the workspace's admin token.
    """
    token = os.environ.get("TIDEGATE_TOKEN", "")
    named = server or (os.environ.get("TIDEGATE_SERVER") if workspace is None else None)
    own = _own(workspace)
    if named and (own is None or named.rstrip("/") != own.server):
        return Remote(Login(named.rstrip("/"), token or read_logins().token(named)))
    if own is not None:
        return Remote(Login(own.server, token or own.token))
    remembered = read_logins().newest()
    if remembered is not None:
        return Remote(Login(remembered.server, token or remembered.token))
    raise NotFound(
        "control plane", workspace.name if workspace else "default",
        mend="Go into a workspace (or pass --workspace), or run `tidegate login --server URL --token T`.",
    )  # fmt: skip


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _own(workspace: Path | None) -> Login | None:
    """The workspace's own control plane; None where there is no workspace, or its keys are not here (a clone)."""
    try:
        settings = settings_of(workspace)
    except NotFound:
        if workspace is not None:
            raise
        return None
    if not settings.key_file.is_file() and not os.environ.get("TIDEGATE_ADMIN_TOKEN"):
        return None
    return Login(settings.control_url, read_keys(settings, os.environ).admin_token)


def _error_of(answer: httpx.Response) -> TidegateError:
    """The error that the server named, of its own kind."""
    try:
        fields = msgspec.json.decode(answer.content, type=dict[str, dict[str, str | None]])["error"]
        message, mend, code = fields["message"] or "", fields.get("mend") or "", fields["code"] or ""
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return _not_control(answer)
    if answer.status_code == 404:
        missing = NotFound("thing", code, mend=mend, code=code)
        missing.message = message  # worded by the server already, nearest names and all
        return missing
    return KINDS.get(answer.status_code, TidegateError)(message, mend=mend, code=code)


def _not_control(answer: httpx.Response) -> TidegateError:
    kind = answer.headers.get("content-type", "no type")
    return ProviderFailed(
        f"{answer.url} answered {answer.status_code} ({kind}), which is not control's way.",
        status=answer.status_code,
        mend="Check the address: control listens on port 8081 by default, the gateway on 8080.",
        code="not_control",
    )


def _is_loopback(server: str) -> bool:
    """A proxy of the environment is never asked for what runs on this machine."""
    return httpx.URL(server).host in ("127.0.0.1", "localhost", "::1")
