"""What the gateway serves, as one table. A path that is not here gets a typed 404 that lists what is."""

import msgspec

from tidegate.kernel.errors import NotFound

__all__ = ["ENDPOINTS", "Endpoint", "find_endpoint"]


class Endpoint(msgspec.Struct, frozen=True):
    """One served path. `kind` is `inference` (recorded, sent upstream) or `listing` (answered from the Snapshot).

    `upstream_path` is joined to a deployment's base URL; `required` are the fields without which the upstream cannot
    begin; `streams` when it may answer with events; `family` is whose shape its errors have; `output_fields` bound the
    answer's tokens, the newest name first.
    """

    name: str
    method: str
    path: str
    kind: str = "inference"
    upstream_path: str = ""
    required: tuple[str, ...] = ()
    scope: str = "inference"
    streams: bool = False
    family: str = "openai"
    output_fields: tuple[str, ...] = ()


ENDPOINTS = (
    Endpoint(
        "chat.completions",
        "POST",
        "/v1/chat/completions",
        upstream_path="/chat/completions",
        required=("messages",),
        streams=True,
        output_fields=("max_completion_tokens", "max_tokens"),
    ),
    Endpoint(
        "completions",
        "POST",
        "/v1/completions",
        upstream_path="/completions",
        required=("prompt",),
        streams=True,
        output_fields=("max_tokens",),
    ),
    Endpoint(
        "responses",
        "POST",
        "/v1/responses",
        upstream_path="/responses",
        required=("input",),
        streams=True,
        output_fields=("max_output_tokens",),
    ),
    Endpoint(
        "messages",
        "POST",
        "/v1/messages",
        upstream_path="/messages",
        required=("messages", "max_tokens"),
        streams=True,
        family="anthropic",
        output_fields=("max_tokens",),
    ),
    Endpoint(
        "messages.count_tokens",
        "POST",
        "/v1/messages/count_tokens",
        upstream_path="/messages/count_tokens",
        required=("messages",),
        family="anthropic",
    ),
    Endpoint("embeddings", "POST", "/v1/embeddings", upstream_path="/embeddings", required=("input",)),
    Endpoint("models", "GET", "/v1/models", kind="listing"),
    Endpoint("model", "GET", "/v1/models/{name}", kind="listing"),
    Endpoint("prompts", "GET", "/v1/prompts", kind="listing", scope="prompts"),
)

_BY_PATH = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
_ONE_MODEL = _BY_PATH["GET", "/v1/models/{name}"]


def find_endpoint(method: str, path: str) -> Endpoint:
    """Return the endpoint (HEAD is asked as GET is); raises NotFound (`unsupported_endpoint`) with the paths that are
    served.
    """
    found = _BY_PATH.get((method, path))
    if found is not None:
        return found
    if method == "HEAD":
        return find_endpoint("GET", path)
    if method == "GET" and path.startswith("/v1/models/") and len(path) > len("/v1/models/"):
        return _ONE_MODEL
    raise NotFound(
        "endpoint",
        f"{method} {path[:256]}",
        mend="Served: " + ", ".join(f"{e.method} {e.path}" for e in ENDPOINTS) + ".",
        code="unsupported_endpoint",
    )
