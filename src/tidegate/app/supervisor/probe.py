"""Asking a process over HTTP whether it is ready, without waiting: the supervisor's loop watches the socket."""

import socket

from tidegate.app.supervisor.model import Address

__all__ = ["Probe"]


class Probe:
    """One question to one address. `sock` is watched until it can be read; `answer` then tells."""

    def __init__(self, address: Address) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._question = (
            f"GET {address.path} HTTP/1.1\r\nhost: {address.host}\r\nuser-agent: tidegate-supervisor\r\n"
            f"connection: close\r\n\r\n"
        ).encode()
        self._sent = False
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.connect_ex((_reachable(address.host), address.port))  # a refusal shows when asking

    @property
    def asks(self) -> bool:
        """Whether the question still has to be sent: then the socket is watched for writing."""
        return not self._sent

    def ask(self) -> bool:
        """Send the question; False when nobody takes the connection."""
        try:
            self.sock.send(self._question)
        except OSError:
            return False
        self._sent = True
        return True

    def answer(self) -> bool:
        """Whether the answer's status is 200."""
        try:
            return self.sock.recv(1024).split(b" ", 2)[1:2] == [b"200"]
        except OSError:
            return False

    def close(self) -> None:
        self.sock.close()


def _reachable(host: str) -> str:
    """An address that listens everywhere is asked on loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
