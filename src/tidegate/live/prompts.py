"""What is live of the prompts, as the gateway tells a client that renders by itself."""

from collections.abc import Iterable, Iterator

import msgspec

from tidegate.live.experiments import REQUEST, TAG, LiveExperiment
from tidegate.live.snapshot import KeyGrant, LiveRelease, PromptVersion

__all__ = ["LivePrompt", "LivePrompts", "told_to"]


class LivePrompt(msgspec.Struct, frozen=True):
    """A prompt that is live, with every version that takes part in it, keyed by version. `experiments` are those that
    run with it, in order, as far as they concern the key that asks.
    """

    release: LiveRelease
    versions: dict[str, PromptVersion]
    experiments: tuple[LiveExperiment, ...] = ()


class LivePrompts(msgspec.Struct, frozen=True):
    """What `GET /v1/prompts` answers: everything that is needed to render, of one generation, keyed by prompt."""

    generation: int
    environment: str
    prompts: dict[str, LivePrompt]
    holdout_bp: int = 0


def told_to(grant: KeyGrant, experiments: Iterable[LiveExperiment]) -> Iterator[LiveExperiment]:
    """The experiments that a client with this key may be in, with what it need not know taken out: the names of keys,
    and conditions that the key's own tags fulfil. One whose unit is the request is left out: what a client renders
    leaves no record, so that nobody would learn from it.
    """
    for one in experiments:
        own = grant.tags
        unit_tag = one.unit[len(TAG) :] if one.unit.startswith(TAG) else ""
        elsewhere = any(own.get(name, value) != value for name, value in one.tags.items())
        if one.unit == REQUEST or unit_tag in own or elsewhere or (one.keys and grant.name not in one.keys):
            continue
        tags = {name: value for name, value in one.tags.items() if name not in own}
        yield msgspec.structs.replace(one, tags=tags, keys=())
