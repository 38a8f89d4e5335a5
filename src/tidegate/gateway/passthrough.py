"""Bodies that are passed on as they are but for the model's name: where it is named, and the pieces that go out.

multipart/form-data: RFC 7578, in the form that all clients write it. What two readers could read differently (a field
`model` twice, a name in another coding, bytes before the first boundary) is refused: the model that is checked here
must be the one that the upstream reads.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tidegate.gateway.call import Call, Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.openai.answers import read_answer
from tidegate.kernel.errors import Invalid
from tidegate.live.plans import Candidate
from tidegate.live.snapshot import Deployment

__all__ = [
    "MODEL_HEADER",
    "Body",
    "Form",
    "JsonBody",
    "Place",
    "content_type",
    "note_used",
    "query_of",
    "read_body",
    "refusal",
]

MODEL_HEADER = "x-tidegate-model"
MAX_NAME = 256
MAX_PARTS = 256
MAX_PART_HEAD = 4096
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Place = Callable[[Deployment, str], str | None]
"""Where a provider has a path of OpenAI's API, under its base URL; None where it has none."""

Pieces = Sequence[bytes | memoryview]

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;\s*boundary=(?:"([0-9A-Za-z\'()+_,./:=? -]{1,70})"|([0-9A-Za-z\'+_.-]{1,70}))\s*', re.I
)
_DISPOSITION = re.compile(rb'form-data((?:\s*;\s*[a-z*]+=(?:"(?:[^"\\\r\n]|\\.)*"|[^\s";]+))+)\s*', re.I)
_PARAMETER = re.compile(rb'([a-z*]+)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s";]+))', re.I)
_TYPE = re.compile(r"[\x20-\x7e]{0,256}")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Body:
    """A body that names no model: it goes on as it is."""

    model: str | None = None

    def __init__(self, body: bytes) -> None:
        self.body = body

    def pieces(self, model: str) -> Pieces:
        """What is sent to an upstream that calls the model so."""
        return (self.body,) if self.body else ()


class JsonBody(Body):
    """A JSON object with a field `model`."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        try:
            self.fields = _FIELDS.decode(body)
            model = msgspec.json.decode(self.fields["model"], type=str | None) if "model" in self.fields else None
        except UNREADABLE as error:
            raise Invalid(
                "The body is not a JSON object whose `model` is a string.",
                mend='Send {"model": ..., ...}.',
                code="invalid_json",
            ) from error
        self.model = model

    def pieces(self, model: str) -> Pieces:
        """See `Body`."""
        return (msgspec.json.encode({**self.fields, "model": msgspec.Raw(msgspec.json.encode(model))}),)


class Form(Body):
    """A multipart form: `model` is replaced in its place, and everything else goes out as it lies in the body."""

    def __init__(self, body: bytes, boundary: bytes) -> None:
        super().__init__(body)
        self._boundary = boundary
        self._place: tuple[int, int] | None = None
        self._read()

    def pieces(self, model: str) -> Pieces:
        """See `Body`."""
        whole, name = memoryview(self.body), model.encode()
        if self._place is None:
            part = b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % (self._boundary, name)
            return (part, whole)
        start, end = self._place
        return (whole[:start], name, whole[end:])

    def _read(self) -> None:
        body, first = self.body, b"--" + self._boundary
        between = b"\r\n" + first
        if not body.startswith(first):
            raise _bad_form("it does not begin with its boundary")
        at = len(first)
        for _ in range(MAX_PARTS):
            if body[at : at + 2] == b"--":
                if body[at + 2 :] not in (b"", b"\r\n"):
                    raise _bad_form("there is something behind its end")
                return
            head_end = body.find(b"\r\n\r\n", at, at + MAX_PART_HEAD)
            if head_end < 0 or body[at : at + 2] != b"\r\n":
                raise _bad_form("a part's head does not end")
            end = body.find(between, head_end + 2)
            if end < 0:
                raise _bad_form("its last boundary is missing")
            start = head_end + 4
            if end < start or _name(body[at + 2 : head_end]) == b"model":
                self._take(start, end)
            at = end + len(between)
        raise _bad_form(f"it has more than {MAX_PARTS} parts")

    def _take(self, start: int, end: int) -> None:
        if self._place is not None or not 0 <= end - start <= MAX_NAME:
            raise _bad_form("the field `model` is there twice, or is too long")
        self._place = (start, end)
        try:
            self.model = self.body[start:end].decode()
        except UnicodeDecodeError as error:
            raise _bad_form("the field `model` is not UTF-8") from error


def read_body(call: Call) -> Body:
    """The request's body, by its Content-Type; raises Invalid."""
    kind = content_type(call)
    if call.request.method != "POST" or not call.endpoint.names_model:
        return Body(call.request.body)
    if kind.lower().startswith("multipart/"):
        found = _BOUNDARY.fullmatch(kind)
        if found is None:
            raise _bad_form("its Content-Type names no boundary, or more than that")
        return Form(call.request.body, (found[1] or found[2]).encode())
    return JsonBody(call.request.body)


def content_type(call: Call) -> str:
    """The request's Content-Type, which goes on with its body."""
    kind = call.request.headers.get(b"content-type", b"").decode("latin-1")
    if not _TYPE.fullmatch(kind):
        raise Invalid("The Content-Type cannot be read.", mend="Write a plain one.", code="invalid_header")
    return kind


def query_of(call: Call) -> tuple[str, str]:
    """The query that goes on, and the model that it names (empty: none)."""
    query, model = call.request.query, ""
    if not query:
        return "", ""
    if not re.fullmatch(r"[!-~]*", query) or "#" in query:
        raise Invalid("The query holds a sign that must be escaped.", mend="Escape it.", code="invalid_query")
    kept = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == MODEL_HEADER:
            model = value
        else:
            kept.append(pair)
    return "&".join(kept), model


def note_used(call: Call, body: bytes) -> None:
    """Note the tokens that an answer says it used, in any of the words for them."""
    try:
        raw = _FIELDS.decode(body).get("usage")
        said = _FIELDS.decode(raw) if raw is not None else {}
    except UNREADABLE:
        return
    inputs, outputs = _count(said, "input_tokens", "prompt_tokens"), _count(said, "output_tokens", "completion_tokens")
    if inputs is None and outputs is None:  # rerank and score read only
        inputs, outputs = _count(said, "total_tokens"), 0
    if inputs is not None:
        call.usage = Usage(inputs, outputs)


def refusal(call: Call, candidate: Candidate, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """An upstream's error, in OpenAI's shape; raises ProviderFailed for what the client would take for its own."""
    return read_answer(
        Ask(call, call.endpoint.name, {}, candidate.deployment, candidate.upstream_model), status, headers, body
    )


def _count(said: Mapping[str, msgspec.Raw], *names: str) -> int | None:
    for name in names:
        if name in said:
            try:
                found: int = msgspec.json.decode(said[name], type=int)
            except UNREADABLE:
                return None
            return found if found >= 0 else None
    return None


def _name(head: bytes) -> bytes:
    """The field's name of a part, from its head."""
    lines = head.split(b"\r\n")
    said = [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"content-disposition:")]
    found = _DISPOSITION.fullmatch(said[0]) if len(said) == 1 else None
    if found is None or any(line[:1] in b" \t" or b"\n" in line or b"\r" in line for line in lines):
        raise _bad_form("a part's Content-Disposition cannot be read")
    names: list[tuple[bytes, bytes]] = [
        (key.lower(), quoted or bare) for key, quoted, bare in _PARAMETER.findall(found[1])
    ]
    fields = [value for key, value in names if key == b"name"]
    if len(fields) != 1 or any(key == b"name*" for key, _ in names) or b"\\" in fields[0] or b"%" in fields[0]:
        raise _bad_form("a part has no plain name")
    return fields[0]


def _bad_form(why: str) -> Invalid:
    return Invalid(
        f"The multipart body cannot be read: {why}.",
        mend="Send multipart/form-data as RFC 7578 has it, with one field `model`.",
        code="invalid_form",
    )
