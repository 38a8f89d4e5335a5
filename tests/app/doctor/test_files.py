"""Faults of the workspace's own files, each produced and found."""

import re
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tests.app.doctor.ward import Ward
from tidegate.app.doctor.files import VARIABLES
from tidegate.app.doctor.table import examine_folder

SOURCE = Path(__file__).parents[3] / "src"


def test_no_workspace(tmp_path: Path) -> None:
    (finding,) = examine_folder(tmp_path, {})
    assert finding.code == "no_workspace"
    assert finding.level == "fail"
    assert "tidegate init" in finding.mend


def test_a_workspace_that_was_named_is_not_looked_for_above(ward: Ward) -> None:
    (finding,) = examine_folder(ward.folder / "prompts", {}, exact=True)
    assert finding.code == "no_workspace"
    assert len(examine_folder(ward.folder / "prompts", {}, machine=ward.machine)) > 10


@pytest.mark.parametrize("text", ["models: [", "a: 1\na: 2\n", "\x00", "a: no\n"])
def test_config_not_yaml(ward: Ward, text: str) -> None:
    ward.config.write_text(text)
    assert "config_not_yaml" in ward.codes()


def test_config_that_is_not_text(ward: Ward) -> None:
    ward.config.write_bytes(b"models: \xff\xfe")
    assert "config_not_yaml" in ward.codes()


def test_config_faulty_names_every_fault_with_line_and_mend(ward: Ward) -> None:
    ward.rewrite("provider: openai", "provider: opnai")
    ward.rewrite("drain_timeout_s: 30", "drain_timout_s: 30")
    findings = [one for one in ward.examine() if one.code == "config_faulty"]
    assert len(findings) == 2
    assert all(one.what.startswith("tidegate.yaml:") for one in findings)
    assert "`openai`" in findings[0].mend
    assert "`drain_timeout_s`" in findings[1].mend


def test_invalid_setting_in_the_file(ward: Ward) -> None:
    ward.rewrite("gateways: 1", "gatewys: 1")
    assert "`gateways`" in ward.found("invalid_setting").mend


def test_invalid_setting_in_the_environment(ward: Ward) -> None:
    ward.environ["TIDEGATE_GATEWAY_PORT"] = "many"
    assert "TIDEGATE_" in ward.found("invalid_setting").mend


def test_unknown_variable(ward: Ward) -> None:
    ward.environ["TIDEGATE_GATEWAY_PRT"] = "1"
    assert "TIDEGATE_GATEWAY_PORT" in ward.found("unknown_variable").mend


def test_every_variable_that_the_code_reads_is_known() -> None:
    named = {
        name for file in SOURCE.rglob("*.py") for name in re.findall(r"\bTIDEGATE_[A-Z][A-Z_]+\b", file.read_text())
    }
    assert named <= VARIABLES


def test_key_file_missing(ward: Ward) -> None:
    ward.settings.key_file.unlink()
    assert "tidegate init" in ward.found("key_file_missing").mend


def test_keys_from_the_environment_stand_in_for_the_file(ward: Ward) -> None:
    ward.settings.key_file.unlink()
    ward.environ |= {"TIDEGATE_MASTER_KEY": "0123456789abcdef" * 4, "TIDEGATE_ADMIN_TOKEN": "tgt-" + "0a1b2c3d4e" * 4}
    assert ward.codes() == set()


def test_key_file_unreadable(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def refuse(file: Path, *arguments: Any, **options: Any) -> str:  # root can read anything: so it is played
        if file.name == "keys.env":
            raise PermissionError(13, "Permission denied")
        return read_text(file, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "Permission denied" in ward.found("key_file_unreadable").what


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_key_file_open(ward: Ward, mode: int) -> None:
    ward.settings.key_file.chmod(mode)
    assert "chmod 600" in ward.found("key_file_open").mend


@pytest.mark.parametrize("value", ["", "tiny", "a" * 64, "abab" * 16])
def test_key_file_weak(ward: Ward, value: str) -> None:
    text = ward.settings.key_file.read_text()
    token = next(line for line in text.splitlines() if line.startswith("admin_token="))
    ward.settings.key_file.write_text(text.replace(token, f"admin_token={value}"))
    finding = ward.found("key_file_weak")
    assert "admin_token" in finding.what
    assert not value or value not in finding.what


def test_key_file_tracked(ward: Ward) -> None:
    repository = pygit2.Repository(str(ward.folder))
    repository.index.add(".tidegate/keys.env")
    repository.index.write()
    assert "git rm --cached" in ward.found("key_file_tracked").mend


def test_state_dir_open(ward: Ward) -> None:
    ward.settings.state_dir.chmod(0o755)
    assert "chmod 700" in ward.found("state_dir_open").mend


def test_state_dir_unwritable(ward: Ward) -> None:
    state = ward.settings.state_dir
    state.rename(state.with_name("elsewhere"))
    state.symlink_to("/proc")  # not even root can make a file there
    assert "state_dir_unwritable" in ward.codes()
