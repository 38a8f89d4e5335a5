"""What `tidegate up` runs for a workspace: control, the gateways, the local model when it is asked for."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tidegate.app.sockets import bind, is_listening
from tidegate.app.supervisor.model import Address, Program
from tidegate.app.supervisor.orders import Orders
from tidegate.app.supervisor.supervisor import Plan
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings

__all__ = ["Commands", "asks_for_model", "drain_timeout_s", "make_plan"]

DRAIN_S = 30.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MODEL_HOST = "127.0.0.1"


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """How each kind of process is started: given by the door that knows the doors."""

    control: tuple[str, ...]
    gateway: tuple[str, ...]
    model: tuple[str, ...]


class _Policy(msgspec.Struct):
    drain_timeout_s: float = DRAIN_S


class _Seen(msgspec.Struct):
    policy: _Policy = msgspec.field(default_factory=_Policy)


def make_plan(settings: Settings, commands: Commands) -> Plan:
    """Bind the sockets and list the programs; raises Conflict when a port is taken, Invalid for a count below 1."""
    if settings.gateways < 1:
        raise Invalid("There must be at least one gateway.", mend="Use --gateways 1 or more.", code="invalid_setting")
    with ExitStack() as bound:
        gateway = bound.enter_context(bind(settings.gateway_host, settings.gateway_port))
        control = bound.enter_context(bind(settings.control_host, settings.control_port, setting="server.control_port"))
        ports = {"gateway": _port(gateway), "control": _port(control)}
        settings = msgspec.structs.replace(settings, gateway_port=ports["gateway"], control_port=ports["control"])
        programs = [_control(settings, commands, control), *_gateways(settings, commands, gateway)]
        if asks_for_model(settings) and not is_listening(MODEL_HOST, settings.model_port):
            programs.append(_model(settings, commands))
            ports["model"] = settings.model_port
        bound.pop_all()
    return Plan(
        programs=tuple(programs), sockets=(gateway, control), ports=ports, drain_s=lambda: drain_timeout_s(settings)
    )


def asks_for_model(settings: Settings) -> bool:
    """Whether a model of tidegate.yaml is served on the workspace's own model port. A faulty file asks for nothing:
    control tells what is wrong with it.
    """
    return any(_is_own(url, settings.model_port) for url in _base_urls(settings.config_file))


def drain_timeout_s(settings: Settings) -> float:
    """What the gateways may take to drain: the policy of the Snapshot that they last kept, else the default."""
    try:
        blob = settings.snapshot_file.read_bytes().partition(b"\n")[2]
        return msgspec.json.decode(blob, type=_Seen).policy.drain_timeout_s
    except (OSError, msgspec.DecodeError):
        return DRAIN_S


def _control(settings: Settings, commands: Commands, sock: socket.socket) -> Program:
    return Program(
        name="control",
        argv=commands.control,
        orders=Orders(process="control", settings=settings, socket_fd=sock.fileno(), first=True),
        ready_at=Address(settings.control_host, settings.control_port, tls=settings.control_tls),
        stage=1,
        mend="Run `tidegate doctor`.",
    )


def _gateways(settings: Settings, commands: Commands, sock: socket.socket) -> Iterator[Program]:
    for number in range(1, settings.gateways + 1):
        name = "gateway" if settings.gateways == 1 else f"gateway-{number}"
        yield Program(
            name=name,
            argv=commands.gateway,
            orders=Orders(process=name, settings=settings, socket_fd=sock.fileno()),
            ready_at=Address(settings.gateway_host, settings.gateway_port, tls=settings.gateway_tls),
            stage=0,
            mend="Run `tidegate doctor`.",
        )


def _model(settings: Settings, commands: Commands) -> Program:
    return Program(
        name="model",
        argv=(*commands.model, "--port", str(settings.model_port)),
        orders=Orders(process="model", settings=msgspec.structs.replace(settings, database_url="", redis_url="")),
        ready_at=Address(MODEL_HOST, settings.model_port, "/health"),
        stage=2,
        essential=False,
        quiet=True,
        patience_s=5.0,
        mend="Name another model under `models` in tidegate.yaml, and run `tidegate apply`.",
    )


def _base_urls(file: Path) -> Iterator[str]:
    try:
        document, _ = check_yaml(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError):
        return
    config = document.value if document is not None else None
    models = config.get("models") if isinstance(config, dict) else None
    for model in models.values() if isinstance(models, dict) else ():
        url = model.get("base_url") if isinstance(model, dict) else None
        if isinstance(url, str):
            yield url


def _is_own(url: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        return parts.hostname in LOOPBACK and parts.port == port
    except ValueError:
        return False


def _port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])
