"""What a provider is: four verbs between our words and an upstream's dialect. Built-ins and plug-ins enter by the
same door.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Deployment

__all__ = ["Provider"]


class Provider(Protocol):
    """One dialect."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """Prepare the deployment's address and headers; raises Invalid when its secret is not in the environment."""
        ...

    def encode(self, call: Call, deployment: Deployment) -> bytes:
        """The body of the upstream's request."""
        ...

    def read(self, call: Call, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """Turn a whole answer into a Reply and note usage on the Call; raises ProviderFailed for what is not an
        answer.
        """
        ...

    def follow(self, call: Call, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Turn a streamed answer into whole server-sent events, noting usage; raises ProviderFailed when it ends too
        early.
        """
        ...
