"""Signature Version 4, as Amazon Bedrock wants it.

Algorithm: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read 2026-11).
For every service but S3 the path, as it stands on the wire, is encoded once more before it is signed.
"""

import hashlib
import hmac
import time
from urllib.parse import quote

from tidegate.gateway.upstream.target import HEADER_VALUE, Target
from tidegate.kernel.errors import Invalid

__all__ = ["SigV4", "canonical_request", "signature"]

SERVICE = "bedrock"
ALGORITHM = "AWS4-HMAC-SHA256"


class SigV4:
    """Signs requests with one pair of keys for one region. The day's signing key is kept."""

    def __init__(self, region: str, access_key: str, secret_key: str, session_token: str = "") -> None:
        for word in (region, access_key, session_token):
            if not HEADER_VALUE.fullmatch(word):
                raise Invalid(
                    "The credentials of AWS hold a sign that HTTP cannot carry.",
                    mend="Mend the variables that hold them.",
                    code="invalid_header",
                )
        self.region = region
        self._access_key = access_key
        self._secret_key = secret_key
        self._session_token = session_token
        self._day = ""
        self._day_key = b""

    def lines(self, target: Target, path: str, body: bytes) -> str:
        """See `Signer`."""
        return self.signed(target.authority, path, body, time.time())

    def signed(self, host: str, path: str, body: bytes, at_s: float) -> str:
        """The header lines for a POST at this time (seconds since 1970)."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_s))
        headers = {"host": host, "x-amz-date": stamp}
        if self._session_token:
            headers["x-amz-security-token"] = self._session_token
        if stamp[:8] != self._day:
            self._day, self._day_key = stamp[:8], _day_key(self._secret_key, stamp[:8], self.region)
        scope = f"{self._day}/{self.region}/{SERVICE}/aws4_request"
        found = signature(self._day_key, stamp, scope, canonical_request(path, headers, body))
        names = ";".join(headers)
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "host")
        credential = f"Credential={self._access_key}/{scope}"
        return f"{told}Authorization: {ALGORITHM} {credential}, SignedHeaders={names}, Signature={found}\r\n"


def canonical_request(path: str, headers: dict[str, str], body: bytes) -> str:
    """What is signed of a POST without a query; `headers` by name in rising order, in lower case."""
    told = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in headers.items())
    return f"POST\n{quote(path, safe='/-_.~')}\n\n{told}\n{';'.join(headers)}\n{hashlib.sha256(body).hexdigest()}"


def signature(day_key: bytes, stamp: str, scope: str, request: str) -> str:
    """The signature in hex."""
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(day_key, text.encode(), hashlib.sha256).hexdigest()


def _day_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for word in (day, region, SERVICE, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key
