"""The demo's hands, when the platform does not start."""

from pathlib import Path

import msgspec
import pytest

from tests.support.platforms import clean_environ
from tidegate.app.demo.platform import Platform
from tidegate.app.sockets import bind
from tidegate.app.workspace.create import create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.kernel.errors import Conflict, Unavailable
from tidegate.settings import Settings, load_settings


def workspace(folder: Path, **ports: int) -> Settings:
    create_workspace(folder, InitOptions(model_url="http://127.0.0.1:9/v1", model_name="none"), {})
    file = folder / "tidegate.yaml"
    text = file.read_text()
    for name, port in ports.items():
        text = text.replace(f"{name}: 808{0 if name == 'gateway_port' else 1}", f"{name}: {port}")
    file.write_text(text)
    return load_settings(folder, {})


def test_a_port_that_was_taken_since_the_look_is_told_apart(tmp_path: Path):
    platform = Platform(clean_environ(), width=80, coloured=False)
    with bind("127.0.0.1", 0) as taken:
        settings = workspace(tmp_path / "shop", gateway_port=taken.getsockname()[1])
        with pytest.raises(Conflict, match="cannot be used") as caught:
            platform.up(settings)
    assert caught.value.code == "port_taken"
    assert not platform.running


def test_another_failure_carries_the_platforms_last_words(tmp_path: Path):
    platform = Platform(clean_environ(), width=80, coloured=False)
    settings = msgspec.structs.replace(workspace(tmp_path / "shop"), gateway_port=0)
    settings.config_file.write_text("server: 3\nmodels: none\n")
    with pytest.raises(Unavailable, match="did not get ready") as caught:
        platform.up(settings)
    assert "error: " in caught.value.message
    assert not platform.running


def test_a_command_that_fails_is_an_error_with_what_it_printed(tmp_path: Path):
    platform = Platform(clean_environ(), width=80, coloured=False)
    with pytest.raises(Unavailable, match=r"`tidegate keys list .* failed with code 1") as caught:
        platform.run(tmp_path, "keys", "list", "--workspace", str(tmp_path / "nowhere"))
    assert "error: " in caught.value.message


def test_variables_that_would_steer_the_commands_are_not_handed_on(tmp_path: Path):
    platform = Platform(clean_environ(TIDEGATE_WORKSPACE="/nowhere"), width=80, coloured=False)
    workspace(tmp_path / "shop")
    ran = platform.run(tmp_path / "shop", "prompt", "list", "--json")
    assert "support-answer" in ran.output
    assert ran.took_s > 0
