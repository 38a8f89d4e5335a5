"""Which addresses the platform may be told to call: not those where a cloud hands out its credentials."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from tidegate.kernel.addresses import METADATA_HOSTS, disguised_address, parse_address, refusal

__all__ = ["PUBLIC_ADDRESSES", "address_fault", "public_address"]

PUBLIC_ADDRESSES: Mapping[str, str] = MappingProxyType(
    {
        "openai": "https://api.openai.com/v1",
        "anthropic": "https://api.anthropic.com/v1",
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
        "vertex": "https://{location}-aiplatform.googleapis.com/v1",
        "bedrock": "https://bedrock-runtime.{region}.amazonaws.com",
    }
)
"""Where the providers' own APIs begin; the words in braces are taken from `options`.

Sources: platform.openai.com/docs/api-reference, docs.anthropic.com/en/api, ai.google.dev/api,
cloud.google.com/vertex-ai/docs/reference/rest, docs.aws.amazon.com/general/latest/gr/bedrock.html.
"""

_GLOBAL_VERTEX = "https://aiplatform.googleapis.com/v1"
_WORD = re.compile(r"^[a-z0-9][a-z0-9-]*$")

_DISGUISED = re.compile(r"^(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+))*\.?$", re.IGNORECASE)
_PRINTABLE = re.compile(r"^[!-~]+$")
_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|models)/?$")


def address_fault(url: str, *, query: bool = False) -> tuple[str, str] | None:
    """Return (what is wrong, its mend), or None for a good http or https address; `query`: it may have one.

    Loopback and private networks are allowed, for a model of one's own stands there; link-local, metadata and
    disguised addresses (0x7f000001, 2130706433, ::ffff:127.0.0.1) are not.
    """
    if not _PRINTABLE.match(url):
        return "has blanks or letters outside of ASCII", "Write it plainly: https://llm.example/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a URL ({error})", "Write it as https://llm.example/v1"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://", "Write it as https://llm.example/v1"
    if not parts.hostname or port == 0:
        return "names no host, or no port that exists", "Write it as https://llm.example/v1"
    return _form_fault(parts, query=query) or _host_fault(parts.hostname)


def public_address(provider: str, options: Mapping[str, object]) -> str | None:
    """The provider's public address; None for a provider that has none, or when `options` lacks a word of it."""
    pattern = PUBLIC_ADDRESSES.get(provider)
    if pattern is None:
        return None
    if provider == "vertex" and options.get("location") == "global":
        return _GLOBAL_VERTEX
    words = {name: word for name, word in options.items() if isinstance(word, str) and _WORD.match(word)}
    try:
        return pattern.format_map(words)
    except KeyError:
        return None


def _form_fault(parts: SplitResult, *, query: bool) -> tuple[str, str] | None:
    if parts.username is not None or parts.password is not None:
        return (
            "carries a user or password",
            "Leave it out; put the key into a variable and name it in `api_key_env`.",
        )
    if parts.fragment or (parts.query and not query):
        return "has a query or fragment", "End it with the path, for example /v1."
    endpoint = _ENDPOINT.search(parts.path)
    if endpoint and not query:
        return (
            f"goes on to an endpoint ({endpoint[0]})",
            "End it before the endpoint, at /v1: the gateway adds the rest.",
        )
    return None


def _host_fault(host: str) -> tuple[str, str] | None:
    if host.rstrip(".") in METADATA_HOSTS:
        return "is a cloud's metadata service, which hands out credentials", "Name the model server itself."
    address = parse_address(host)
    if address is None:
        if _DISGUISED.match(host):
            return "is an address in disguise", "Write it with four decimal parts, or by its name."
        return None
    if disguised_address(address):
        return "is an IPv4 address in disguise", "Write it with four decimal parts."
    refused = refusal(address)
    if refused is not None:
        return refused, "Name the model server itself; 127.0.0.1 is this machine."
    return None
