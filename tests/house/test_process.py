"""The gateway process stays light; and a small package whose gateway does not."""

from pathlib import Path

import pytest

from tests.house import laws
from tests.house.process import brought_in
from tests.house.tree import ROOT


def test_importing_the_gateway_brings_in_nothing_of_control():
    app = ROOT / "src" / laws.PACKAGE / "app"
    if not app.exists():
        pytest.skip("the room app has no tenant yet")
    assert (app / "gateway.py").exists(), "src/tidegate/app/gateway.py is missing. Mend: wire the gateway process there"
    found = brought_in(laws.GATEWAY_PROCESS, laws.NOT_IN_GATEWAY_PROCESS)
    assert not found, (
        f"importing {laws.GATEWAY_PROCESS} brings in {', '.join(found[:8])}. Mend: see `python -X importtime`"
    )


def test_a_heavy_gateway_is_caught(tmp_path: Path):
    app = tmp_path / "heavy" / "app"
    app.mkdir(parents=True)
    (app / "gateway.py").write_text("import heavy.control.prompts\nimport heavy.controls\nimport json.tool\n")
    (tmp_path / "heavy" / "control").mkdir()
    (tmp_path / "heavy" / "control" / "prompts.py").write_text("")
    (tmp_path / "heavy" / "controls.py").write_text("")
    found = brought_in("heavy.app.gateway", ("heavy.control", "json", "sqlite3"), path=tmp_path)
    assert {"heavy.control", "heavy.control.prompts", "json", "json.tool"} <= set(found)
    assert not {"heavy.controls", "sqlite3"} & set(found)


def test_a_gateway_that_does_not_import_is_caught(tmp_path: Path):
    (tmp_path / "broken_gateway.py").write_text("import no_such_module\n")
    with pytest.raises(ImportError, match="no_such_module"):
        brought_in("broken_gateway", (), path=tmp_path)
