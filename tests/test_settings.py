"""Settings: the file's block, then the environment; a wrong one is named."""

from pathlib import Path

import pytest

from tidegate.kernel.errors import Invalid, InvalidDocument, NotFound
from tidegate.settings import Settings, find_workspace, load_settings, read_key, read_keys

MASTER, ADMIN, OTHER = "m0n1o2p3q4" * 4, "t0u1v2w3x4" * 4, "x5y6z7a8b9" * 4
KEYS = f"# a comment\nmaster_key={MASTER}\nadmin_token={ADMIN}\n"


def workspace(folder: Path, text: str = "apiVersion: tidegate/v1\n") -> Path:
    (folder / "tidegate.yaml").write_text(text)
    return folder


def test_defaults_work_on_a_laptop(tmp_path: Path) -> None:
    settings = load_settings(workspace(tmp_path), {})
    assert settings.gateway_url == "http://127.0.0.1:8080"
    assert settings.control_url == "http://127.0.0.1:8081"
    assert not settings.is_postgres


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    folder = workspace(tmp_path, "server:\n  gateway_port: 9000\n  gateways: 2\n")
    settings = load_settings(folder, {"TIDEGATE_GATEWAY_PORT": "9100", "TIDEGATE_DATABASE_URL": "postgresql://h/db"})
    assert (settings.gateway_port, settings.gateways, settings.is_postgres) == (9100, 2, True)


def test_an_unknown_setting_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"unknown settings: gatewayport.*gateway_port"):
        load_settings(workspace(tmp_path, "server:\n  gatewayport: 1\n"), {})


def test_a_setting_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="gateway_port"):
        load_settings(workspace(tmp_path), {"TIDEGATE_GATEWAY_PORT": "many"})


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument) as caught:
        load_settings(workspace(tmp_path, "server:\n  a: [\n"), {})
    assert caught.value.line == 3


def test_the_workspace_is_found_from_below(tmp_path: Path) -> None:
    below = workspace(tmp_path) / "prompts" / "faq"
    below.mkdir(parents=True)
    assert find_workspace(below) == tmp_path


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="tidegate init"):
        find_workspace(tmp_path)


def test_keys_come_from_the_file_and_the_environment_wins(tmp_path: Path) -> None:
    settings = load_settings(workspace(tmp_path), {})
    settings.state_dir.mkdir()
    settings.key_file.write_text(KEYS)
    assert read_keys(settings, {}).master_key == MASTER
    assert read_keys(settings, {"TIDEGATE_ADMIN_TOKEN": OTHER}).admin_token == OTHER


@pytest.mark.parametrize("text", ["", *(f"master_key={weak}\n" for weak in ("short", "m" * 64, "changeme" * 8))])
def test_missing_or_weak_keys_are_refused(tmp_path: Path, text: str) -> None:
    settings = load_settings(workspace(tmp_path), {})
    settings.state_dir.mkdir()
    settings.key_file.write_text(text)
    with pytest.raises(Invalid, match="master_key is missing or shorter"):
        read_keys(settings, {})


def test_a_process_is_given_only_the_secret_that_it_needs(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    assert read_key(settings, {"TIDEGATE_MASTER_KEY": MASTER}, "master_key") == MASTER
    with pytest.raises(Invalid, match="admin_token"):
        read_key(settings, {"TIDEGATE_MASTER_KEY": MASTER}, "admin_token")


@pytest.mark.parametrize("weak", ["", "t" * 31, "tgt-" + "a" * 40, "password" * 8])
def test_a_token_that_is_easy_to_guess_is_refused_too(tmp_path: Path, weak: str) -> None:
    with pytest.raises(Invalid, match="admin_token"):
        read_key(Settings(workspace=tmp_path), {"TIDEGATE_ADMIN_TOKEN": weak}, "admin_token")
