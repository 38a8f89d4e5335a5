"""`tidegate up`, `gateway`, `control`, `model`: the processes. The long-lived ones replace this one by a program that
imports only what it needs, under the same process id.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from tidegate.app.local_model import Serving, serve_model
from tidegate.app.supervisor.entry import enter
from tidegate.app.supervisor.orders import Orders, given, taken
from tidegate.doors.cli.options import Json, Workspace, settings_of
from tidegate.doors.cli.output import print_json, say
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.settings import Settings

__all__ = ["control", "gateway", "model", "up"]

Port = Annotated[int | None, typer.Option("--port", "-p", metavar="N", min=0, max=65535, help="0: one that is free.")]
Descriptor = Annotated[
    int | None, typer.Option("--fd", metavar="N", help="Serve on this inherited listening socket instead.")
]


def up(
    gateways: Annotated[
        int | None, typer.Option("--gateways", "-n", metavar="N", min=1, max=256, help="Gateway processes.")
    ] = None,
    port: Port = None,
    workspace: Workspace = None,
) -> None:
    """Serve the workspace: control, gateways, and the local model if tidegate.yaml asks for it. Ctrl-C stops all."""
    orders = taken(os.environ)
    settings = _with(settings_of(workspace), gateways=gateways, gateway_port=port)
    lifeline_fd = orders.lifeline_fd if orders is not None else None
    _become("tidegate.doors.cli.up", Orders(process="up", settings=settings, lifeline_fd=lifeline_fd))


def gateway(port: Port = None, fd: Descriptor = None, workspace: Workspace = None) -> None:
    """Run one gateway process here, in the foreground. SIGTERM lets the answers under way finish."""
    settings = _with(settings_of(workspace), gateway_port=port)
    _become("tidegate.doors.http.gateway", Orders(process="gateway", settings=settings, socket_fd=fd))


def control(
    port: Port = None,
    fd: Descriptor = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="First migrate the database and apply tidegate.yaml, as `up` does.")
    ] = False,
    workspace: Workspace = None,
) -> None:
    """Run the control plane here, in the foreground. It expects a database that is up to date: `tidegate migrate`."""
    settings = _with(settings_of(workspace), control_port=port)
    _become("tidegate.doors.http.control", Orders(process="control", settings=settings, socket_fd=fd, first=apply))


def model(
    gguf: Annotated[Path | None, typer.Option("--gguf", metavar="FILE", help="Any GGUF file; else SmolLM2.")] = None,
    port: Port = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Serve a model on loopback with OpenAI's API: chat, completions, embeddings. llama.cpp talks to a log file."""
    settings = _settings_or_none(workspace)

    def serve(orders: Orders) -> None:
        log = None if orders.supervised else _model_log(settings)
        chosen = port if port is not None else orders.settings.model_port
        serve_model(gguf, chosen, log, lambda serving: _tell(serving, log, as_json=as_json))

    return enter("model", serve, settings or Settings(workspace=Path.cwd()))


def _become(module: str, orders: Orders) -> NoReturn:
    """Replace this process. The interpreter's options stay, so that `-X` and `-W` reach the new one too."""
    for descriptor in (orders.socket_fd, orders.lifeline_fd):
        if descriptor is not None:
            _keep_open(descriptor)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", module], given(orders, os.environ))


def _keep_open(descriptor: int) -> None:
    try:
        os.set_inheritable(descriptor, True)
    except OSError as error:
        raise Invalid(
            f"There is no file descriptor {descriptor}.",
            mend="Use --port, or pass the socket on.",
            code="bad_descriptor",
        ) from error


def _with(settings: Settings, **changes: int | None) -> Settings:
    return msgspec.structs.replace(settings, **{name: value for name, value in changes.items() if value is not None})


def _settings_or_none(workspace: Path | None) -> Settings | None:
    try:
        return settings_of(workspace)
    except NotFound:
        if workspace is not None:
            raise
        return None


def _model_log(settings: Settings | None) -> Path:
    if settings is not None:
        return settings.log_dir / "model.log"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tidegate" / "model.log"


def _tell(serving: Serving, log: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(serving)
    else:
        say(f"{serving.model} answers at {serving.url} (loaded in {serving.loaded_in_s:.1f} s)")
        if log is not None:
            say(f"its log: {log}")
    sys.stdout.flush()
