"""What `tidegate up` runs for a workspace."""

from pathlib import Path

import pytest

from tidegate.app.sockets import bind, free_port
from tidegate.app.supervisor.plan import Commands, asks_for_model, drain_timeout_s, make_plan
from tidegate.app.supervisor.supervisor import Plan
from tidegate.kernel.errors import Conflict, Invalid
from tidegate.live.snapshot import Policy, Snapshot, encode_snapshot
from tidegate.settings import Settings

COMMANDS = Commands(control=("control",), gateway=("gateway",), model=("model",))
CONFIG = "models:\n  a: {{provider: openai, base_url: {url}, model: m}}\n"


def settings(folder: Path, text: str = "", **more: int) -> Settings:
    (folder / "tidegate.yaml").write_text(text)
    return Settings(workspace=folder, **{"gateway_port": 0, "control_port": 0, **more})  # type: ignore[arg-type]


def closed(plan: Plan) -> Plan:
    for sock in plan.sockets:
        sock.close()
    return plan


def test_gateways_share_one_socket_and_stop_before_control(tmp_path: Path):
    plan = closed(make_plan(settings(tmp_path, gateways=3), COMMANDS))
    assert [program.name for program in plan.programs] == ["control", "gateway-1", "gateway-2", "gateway-3"]
    gateways = plan.programs[1:]
    assert len({program.orders.socket_fd for program in gateways}) == 1
    assert {program.stage for program in gateways} == {0}
    control = plan.programs[0]
    assert control.stage == 1
    assert control.orders.first
    assert not any(program.orders.first for program in gateways)


def test_everybody_hears_the_ports_that_were_found(tmp_path: Path):
    plan = closed(make_plan(settings(tmp_path), COMMANDS))
    assert plan.ports["gateway"] > 0
    for program in plan.programs:
        told = program.orders.settings
        assert (told.gateway_port, told.control_port) == (plan.ports["gateway"], plan.ports["control"])


def test_a_workspace_on_its_own_model_port_gets_the_model(tmp_path: Path):
    port = free_port("127.0.0.1", 0)
    own = settings(tmp_path, CONFIG.format(url=f"http://localhost:{port}/v1"), model_port=port)
    plan = closed(make_plan(own, COMMANDS))
    model = plan.programs[-1]
    assert model.argv == ("model", "--port", str(port))
    assert not model.essential
    assert model.stage == 2
    assert plan.ports["model"] == port


def test_a_model_that_listens_already_is_used_as_it_is(tmp_path: Path):
    with bind("127.0.0.1", 0) as there:
        port = there.getsockname()[1]
        own = settings(tmp_path, CONFIG.format(url=f"http://127.0.0.1:{port}/v1"), model_port=port)
        plan = closed(make_plan(own, COMMANDS))
    assert [program.name for program in plan.programs] == ["control", "gateway"]


@pytest.mark.parametrize("text", [
    CONFIG.format(url="https://llm.example:8082/v1"), CONFIG.format(url="http://127.0.0.1:9999/v1"),
    CONFIG.format(url="http://[::bad/v1"), "models: 3", "models: [a]", "models: {a: b}", "- a", "{", "",
])  # fmt: skip
def test_other_upstreams_and_faulty_files_ask_for_no_model(tmp_path: Path, text: str):
    assert not asks_for_model(settings(tmp_path, text))


def test_a_taken_control_port_leaves_nothing_bound(tmp_path: Path):
    with bind("127.0.0.1", 0) as taken:
        gateway = free_port("127.0.0.1", 0)
        wanted = settings(tmp_path, gateway_port=gateway, control_port=taken.getsockname()[1])
        with pytest.raises(Conflict, match=r"server\.control_port"):
            make_plan(wanted, COMMANDS)
        bind("127.0.0.1", gateway).close()


def test_no_gateway_at_all_is_refused(tmp_path: Path):
    with pytest.raises(Invalid, match="at least one gateway"):
        make_plan(settings(tmp_path, gateways=0), COMMANDS)


def test_the_drain_is_as_long_as_the_policy_that_the_gateways_follow(tmp_path: Path):
    own = settings(tmp_path)
    assert drain_timeout_s(own) == 30.0
    own.state_dir.mkdir()
    blob, digest = encode_snapshot(Snapshot(generation=3, written_at_ms=1, policy=Policy(drain_timeout_s=7.5)))
    own.snapshot_file.write_bytes(digest.encode() + b"\n" + blob)
    assert drain_timeout_s(own) == 7.5
    own.snapshot_file.write_bytes(b"half of a")
    assert drain_timeout_s(own) == 30.0
