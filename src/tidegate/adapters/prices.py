"""Prices from the catalogue that genai-prices ships: offline and dated. Its import takes half a second."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version

from genai_prices import data_snapshot, types

from tidegate.kernel.money import Price, pico_usd_per_token

__all__ = ["Catalogue"]

_DAY = re.compile(r"\b20[2-9][0-9]-[01][0-9]-[0-3][0-9]\b")


class Catalogue:
    """Fills `control.policies.ports.Prices`. `now` (UTC) decides between prices that begin on a day."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._snapshot = data_snapshot.get_snapshot()

    @cached_property
    def day(self) -> date:
        """The newest day, until now, on which the catalogue says that a price was checked: how old it is."""
        days = [date.min]
        for provider in self._snapshot.providers:
            for model in provider.models:
                days += _days(model.price_comments or "")
        return max(day for day in days if day <= self._now.date())

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        """Return the model's standard price; None when it is not listed, or has no price by token.

        A price that rises with the length of the input is taken at its base, one that changes with the hour
        at its dearest; `source` says so.
        """
        is_url = "://" in provider_or_base_url
        url, provider_id = (provider_or_base_url, None) if is_url else (None, provider_or_base_url)
        try:
            provider, found = self._snapshot.find_provider_model(model, None, provider_id, url)
        except LookupError:
            return None
        candidates = _standing(found.prices, self._now)
        priced = [self._read(one, f"{provider.id}/{found.id}", hourly=len(candidates) > 1) for one in candidates]
        known = [price for price in priced if price is not None]
        return max(known, key=lambda price: price.output_pico_usd_per_token, default=None)

    def _read(self, listed: types.ModelPrice, name: str, *, hourly: bool) -> Price | None:
        given, taken, cached = listed.input_mtok, listed.output_mtok, listed.cache_read_mtok
        if given is None or taken is None:
            return None
        notes = [f"genai-prices {version('genai-prices')}", f"checked until {self.day}", name]
        if any(isinstance(price, types.TieredPrices) for price in (given, taken, cached)):
            notes.append("base of a tiered price")
        if hourly:
            notes.append("dearest hours")
        return Price(
            input_pico_usd_per_token=pico_usd_per_token(_base(given)),
            output_pico_usd_per_token=pico_usd_per_token(_base(taken)),
            cached_input_pico_usd_per_token=None if cached is None else pico_usd_per_token(_base(cached)),
            source=", ".join(notes),
        )


def _standing(listed: types.ModelPrice | Sequence[types.ConditionalPrice], now: datetime) -> list[types.ModelPrice]:
    """Today's prices: the last one whose first day has come, and each that holds for some hours."""
    if isinstance(listed, types.ModelPrice):
        return [listed]
    begun: list[types.ModelPrice] = []
    hourly: list[types.ModelPrice] = []
    for one in listed:
        if isinstance(one.constraint, types.TimeOfDateConstraint):
            hourly.append(one.prices)
        elif one.constraint is None or one.constraint.active(now):
            begun = [one.prices]
    return [*(begun or [listed[0].prices]), *hourly]


def _base(price: Decimal | types.TieredPrices) -> Decimal:
    return price.base if isinstance(price, types.TieredPrices) else price


def _days(text: str) -> list[date]:
    found = []
    for word in _DAY.findall(text):
        try:
            found.append(date.fromisoformat(word))
        except ValueError:
            continue
    return found
