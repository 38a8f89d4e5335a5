"""A small HTTP server for tests, on a port of the kernel's choice: what it answers is a function."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import msgspec

__all__ = ["Answer", "Asked", "models_answer", "serve"]


class Answer(NamedTuple):
    """What the server says."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    """What the server was asked."""

    path: str
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = b""


def models_answer(*names: str) -> Answer:
    """The answer of an OpenAI-compatible server to GET /v1/models."""
    models = [{"id": name, "object": "model"} for name in names]
    return Answer(body=msgspec.json.encode({"object": "list", "data": models}))


@contextmanager
def serve(answer: Callable[[Asked], Answer]) -> Iterator[str]:
    """Serve GET and PUT requests and yield the server's address, without a path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            said = answer(Asked(self.path, headers, self.command, body))
            self.send_response(said.status)
            for name, value in {"content-type": said.content_type, **said.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_PUT = do_GET  # noqa: N815  # the base class names it so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
