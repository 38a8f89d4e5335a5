"""Where a token may go: over TLS to a control plane that proves who it is, in the clear on this machine only."""

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

from tidegate.kernel.errors import Invalid

__all__ = ["ALLOW_PLAIN_HTTP", "Trust", "check_way", "is_loopback", "speaks_no_tls", "untrusted"]

ALLOW_PLAIN_HTTP = "TIDEGATE_ALLOW_PLAIN_HTTP"
END = "-----END CERTIFICATE-----"


class Trust(msgspec.Struct, frozen=True):
    """Who vouches for a control plane: authorities in a PEM file, else those of this machine. With `exactly`, only the
    first certificate of that file is taken, whatever name it bears.
    """

    ca_file: Path | None = None
    exactly: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What a client checks with; raises Invalid (`bad_ca_file`) when the file cannot be read or holds none."""
        file = self.exactly or self.ca_file
        if file is None:
            return httpx.create_ssl_context()
        try:
            if self.exactly is None:
                return ssl.create_default_context(cafile=str(file))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is the anchor
            context.load_verify_locations(cadata=file.read_text(encoding="ascii").partition(END)[0] + END + "\n")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise Invalid(
                f"No certificate can be read from {file}: {error}.",
                mend="Name a PEM file by --ca-file at `tidegate login`, TIDEGATE_CONTROL_CA_FILE or "
                "server.control_ca_file.",
                code="bad_ca_file",
            ) from error
        return context


def check_way(server: str, environ: Mapping[str, str]) -> None:
    """Raise Invalid (`token_in_clear`) when the token would travel unencrypted to another machine."""
    if server.startswith("https://") or is_loopback(server) or environ.get(ALLOW_PLAIN_HTTP) == "1":
        return
    raise Invalid(
        f"The token would go to {server} in the clear: whoever listens on the way could read it.",
        mend="Give control a certificate (server.control_tls_cert) and use https://, or reach it through a tunnel that "
        f"ends at 127.0.0.1. Where the way itself is protected, set {ALLOW_PLAIN_HTTP}=1.",
        code="token_in_clear",
    )


def is_loopback(server: str) -> bool:
    """Whether the address is one of this machine. A proxy of the environment is never asked for it."""
    return httpx.URL(server).host in ("127.0.0.1", "localhost", "::1")


def untrusted(error: BaseException) -> str | None:
    """Why the server's certificate was not taken, if that is what went wrong."""
    cause = _tls_fault(error)
    return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else None


def speaks_no_tls(error: BaseException) -> bool:
    """Whether what came back from the server was no TLS, or of a version that is not spoken any more."""
    return _tls_fault(error) is not None


def _tls_fault(error: BaseException) -> ssl.SSLError | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
