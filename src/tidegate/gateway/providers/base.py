"""What a provider is: six verbs between our words and an upstream's dialect. Built-ins and plug-ins enter by the same
door.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.events import Reader
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Deployment

__all__ = ["Ask", "Provider", "Reader"]


class Ask:
    """What one upstream is asked: an endpoint that its provider speaks, and the fields in that endpoint's own words.

    Made anew for each attempt; `payload` may be the call's own and is not changed. `model` is the upstream's id. `call`
    is there to note usage, first token, finish reason and the like on.
    """

    __slots__ = ("call", "deployment", "endpoint", "model", "payload", "stream", "usage_wanted")

    def __init__(
        self, call: Call, endpoint: str, payload: dict[str, msgspec.Raw], deployment: Deployment, model: str
    ) -> None:
        self.call = call
        self.endpoint = endpoint
        self.payload = payload
        self.deployment = deployment
        self.model = model
        self.stream = call.stream
        self.usage_wanted = call.usage_wanted
        """Whether the answer's reader wants OpenAI's usage chunk in a stream: a client that asked, or a dialect."""


class Provider(Protocol):
    """One dialect of upstreams."""

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """The names of the endpoints that this upstream takes in their own words. Others are translated to
        chat.completions, if it speaks that.
        """
        ...

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """Prepare the deployment's address and headers; a secret that is missing makes a target with a fault. Raises
        Invalid.
        """
        ...

    def request(self, target: Target, ask: Ask) -> bytes:
        """The whole HTTP request, signed if need be; raises Invalid for what this upstream cannot be asked."""
        ...

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether an answer with these headers is a stream that `reader` can read."""
        ...

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """Turn a whole answer into a Reply in the words of `ask.endpoint` and note usage on the Call; raises
        ProviderFailed for what is not an answer.
        """
        ...

    def reader(self, ask: Ask) -> Reader:
        """What reads a streamed answer."""
        ...
