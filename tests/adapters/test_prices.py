"""The price catalogue: offline, dated, and honest about what it does not know."""

import socket
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price, data_snapshot, types
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.adapters.prices import Catalogue
from tidegate.control.policies.ports import Prices
from tidegate.kernel.money import bound_nano_usd, cost_nano_usd

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CATALOGUE = Catalogue(NOW)
LISTED = [
    (provider.id, model.id)
    for provider in data_snapshot.get_snapshot().providers
    for model in provider.models
    if isinstance(model.prices, types.ModelPrice) and CATALOGUE.price(provider.id, model.id) is not None
]
"""What the catalogue has one price for, whatever the hour."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(NOW)


def test_a_listed_model_has_its_price_by_address(catalogue: Catalogue) -> None:
    price = catalogue.price("https://api.openai.com/v1", "gpt-4o-mini")
    assert price is not None
    assert price.input_pico_usd_per_token == 150_000
    assert price.output_pico_usd_per_token == 600_000
    assert price.cached_input_pico_usd_per_token == 75_000


def test_a_provider_may_be_named_by_its_id(catalogue: Catalogue) -> None:
    by_id, by_url = (catalogue.price(name, "gpt-4o-mini") for name in ("openai", "https://api.openai.com/v1"))
    assert by_id == by_url


def test_the_source_names_the_catalogue_its_day_and_the_entry(catalogue: Catalogue) -> None:
    price = catalogue.price("openai", "gpt-4o-mini")
    assert price is not None
    assert price.source.startswith("genai-prices ")
    assert str(catalogue.day) in price.source
    assert "openai/gpt-4o-mini" in price.source


def test_the_day_is_none_of_the_future(catalogue: Catalogue) -> None:
    assert date(2026, 1, 1) <= catalogue.day <= NOW.date()


@pytest.mark.parametrize(
    ("where", "model"),
    [
        ("http://127.0.0.1:8082/v1", "gpt-4o-mini"),
        ("https://api.openai.com/v1", "no-such-model"),
        ("no-such-provider", "gpt-4o-mini"),
    ],
)
def test_what_is_not_listed_is_unknown_not_free(catalogue: Catalogue, where: str, model: str) -> None:
    assert catalogue.price(where, model) is None


def test_a_price_that_rises_with_the_input_has_its_tiers(catalogue: Catalogue) -> None:
    price = catalogue.price("anthropic", "claude-sonnet-4-5")
    assert price is not None
    assert price.input_pico_usd_per_token == 3_000_000
    assert price.cache_write_pico_usd_per_token == 3_750_000
    assert [(tier.above_input_tokens, tier.input_pico_usd_per_token) for tier in price.tiers] == [(200_000, 6_000_000)]


TOKENS = st.integers(0, 1_500_000)


@given(st.sampled_from(LISTED), TOKENS, TOKENS, TOKENS, TOKENS)
@settings(deadline=None)
def test_a_call_costs_what_the_catalogue_itself_reckons(
    listed: tuple[str, str], input_tokens: int, output_tokens: int, read: int, written: int
) -> None:
    read = min(read, input_tokens)
    written = min(written, input_tokens - read)
    price = CATALOGUE.price(*listed)
    assert price is not None
    if price.cached_input_pico_usd_per_token is None:
        read = 0
    if price.cache_write_pico_usd_per_token is None:
        written = 0
    usage = Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=read, cache_write_tokens=written
    )
    provider, model = listed
    theirs = calc_price(usage, model, provider_id=provider, genai_request_timestamp=NOW).total_price
    ours = cost_nano_usd(price, input_tokens, output_tokens, read, written)
    assert ours is not None
    pico_rounding = Decimal(1 + input_tokens + output_tokens) / 10**12  # a listed price may be finer than a pico-dollar
    assert abs(Decimal(ours).scaleb(-9) - theirs) <= Decimal(1).scaleb(-9) + pico_rounding
    assert ours <= bound_nano_usd(price, input_tokens, output_tokens)


def test_a_fee_by_call_is_no_price_by_token(catalogue: Catalogue) -> None:
    assert catalogue.price("perplexity", "sonar") is None


def test_a_price_that_changes_with_the_hour_is_taken_at_its_dearest(catalogue: Catalogue) -> None:
    price = catalogue.price("https://api.deepseek.com/v1", "deepseek-chat")
    assert price is not None
    assert price.output_pico_usd_per_token == 1_100_000
    assert "dearest" in price.source


def test_a_price_that_begins_later_does_not_hold_yet() -> None:
    def output_at(now: datetime) -> int:
        price = Catalogue(now).price("https://api.deepseek.com/v1", "deepseek-v4-pro")
        assert price is not None
        return price.output_pico_usd_per_token

    assert output_at(datetime(2026, 7, 1, tzinfo=UTC)) <= output_at(NOW)


def test_it_fills_the_port_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("the catalogue went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    prices: Prices = Catalogue(NOW)
    assert prices.price("openai", "gpt-4o-mini") is not None
