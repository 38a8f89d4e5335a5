"""Bedrock as a Provider: the Converse API, signed with AWS credentials or asked with a Bedrock API key.

Address: https://bedrock-runtime.{region}.amazonaws.com (https://docs.aws.amazon.com/general/latest/gr/bedrock.html).
`options.region` says which region signs, unless base_url tells. With `api_key_env` the variable holds a Bedrock API key
(AWS_BEARER_TOKEN_BEDROCK); without, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are read, or the
variables that `options.access_key_env`, `secret_key_env` and `session_token_env` name.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from tidegate.gateway.call import Reply
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.bedrock.answers import read_converse
from tidegate.gateway.providers.bedrock.framing import is_frames
from tidegate.gateway.providers.bedrock.requests import converse_body
from tidegate.gateway.providers.bedrock.signing import SigV4
from tidegate.gateway.providers.bedrock.streams import ConverseReader
from tidegate.gateway.providers.keys import key_fault, key_of, missing, target_of
from tidegate.gateway.upstream.target import Target
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment

__all__ = ["BedrockProvider"]

SPOKEN = frozenset({"chat.completions"})
_HOST = re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)")


class BedrockProvider:
    """Speaks to models on Amazon Bedrock."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """See `Provider`."""
        region = _region(deployment)
        base_url = deployment.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        key = key_of(deployment, environ)
        target = target_of(deployment, base_url, {"Authorization": f"Bearer {key}"} if key else {})
        if deployment.api_key_env:
            target.fault = key_fault(deployment, environ)
            return target
        options = deployment.options
        access = options.get("access_key_env", "AWS_ACCESS_KEY_ID")
        secret = options.get("secret_key_env", "AWS_SECRET_ACCESS_KEY")
        session = options.get("session_token_env", "AWS_SESSION_TOKEN")
        for variable in (secret, access):
            if not environ.get(variable, "").strip():
                target.fault = missing(deployment, variable)
        if target.fault is None:
            keys = (environ[access].strip(), environ[secret].strip(), environ.get(session, "").strip())
            target.signer = SigV4(region, *keys)
        return target

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`."""
        return SPOKEN

    def request(self, target: Target, ask: Ask) -> bytes:
        """See `Provider`."""
        method = "converse-stream" if ask.stream else "converse"
        return target.post(f"/model/{quote(ask.model, safe='')}/{method}", converse_body(ask))

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return is_frames(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_converse`."""
        return read_converse(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `ConverseReader`."""
        return ConverseReader(ask)


def _region(deployment: Deployment) -> str:
    found = _HOST.search(deployment.base_url)
    region = deployment.options.get("region") or (found[1] if found else "")
    if not region:
        raise Invalid(
            f"Model {deployment.name!r} at Bedrock needs options.region.",
            mend="Write options: {region: eu-central-1}.",
            code="missing_option",
        )
    return region
