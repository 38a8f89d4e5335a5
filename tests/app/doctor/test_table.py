"""The round as a whole: nothing on a healthy workspace, everything told on an ill one, and quickly."""

import string
import time
from pathlib import Path

import pytest

from tests.app.doctor.ward import Ward
from tidegate.app.doctor import table
from tidegate.app.doctor.faults import FAULTS, Finding, reference_text
from tidegate.app.doctor.table import CHECKS, Check

HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "docs" / "reference" / "doctor.md"


def test_a_healthy_workspace_shows_none_and_says_what_is_well(ward: Ward) -> None:
    findings = ward.examine()
    assert [one for one in findings if one.level != "ok"] == []
    assert [one.code for one in findings] == [check.name for check in CHECKS]


def test_the_round_takes_seconds(ward: Ward) -> None:
    begun = time.monotonic()
    ward.examine()
    assert time.monotonic() - begun < 5


def test_it_changes_nothing(ward: Ward) -> None:
    def state() -> dict[str, bytes]:
        files = (file for file in ward.folder.rglob("*") if file.is_file() and "-shm" not in file.name)
        return {str(file): file.read_bytes() for file in files}

    before = state()
    ward.examine()
    assert {name: content for name, content in state().items() if content} == {
        name: content for name, content in before.items() if content
    }


def test_several_faults_are_told_together(ward: Ward) -> None:
    ward.settings.key_file.chmod(0o644)
    ward.settings.snapshot_file.write_bytes(b"nonsense")
    ward.environ["TIDEGATE_GATEWAY_PRT"] = "1"
    assert ward.codes() == {"key_file_open", "snapshot_damaged", "unknown_variable"}


def test_a_faulty_file_does_not_stop_the_other_checks(ward: Ward) -> None:
    ward.settings.key_file.chmod(0o644)
    ward.config.write_text("models: [")
    assert {"config_not_yaml", "key_file_open"} <= ward.codes()


def test_check_failed_hides_nothing_else(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: object) -> list[Finding]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(table, "CHECKS", (Check("broken", "", broken), *CHECKS))
    finding = ward.found("check_failed")
    assert "a bug" in finding.what


def test_every_fault_is_produced_by_a_test_here() -> None:
    told = "".join(file.read_text() for file in HERE.glob("test_*.py"))
    assert [code for code in FAULTS if f'"{code}"' not in told] == []


def test_every_template_is_filled_by_name() -> None:
    for fault in FAULTS.values():
        names = [name for text in (fault.when, fault.mend) for _, name, _, _ in string.Formatter().parse(text)]
        assert all(name is None or name.isidentifier() for name in names)
        assert fault.mend


def test_the_reference_lists_every_code_with_its_mend() -> None:
    assert REFERENCE.read_text() == reference_text(), "write it anew: tidegate doctor --list > docs/reference/doctor.md"
    assert len(FAULTS) >= 18
