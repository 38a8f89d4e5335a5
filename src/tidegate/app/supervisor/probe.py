"""Asking a process over HTTP whether it is ready, without waiting: the supervisor's loop watches the socket."""

import selectors
import socket
import ssl

from tidegate.app.supervisor.model import Address

__all__ = ["Probe"]


class Probe:
    """One question to one address. `sock` is watched for `awaits`; then `go_on` goes a step further."""

    def __init__(self, address: Address) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._question = (
            f"GET {address.path} HTTP/1.1\r\nhost: {address.host}\r\nuser-agent: tidegate-supervisor\r\n"
            f"connection: close\r\n\r\n"
        ).encode()
        self._sent = False
        self._tls = address.tls
        self.awaits = selectors.EVENT_WRITE
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.connect_ex((_reachable(address.host), address.port))  # a refusal shows when asking

    def go_on(self) -> bool | None:
        """Ask, or read the answer: whether its status is 200. None: go on when the socket is ready once more."""
        try:
            if self._tls and not isinstance(self.sock, ssl.SSLSocket):
                self.sock = _own_process().wrap_socket(self.sock, do_handshake_on_connect=False)
            if self._sent:
                return self.sock.recv(1024).split(b" ", 2)[1:2] == [b"200"]
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.do_handshake()
            self.sock.send(self._question)
            self._sent = True
            self.awaits = selectors.EVENT_READ
        except ssl.SSLWantReadError:
            self.awaits = selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            self.awaits = selectors.EVENT_WRITE
        except OSError:
            return False
        return None

    def close(self) -> None:
        self.sock.close()


def _own_process() -> ssl.SSLContext:
    """TLS to a process of our own, whose certificate names the world's name for it: nothing is checked, and nothing
    secret is said.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reachable(host: str) -> str:
    """An address that listens everywhere is asked on loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
