"""`tidegate apply` and `tidegate config` as their user sees them, with no server running."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.app.doctor.ward import free_ports
from tests.doors.cli.workspaces import Cli
from tests.support.httpd import Answer, Asked, serve
from tidegate.app.config import schema_text


@dataclass
class Control:
    """A control plane that answers everything in one way."""

    answer: Answer = field(default_factory=Answer)


class TestApply:
    def test_without_a_server_goes_to_the_database_and_says_so(self, cli: Cli) -> None:
        outcome = cli.make().here("apply")
        assert (outcome.code, outcome.err) == (0, "")
        assert "+ routes.chat.model: smollm2" in outcome.out
        assert "Applied as revision 1 (generation 1)" in outcome.out
        assert "the workspace's database (control is not running)" in outcome.out

    def test_again_changes_nothing(self, cli: Cli) -> None:
        cli.make().here("apply")
        assert "Nothing changed: revision 1 holds already" in cli.here("apply").out

    def test_of_a_change_tells_the_change(self, cli: Cli) -> None:
        cli.make().here("apply")
        cli.rewrite("drain_timeout_s: 30", "drain_timeout_s: 10")
        told = cli.here("apply", "--json").json
        assert told["revision"] == 2
        assert told["changes"] == ["~ policies.drain_timeout_s: 30.0 -> 10.0"]
        assert told["way"].startswith("the workspace's database")

    def test_of_a_hard_budget_over_a_model_without_a_price_warns(self, cli: Cli) -> None:
        cli.make()
        cli.rewrite("budgets: []", "budgets: [{name: everything, usd: 5, per: day}]")
        assert "warning" not in cli.here("apply").out
        text = cli.config.read_text()
        cli.config.write_text(text[: text.index("    price:")] + text[text.index("    timeouts:") :])
        warning = "warning: budgets.everything: the price of smollm2 is unknown"
        assert warning in cli.here("apply", "--dry-run").out
        assert warning in cli.here("apply").out
        dry, wet = (cli.here("apply", *more, "--json").json["warnings"] for more in (("--dry-run",), ()))
        assert dry == wet
        assert cli.here("apply", "--json").json["warnings"]

    def test_of_a_faulty_file_names_every_fault_and_changes_nothing(self, cli: Cli) -> None:
        cli.make().here("apply")
        cli.rewrite("provider: openai", "provider: opnai")
        cli.rewrite("gateways: 1", "gateways: none")
        outcome = cli.here("apply")
        assert outcome.code == 1
        assert "tidegate.yaml has 2 faults" in outcome.err
        assert "opnai" in outcome.err
        assert "server.gateways" in outcome.err
        cli.rewrite("gateways: none", "gateways: 1")
        assert "provider: openai" in cli.here("config", "show").out

    def test_to_a_named_server_does_not_go_elsewhere(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        (port,) = free_ports(1)
        monkeypatch.setenv("TIDEGATE_TOKEN", "tgt-x")
        outcome = cli.make().here("apply", "--server", f"http://127.0.0.1:{port}")
        assert outcome.code == 1
        assert "does not answer" in outcome.err
        monkeypatch.setenv("TIDEGATE_SERVER", f"http://127.0.0.1:{port}")
        assert cli.here("apply").code == 1
        assert not (cli.folder / ".tidegate" / "control.db").exists()

    def test_with_postgresql_needs_control(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TIDEGATE_DATABASE_URL", "postgresql://127.0.0.1:1/x")
        outcome = cli.make().here("apply")
        assert outcome.code == 1
        assert "tidegate up" in outcome.err


class TestOverControl:
    @pytest.fixture
    def asked(self) -> list[Asked]:
        return []

    @pytest.fixture
    def control(self, asked: list[Asked], monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
        told = Control()

        def answer(one: Asked) -> Answer:
            asked.append(one)
            return told.answer

        with serve(answer) as url:
            monkeypatch.setenv("TIDEGATE_CONTROL_PORT", url.rpartition(":")[2])
            yield told

    def test_the_file_goes_there_with_the_workspaces_own_token(
        self, cli: Cli, control: Control, asked: list[Asked]
    ) -> None:
        control.answer = Answer(body=b'{"revision": 7, "generation": 9, "changes": ["+ routes.chat.model: smollm2"]}')
        outcome = cli.make().here("apply")
        assert outcome.code == 0
        assert "Applied as revision 7 (generation 9), over control at http://127.0.0.1:" in outcome.out
        (one,) = asked
        assert (one.method, one.path) == ("PUT", "/api/v1/config")
        assert one.headers["authorization"].startswith("Bearer tgt-")
        assert json.loads(one.body) == {"text": cli.config.read_text(), "file": "tidegate.yaml"}
        assert not (cli.folder / ".tidegate" / "control.db").exists()

    def test_a_faulty_file_is_not_even_sent(self, cli: Cli, control: Control, asked: list[Asked]) -> None:
        cli.make().rewrite("provider: openai", "provider: opnai")
        assert cli.here("apply").code == 1
        assert asked == []

    def test_a_refusal_there_is_not_applied_elsewhere(self, cli: Cli, control: Control) -> None:
        control.answer = Answer(403, b'{"error": {"code": "permission_denied", "message": "No.", "mend": "Ask."}}')
        outcome = cli.make().here("apply")
        assert (outcome.code, outcome.err) == (1, "error: No.\nmend: Ask.\n")
        control.answer = Answer(503, b'{"error": {"code": "starting", "message": "Not yet.", "mend": "Wait."}}')
        assert "Not yet." in cli.here("apply").err
        assert not (cli.folder / ".tidegate" / "control.db").exists()

    def test_a_dry_run_before_the_first_apply_tells_everything(self, cli: Cli, control: Control) -> None:
        control.answer = Answer(404, b'{"error": {"code": "config_not_found", "message": "None.", "mend": "Apply."}}')
        outcome = cli.make().here("apply", "--dry-run")
        assert outcome.code == 0
        assert "+ routes.chat.model: smollm2" in outcome.out
        assert "control at http" in outcome.out

    def test_a_dry_run_only_reads(self, cli: Cli, control: Control, asked: list[Asked]) -> None:
        cli.make()
        control.answer = Answer(body=json.dumps({"text": cli.config.read_text(), "revision": 1}).encode())
        cli.rewrite("drain_timeout_s: 30", "drain_timeout_s: 10")
        assert "~ policies.drain_timeout_s: 30.0 -> 10.0" in cli.here("apply", "--dry-run").out
        assert [one.method for one in asked] == ["GET"]


class TestDryRun:
    def test_shows_the_difference_and_applies_nothing(self, cli: Cli) -> None:
        cli.make().here("apply")
        cli.rewrite("drain_timeout_s: 30", "drain_timeout_s: 10")
        outcome = cli.here("apply", "--dry-run")
        assert outcome.code == 0
        assert "~ policies.drain_timeout_s: 30.0 -> 10.0" in outcome.out
        assert "nothing was applied" in outcome.out
        assert cli.here("apply", "--dry-run", "--json").json["changes"] == ["~ policies.drain_timeout_s: 30.0 -> 10.0"]

    def test_before_the_first_apply_everything_is_new_and_no_database_is_made(self, cli: Cli) -> None:
        assert "+ routes.chat.model: smollm2" in cli.make().here("apply", "--dry-run").out
        assert not (cli.folder / ".tidegate" / "control.db").exists()

    def test_of_a_comment_says_so(self, cli: Cli) -> None:
        cli.make().here("apply")
        cli.config.write_text(cli.config.read_text() + "# a thought\n")
        assert "~ comments, order or layout only" in cli.here("apply", "--dry-run").out


class TestConfig:
    def test_check_of_a_good_file(self, cli: Cli) -> None:
        outcome = cli.make().here("config", "check")
        assert (outcome.code, outcome.err) == (0, "")
        assert "in order" in outcome.out

    def test_check_tells_every_fault_with_its_place(self, cli: Cli) -> None:
        cli.make().rewrite("provider: openai", "provider: opnai")
        cli.rewrite("gateways: 1", "gateways: 0")
        outcome = cli.here("config", "check")
        assert outcome.code == 1
        assert "tidegate.yaml:" in outcome.out
        assert "2 to mend" in outcome.out
        told = cli.here("config", "check", "--json").json
        assert [one["code"] for one in told] == ["unknown_provider", "bad_gateways"]
        assert all(one["line"] and one["mend"] for one in told)

    def test_check_of_another_file(self, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
        file = tmp_path_factory.mktemp("other") / "other.yaml"
        file.write_text("models: [")
        outcome = cli("config", "check", str(file))
        assert outcome.code == 1
        assert "other.yaml:" in outcome.out

    def test_check_of_a_file_that_is_not_there(self, cli: Cli) -> None:
        assert "error: " in cli("config", "check", "nowhere.yaml").err

    def test_show_before_the_first_apply(self, cli: Cli) -> None:
        outcome = cli.make().here("config", "show")
        assert outcome.code == 1
        assert "tidegate apply" in outcome.err

    def test_show_prints_what_holds_not_what_the_file_says_now(self, cli: Cli) -> None:
        cli.make().here("apply")
        held = cli.config.read_text()
        cli.config.write_text("something: else\n")
        assert cli.here("config", "show").out == held
        assert cli.here("config", "show", "--json").json["text"] == held

    def test_schema_is_json(self, cli: Cli) -> None:
        assert json.loads(cli("config", "schema").out) == json.loads(schema_text())
