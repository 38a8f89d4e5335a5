"""The command line's way to control: HTTP with a token, errors coming back as what they were on the other side."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from tidegate.doors.cli.logins import Login, read_logins
from tidegate.doors.cli.options import settings_of
from tidegate.doors.cli.trust import Trust, check_way, is_loopback, speaks_no_tls, untrusted
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
from tidegate.settings import Settings, read_key

__all__ = ["API", "Remote", "connect", "part"]

API = "/api/v1"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
ONE_BY_ONE = httpx.Limits(max_keepalive_connections=0)
"""A command asks once or twice: no connection is kept, so none is left open."""

EVERYWHERE = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "[::1]"})  # noqa: S104
"""Who listens everywhere is asked on loopback."""

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

    def __init__(
        self, login: Login, trust: Trust | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Raises Invalid: `token_in_clear` for plain HTTP to another machine, `bad_ca_file`."""
        check_way(login.server, os.environ)
        self.server = login.server
        self.is_local = is_loopback(login.server)
        trust = trust or _trust_of(login)
        self._client = httpx.Client(
            base_url=login.server,
            headers={"authorization": f"Bearer {login.token}"},
            timeout=TIMEOUT,
            limits=ONE_BY_ONE,
            transport=transport,
            verify=trust.context() if login.server.startswith("https://") else False,
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
            raise _no_answer(self.server, error) from error
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
        return Remote(_meant(named.rstrip("/"), token))
    if own is not None:
        return Remote(Login(own.server, token or own.token), _own_trust(own))
    remembered = read_logins().newest()
    if remembered is not None:
        return Remote(_meant(remembered.server, token))
    raise NotFound(
        "control plane", workspace.name if workspace else "default",
        mend="Go into a workspace (or pass --workspace), or run `tidegate login --server URL`.",
    )  # fmt: skip


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


class _Own(NamedTuple):
    """The workspace's own control plane, on this machine."""

    server: str
    token: str
    settings: Settings


def _meant(server: str, token: str) -> Login:
    """The server with the token that was given, else the one of its login."""
    logins = read_logins()
    known = logins.of(server)
    return Login(server, token or logins.token(server), known.ca_file if known is not None else None)


def _trust_of(login: Login) -> Trust:
    """TIDEGATE_CONTROL_CA_FILE, else what was named when logging in."""
    file = os.environ.get("TIDEGATE_CONTROL_CA_FILE") or login.ca_file
    return Trust(Path(file)) if file else Trust()


def _own_trust(own: _Own) -> Trust:
    """The workspace's own control must show the certificate that the settings name: no authority is needed for that."""
    settings = own.settings
    own_cert = settings.workspace / settings.control_tls_cert
    if settings.control_tls_cert and own_cert.is_file():
        return Trust(exactly=own_cert)
    return Trust(settings.workspace / settings.control_ca_file) if settings.control_ca_file else Trust()


def _own(workspace: Path | None) -> _Own | None:
    """The workspace's own control plane; None where there is no workspace, or its keys are not here (a clone)."""
    try:
        settings = settings_of(workspace)
    except NotFound:
        if workspace is not None:
            raise
        return None
    if not settings.key_file.is_file() and not os.environ.get("TIDEGATE_ADMIN_TOKEN"):
        return None
    loopback = EVERYWHERE.get(settings.control_host)
    if loopback is not None:
        settings = msgspec.structs.replace(settings, control_host=loopback)
    return _Own(settings.control_url, read_key(settings, os.environ, "admin_token"), settings)


def _no_answer(server: str, error: Exception) -> Unavailable:
    """Why there was none, as far as the connection tells."""
    why = untrusted(error)
    if why is not None:
        return Unavailable(
            f"The certificate of {server} is not trusted: {why}.",
            mend="Name its authority: `tidegate login --server URL --ca-file FILE`, or TIDEGATE_CONTROL_CA_FILE.",
            code="control_untrusted",
        )
    if speaks_no_tls(error):
        return Unavailable(
            f"What answers at {server} speaks no TLS.",
            mend="If control was started before it was given a certificate, start it again; else name it by http://.",
            code="control_speaks_no_tls",
        )
    tls = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and server.startswith("http://")
    return Unavailable(
        f"Control does not answer at {server}.",
        mend=("If it speaks TLS, name it by https://. Else s" if tls else "S")
        + "tart it with `tidegate up`, or name another with --server URL.",
        code="control_unreachable",
    )


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
