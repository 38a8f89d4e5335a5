"""What `tidegate.yaml` must hold beyond types: names, addresses, units, references, and no secret."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from tidegate.control.policies.addresses import address_fault
from tidegate.control.policies.leaks import SECRET_HEADERS, find_secrets, is_secret
from tidegate.control.policies.reading import Complaint, Complaints, complain, name_hint
from tidegate.control.policies.shape import (
    PROVIDERS,
    ConfigFile,
    ModelBlock,
    NotifierBlock,
    PriceBlock,
    PromptsBlock,
)
from tidegate.jobs.notifications import EVENTS
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.names import check_name

__all__ = ["COMPLAINTS", "dangling", "secrets_in"]

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
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
_SMALLEST_USD_PER_1M = 0.0001
_PRICE_MEND = (
    "Prices are US dollars for 1,000,000 tokens: "
    "{input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.60}, or `auto`."
)
_INTO_VARIABLE = "Put it into an environment variable and name that: `api_key_env`, `url_env`, TIDEGATE_DATABASE_URL."


def _name(value: str) -> Complaint | None:
    try:
        check_name("thing", value)
    except Invalid as error:
        return Complaint("invalid_name", "cannot be a name", error.mend)
    return None


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
    (PromptsBlock, "repository"): _repository,
    (NotifierBlock, ""): _notifier,
    (NotifierBlock, "name"): _name,
    (NotifierBlock, "url"): _notifier_url,
    (NotifierBlock, "url_env"): _variable,
    (NotifierBlock, "events"): _events,
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


def dangling(document: Document) -> Iterator[InvalidDocument]:
    """Yield a fault for each route that leads to a model or environment that is not there.

    It reads the names as written, so that a model with a fault of its own is still a model.
    """
    models, routes = _block(document.value, "models"), _block(document.value, "routes")
    environments = _block(document.value, "environments") or dict.fromkeys(("dev", "staging", "production"))
    for alias, route in routes.items():
        if not isinstance(route, dict):
            continue
        path: Path = ("routes", alias)
        yield from _leads(document, (*path, "model"), route.get("model"), models)
        for environment, model in _block(route, "environments").items():
            where = (*path, "environments", environment)
            yield from _leads(document, where, model, models)
            if environment not in environments:
                complaint = Complaint(
                    "unknown_environment",
                    "is no environment",
                    name_hint(str(environment), environments, "Environments"),
                )
                yield complain(document, where, complaint)


def _leads(document: Document, path: Path, model: object, models: dict[str, object]) -> Iterator[InvalidDocument]:
    if isinstance(model, str) and model not in models:
        complaint = Complaint(
            "dangling_model",
            f"leads to {model!r}, which is not under `models`",
            name_hint(model, models, "Models"),
        )
        yield complain(document, path, complaint)


def _block(value: object, name: str) -> dict[str, object]:
    inner = value.get(name) if isinstance(value, dict) else None
    return {str(key): one for key, one in inner.items()} if isinstance(inner, dict) else {}
