"""The demo's folder and ports."""

from pathlib import Path

import pytest

from tidegate.app.config import check_file
from tidegate.app.demo.workspace import DemoFolder, choose_ports, questions
from tidegate.app.sockets import bind, free_port
from tidegate.app.workspace.create import create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.kernel.errors import Conflict
from tidegate.settings import load_settings


def test_taken_ports_are_changed_in_the_file_and_the_change_is_told(tmp_path: Path):
    folder = tmp_path / "shop"
    create_workspace(folder, InitOptions(), {})
    with bind("127.0.0.1", 0) as taken, bind("127.0.0.1", 0) as also:
        gateway, model = taken.getsockname()[1], also.getsockname()[1]
        file = folder / "tidegate.yaml"
        text = file.read_text().replace("gateway_port: 8080", f"gateway_port: {gateway}")
        text = text.replace("8082/v1", f"{model}/v1").replace("\nserver:\n", f"\nserver:\n  model_port: {model}\n")
        file.write_text(text)
        settings, notes = choose_ports(folder)
    changed = file.read_text()
    assert settings.gateway_port != gateway
    assert any(f"gateway_port: {gateway} is taken, {settings.gateway_port} is free" in note for note in notes)
    assert f"http://127.0.0.1:{settings.model_port}/v1" in changed
    assert load_settings(folder, {}) == settings
    assert check_file(changed, "tidegate.yaml")[1] == (), "the file is still a good one, comments and all"


def test_free_ports_are_left_alone(tmp_path: Path):
    folder = tmp_path / "shop"
    create_workspace(folder, InitOptions(), {})
    file = folder / "tidegate.yaml"
    text = file.read_text()
    for old in ("gateway_port: 8080", "control_port: 8081"):
        text = text.replace(old, f"{old.partition(':')[0]}: {free_port('127.0.0.1', 0)}")
    model = free_port("127.0.0.1", 0)
    text = text.replace("8082/v1", f"{model}/v1").replace("\nserver:\n", f"\nserver:\n  model_port: {model}\n")
    file.write_text(text)
    settings, notes = choose_ports(folder)
    assert notes == ()
    assert file.read_text() == text
    assert settings == load_settings(folder, {})


def test_the_questions_come_from_the_workspaces_dataset(tmp_path: Path):
    create_workspace(tmp_path, InitOptions(), {})
    asked = questions(tmp_path)
    assert len(asked) == 3
    assert all(one.facts and one.question.endswith("?") for one in asked)


def test_a_folder_that_is_a_workspace_already_is_not_touched(tmp_path: Path):
    create_workspace(tmp_path, InitOptions(), {})
    with pytest.raises(Conflict, match="holds a workspace already"):
        DemoFolder(tmp_path, keep=False)


@pytest.mark.parametrize("keep", [False, True])
def test_a_temporary_folder_goes_unless_it_is_to_be_kept(keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = DemoFolder(None, keep=keep)
    folder.path.mkdir()
    folder.close()
    assert folder.path.exists() is keep


def test_a_named_folder_is_always_kept(tmp_path: Path):
    folder = DemoFolder(tmp_path / "mine", keep=False)
    folder.path.mkdir()
    folder.close()
    assert folder.path.exists()
