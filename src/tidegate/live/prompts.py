"""What is live of the prompts, as the gateway tells a client that renders by itself."""

import msgspec

from tidegate.live.snapshot import LiveRelease, PromptVersion

__all__ = ["LivePrompt", "LivePrompts"]


class LivePrompt(msgspec.Struct, frozen=True):
    """A prompt that is live, with every version that takes part in it, keyed by version."""

    release: LiveRelease
    versions: dict[str, PromptVersion]


class LivePrompts(msgspec.Struct, frozen=True):
    """What `GET /v1/prompts` answers: everything that is needed to render, of one generation, keyed by prompt."""

    generation: int
    environment: str
    prompts: dict[str, LivePrompt]
