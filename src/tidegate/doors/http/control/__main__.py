"""`python -m tidegate.doors.http.control`: the control process, on a socket that it inherits or binds."""

import asyncio
import os
import sys

from tidegate.app.first_start import first_start
from tidegate.app.sockets import bind, inherited
from tidegate.app.supervisor.entry import enter
from tidegate.app.supervisor.orders import Orders
from tidegate.doors.http.control.serve import serve_control

__all__ = ["main"]


def main() -> int:
    """Serve until told to stop; return the exit code."""
    return enter("control", _serve)


def _serve(orders: Orders) -> None:
    settings = orders.settings
    if orders.socket_fd is None:
        sock = bind(settings.control_host, settings.control_port, setting="server.control_port")
    else:
        sock = inherited(orders.socket_fd)
    if orders.first:
        asyncio.run(first_start(settings))
    serve_control(settings, os.environ, sock)


if __name__ == "__main__":
    sys.exit(main())
