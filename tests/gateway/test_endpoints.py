"""What is served and what is not."""

import pytest

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, get, post
from tidegate.gateway.endpoints import ENDPOINTS, find_endpoint
from tidegate.kernel.errors import NotFound


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_every_endpoint_is_found_by_its_own_method_alone(endpoint: object) -> None:
    assert isinstance(endpoint, type(ENDPOINTS[0]))
    path = endpoint.path.replace("{name}", "gpt").replace("{id}", "file-1")
    assert find_endpoint(endpoint.method, path) is endpoint
    served = {one.method for one in ENDPOINTS if one.path == endpoint.path}
    for method in {"GET", "POST", "PUT", "DELETE"} - served:
        with pytest.raises(NotFound):
            find_endpoint(method, path)


UNSERVED = [
    "POST /v1/threads",
    "POST /v1/models",
    "POST /v1/images/upscales",
    "GET /v1/files/../content",
    "GET /v1/files/a/b",
    "GET /",
    "GET /v1/chat/completions",
    "GET /v1/models/",
    "GET /v1//models",
    "DELETE /v1/models/gpt",
]


@pytest.mark.parametrize("request_line", UNSERVED)
def test_what_is_not_served_is_a_typed_404_that_lists_what_is(gateway: RunningGateway, request_line: str) -> None:
    method, path = request_line.split()
    with Wire(gateway.port) as wire:
        reply = wire.ask(post(path, {}) if method == "POST" else get(path, method=method))
    assert (reply.status, reply.error["code"], reply.error["type"]) == (
        404,
        "unsupported_endpoint",
        "invalid_request_error",
    )
    assert f"There is no endpoint named '{method} {path}'." in reply.error["message"]
    for served in ("POST /v1/chat/completions", "GET /v1/models", "POST /v1/embeddings"):
        assert served in reply.error["message"]
    assert gateway.records.stored == []


def test_a_long_path_is_not_said_back_whole(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        assert len(wire.ask(get("/" + "x" * 50_000)).body) < 2000
