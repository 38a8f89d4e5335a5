"""The price catalogue: offline, dated, and honest about what it does not know."""

import socket
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tidegate.adapters.prices import Catalogue
from tidegate.control.policies.ports import Prices

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


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


def test_a_price_with_tiers_is_taken_at_its_base_and_says_so(catalogue: Catalogue) -> None:
    price = catalogue.price("anthropic", "claude-sonnet-4-5")
    assert price is not None
    assert price.input_pico_usd_per_token == 3_000_000
    assert "tiered" in price.source


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
