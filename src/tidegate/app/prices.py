"""The price catalogue, opened when a price is first asked for: half a second and 20 MB, and only `price: auto` asks."""

from functools import cached_property
from typing import TYPE_CHECKING

from tidegate.kernel.money import Price

if TYPE_CHECKING:
    from tidegate.adapters.prices import Catalogue

__all__ = ["PricesOnDemand"]


class PricesOnDemand:
    """Fills `control.policies.ports.Prices`."""

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        """See `control.policies.ports.Prices`."""
        return self._catalogue.price(provider_or_base_url, model)

    @cached_property
    def _catalogue(self) -> "Catalogue":
        from tidegate.adapters.prices import Catalogue  # noqa: PLC0415  # lazy: half a second, 20 MB

        return Catalogue()
