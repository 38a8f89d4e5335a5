"""What is said and every key stay out of logs, metrics and files, also when calls fail; JSON logs are one object a
line.
"""

import json
from pathlib import Path

import msgspec
import pytest

from tests.support.gateway_process import gateway_process
from tests.support.http1 import Wire, get, post
from tests.support.scene import changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import RST, answer, chat, error, head
from tidegate.live.snapshot import KeyGrant, secret_hash

KEY = "sk-marked-key-0123456789abcdef"
THEIRS = "sk-marked-upstream-0123456789abcdef"
WRONG = "sk-marked-wrong-0123456789abcdef"
SAID, HEARD, UNIT = "marked-prompt-otter", "marked-answer-heron", "marked-user-lynx"
MARKS = (KEY, THEIRS, WRONG, SAID, HEARD, "0123456789abcdef")
FIELDS = {"time", "level", "process", "logger", "message"}


@pytest.mark.parametrize("transport", ["raw", "asgi"])
def test_nothing_said_is_written_down(transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_LOG_FORMAT", "json")
    monkeypatch.setenv("TIDEGATE_LOG_LEVEL", "debug")
    monkeypatch.setenv("MARKED_KEY", THEIRS)
    body = {"model": "gpt", "messages": [{"role": "user", "content": SAID}]}
    form = f'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt\r\n--b\r\nX: {SAID}\r\n\r\n\r\n--b--'
    with ScriptedUpstream() as upstream:
        world = snapshot_of(upstream.url, api_key_env="MARKED_KEY")
        world = changed(world, keys={secret_hash(KEY): KeyGrant(key_id="key_1", name="marked")})
        upstream.say(
            answer(chat(HEARD)),
            error(400, f"Cannot read {SAID}: {THEIRS}"),
            answer(f"{HEARD} {THEIRS}".encode(), content_type="text/plain"),
            answer({"error": {"message": f"Wrong key {THEIRS}"}}, 401),
            (head() + b"Content-Length: 900\r\n\r\n" + HEARD.encode(), RST),
            (head(content_type="text/event-stream") + b"Content-Length: 900\r\n\r\ndata: " + HEARD.encode(), RST),
            (b"HTTP/1.1 " + HEARD.encode() + b"\r\n\r\n",),
            (head(content_type="audio/mpeg") + b"Content-Length: 900\r\n\r\n" + HEARD.encode(), RST),
        )
        asked = [
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/chat/completions", {**body, "stream": True}, key=KEY),
            post("/v1/chat/completions", body, key=KEY),
            post("/v1/audio/speech", {**body, "input": SAID}, key=KEY),
            post("/v1/chat/completions", body, key=WRONG),
            post("/v1/chat/completions", f'{{"model": "{SAID}'.encode(), key=KEY),
            post("/v1/chat/completions", {**body, "messages": SAID}, key=KEY),
            post("/v1/audio/transcriptions", form.encode(), key=KEY).replace(
                b"application/json", b"multipart/form-data; boundary=b", 1
            ),
            get(f"/v1/files?{SAID}", key=KEY),
            f"POST /{SAID}\x01 {KEY}\r\n\r\n".encode(),
        ]
        with gateway_process(tmp_path, transport, world) as (running, port):
            statuses = []
            for ask in asked:
                with Wire(port) as wire:
                    wire.send(ask)
                    statuses.append(wire.head().status)
            with Wire(port) as wire:
                metrics = wire.ask(get("/metrics", key=None)).body.decode()
        assert statuses == [200, 400, 502, 502, 502, 200, 502, 200, 401, 400, 400, 400, 400, 400]
    written = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for mark in MARKS:
        assert mark not in running.text
        assert mark not in metrics
        assert [path for path, data in written.items() if mark.encode() in data] == []
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in running.lines if line]
    assert lines
    assert all(line.keys() >= FIELDS for line in lines)
    assert all(json.dumps(line).count("\n") == 0 for line in lines)
