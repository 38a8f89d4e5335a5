"""What a file of certificates says of itself: from when to when it is good."""

from typing import NamedTuple

from cryptography.x509 import load_pem_x509_certificates

from tidegate.kernel.errors import Invalid

__all__ = ["Validity", "read_validity"]


class Validity(NamedTuple):
    """From when to when a whole chain is good, in Unix ms: no certificate in it ends before `ends_at_ms`."""

    begins_at_ms: int
    ends_at_ms: int


def read_validity(chain: bytes) -> Validity:
    """The validity of a chain in PEM; raises Invalid (`bad_certificate`) where it holds no certificate."""
    try:
        found = load_pem_x509_certificates(chain)
    except ValueError as error:
        raise Invalid(
            "The file holds no certificate.", mend="Give a certificate chain in PEM.", code="bad_certificate"
        ) from error
    begins = max(one.not_valid_before_utc.timestamp() for one in found)
    ends = min(one.not_valid_after_utc.timestamp() for one in found)
    return Validity(int(begins * 1000), int(ends * 1000))
