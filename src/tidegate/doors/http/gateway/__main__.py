"""`python -m tidegate.doors.http.gateway`: one gateway process, on a socket that it inherits or binds."""

import os
import sys

from tidegate.app.sockets import bind, inherited
from tidegate.app.supervisor.entry import enter
from tidegate.app.supervisor.orders import Orders
from tidegate.doors.http.gateway.serve import run_gateway

__all__ = ["main"]


def main() -> int:
    """Serve until told to stop; return the exit code."""
    return enter("gateway", _serve)


def _serve(orders: Orders) -> None:
    settings = orders.settings
    if orders.socket_fd is None:
        sock = bind(settings.gateway_host, settings.gateway_port)
    else:
        sock = inherited(orders.socket_fd)
    run_gateway(settings, os.environ, sock)


if __name__ == "__main__":
    sys.exit(main())
