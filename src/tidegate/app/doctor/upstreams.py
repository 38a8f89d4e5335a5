"""Checks of what the configuration points at: model servers, their keys and prices, notifiers."""

import ipaddress
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tidegate.adapters.http.models import ModelsAnswer, ask_models
from tidegate.adapters.xllamacpp.weights import WHEELS, engine_is_here, find_weights
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.app.doctor.serving import supervised
from tidegate.app.prices import PricesOnDemand
from tidegate.gateway.providers.anthropic.provider import VERSION
from tidegate.gateway.providers.azure.provider import models_path
from tidegate.kernel.errors import TidegateError
from tidegate.live.snapshot import Deployment

__all__ = ["check_models", "check_notifiers", "check_prices"]

ANSWER_S = 3.0
AT_ONCE = 16
SHOWN = 5


def check_models(patient: Patient) -> Iterator[Finding]:
    """Ask every model server for its models, all at once; no token is spent. Those of a provider that has no such
    question, or that signs its requests, are only connected to: no key is sent.
    """
    deployments = list(patient.config.deployments.values()) if patient.config else []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda one: _ask(patient, one), deployments)
        for deployment, answer in zip(deployments, answers, strict=True):
            yield from _key(patient, deployment)
            if answer is not None:
                yield from _server(patient, deployment, answer)


def check_prices(patient: Patient) -> Iterator[Finding]:
    """A model without a price: its costs are unknown, and no budget can hold it."""
    if patient.config is None:
        return
    listed = _catalogue(patient)
    for deployment in patient.config.deployments.values():
        if deployment.price is None and deployment.name not in listed:
            yield found("price_unknown", model=deployment.name)


def check_notifiers(patient: Patient) -> Iterator[Finding]:
    """A notifier whose address stands in a variable that is not set."""
    for notifier in patient.config.notifiers if patient.config else ():
        if notifier.url_env is not None and not patient.environ.get(notifier.url_env):
            yield found("notifier_unset", name=notifier.name, variable=notifier.url_env)


def _ask(patient: Patient, deployment: Deployment) -> ModelsAnswer | None:
    """The server's answer, asked in its provider's own words; None when its key is not here, for then it can only
    refuse. A key is sent to the provider that it is for, in that provider's header, or not at all.
    """
    provider, url = deployment.provider, deployment.base_url
    if provider not in ("openai", "azure", "anthropic") or deployment.secret is not None:
        return _connect(url)  # a sealed secret is opened in the gateway alone
    key = None
    if deployment.api_key_env is not None:
        key = patient.environ.get(deployment.api_key_env, "").strip()
        if not key:
            return None
    if provider == "openai":
        return ask_models(url, api_key=key, headers=deployment.headers, timeout_s=ANSWER_S)
    if provider == "anthropic":
        own = {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})
        if not urlsplit(url).path.strip("/"):
            url = url.rstrip("/") + "/v1"  # as the gateway completes it
        return ask_models(url, headers=own | deployment.headers, timeout_s=ANSWER_S)
    bearer = deployment.options.get("auth") == "bearer"
    own = {"api-key": key} if key and not bearer else {}
    path = models_path(deployment)
    return ask_models(
        url, api_key=key if bearer else None, headers=own | deployment.headers, path=path, timeout_s=ANSWER_S
    )


def _connect(url: str) -> ModelsAnswer:
    """Whether the server takes a connection; nothing is said to it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=ANSWER_S).close()
    except (OSError, UnicodeError) as error:
        return ModelsAnswer("unreachable", str(error) or type(error).__name__)
    return ModelsAnswer("connected")


def _key(patient: Patient, deployment: Deployment) -> Iterator[Finding]:
    variable = deployment.api_key_env
    if variable is None:
        return
    if not patient.environ.get(variable):
        yield found("api_key_unset", model=deployment.name, variable=variable)
    if deployment.base_url.startswith("http://") and not _is_private(deployment.base_url):
        yield found("key_over_http", model=deployment.name, url=deployment.base_url)


def _server(patient: Patient, deployment: Deployment, answer: ModelsAnswer) -> Iterator[Finding]:
    model, url = deployment.name, deployment.base_url
    if answer.kind == "connected":
        yield found("model_key_unchecked", model=model, url=url, provider=deployment.provider)
        return
    if answer.kind == "models" and deployment.provider != "openai":
        yield found("model_name_unchecked", model=model, url=url, provider=deployment.provider)
        return
    if answer.kind == "models":
        if deployment.upstream_model not in answer.models:
            known = ", ".join(answer.models[:SHOWN]) or "none"
            yield found("model_unknown", model=model, url=url, id=deployment.upstream_model, known=known)
        return
    if answer.kind == "unreachable" and _is_local_model(patient, url) and not supervised(patient.settings.run_dir):
        yield from _local_model(model)
        return
    codes = {
        "unreachable": "model_unreachable",
        "unauthorized": "model_refuses_key",
        "not_found": "model_unlisted",
        "not_json": "model_not_json",
        "failed": "model_failing",
    }
    yield found(codes[answer.kind], model=model, url=url, reason=answer.detail)


def _local_model(model: str) -> Iterator[Finding]:
    """The local model is started by `tidegate up`: all it takes is that its parts are there."""
    try:
        find_weights()
    except TidegateError as error:
        yield found("local_model_missing", model=model, reason=error.message, mend=error.mend)
        return
    if not engine_is_here():
        yield found("local_model_missing", model=model, reason="xllamacpp is not installed.", mend=WHEELS)


def _is_local_model(patient: Patient, url: str) -> bool:
    """Whether this is the server that Tidegate itself starts."""
    parts = urlsplit(url)
    return parts.port == patient.settings.model_port and parts.hostname in ("127.0.0.1", "localhost")


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal"))


def _catalogue(patient: Patient) -> frozenset[str]:
    """The deployments with `price: auto` that the catalogue lists."""
    config = patient.config
    if config is None or not config.auto_priced:
        return frozenset()
    prices = PricesOnDemand()
    asked = [config.deployments[name] for name in config.auto_priced]
    return frozenset(one.name for one in asked if prices.price(one.base_url, one.upstream_model) is not None)
