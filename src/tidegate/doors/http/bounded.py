"""What uvicorn's HTTP connection lets pass and the raw door does not is refused by this one: heads without end, targets
that are no paths, trailers as headers, bytes after the end.
"""

import asyncio
import logging
from abc import abstractmethod
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidegate.doors.http.bounds import HEAD, IDLE, Bounds, Refusal

__all__ = ["BoundedConnection"]

log = logging.getLogger(__name__)


class BoundedConnection(Bounds, HttpToolsProtocol):
    """Made by whoever serves, who sets `limits`; `refuse` says what becomes of a client that is refused. `touched` and
    `began` (loop time, seconds) are when it last made progress, and when its request began.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self.touched = self.began = self.loop.time()
        self.refused: Refusal | None = None
        self.body_size = 0

    @abstractmethod
    def refuse(self, refused: Refusal) -> None:
        """Answer, and read nothing more."""

    # What asyncio calls.

    def data_received(self, data: bytes) -> None:
        if self.refused is not None or self.parser is None:
            return
        self._unset_keepalive_if_required()
        self.touched = self.loop.time()
        before = self.body_size
        try:
            self.parser.feed_data(data)
            self.fed(len(data), self.body_size != before)
        except Refusal as refused:
            self.refuse(refused)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refusal):
                log.error("reading a request failed", exc_info=cause)
                cause = Refusal(400, "This request cannot be read.")
            self.refuse(cause)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.refuse(Refusal(400, f"This is not a well-formed HTTP/1.1 request: {error}."))

    def pause_writing(self) -> None:
        self.touched = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.touched = self.loop.time()
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.message_begins()
        self.began = self.touched
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count_header(len(name) + len(value))
        if self.phase is HEAD:  # trailers go nowhere
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self.body_size += len(body)
        if self.cycle.response_complete and self.body_size > self.limits.discard_bytes:
            raise Refusal(413, "The body does not end.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.phase = IDLE
        super().on_message_complete()
