"""Amazon Bedrock's Converse API as its own door behaves: signatures are computed anew by botocore, bodies held against
the schema that AWS publishes with it, and streams framed as application/vnd.amazon.eventstream.
"""

import base64
import binascii
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from tests.support.scene import snapshot_of
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import End, Pause, Step, answer, head, pieces
from tidegate.live.snapshot import Snapshot

__all__ = ["FakeBedrock", "aws_error", "converse_events", "event_frame", "frame", "framed", "message", "schema_faults"]

MODEL = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream)")
USAGE = {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12}


def message(*blocks: Mapping[str, Any], stop: str = "end_turn", usage: Mapping[str, Any] = USAGE) -> dict[str, Any]:
    """A ConverseResponse."""
    said = {"message": {"role": "assistant", "content": list(blocks)}}
    return {"output": said, "stopReason": stop, "usage": dict(usage), "metrics": {"latencyMs": 5}}


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of an event stream; all headers are strings."""
    told = b"".join(
        bytes([len(name.encode())]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(told) + len(payload), len(told))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + told + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def event_frame(kind: str, body: Mapping[str, Any], *, message_type: str = "event") -> bytes:
    """One event of ConverseStream, or an exception."""
    name = ":event-type" if message_type == "event" else ":exception-type"
    headers = {name: kind, ":content-type": "application/json", ":message-type": message_type}
    return frame(headers, json.dumps(body, ensure_ascii=False).encode())


def converse_events(
    *blocks: Sequence[Mapping[str, Any]], stop: str = "end_turn", usage: Mapping[str, Any] = USAGE
) -> list[bytes]:
    """A whole stream. A block is its deltas; one that begins with {"start": ...} says what it begins as."""
    frames = [event_frame("messageStart", {"role": "assistant"})]
    for index, block in enumerate(blocks):
        at = {"contentBlockIndex": index}
        for part in block:
            if "start" in part:
                frames.append(event_frame("contentBlockStart", {**at, **part}))
            else:
                frames.append(event_frame("contentBlockDelta", {**at, "delta": part, "p": "abcdefgh"}))
        frames.append(event_frame("contentBlockStop", at))
    frames.append(event_frame("messageStop", {"stopReason": stop}))
    frames.append(event_frame("metadata", {"usage": dict(usage), "metrics": {"latencyMs": 5}}))
    return frames


def framed(data: bytes, *, split: int | None = None, end: End | None = None) -> tuple[Step, ...]:
    """A streamed answer with these bytes."""
    fields = [("Transfer-Encoding", "chunked"), ("x-amzn-RequestId", "req-7")]
    steps: list[Step] = [head(200, fields, "application/vnd.amazon.eventstream") + b"\r\n"]
    for piece in pieces(data, split or max(1, len(data))):
        steps.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        if split:
            steps.append(Pause(0.0))
    return (*steps, end) if end is not None else (*steps, b"0\r\n\r\n")


def aws_error(status: int, kind: str, words: str) -> tuple[Step, ...]:
    """An error as rest-json says it."""
    headers = [("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/")]
    return answer({"message": words}, status, headers=[*headers, ("x-amzn-RequestId", "req-7")])


class FakeBedrock(ScriptedUpstream):
    """`then` is for the next good requests; without it, it greets. `bearer` is the API key that it takes instead."""

    ACCESS, SECRET, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token+="
    REGION = "eu-central-1"
    MODEL_ID = "anthropic.claude-sonnet-4-5-20250929-v1:0"

    def __init__(self, bearer: str | None = None) -> None:
        super().__init__()
        self.respond = self._checked
        self.bearer = bearer
        self.complaints: list[str] = []
        self._next: list[tuple[Step, ...]] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a gateway in front of it needs."""
        if self.bearer:
            return {"AWS_BEARER_TOKEN_BEDROCK": self.bearer}
        keys = {"AWS_ACCESS_KEY_ID": self.ACCESS, "AWS_SECRET_ACCESS_KEY": self.SECRET}
        return {**keys, "AWS_SESSION_TOKEN": self.SESSION}

    def snapshot(self, **deployment: Any) -> Snapshot:
        """A world with it as the only upstream."""
        given: dict[str, Any] = {
            "provider": "bedrock",
            "upstream_model": self.MODEL_ID,
            "options": {"region": self.REGION},
            "api_key_env": "AWS_BEARER_TOKEN_BEDROCK" if self.bearer else None,
        }
        return snapshot_of(f"http://127.0.0.1:{self.port}", **(given | deployment))

    def then(self, *steps: tuple[Step, ...]) -> None:
        """Answer the next good requests so."""
        self._next.extend(steps)

    @property
    def asked(self) -> dict[str, Any]:
        """The newest body."""
        return self.last.json

    def _checked(self, received: Received) -> Sequence[Step]:
        found = PATH.fullmatch(received.path)
        if found is None or received.method != "POST":
            return self._wrong(404, "UnknownOperationException", f"no such path: {received.path}")
        denied = self._denied(received)
        if denied is not None:
            return denied
        streamed = found[2] == "converse-stream"
        shape = MODEL.operation_model("ConverseStream" if streamed else "Converse").input_shape
        body = {"modelId": unquote(found[1]), **received.json}
        for where, what in _unlike(body, shape, ""):
            return self._wrong(400, "ValidationException", f"{where}: {what}")
        if self._next:
            return self._next.pop(0)
        if streamed:
            return framed(b"".join(converse_events([{"text": "Hello"}, {"text": " there."}])))
        return answer(message({"text": "Hello there."}), headers=[("x-amzn-RequestId", "req-7")])

    def _denied(self, received: Received) -> tuple[Step, ...] | None:
        given = received.headers.get("authorization", "")
        if self.bearer is not None:
            if given == f"Bearer {self.bearer}":
                return None
            return aws_error(403, "AccessDeniedException", "Authentication failed.")
        if given == self._signed(received):
            return None
        return aws_error(403, "InvalidSignatureException", "The request signature we calculated does not match.")

    def _signed(self, received: Received) -> str:
        """The header that botocore writes for the same request."""
        names = ("host", "x-amz-date", "x-amz-security-token")
        headers = {name: received.headers[name] for name in names if name in received.headers}
        url = f"http://{received.headers['host']}{received.path}"
        request = AWSRequest(method="POST", url=url, headers=headers, data=received.body)
        request.context["timestamp"] = headers.get("x-amz-date", "19700101T000000Z")
        auth = SigV4Auth(Credentials(self.ACCESS, self.SECRET, self.SESSION), "bedrock", self.REGION)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        signed = auth.signed_headers(auth.headers_to_sign(request))
        scope = f"Credential={auth.scope(request)}, SignedHeaders={signed}"
        return f"AWS4-HMAC-SHA256 {scope}, Signature={auth.signature(text, request)}"

    def _wrong(self, status: int, kind: str, words: str) -> tuple[Step, ...]:
        self.complaints.append(words)
        return aws_error(status, kind, words)


