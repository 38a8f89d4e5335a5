"""What policies need from outside: a catalogue of prices."""

from typing import Protocol

from tidegate.kernel.money import Price

__all__ = ["Prices"]


class Prices(Protocol):
    """A catalogue of what models cost."""

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        """The price of a model at a provider's id or API address, its source dated; None when not listed."""
        ...
