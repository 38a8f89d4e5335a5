"""Takes feedback: scores of a call. Whether there was such a call is not known here: control joins them."""

import hashlib
import re

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Handler, Reply
from tidegate.gateway.ports import FeedbackLog
from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import made_at_ms, new_id
from tidegate.kernel.names import check_name
from tidegate.live.feedback import Feedback

__all__ = ["MAX_SCORES", "TakeFeedback"]

MAX_SCORES = 32
MAX_IDEMPOTENCY_KEY = 256
CALL, ID_DIGITS = "call_", 32
SHAPE = 'Send {"call_id": "call_...", "name": "resolved", "value": true}, or {"call_id": ..., "scores": {...}}.'
PLACE = re.compile(r"`\$\.(\w+)")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    call_id: str
    name: str | None = None
    value: bool | float | None = None
    scores: dict[str, bool | float] | None = None


_BODY = msgspec.json.Decoder(_Body)


class TakeFeedback:
    """Answers once the scores are committed. With `idempotency-key`, the same key's feedback on the same call is stored
    once, however often it is sent: of each name the first value.
    """

    def __init__(self, feedback: FeedbackLog) -> None:
        self._feedback = feedback

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        grant = call.grant
        assert grant is not None
        body = _body(call.request.body)
        feedback_id = _feedback_id(call.request.headers.get(b"idempotency-key"), grant.key_id, body.call_id)
        await self._feedback.put(
            [
                Feedback(
                    feedback_id=feedback_id,
                    call_id=body.call_id,
                    name=name,
                    value=float(value),
                    at_ms=call.started_at_ms,
                    environment=grant.environment,
                    key_id=grant.key_id,
                )
                for name, value in _scores(body).items()
            ]
        )
        return Reply(200, [JSON_HEADER], msgspec.json.encode({"feedback_id": feedback_id, "stored": True}))


def _body(raw: bytes) -> _Body:
    try:
        body = _BODY.decode(raw)
    except msgspec.ValidationError as error:
        place = PLACE.search(str(error))
        param = place[1] if place else None
        raise Invalid(f"The feedback is wrong: {error}.", mend=SHAPE, code="invalid_feedback", param=param) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not JSON: {error}.", mend=SHAPE, code="invalid_json") from error
    if body.call_id[:-ID_DIGITS] != CALL or made_at_ms(body.call_id) is None:
        raise Invalid(
            f"{body.call_id[:64]!r} is not the id of a call.",
            mend="Send what the call's reply had in its header x-request-id.",
            code="invalid_call_id",
            param="call_id",
        )
    return body


def _scores(body: _Body) -> dict[str, bool | float]:
    """Each name's number. JSON has no number that is not finite, and one that is too large was refused."""
    if body.scores is None:
        if body.name is None or body.value is None:
            raise Invalid(
                "The feedback has no score.",
                mend=SHAPE,
                code="missing_required_parameter",
                param="name" if body.name is None else "value",
            )
        return {_checked(body.name, "name"): body.value}
    if body.name is not None or body.value is not None:
        raise Invalid("Both `scores` and a score alone came.", mend=SHAPE, code="invalid_feedback", param="scores")
    if not 1 <= len(body.scores) <= MAX_SCORES:
        raise Invalid(
            f"{len(body.scores)} scores were sent.",
            mend=f"Send 1 to {MAX_SCORES} at once.",
            code="invalid_feedback",
            param="scores",
        )
    return {_checked(name, "scores"): value for name, value in body.scores.items()}


def _checked(name: str, param: str) -> str:
    try:
        return check_name("score", name[:256])
    except Invalid as error:
        error.param = param
        raise


def _feedback_id(sent: bytes | None, key_id: str, call_id: str) -> str:
    if sent is None:
        return new_id("fb")
    if not 1 <= len(sent) <= MAX_IDEMPOTENCY_KEY:
        raise Invalid(
            f"The header idempotency-key has {len(sent)} bytes.",
            mend=f"Send 1 to {MAX_IDEMPOTENCY_KEY}, for example a UUID.",
            code="invalid_idempotency_key",
        )
    words = b"\x1f".join((key_id.encode(), call_id.encode(), sent))
    return f"fb_{hashlib.sha256(words).hexdigest()[:ID_DIGITS]}"
