"""Retries: what may be tried again, after how long, and how many of all calls may do so."""

import email.utils
import math
from collections.abc import Mapping

from tidegate.kernel.errors import ProviderFailed, ProviderTimeout, ProviderUnreachable, TidegateError
from tidegate.live.snapshot import Retry

__all__ = [
    "AGAIN",
    "DONE",
    "ELSEWHERE",
    "FIRST_ERROR",
    "RETRYABLE",
    "RetryBudget",
    "backoff_s",
    "may_be_billed",
    "retry_after_s",
    "told_by_error",
    "told_by_status",
    "word_of",
]

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may be answered: by the same server later, or by another one now."""
DONE, ELSEWHERE, AGAIN = 0, 1, 2
"""What an attempt's end leaves to do: nothing; ask another one; ask another one, or the same again."""
FIRST_ERROR = 400
"""Statuses from here on are no answers."""
WINDOW_S = 10.0
ALWAYS = 3.0

_PASSING = frozenset({"provider_timeout", "provider_unreachable", "provider_cut", "provider_error"})
_WORDS = {
    "provider_timeout": "timeout",
    "provider_unreachable": "unreachable",
    "provider_cut": "cut",
    "provider_bad_answer": "bad_answer",
    "provider_auth": "auth",
}


class RetryBudget:
    """How many retries one step may make: a share of its first tries, over about the last WINDOW_S seconds, and a few
    always. So an upstream that is down gets little more than its usual load.
    """

    __slots__ = ("_at_s", "_first", "_fresh", "_retries")

    def __init__(self) -> None:
        self._first = 0.0
        self._fresh = 0
        self._retries = 0.0
        self._at_s = 0.0

    def first(self) -> None:
        """A call is tried for the first time. It costs an addition: the rest is done by the next retry."""
        self._fresh += 1

    def take(self, now_s: float, share: float) -> bool:
        """Whether one more retry may be made; if so, it is counted."""
        passed_s = max(now_s - self._at_s, 0.0)
        kept = math.exp(-passed_s / WINDOW_S)
        self._first = self._first * kept + self._fresh * min(1.0, WINDOW_S / passed_s if passed_s else 1.0)
        self._retries *= kept
        self._fresh = 0
        self._at_s = now_s
        if self._retries + 1 > ALWAYS + share * self._first:
            return False
        self._retries += 1
        return True


def backoff_s(retry: Retry, number: int, draw: float) -> float:
    """How long to wait before the retry of this number (0, 1, ...): full jitter, `draw` from [0, 1).

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    most_ms: int = min(retry.max_ms, retry.base_ms * 2 ** min(number, 20))
    return draw * most_ms / 1000


def retry_after_s(headers: Mapping[bytes, bytes], now_unix_s: float) -> float | None:
    """What an upstream asks for: `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""
    raw = headers.get(b"retry-after-ms")
    unit = 1000.0
    if raw is None:
        raw, unit = headers.get(b"retry-after"), 1.0
    if raw is None:
        return None
    text = raw.decode("latin-1").strip()
    try:
        found = float(text) / unit
    except ValueError:
        try:
            found = email.utils.parsedate_to_datetime(text).timestamp() - now_unix_s
        except (ValueError, OverflowError, TypeError):
            return None
    return max(0.0, found) if math.isfinite(found) else None


def told_by_status(status: int, said: bytes | None) -> int:
    """What an answer of this status leaves to do: DONE, ELSEWHERE or AGAIN.

    `said` is its `x-should-retry`, which OpenAI's own clients put above the status: with `true` every error may be
    asked again, with `false` none at the same deployment. The word is about that one; another may still answer.
    https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py (read 2026-11)
    """
    if status < FIRST_ERROR:
        return DONE
    if said == b"true":
        return AGAIN
    if status not in RETRYABLE:
        return DONE
    return ELSEWHERE if said == b"false" else AGAIN


def told_by_error(error: TidegateError) -> int:
    """What an attempt that ended so leaves to do. A wrong address, key or answer will be no better the next time."""
    if error.code == "shutting_down":
        return DONE
    if isinstance(error, ProviderFailed) and error.code in _PASSING:
        return AGAIN
    return ELSEWHERE


def may_be_billed(error: TidegateError) -> bool:
    """Whether the upstream may have done the work, though no answer came of it."""
    return not isinstance(error, ProviderUnreachable) and (
        isinstance(error, ProviderTimeout) or error.code in ("provider_cut", "provider_bad_answer")
    )


def word_of(error: TidegateError) -> str:
    """The error as one word of a call's trace."""
    if isinstance(error, ProviderFailed) and error.status:
        return str(error.status)
    return _WORDS.get(error.code, error.code)
