"""What `tidegate init` was asked for, and the lines of tidegate.yaml that follow from it."""

import json
import re
from string import Template
from urllib.parse import urlsplit

import msgspec

from tidegate.adapters.http.models import ask_models
from tidegate.adapters.xllamacpp.weights import SMOLLM2_ID
from tidegate.kernel.errors import Invalid

__all__ = ["InitOptions", "ModelChoice", "choose_model", "config_values"]

LOCAL_NAME = "smollm2"
_LOCAL_PRICE = """\
    price:  # an EXAMPLE of an internal price, so that costs show; without a price, costs are unknown
      input_usd_per_1m_tokens: 0.10  # dollars for 1,000,000 tokens of the request
      output_usd_per_1m_tokens: 0.40  # dollars for 1,000,000 tokens of the answer"""
_CATALOGUE_PRICE = "    price: auto  # from a dated catalogue; a model that it does not list costs an unknown amount"
_NO_KEY = "    api_key_env: null  # the variable that holds the server's key; null: it needs none"
_KEY = Template("    api_key_env: $name  # the variable that holds the server's key")


class InitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`model_url` None means the local model. `bare`: no prompts, no dataset, no Git repository."""

    model_url: str | None = None
    model_name: str | None = None
    api_key_env: str | None = None
    model_port: int = 8082
    bare: bool = False
    force: bool = False


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The model that the workspace begins with; `note` says what was decided on the way."""

    key: str
    base_url: str
    model: str
    api_key_env: str | None = None
    local: bool = False
    note: str = ""


def choose_model(options: InitOptions, api_key: str | None) -> ModelChoice:
    """Return the model; without a name, the server is asked for the one it has. Raises Invalid."""
    if options.model_url is None:
        if options.model_name or options.api_key_env:
            raise Invalid(
                "--model-name and --api-key-env describe a server, and none is given.",
                mend="Add --model URL, or leave them out for the local model.",
            )
        url = f"http://127.0.0.1:{options.model_port}/v1"
        return ModelChoice(key=LOCAL_NAME, base_url=url, model=SMOLLM2_ID, local=True)
    url, note = _with_path(options.model_url.rstrip("/"))
    name = options.model_name or _only_model(url, api_key)
    return ModelChoice(key=_key(name), base_url=url, model=name, api_key_env=options.api_key_env, note=note)


def config_values(choice: ModelChoice) -> dict[str, str]:
    """The values for the placeholders in the template of tidegate.yaml."""
    key = _KEY.substitute(name=json.dumps(choice.api_key_env)) if choice.api_key_env else _NO_KEY
    return {
        "model_key": choice.key,
        "base_url": choice.base_url if choice.local else json.dumps(choice.base_url),
        "model_id": choice.model if choice.local else json.dumps(choice.model, ensure_ascii=False),
        "key_line": key,
        "price_lines": _LOCAL_PRICE if choice.local else _CATALOGUE_PRICE,
    }


def _with_path(url: str) -> tuple[str, str]:
    try:
        bare = urlsplit(url).path == ""
    except ValueError:
        bare = False
    return (f"{url}/v1", f"{url} has no path: taken as {url}/v1.") if bare and "://" in url else (url, "")


def _only_model(url: str, api_key: str | None) -> str:
    answer = ask_models(url, api_key=api_key)
    if len(answer.models) == 1:
        return answer.models[0]
    if answer.models:
        shown = ", ".join(answer.models[:8])
        raise Invalid(f"{url} has {len(answer.models)} models: {shown}.", mend="Choose one: --model-name NAME.")
    raise Invalid(
        f"{url} does not say which model it has ({answer.detail or 'none listed'}).",
        mend="Name it: --model-name NAME.",
    )


def _key(model: str) -> str:
    """A name for the model in the file: the last part of its id, in small letters."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", model.rpartition("/")[2].lower())
    return re.sub(r"\.\.+", ".", plain).strip("._-")[:64].rstrip("._-") or "model"
