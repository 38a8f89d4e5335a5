"""What policies need from outside: a catalogue of prices, and a vault."""

from typing import Protocol

from tidegate.kernel.money import Price
from tidegate.live.snapshot import Sealed

__all__ = ["Prices", "Vault"]


class Prices(Protocol):
    """A catalogue of what models cost."""

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        """The price of a model at a provider's id or API address, its source dated; None when not listed."""
        ...


class Vault(Protocol):
    """Seals rows under the workspace's master key, whose fingerprint is `key_id`."""

    key_id: str

    def seal(self, table: str, name: str, plaintext: bytes) -> Sealed:
        """Seal one row."""
        ...

    def reseal(self, table: str, name: str, sealed: Sealed) -> Sealed:
        """The same secret under the current master key; raises Invalid when it cannot be opened."""
        ...