def _unlike(value: Any, shape: Shape, where: str) -> Iterator[tuple[str, str]]:
    """Yield (place, what) for whatever the published shape does not allow."""
    if getattr(shape, "is_document_type", False):
        return
    kind = shape.type_name
    if kind == "structure":
        yield from _unlike_structure(value, shape, where)
    elif kind == "list":
        for number, one in enumerate(value if isinstance(value, list) else ()):
            yield from _unlike(one, shape.member, f"{where}[{number}]")
        if not isinstance(value, list) or len(value) < shape.metadata.get("min", 0):
            yield where, "is no list, or too short"
    elif kind == "map":
        for name, one in value.items():
            yield from _unlike(one, shape.value, f"{where}.{name}")
    elif kind == "string":
        yield from _unlike_text(value, shape, where)
    elif kind == "blob":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError):
            yield where, "is no Base64"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield where, "is no boolean"
    elif not isinstance(value, int | float) or not _within(value, shape):
        yield where, f"{value!r} is no {kind} in its range"


def _unlike_structure(value: Any, shape: Any, where: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield where, "is no structure"
        return
    for name in shape.required_members:
        if name not in value:
            yield where, f"has no {name}"
    if shape.is_tagged_union and len(value) != 1:
        yield where, f"is a union with {sorted(value)}"
    for name, one in value.items():
        if name not in shape.members:
            yield where, f"unknown member {name!r}"
        else:
            yield from _unlike(one, shape.members[name], f"{where}.{name}".lstrip("."))


def _unlike_text(value: Any, shape: Any, where: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        yield where, "is no string"
        return
    pattern, least = shape.metadata.get("pattern"), shape.metadata.get("min", 0)
    if shape.enum and value not in shape.enum:
        yield where, f"{value!r} is none of {shape.enum}"
    if len(value) < least or len(value) > shape.metadata.get("max", len(value)):
        yield where, "is too short or too long"
    if pattern and not re.fullmatch(pattern, value):
        yield where, f"{value!r} does not match {pattern}"
    if where.endswith(".text") and not value:
        yield where, "text content blocks must be non-empty"


def _within(value: float, shape: Shape) -> bool:
    return bool(shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value))


def schema_faults(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What AWS' published schema of Converse does not allow in a body."""
    shape = MODEL.operation_model("Converse").input_shape
    return list(_unlike({"modelId": FakeBedrock.MODEL_ID, **body}, shape, ""))
