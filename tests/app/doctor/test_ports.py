"""Ports that somebody else has, named; ports that are ours, not."""

import os
import socket
import subprocess
import sys
import time

import msgspec
import pytest

from tests.app.doctor.ward import Ward
from tests.support.httpd import Answer, models_answer, serve
from tidegate.app.supervisor.claim import SupervisorState


@pytest.mark.parametrize("setting", ["gateway_port", "control_port"])
def test_port_taken_names_the_setting_and_the_process(ward: Ward, setting: str) -> None:
    with socket.create_server(("127.0.0.1", getattr(ward.settings, setting))):
        finding = ward.found("port_taken")
    assert setting in finding.what
    assert f"process {os.getpid()}" in finding.what


def test_port_taken_for_the_model_by_something_else(ward: Ward) -> None:
    with serve(lambda asked: Answer(200, b"<html>", "text/html")) as url:
        port = url.rpartition(":")[2]
        ward.environ["TIDEGATE_MODEL_PORT"] = port
        text = ward.config.read_text()
        base_url = next(line for line in text.splitlines() if "base_url" in line)
        ward.rewrite(base_url, f"    base_url: {url}/v1")
        assert {"port_taken", "model_not_json"} <= ward.codes()


def test_a_model_on_the_models_port_is_as_it_should_be(ward: Ward) -> None:
    with serve(lambda asked: models_answer("tiny-1")) as url:
        ward.environ["TIDEGATE_MODEL_PORT"] = url.rpartition(":")[2]
        text = ward.config.read_text()
        base_url = next(line for line in text.splitlines() if "base_url" in line)
        ward.rewrite(base_url, f"    base_url: {url}/v1")
        assert "port_taken" not in ward.codes()


def test_a_port_of_our_own_supervisor_is_ours(ward: Ward) -> None:
    state = SupervisorState(pid=os.getpid(), started_at_ms=time.time_ns() // 1_000_000, ports={})
    ward.settings.run_dir.mkdir(exist_ok=True)
    (ward.settings.run_dir / "supervisor.json").write_bytes(msgspec.json.encode(state))
    with socket.create_server(("127.0.0.1", ward.settings.gateway_port)):
        assert ward.codes() == set()


def test_a_port_of_a_process_that_has_our_database_open_is_ours(ward: Ward) -> None:
    script = (
        "import socket, sys\n"
        "file = open(sys.argv[1])\n"
        "listener = socket.create_server(('127.0.0.1', int(sys.argv[2])))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(ward.settings.control_db_file), str(ward.settings.control_port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert ward.codes() == set()
        other.communicate()


def test_port_twice(ward: Ward) -> None:
    ward.environ["TIDEGATE_CONTROL_PORT"] = str(ward.settings.gateway_port)
    finding = ward.found("port_twice")
    assert "gateway_port and control_port" in finding.what
