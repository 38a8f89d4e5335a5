"""Server-sent events, read at any split of the bytes.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html (comments, fields and line ends as it says).
"""

from collections.abc import AsyncIterator, Mapping

from tidegate.kernel.errors import ProviderFailed

__all__ = ["MAX_EVENT_BYTES", "event_data", "is_events"]

MAX_EVENT_BYTES = 8 << 20


def is_events(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an answer with these headers is made of server-sent events that can be read as they are."""
    return (
        headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
        and headers.get(b"content-encoding", b"identity").lower() == b"identity"
    )


async def event_data(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the data of each whole event; what comes after the last blank line is no event. Raises ProviderFailed."""
    rest = b""
    async for chunk in chunks:
        text = rest + chunk
        half = b"\r" if text.endswith(b"\r") else b""  # it may be half of a CRLF
        text = text[: len(text) - len(half)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + half
        *events, rest = text.split(b"\n\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise ProviderFailed(
                "The upstream sent an event without an end.", mend="Check the model server.", code="provider_bad_answer"
            )
        for event in events:
            lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines:
                yield b"\n".join(lines)
