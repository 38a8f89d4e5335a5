"""`tidegate doctor` as its user sees it."""

from pathlib import Path

from tests.doors.cli.workspaces import Cli


def test_doctor_tells_each_fault_with_its_mend_and_exits_1(cli: Cli) -> None:
    cli.make()
    (cli.folder / ".tidegate" / "keys.env").chmod(0o644)
    outcome = cli.here("doctor")
    assert outcome.code == 1
    assert "fail  key_file_open: .tidegate/keys.env can be read by others (mode 0644)." in outcome.out
    assert "mend: Run `chmod 600 .tidegate/keys.env`." in outcome.out
    assert "1 to mend" in outcome.out.splitlines()[-1]


def test_doctor_exits_0_when_there_is_only_something_to_look_at(cli: Cli) -> None:
    cli.make()
    (cli.folder / ".tidegate").chmod(0o755)
    outcome = cli.here("doctor", "--json")
    assert [one["code"] for one in outcome.json["findings"] if one["level"] == "warn"] == ["state_dir_open"]
    fails = [one["code"] for one in outcome.json["findings"] if one["level"] == "fail"]
    assert set(fails) <= {"local_model_missing"}  # on a machine without its wheels
    assert outcome.code == (1 if fails else 0)


def test_doctor_without_a_workspace(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("doctor", "--workspace", str(tmp_path), "--json")
    assert outcome.code == 1
    assert [one["code"] for one in outcome.json["findings"]] == ["no_workspace"]
    assert outcome.json["fail"] == 1


def test_doctor_lists_what_it_knows(cli: Cli) -> None:
    outcome = cli("doctor", "--list")
    assert outcome.code == 0
    assert "| `port_taken` | fail |" in outcome.out
