"""What `tidegate up` and `tidegate control --apply` say of the file that they make to hold."""

from pathlib import Path

import pytest

from tests.support.control import make_workspace, settings_for
from tidegate.app.first_start import first_start

UNPRICED = """\
apiVersion: tidegate/v1
models:
  own: {provider: openai, base_url: "http://127.0.0.1:9/v1", model: m}
routes:
  chat: {model: own}
budgets:
  - {name: everything, usd: 5, per: day}
"""


async def test_the_warnings_of_an_apply_are_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    workspace = make_workspace(tmp_path / "home", config=UNPRICED)
    with caplog.at_level("INFO"):
        await first_start(settings_for(workspace))
    assert "applied: revision 1" in caplog.text
    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "budgets.everything: the price of own is unknown" in warned.getMessage()
    caplog.clear()
    await first_start(settings_for(workspace))
    assert not caplog.records, "the same text changes nothing and is not told again"
