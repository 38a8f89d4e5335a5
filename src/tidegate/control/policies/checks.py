"""What `tidegate.yaml` must hold beyond types: names, addresses, units, references, and no secret."""

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import msgspec

from tidegate.control.policies.addresses import address_fault, public_address
from tidegate.control.policies.leaks import SECRET_HEADERS, find_secrets, is_secret
from tidegate.control.policies.limit_checks import LIMIT_COMPLAINTS
from tidegate.control.policies.model_shape import PROVIDERS, ModelBlock, PriceBlock
from tidegate.control.policies.reading import Complaint, Complaints, name_hint
from tidegate.control.policies.route_checks import ROUTE_COMPLAINTS
from tidegate.control.policies.shape import ConfigFile, NotifierBlock, PoliciesBlock, PromptsBlock
from tidegate.jobs.notifications import EVENTS
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.names import check_name

__all__ = ["COMPLAINTS", "secrets_in"]

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ORIGIN = re.compile(r"^https?://(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[1-9][0-9]{0,4})?$")
_HOST = re.compile(r"^([0-9a-f:]*:[0-9a-f:.]*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$")
_HEADER = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
_OURS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
    }
)
_NEEDED_OPTIONS: Final = MappingProxyType({"vertex": ("project", "location"), "bedrock": ("region",)})
_SMALLEST_USD_PER_1M = 0.0001
_PRICE_MEND = (
    "Prices are US dollars for 1,000,000 tokens: "
    "{input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.60}, or `auto`; of GPUs of your own: "
    "{gpu: {usd_per_hour: 2.5, gpus: 4, tokens_per_second: 6000}}."
)
_INTO_VARIABLE = "Put it into an environment variable and name that: `api_key_env`, `url_env`, TIDEGATE_DATABASE_URL."


def _name(value: str) -> Complaint | None:
    try:
        check_name("thing", value)
    except Invalid as error:
        return Complaint("invalid_name", "cannot be a name", error.mend)
    return None


def _adapter(value: str) -> Complaint | None:
    if ":" in value:
        return Complaint("invalid_name", "has a ':', which parts the alias from the adapter", "Leave the ':' out.")
    return _name(value)


def _provider(value: str) -> Complaint | None:
    if value in PROVIDERS:
        return None
    mend = name_hint(value, list(PROVIDERS), "Providers")
    return Complaint(
        "unknown_provider",
        f"is {value!r}, which is no provider",
        f"{mend} `openai` is any server with OpenAI's API.",
    )


def _base_url(value: str) -> Complaint | None:
    fault = address_fault(value)
    return Complaint("bad_url", *fault) if fault else None


def _notifier_url(value: str) -> Complaint | None:
    fault = address_fault(value, query=True)
    return Complaint("bad_url", *fault) if fault else None


def _variable(value: str) -> Complaint | None:
    if is_secret(value):
        return None  # secrets_in() says so
    if not _VARIABLE.match(value):
        return Complaint(
            "bad_variable",
            "is not the name of an environment variable",
            "Write its name only, as OPENAI_API_KEY.",
        )
    return None


def _headers(value: dict[str, str]) -> Complaint | None:
    for name, text in value.items():
        if SECRET_HEADERS.match(name):
            return Complaint("literal_secret", f"has {name}, which carries a secret", _INTO_VARIABLE)
        if name.lower() in _OURS:
            return Complaint("bad_header", f"has {name}, which the gateway writes itself", "Leave it out.")
        if not _HEADER.match(name) or not text.isprintable() or not text.isascii():
            return Complaint(
                "bad_header", f"has {name!r}, which HTTP does not allow", "Use printable ASCII, on one line."
            )
    return None


def _price(value: object) -> Complaint | None:
    """A price whose unit is not plain is refused; far below any real one, it is dollars for one token."""
    if value is None or value == "auto":
        return None
    if not isinstance(value, dict):
        return Complaint("price_unit", f"is {value!r}, which has no unit", _PRICE_MEND)
    units = {field.encode_name for field in msgspec.structs.fields(PriceBlock)}
    for name, number in value.items():
        if name not in units:
            return Complaint("price_unit", f"has `{name}`, whose unit is not the one that is meant here", _PRICE_MEND)
        if isinstance(number, int | float) and 0 < number < _SMALLEST_USD_PER_1M:
            return Complaint(
                "price_unit", f"has {number} as `{name}`, which looks like dollars for one token", _PRICE_MEND
            )
    return None


