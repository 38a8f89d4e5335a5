"""Prices from the catalogue that genai-prices ships: offline and dated. Its import takes half a second."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import NamedTuple

from genai_prices import data_snapshot, types

from tidegate.kernel.money import Price, PriceTier, pico_usd_per_token

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

        A price that changes with the hour is taken at its dearest; `source` says so. Of prices for writing into a cache
        it is the standard one (five minutes); what is charged for tools, searches and the like is not in it.
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
        """The price in our words; None for one that is not by token alone, for what is not counted is not free."""
        given, taken = listed.input_mtok, listed.output_mtok
        if given is None or taken is None or listed.requests_kcount is not None:
            return None
        rates = _Rates(given, taken, listed.cache_read_mtok, listed.cache_write_mtok)
        notes = [f"genai-prices {version('genai-prices')}", f"checked until {self.day}", name]
        notes += ["dearest hours"] if hourly else []
        return Price(
            input_pico_usd_per_token=pico_usd_per_token(_at(given, 0)),
            output_pico_usd_per_token=pico_usd_per_token(_at(taken, 0)),
            cached_input_pico_usd_per_token=_pico(rates.cached, 0),
            cache_write_pico_usd_per_token=_pico(rates.written, 0),
            tiers=tuple(rates.tiers()),
            source=", ".join(notes),
        )


class _Rates(NamedTuple):
    """The four prices of a listing, each plain or rising with the length of the input."""

    given: Decimal | types.TieredPrices
    taken: Decimal | types.TieredPrices
    cached: Decimal | types.TieredPrices | None
    written: Decimal | types.TieredPrices | None

    def tiers(self) -> Iterator[PriceTier]:
        """One tier for each length at which any of them changes."""
        edges = {tier.start for rate in self if isinstance(rate, types.TieredPrices) for tier in rate.tiers}
        for edge in sorted(edges):
            yield PriceTier(
                above_input_tokens=edge,
                input_pico_usd_per_token=pico_usd_per_token(_at(self.given, edge)),
                output_pico_usd_per_token=pico_usd_per_token(_at(self.taken, edge)),
                cached_input_pico_usd_per_token=_pico(self.cached, edge),
                cache_write_pico_usd_per_token=_pico(self.written, edge),
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


def _at(rate: Decimal | types.TieredPrices, edge: int) -> Decimal:
    """The price of a call whose input is longer than the edge, and not longer than the next one."""
    if not isinstance(rate, types.TieredPrices):
        return rate
    return next((tier.price for tier in reversed(rate.tiers) if tier.start <= edge), rate.base)


def _pico(rate: Decimal | types.TieredPrices | None, edge: int) -> int | None:
    return None if rate is None else pico_usd_per_token(_at(rate, edge))


def _days(text: str) -> list[date]:
    found = []
    for word in _DAY.findall(text):
        try:
            found.append(date.fromisoformat(word))
        except ValueError:
            continue
    return found
