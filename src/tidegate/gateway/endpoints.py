"""What the gateway serves, as one table. A path that is not here gets a typed 404 that lists what is."""

import re

import msgspec

from tidegate.kernel.errors import NotFound

__all__ = ["ENDPOINTS", "Endpoint", "find_endpoint"]


class Endpoint(msgspec.Struct, frozen=True):
    """One served path. `kind` is `inference` (recorded, sent upstream), `passthrough` (recorded, passed on as it is),
    `feedback` (scores for a call, stored; itself no call) or `listing` (answered from the Snapshot).

    `upstream_path` is joined to a deployment's base URL; `required` are the fields without which the upstream cannot
    begin; `streams` when it may answer with events; `family` is whose shape its errors have; `output_fields` bound the
    answer's tokens, the newest name first; `names_model` when the body of a pass-through names the model, else a
    header or the query does.
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
    names_model: bool = False


def _passed(name: str, path: str, method: str = "POST", *, names_model: bool = True) -> Endpoint:
    return Endpoint(name, method, f"/v1{path}", kind="passthrough", names_model=names_model)


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
    _passed("images.generations", "/images/generations"),
    _passed("images.edits", "/images/edits"),
    _passed("images.variations", "/images/variations"),
    _passed("audio.speech", "/audio/speech"),
    _passed("audio.transcriptions", "/audio/transcriptions"),
    _passed("audio.translations", "/audio/translations"),
    _passed("moderations", "/moderations"),
    _passed("rerank", "/rerank"),
    _passed("score", "/score"),
    _passed("files.create", "/files", names_model=False),
    _passed("files.list", "/files", "GET", names_model=False),
    _passed("files.get", "/files/{id}", "GET", names_model=False),
    _passed("files.content", "/files/{id}/content", "GET", names_model=False),
    _passed("files.delete", "/files/{id}", "DELETE", names_model=False),
    _passed("batches.create", "/batches", names_model=False),
    _passed("batches.list", "/batches", "GET", names_model=False),
    _passed("batches.get", "/batches/{id}", "GET", names_model=False),
    _passed("batches.cancel", "/batches/{id}/cancel", names_model=False),
    Endpoint("feedback", "POST", "/v1/feedback", kind="feedback"),
    Endpoint("models", "GET", "/v1/models", kind="listing"),
    Endpoint("model", "GET", "/v1/models/{name}", kind="listing"),
    Endpoint("prompts", "GET", "/v1/prompts", kind="listing", scope="prompts"),
)

_BY_PATH = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
_ONE_MODEL = _BY_PATH["GET", "/v1/models/{name}"]
_OF_ONE = re.compile(r"(/v1/(?:files|batches)/)(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._:-]{1,256}(/content|/cancel)?")
"""A path that names one file or batch: nothing in its id can lead elsewhere at the upstream."""


def find_endpoint(method: str, path: str) -> Endpoint:
    """Return the endpoint (HEAD is asked as GET is); raises NotFound (`unsupported_endpoint`) with the paths that are
    served.
    """
    found = _BY_PATH.get((method, path))
    if found is not None:
        return found
    one = _OF_ONE.fullmatch(path)
    if one is not None:
        found = _BY_PATH.get((method, f"{one[1]}{{id}}{one[2] or ''}"))
        if found is not None:
            return found
    if method == "HEAD":
        asked = find_endpoint("GET", path)
        if asked.kind == "listing":
            return asked
    if method == "GET" and path.startswith("/v1/models/") and len(path) > len("/v1/models/"):
        return _ONE_MODEL
    raise NotFound(
        "endpoint",
        f"{method} {path[:256]}",
        mend="Served: " + ", ".join(f"{e.method} {e.path}" for e in ENDPOINTS) + ".",
        code="unsupported_endpoint",
    )
