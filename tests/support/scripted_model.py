"""An OpenAI-compatible model that says what it is told to: fast, or as slowly as a test needs it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["ScriptedModel", "scripted_model"]

NAME = "scripted-1"
WORDS = ("A ", "repair ", "costs ", "40 ", "euros.")
USAGE = {"prompt_tokens": 49, "completion_tokens": len(WORDS), "total_tokens": 49 + len(WORDS)}
PATIENCE_S = 30.0


class ScriptedModel:
    """`url` ends in /v1. While `hold` is set, a stream stops after its first word until it is cleared."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = NAME
        self.asked: list[dict[str, object]] = []
        self._may_go_on = threading.Event()
        self._may_go_on.set()

    def hold(self) -> None:
        """Let streams stop after their first word."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        """Let them end."""
        self._may_go_on.set()

    def chunks(self) -> Iterator[dict[str, object]]:
        """A stream's events."""
        for number, word in enumerate(WORDS):
            if number == 1:
                self._may_go_on.wait(PATIENCE_S)
            delta = {"content": word} if number else {"role": "assistant", "content": word}
            yield _event([{"index": 0, "delta": delta, "finish_reason": None}])
        yield _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        yield {**_event([]), "usage": USAGE}

    def whole(self) -> dict[str, object]:
        """The same answer at once."""
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**_event([choice]), "object": "chat.completion", "usage": USAGE}


@contextmanager
def scripted_model() -> Iterator[ScriptedModel]:
    """Serve on a port of the kernel's choice."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    model = ScriptedModel(f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.RequestHandlerClass = _handler(model)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.go_on()
        server.shutdown()
        server.server_close()


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"object": "list", "data": [{"id": NAME, "object": "model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.asked.append(body)
            if body.get("stream"):
                self._stream()
            else:
                self._answer(model.whole())

        def _answer(self, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in model.chunks():
                self._chunk(f"data: {json.dumps(chunk)}\n\n")
            self._chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

        def _chunk(self, text: str) -> None:
            data = text.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            pass

    return Handler


def _event(choices: list[dict[str, object]]) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": NAME, "choices": choices}
