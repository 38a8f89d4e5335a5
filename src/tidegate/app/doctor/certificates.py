"""Checks of the certificates that control and the gateways speak TLS with."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tidegate.adapters.vault.certificates import Validity, read_validity
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.kernel.errors import Invalid

__all__ = ["SOON_DAYS", "check_certificates"]

SOON_DAYS = 14
DAY_MS = 24 * 3_600_000


class _Pair(NamedTuple):
    """A side's two files as the settings name them; empty: not named."""

    side: str
    cert: str
    key: str


def check_certificates(patient: Patient) -> Iterator[Finding]:
    """Each side's pair: both files named, readable and of one another, good now and for some days more. And the file
    by which commands trust control.
    """
    settings = patient.settings
    for pair in (
        _Pair("gateway", settings.gateway_tls_cert, settings.gateway_tls_key),
        _Pair("control", settings.control_tls_cert, settings.control_tls_key),
    ):
        if pair.cert and pair.key:
            yield from _look(patient, pair)
        elif pair.cert or pair.key:
            yield found(
                "invalid_setting",
                fault=f"Of server.{pair.side}_tls_cert and server.{pair.side}_tls_key only one is set.",
                mend="Set both, or neither.",
            )
    if settings.control_ca_file:
        yield from _trusted(patient, settings.workspace / settings.control_ca_file)


def _look(patient: Patient, pair: _Pair) -> Iterator[Finding]:
    cert, key = patient.settings.workspace / pair.cert, patient.settings.workspace / pair.key
    names = {"side": pair.side, "cert": patient.shown(cert), "key": patient.shown(key)}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
        validity = read_validity(cert.read_bytes())
        mode = key.stat().st_mode & 0o777
    except (OSError, ssl.SSLError, Invalid) as error:
        yield found("certificate_bad", reason=_why(error), **names)
        return
    if mode & 0o007:
        yield found("certificate_key_open", key=names["key"], mode=f"{mode:04o}")
    yield from _timely(patient, names["cert"], validity)


def _trusted(patient: Patient, file: Path) -> Iterator[Finding]:
    try:
        validity = read_validity(file.read_bytes())
    except (OSError, Invalid) as error:
        yield found("certificate_authority_bad", file=patient.shown(file), reason=_why(error))
        return
    yield from _timely(patient, patient.shown(file), validity)


def _timely(patient: Patient, file: str, validity: Validity) -> Iterator[Finding]:
    now_ms = patient.machine.now_ms
    begins, ends = _date(validity.begins_at_ms), _date(validity.ends_at_ms)
    if not validity.begins_at_ms <= now_ms < validity.ends_at_ms:
        yield found("certificate_not_valid", file=file, begins=begins, ends=ends)
    elif validity.ends_at_ms - now_ms < SOON_DAYS * DAY_MS:
        yield found("certificate_ends_soon", file=file, ends=ends)


def _why(error: OSError | ssl.SSLError | Invalid) -> str:
    if isinstance(error, Invalid):
        return error.message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        return "the key is another certificate's" if "KEY_VALUES_MISMATCH" in str(error) else error.reason or "no PEM"
    return error.strerror or str(error)


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
