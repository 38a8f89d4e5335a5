"""Ask a model server which models it has, without spending a token, and say plainly how it answers."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import httpx
import msgspec

__all__ = ["ModelsAnswer", "ask_models"]

LONGEST_ANSWER = 4 * 1024 * 1024

Kind = Literal["models", "connected", "unreachable", "unauthorized", "not_found", "failed", "not_json"]


class ModelsAnswer(NamedTuple):
    """How GET /models went; `connected`: the server was not asked. `detail` is for people; `models` is empty unless
    `kind` is `models`.
    """

    kind: Kind
    detail: str = ""
    models: tuple[str, ...] = ()


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def ask_models(
    base_url: str,
    *,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    path: str = "/models",
    timeout_s: float = 3.0,
) -> ModelsAnswer:
    """GET {base_url}{path} as the gateway would: no proxy, no redirect. The server cannot make it raise."""
    sent = dict(headers or {})
    if api_key is not None:
        sent["Authorization"] = f"Bearer {api_key}"
    try:
        with (
            httpx.Client(trust_env=False, follow_redirects=False, timeout=timeout_s) as client,
            client.stream("GET", f"{base_url.rstrip('/')}{path}", headers=sent) as response,
        ):
            return _understood(response)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return ModelsAnswer("unreachable", str(error) or type(error).__name__)


def _understood(response: httpx.Response) -> ModelsAnswer:
    status = response.status_code
    if status in (401, 403):
        return ModelsAnswer("unauthorized", f"HTTP {status}")
    if status == 404:
        return ModelsAnswer("not_found", "HTTP 404")
    if status != 200:
        return ModelsAnswer("failed", f"HTTP {status}")
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER:
            return ModelsAnswer("not_json", "an answer without end")
    try:
        listed = msgspec.json.decode(body, type=_Models)
    except msgspec.DecodeError:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        return ModelsAnswer("not_json", kind)
    return ModelsAnswer("models", models=tuple(model.id for model in listed.data))
