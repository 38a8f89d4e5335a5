"""Signatures are the ones that botocore makes, for any path, body, key and time."""

import datetime
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.gateway.providers.bedrock.signing import SigV4

PLAIN = st.text("abcXYZ019/+=-", min_size=1, max_size=40)
MODELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789.:-/% _~", min_size=1, max_size=60).filter(
    lambda model: model not in (".", "..")  # no model is called so, and as a path each would be another one
)
TIMES = st.integers(0, 2**32)


@given(
    model=MODELS,
    body=st.binary(max_size=100),
    keys=st.tuples(PLAIN, PLAIN, st.just("") | PLAIN),
    host=st.sampled_from(["bedrock-runtime.eu-central-1.amazonaws.com", "127.0.0.1:8080"]),
    at_s=TIMES,
)
@settings(max_examples=150)
def test_the_signature_is_botocores(model: str, body: bytes, keys: tuple[str, str, str], host: str, at_s: int) -> None:
    path = f"/model/{quote(model, safe='')}/converse"
    told = SigV4("eu-central-1", *keys).signed(host, path, body, at_s)
    stamp = datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    request = AWSRequest(method="POST", url=f"https://{host}{path}", headers={"host": host}, data=body)
    request.headers["X-Amz-Date"] = stamp
    if keys[2]:
        request.headers["X-Amz-Security-Token"] = keys[2]
    request.context["timestamp"] = stamp
    auth = SigV4Auth(Credentials(keys[0], keys[1], keys[2] or None), "bedrock", "eu-central-1")
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert told.endswith(f"Signature={signature}\r\n")
    assert f"x-amz-date: {stamp}\r\n" in told


def test_a_new_day_takes_a_new_key() -> None:
    signer = SigV4("eu-central-1", "AKID", "secret")
    first = signer.signed("h", "/p", b"", 0)
    assert signer.signed("h", "/p", b"", 86_400) != first
    assert signer.signed("h", "/p", b"", 0) == first
