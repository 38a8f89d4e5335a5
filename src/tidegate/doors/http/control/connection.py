"""One client's connection to control: uvicorn's, held to limits in size and time, so that a client that sends heads
without end, or nothing at all, costs neither memory nor a connection for ever.
"""

import logging
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import msgspec
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tidegate.doors.http.bounded import BoundedConnection
from tidegate.doors.http.bounds import BODY, HEAD, Limits, Refusal
from tidegate.doors.http.control.errors import ErrorBody, ErrorFields

__all__ = ["LIMITS", "ControlConnection"]

log = logging.getLogger(__name__)

LIMITS = Limits()


class ControlConnection(BoundedConnection):
    """Between requests uvicorn's own timer for idle connections counts; before the first one there is `idle_s`."""

    limits = LIMITS
    _asked = False

    def on_headers_complete(self) -> None:
        hosts = [value for name, value in self.headers if name == b"host"]
        known = dict(self.headers) | ({b"host": b", ".join(hosts)} if hosts else {})
        self.check_head(self.parser, self.url, known)
        self.body_size = 0
        self._asked = True
        super().on_headers_complete()

    # What the server calls.

    def on_response_complete(self) -> None:
        self.touched = self.began = self.loop.time()
        super().on_response_complete()

    def overdue(self) -> None:
        """Part from a client that makes no progress. Called some times a second."""
        now_s, limits = self.loop.time(), self.limits
        waited_s = now_s - self.touched
        if self.flow.write_paused or self.transport.is_closing():
            if waited_s > limits.stall_s:
                self.transport.abort()
        elif self.refused is not None:
            if waited_s > limits.linger_s:
                self.transport.close()
        elif self.phase is BODY:
            if waited_s > limits.body_s:
                self.refuse(Refusal(408, "The request did not arrive in time."))
        elif self._under_way() is not None:
            return
        elif self.phase is HEAD:
            if now_s - self.began > limits.head_s:
                self.refuse(Refusal(408, "The request did not arrive in time."))
        elif not self._asked and waited_s > limits.idle_s:
            self.transport.close()

    def refuse(self, refused: Refusal) -> None:
        """Say why, unless an answer is under way already; then read nothing more and part."""
        self.refused = refused
        self.touched = self.loop.time()
        cycle = self._under_way()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not cycle.response_started:
            self.transport.write(_refusal(refused))
        self.pipeline.clear()
        if self.transport.can_write_eof():  # the client gets to see the answer, whatever it still sends
            self.transport.write_eof()
        else:
            self.transport.close()

    def _under_way(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle if cycle is not None and not cycle.response_complete else None


def _refusal(refused: Refusal) -> bytes:
    body = msgspec.json.encode(ErrorBody(ErrorFields("bad_http", refused.why, "Send a small HTTP/1.1 request, whole.")))
    head = (
        f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}\r\ndate: {formatdate(usegmt=True)}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