def _whole_price(value: dict[str, object]) -> Complaint | None:
    """By GPU-hour, or by token in both directions; tiers rise."""
    given = {name for name, one in value.items() if one is not None}
    if "gpu" in given:
        others = sorted(given - {"gpu"})
        message = f"has `gpu` and `{others[0]}`" if others else ""
        return Complaint("two_prices", message, "Give prices by token, or by GPU-hour.") if others else None
    for name in ("input_usd_per_1m_tokens", "output_usd_per_1m_tokens"):
        if name not in given:
            return Complaint("missing_field", f"has no `{name}`", f"`{name}`: US dollars for 1,000,000 tokens.")
    return None


def _tiers(value: list[dict[str, int]]) -> Complaint | None:
    edges = [one["above_input_tokens"] for one in value]
    if edges != sorted(set(edges)):
        return Complaint("bad_tiers", "do not rise", "Order them by `above_input_tokens`, each once.")
    return None


def _model(value: dict[str, object]) -> Complaint | None:
    """One key at most, and an address where the provider has none of its own."""
    if value.get("api_key_env") is not None and value.get("secret") is not None:
        return Complaint("two_keys", "has `api_key_env` and `secret`", "Leave one of them out.")
    provider, given = value.get("provider"), value.get("options")
    options = given if isinstance(given, dict) else {}
    if provider not in PROVIDERS:
        return None
    told = provider == "bedrock" and "//bedrock-runtime" in str(value.get("base_url"))  # its region is in the address
    needed = () if told else _NEEDED_OPTIONS.get(str(provider), ())
    missing = [name for name in needed if not options.get(name)]
    if missing:
        words = ", ".join(f"{name}: ..." for name in _NEEDED_OPTIONS[str(provider)])
        return Complaint("missing_option", f"has no option `{missing[0]}`", f"Write options: {{{words}}}.")
    if value.get("base_url") is None and public_address(str(provider), options) is None:
        mend = "Write where its API begins, up to and with /v1, as https://llm.example/v1."
        return Complaint("missing_field", "has no `base_url`", mend)
    return None


def _origins(value: list[str]) -> Complaint | None:
    for origin in value:
        if origin != "*" and not _ORIGIN.match(origin):
            return Complaint(
                "bad_origin",
                f"has {origin!r}, which is no origin",
                "Write scheme and host, and a port if it is not the usual one: https://app.example. No path.",
            )
    return None


def _hosts(value: list[str]) -> Complaint | None:
    for host in value:
        if not _HOST.match(host):
            return Complaint("bad_host", f"has {host!r}, which is no host", "Write the host alone: api.openai.com.")
    return None


def _repository(value: str) -> Complaint | None:
    if "\n" in value or "\0" in value or value.startswith("-"):
        return Complaint(
            "bad_repository",
            "is no folder and no URL",
            "Write a folder, as `.`, or a URL that Git understands.",
        )
    return None


def _notifier(value: object) -> Complaint | None:
    if isinstance(value, dict) and (value.get("url") is None) == (value.get("url_env") is None):
        return Complaint("bad_notifier", "has no address, or two", "Give `url` or `url_env`.")
    return None


def _events(value: object) -> Complaint | None:
    for event in value if isinstance(value, tuple | list) else ():
        if event not in EVENTS:
            return Complaint(
                "unknown_event",
                f"has {event!r}, which never happens",
                name_hint(str(event), list(EVENTS), "Events"),
            )
    return None


COMPLAINTS: Final[Complaints] = {
    (ConfigFile, "models*"): _name,
    (ConfigFile, "routes*"): _name,
    (ConfigFile, "environments*"): _name,
    (ModelBlock, "provider"): _provider,
    (ModelBlock, "base_url"): _base_url,
    (ModelBlock, "api_key_env"): _variable,
    (ModelBlock, "headers"): _headers,
    (ModelBlock, "price!"): _price,
    (ModelBlock, ""): _model,
    (ModelBlock, "secret"): _name,
    (ModelBlock, "adapters*"): _adapter,
    (PriceBlock, ""): _whole_price,
    (PriceBlock, "tiers"): _tiers,
    (PoliciesBlock, "cors_origins"): _origins,
    (PoliciesBlock, "allowed_hosts"): _hosts,
    (PromptsBlock, "repository"): _repository,
    (NotifierBlock, ""): _notifier,
    (NotifierBlock, "name"): _name,
    (NotifierBlock, "url"): _notifier_url,
    (NotifierBlock, "url_env"): _variable,
    (NotifierBlock, "events"): _events,
    **ROUTE_COMPLAINTS,
    **LIMIT_COMPLAINTS,
}


def secrets_in(text: str, file: str) -> Iterator[InvalidDocument]:
    """Yield a fault for each line that holds a secret. The message shows its first letters only."""
    for line, masked in find_secrets(text):
        yield InvalidDocument(
            f"A secret stands in the file ({masked}).",
            file=file,
            line=line,
            mend=_INTO_VARIABLE,
            code="literal_secret",
        )
