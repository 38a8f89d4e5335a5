"""Access tokens for Google Cloud: from a service account's key, renewed before they run out, never on a call's way
while the last one lives.

OAuth 2.0 for service accounts: https://developers.google.com/identity/protocols/oauth2/service-account (the JWT, its
claims, the grant type); RFC 7515 for the JWS, RFC 7523 for the grant (read 2026-11).
"""

import asyncio
import base64
import time
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidegate.gateway.ports import Upstreams
from tidegate.gateway.upstream.target import HEADER_VALUE, Target, make_target
from tidegate.kernel.errors import Invalid, ProviderFailed

__all__ = ["ReadyToken", "ServiceAccount", "ServiceTokens", "read_account"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
LIFE_S = 3600
RENEW_BEFORE_S = 300.0
LEAVE_BEFORE_S = 10.0
AGAIN_AFTER_S = 5.0
FETCH_S = 10.0
FORM: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept-Encoding": "identity",
    "User-Agent": "tidegate",
}


class ServiceAccount(msgspec.Struct, frozen=True):
    """The fields of a service account's key file that we use."""

    type: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = TOKEN_URI


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = LIFE_S


class ReadyToken:
    """A token that somebody else keeps fresh."""

    def __init__(self, token: str) -> None:
        self._line = _bearer(token)

    def lines(self, target: Target, path: str, body: bytes) -> str:
        """See `Signer`."""
        return self._line


class ServiceTokens:
    """A service account's tokens: `prepare` fetches and renews them, `lines` uses the living one.

    While a token lives, its renewal runs beside the calls; without one, calls wait for the one fetch that is under way.
    """

    def __init__(self, name: str, account: ServiceAccount) -> None:
        self._name = name
        self._account = account
        self._key = _private_key(name, account)
        uri = urlsplit(account.token_uri)
        self._path = uri.path or "/"
        self._target = make_target(f"{name}: token", f"{uri.scheme}://{uri.netloc}", {}, FORM)
        self._target.total_timeout_s = FETCH_S
        self._line = ""
        self._expires_s = 0.0
        self._again_s = 0.0
        self._task: asyncio.Task[ProviderFailed | None] | None = None

    def lines(self, target: Target, path: str, body: bytes) -> str:
        """See `Signer`."""
        return self._line

    async def prepare(self, upstreams: Upstreams) -> None:
        """See `Target.prepare`; raises ProviderFailed (`provider_auth`) when there is no token."""
        now = time.monotonic()
        if now < self._expires_s - RENEW_BEFORE_S:
            return
        alive = now < self._expires_s - LEAVE_BEFORE_S
        if self._task is None and (not alive or now >= self._again_s):
            self._task = asyncio.create_task(self._fetch(upstreams), name=f"token of {self._name}")
        if alive:
            return
        assert self._task is not None
        fault = await asyncio.shield(self._task)
        if fault is not None:
            raise fault.with_traceback(None)

    async def _fetch(self, upstreams: Upstreams) -> ProviderFailed | None:
        """Fetch a token; a fault is returned, since nobody may be waiting for it."""
        try:
            await self._ask(upstreams)
        except ProviderFailed as fault:
            self._again_s = time.monotonic() + AGAIN_AFTER_S
            return fault
        finally:
            self._task = None
        return None

    async def _ask(self, upstreams: Upstreams) -> None:
        form = urlencode({"grant_type": GRANT, "assertion": self._assertion(int(time.time()))}).encode()
        exchange = await upstreams.send(self._target, self._target.post(self._path, form), streaming=False)
        try:
            body = await exchange.whole()
        finally:
            exchange.release()
        try:
            if exchange.status == 200:
                granted = msgspec.json.decode(body, type=_Granted)
                self._line = _bearer(granted.access_token)
                self._expires_s = time.monotonic() + granted.expires_in
                return
        except (msgspec.DecodeError, UnicodeDecodeError, Invalid) as error:
            raise self._no_token(f"200 and no token ({error})") from error
        raise self._no_token(f"{exchange.status}: {body[:500].decode(errors='replace')}")

    def _no_token(self, why: str) -> ProviderFailed:
        return ProviderFailed(
            f"The token endpoint of model {self._name!r} answered {why}",
            mend="The operator must check the service account and the clock.",
            code="provider_auth",
        )

    def _assertion(self, now_s: int) -> str:
        """The signed JWT that is exchanged for a token."""
        account = self._account
        head = {"alg": "RS256", "typ": "JWT"} | ({"kid": account.private_key_id} if account.private_key_id else {})
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now_s,
            "exp": now_s + LIFE_S,
        }
        signed = b".".join((_base64url(msgspec.json.encode(head)), _base64url(msgspec.json.encode(claims))))
        return b".".join((signed, _base64url(self._key.sign(signed, PKCS1v15(), SHA256())))).decode()


def read_account(name: str, text: bytes, variable: str) -> ServiceAccount:
    """Read a service account's key file; raises Invalid."""
    try:
        account = msgspec.json.decode(text, type=ServiceAccount)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_file(name, variable, str(error)) from error
    if account.type != "service_account":
        raise _bad_file(name, variable, f"its type is {account.type!r}")
    return account


def _bad_file(name: str, variable: str, why: str) -> Invalid:
    return Invalid(
        f"The file that {variable} names for model {name!r} is no service account's key: {why}.",
        mend="Name the JSON key of a service account, or set options.auth to `token` and a token in the variable.",
        code="bad_credentials",
    )


def _private_key(name: str, account: ServiceAccount) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(account.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(
            f"The private key of the service account of model {name!r} cannot be read: {error}.",
            mend="Fetch a new JSON key.",
            code="bad_credentials",
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise Invalid(
            f"The private key of the service account of model {name!r} is no RSA key.",
            mend="Fetch a new JSON key.",
            code="bad_credentials",
        )
    return key


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _bearer(token: str) -> str:
    if not HEADER_VALUE.fullmatch(token):
        raise Invalid("The token holds a sign that HTTP cannot carry.", mend="Fetch it anew.", code="invalid_header")
    return f"Authorization: Bearer {token}\r\n"
