"""How every process logs: to stderr, as text or as JSON lines, never a secret. The supervisor keeps the files."""

import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import TextIO

import msgspec

from tidegate.kernel.errors import Invalid

__all__ = ["FORMAT_VARIABLE", "redacted", "set_up_logs"]

FORMAT_VARIABLE = "TIDEGATE_LOG_FORMAT"
FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
CHATTY = ("asyncio", "httpcore", "httpx", "openai", "sqlalchemy", "uvicorn", "aiosqlite", "alembic")
"""Libraries that tell at `info` what only their authors want to know: they speak from `warning` on."""

_SECRETS = (
    (re.compile(r"\b(tgt?-|[srp]k-)[A-Za-z0-9_-]{8,}"), r"\1…"),  # our keys and tokens, providers' keys
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",]+"), r"\1 …"),
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), r"\1…@"),  # a password in an address
    (
        re.compile(r"(?i)((?:api[_-]?key|password|secret|token|master_key)['\"]?\s*[:=]\s*['\"]?)[^\s'\",;&]{6,}"),
        r"\1…",
    ),
)


def set_up_logs(process: str, level: str, environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Make this process log to `stream` (stderr). `level` is from the settings, the format from TIDEGATE_LOG_FORMAT
    (`text` or `json`); raises Invalid for one that is unknown.
    """
    shape = environ.get(FORMAT_VARIABLE, "text").lower()
    if shape not in FORMATS:
        raise _unknown("log format", shape, FORMATS, FORMAT_VARIABLE)
    if level.lower() not in LEVELS:
        raise _unknown("log level", level, LEVELS, "server.log_level")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json(process) if shape == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # who reads the log may be gone: that must not stop the serving


def redacted(text: str) -> str:
    """The text without what looks like a key, a token or a password."""
    for pattern, stands_for in _SECRETS:
        text = pattern.sub(stands_for, text)
    return text


class _Text(logging.Formatter):
    """`2026-11-24 06:00:00.123 info  app.gateway: message`, in UTC, a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("tidegate.")
        head = f"{_moment(record, ' ')} {record.levelname.lower():<7} {name}: {record.getMessage()}"
        return redacted("\n".join(filter(None, (head, self._traceback(record)))))

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class _Json(_Text):
    """One JSON object a line; with the `call_id` of the call that failed, where one did."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record, "T") + "Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        call_id = _call_id(record)
        if call_id:
            line["call_id"] = call_id
        trace = self._traceback(record)
        return msgspec.json.encode({**line, **({"exception": redacted(trace)} if trace else {})}).decode()


def _call_id(record: logging.LogRecord) -> str:
    """The call that a line is about: what it was logged with, else what its exception notes."""
    error = record.exc_info[1] if record.exc_info else None
    notes = [note.partition("=")[2] for note in getattr(error, "__notes__", ()) if note.startswith("call_id=")]
    return str(getattr(record, "call_id", "") or (notes[0] if notes else ""))


def _moment(record: logging.LogRecord, between: str) -> str:
    seconds = time.strftime(f"%Y-%m-%d{between}%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}"


def _unknown(kind: str, value: str, known: tuple[str, ...], where: str) -> Invalid:
    return Invalid(
        f"There is no {kind} {value!r}.", mend=f"Set {where} to one of: {', '.join(known)}.", code="invalid_setting"
    )
