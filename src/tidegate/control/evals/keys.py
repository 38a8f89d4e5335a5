"""Content keys: what an answer, a score and a whole run depend on, as SHA-256 in hex over JSON with sorted keys."""

import hashlib
from typing import Any

import msgspec

from tidegate.control.evals.model import AnswerKey, Sample, ScorerUse

__all__ = ["answer_key", "fingerprint", "score_key"]

_ENCODER = msgspec.json.Encoder(order="sorted")


def answer_key(key: AnswerKey) -> str:
    """The key of an answer."""
    return _digest(key)


def score_key(use: ScorerUse, sample: Sample) -> str:
    """The key of a score: the scorer with its version and settings, the answer, and what it was compared with."""
    case = sample.case
    said = (use.name, use.version, use.settings, sample.outcome.key, sample.answer)
    return _digest((*said, sample.question, sample.context, case.expected))


def fingerprint(**parts: Any) -> str:
    """The key of a run: only one with the same can go on where it was left."""
    return _digest(parts)


def _digest(value: Any) -> str:
    return hashlib.sha256(_ENCODER.encode(value)).hexdigest()
