"""Checks of the ports: each its own, and free, or held by this workspace's own processes."""

import socket
from collections.abc import Iterator
from itertools import combinations

import psutil

from tidegate.adapters.http.models import ask_models
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.app.supervisor.claim import read_state
from tidegate.app.supervisor.plan import asks_for_model

__all__ = ["check_ports"]

LOOK_S = 0.3


def check_ports(patient: Patient) -> Iterator[Finding]:
    """Two settings with one port; a port that somebody else listens on, by name where the system tells it."""
    if patient.guessed:
        return  # which ports are meant, nobody knows
    settings = patient.settings
    ports = {
        "gateway_port": (settings.gateway_host, settings.gateway_port),
        "control_port": (settings.control_host, settings.control_port),
    }
    if asks_for_model(settings):
        ports["model_port"] = ("127.0.0.1", settings.model_port)
    for (one, (_, port)), (other, (_, same)) in combinations(ports.items(), 2):
        if port == same:
            yield found("port_twice", one=one, other=other, port=port)
    for name, (host, port) in ports.items():
        if name == "model_port" and _is_model(port):
            continue
        if _listens(host, port):
            holder = _holder(port)
            if not _is_ours(patient, holder):
                yield found("port_taken", setting=name, port=port, process=_described(holder))


def _listens(host: str, port: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    try:
        socket.create_connection((reachable, port), timeout=LOOK_S).close()
    except OSError:
        return False
    return True


def _is_model(port: int) -> bool:
    """A model server has the model's port, as it should; its answers are another check's matter."""
    return ask_models(f"http://127.0.0.1:{port}/v1", timeout_s=2.0).kind in ("models", "unauthorized")


def _holder(port: int) -> psutil.Process | None:
    """The process that listens there; None when the system does not say (another user's, on most systems)."""
    try:
        for one in psutil.net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return psutil.Process(one.pid)
    except psutil.Error:
        return None
    return None


def _is_ours(patient: Patient, holder: psutil.Process | None) -> bool:
    """Whether the process is one of this workspace's: under its supervisor, or with a file of its state folder open."""
    state = read_state(patient.settings.run_dir)
    if holder is None:
        return state is not None and psutil.pid_exists(state.pid)
    if state is not None and holder.pid in (state.pid, *(process.pid for process in state.processes)):
        return True
    if holder.pid == psutil.Process().pid:
        return False  # the doctor itself has the files open at times
    try:
        folder = f"{patient.settings.state_dir}/"
        return any(file.path.startswith(folder) for file in holder.open_files())
    except psutil.Error:
        return False


def _described(holder: psutil.Process | None) -> str:
    if holder is None:
        return "a process whose name the system does not tell"
    try:
        words = " ".join(holder.cmdline())[:80]
        return f"process {holder.pid} ({words or holder.name()})"
    except psutil.Error:
        return f"process {holder.pid}"
