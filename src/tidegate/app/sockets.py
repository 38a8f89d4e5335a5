"""Listening sockets: bound here, or inherited from the process that bound them."""

import socket

from tidegate.kernel.errors import Conflict, Invalid

__all__ = ["bind", "free_port", "inherited", "is_listening"]

BACKLOG = 4096
LOOK_S = 0.3


def bind(host: str, port: int, *, setting: str = "server.gateway_port") -> socket.socket:
    """Bind a listening TCP socket; raises Conflict naming the setting when the address cannot be had."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise Conflict(
            f"The address {host}:{port} cannot be used: {error.strerror or error}.",
            mend=f"Stop what listens there, or set {setting} in tidegate.yaml (`tidegate doctor` names the process).",
            code="port_taken",
        ) from error
    sock.setblocking(False)
    return sock


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that a parent process bound; raises Invalid when the descriptor is none."""
    fault = Invalid(
        f"The file descriptor {descriptor} is no listening socket.",
        mend="Pass the one that the parent bound and lets this process inherit, or use --port.",
        code="bad_descriptor",
    )
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise fault from error
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise fault
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def is_listening(host: str, port: int) -> bool:
    """Whether something takes connections there now."""
    try:
        socket.create_connection((host, port), LOOK_S).close()
    except OSError:
        return False
    return True


def free_port(host: str, wanted: int, taken: frozenset[int] = frozenset()) -> int:
    """`wanted` when it can be bound and is not `taken`, else a port that the kernel says is free."""
    for port in (wanted, *([0] * 8)):
        if port in taken:
            continue
        try:
            with bind(host, port) as sock:
                found = int(sock.getsockname()[1])
        except Conflict:
            continue
        if found not in taken:
            return found
    raise Conflict(f"There is no free port on {host}.", mend="Close some connections; try again.", code="port_taken")
