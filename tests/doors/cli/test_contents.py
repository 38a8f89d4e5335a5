"""`tidegate calls content` and `calls erase`, against a control plane on a real port."""

from pathlib import Path

import pytest

from tests.support.control import MASTER_KEY, make_workspace
from tests.support.served import served_control
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.vault.contents import ContentSeals
from tidegate.doors.cli.main import run
from tidegate.live.ports import Content

ONE = Content(
    call_id="call_0123456789abcdef", at_ms=1_700_000_000_000, expires_at_ms=4_000_000_000_000, route="gpt",
    endpoint="chat.completions", request=b'{"messages":[{"role":"user","content":"H\\u001b[31mi"}]}',
    answer=b'data: {"x":1}\n\ndata: [DONE]\n\n', subject="ada",
)  # fmt: skip


def test_content_is_printed_clean_and_erased_with_a_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "home")
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with served_control(workspace) as served:

        async def put() -> None:
            store = SqliteContents(served.control.settings.contents_db_file, lambda: ContentSeals(MASTER_KEY))
            await store.put([ONE])
            await store.close()

        served.run(put())
        assert run(("calls", "content", ONE.call_id)) == 0
        shown = capsys.readouterr().out
        for words in (ONE.call_id, "chat.completions on gpt", '"content"', "data: [DONE]", "It goes in"):
            assert words in shown
        assert "\x1b" not in shown
        assert run(("calls", "content", ONE.call_id, "--json")) == 0
        assert '"subject": "ada"' in capsys.readouterr().out
        assert run(("calls", "erase", "--subject", "ada")) == 0
        told = capsys.readouterr().out
        assert told.startswith("Erased the content of 1 calls at 20")
        assert "ada" not in told
        assert run(("calls", "content", ONE.call_id)) == 1
        assert run(("calls", "erase", "--subject", "ada", "--json")) == 0
        assert '"erased": 0' in capsys.readouterr().out
