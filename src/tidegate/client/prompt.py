"""A rendered prompt: what an application hands to its own provider's client, and what it must log to know later what
it sent.
"""

import msgspec

__all__ = ["RenderedPrompt"]


class RenderedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with its variables filled in.

    `messages` for a chat prompt, `text` for a text prompt, the other is None. `settings` are request fields in
    OpenAI's names (temperature, max_tokens, stop, ...). `model` is the alias or id that the version names. `version`,
    `release_id` and `generation` tell exactly what was live; `stale` is True when the gateway has not been heard from
    for longer than the client's `stale_after_s`. `experiment` is NAME/VARIANT when the unit is in one with this prompt:
    it decided then, and not the release.
    """

    name: str
    version: str
    model: str
    messages: list[dict[str, str]] | None
    text: str | None
    settings: dict[str, object]
    release_id: str
    environment: str
    generation: int
    stale: bool
    experiment: str | None = None
