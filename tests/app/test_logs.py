"""How processes log: one shape for all, and never a secret."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.app.logs import redacted, set_up_logs
from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import new_secret


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    logging.captureWarnings(False)


def logged(shape: str, level: str = "info") -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    set_up_logs("gateway-2", level, {"TIDEGATE_LOG_FORMAT": shape}, out)
    return logging.getLogger("tidegate.app.gateway"), out


def test_text_lines_tell_when_how_grave_where_and_what():
    log, out = logged("text")
    log.warning("the database is away for %d s", 3)
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning app\.gateway: the database is away for 3 s\n"
    assert re.fullmatch(line, out.getvalue())


def test_json_lines_name_the_process_and_keep_a_traceback_in_the_line():
    log, out = logged("json")
    try:
        raise ValueError("no such colour")
    except ValueError:
        log.exception("failed")
    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert (told["process"], told["level"], told["logger"]) == ("gateway-2", "error", "tidegate.app.gateway")
    assert told["message"] == "failed"
    assert "ValueError: no such colour" in told["exception"]
    assert told["time"].endswith("Z")


def test_the_level_holds_and_chatty_libraries_speak_from_warnings_on():
    log, out = logged("text", "warning")
    log.info("small talk")
    logged("text", "info")
    logging.getLogger("httpx").info("HTTP Request: POST ...")
    assert out.getvalue() == ""


@pytest.mark.parametrize(("level", "shape"), [("loud", "text"), ("info", "xml")])
def test_what_is_not_known_is_refused_with_what_is(level: str, shape: str):
    with pytest.raises(Invalid, match="to one of: "):
        set_up_logs("control", level, {"TIDEGATE_LOG_FORMAT": shape})


@pytest.mark.parametrize("prefix", ["tg", "tgt", "sk"])
def test_keys_and_tokens_are_never_written(prefix: str):
    secret = new_secret(prefix)
    for shape in ("text", "json"):
        log, out = logged(shape)
        log.error("key %s was refused", secret)
        assert secret not in out.getvalue()
        assert f"{prefix}-…" in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "connect postgresql://tide:HIDDEN@db.example/tidegate",
        "postgres://:HIDDEN@db/x is away",
        "Authorization: Bearer HIDDEN",
        "headers={'authorization': 'Bearer HIDDEN'}",
        "api_key='HIDDEN1234'",
        '{"admin_token": "HIDDEN1234"}',
        "password=HIDDEN1234&user=x",
    ],
)
def test_passwords_and_headers_are_never_written(text: str):
    assert "HIDDEN" not in redacted(text)


def test_a_secret_in_a_traceback_is_not_written_either():
    log, out = logged("text")
    secret = new_secret("tg")
    try:
        raise ValueError(f"cannot use {secret}")
    except ValueError:
        log.exception("failed")
    assert secret not in out.getvalue()


@given(st.text(alphabet=st.characters(exclude_characters=":=@-"), max_size=200))
def test_plain_words_stay_as_they_are(text: str):
    if not re.search(r"(?i)bearer|basic", text):
        assert redacted(text) == text


def test_json_lines_name_the_call_that_failed():
    log, out = logged("json")
    error = RuntimeError("no such colour")
    error.add_note("call_id=call_7")
    log.error("failed", exc_info=error)
    log.error("failed", extra={"call_id": "call_8"})
    log.error("failed")
    assert [json.loads(line).get("call_id") for line in out.getvalue().splitlines()] == ["call_7", "call_8", None]
