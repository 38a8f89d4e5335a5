"""TLS in front of control and of either door of the gateway: version 1.3, HTTP/1.1, and certificates that may change
while connections are open.
"""

import logging
import ssl
from pathlib import Path
from typing import Literal

from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings

__all__ = ["LOOK_S", "Certificate", "open_certificate"]

log = logging.getLogger(__name__)

LOOK_S = 2.0

Mark = tuple[tuple[int, int, int], ...]
Side = Literal["gateway", "control"]


class Certificate:
    """A certificate chain and its private key, in PEM files. `context` serves whatever they held when they were last
    looked at and good; connections that are open keep the certificate that they began with.
    """

    def __init__(self, chain: Path, key: Path, side: Side = "gateway") -> None:
        """`side`: whose settings name the files. Raises Invalid when they cannot be read, or are no pair."""
        self._files = (chain, key)
        self._looked_s = 0.0
        try:
            self._mark = self._marked()
            self.context = self._loaded()
        except (OSError, ssl.SSLError) as error:
            raise Invalid(
                f"TLS cannot be served with {chain} and {key}: {error}.",
                mend="Name a certificate chain and its unencrypted private key, both in PEM, by "
                f"server.{side}_tls_cert and server.{side}_tls_key; this user must be able to read them.",
                code="bad_certificate",
            ) from error

    def look(self, now_s: float) -> None:
        """Take up files that changed, every few seconds. A pair that is not good yet is told once and tried again when
        it changes; the one before it stays.
        """
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            mark = self._marked()
            if mark == self._mark:
                return
            self._mark = mark
            self._loaded()  # on its own first: a failure must leave the one in use whole
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning("the changed certificate is not taken up, the one before stays: %s", error)
        else:
            log.info("the changed certificate %s is taken up", self._files[0])

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files, password=_no_password)
        return context

    def _marked(self) -> Mark:
        found = [file.stat() for file in self._files]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


def open_certificate(settings: Settings, side: Side = "gateway") -> Certificate | None:
    """What the settings name for this side, or None where they name nothing; raises Invalid."""
    cert, key = (
        (settings.gateway_tls_cert, settings.gateway_tls_key)
        if side == "gateway"
        else (settings.control_tls_cert, settings.control_tls_key)
    )
    if not cert and not key:
        return None
    if not (cert and key):
        raise Invalid(
            f"Of server.{side}_tls_cert and server.{side}_tls_key only one is set.",
            mend="Set both, or neither.",
            code="invalid_setting",
        )
    return Certificate(settings.workspace / cert, settings.workspace / key, side)


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    return ""
