"""Money is exact, and what is unknown stays unknown."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.money import Price, PriceTier, bound_nano_usd, cost_nano_usd, pico_usd_per_token, usd_text

tokens = st.integers(0, 10**9)
prices = st.integers(0, 10**9)
rates = {
    "input_pico_usd_per_token": prices,
    "output_pico_usd_per_token": prices,
    "cached_input_pico_usd_per_token": st.none() | prices,
    "cache_write_pico_usd_per_token": st.none() | prices,
}
tiers = st.lists(st.builds(PriceTier, above_input_tokens=tokens, **rates), max_size=3).map(
    lambda found: tuple(sorted(found, key=lambda tier: tier.above_input_tokens))
)
tiered = st.builds(Price, tiers=tiers, **rates)


def test_a_published_price_carries_over_without_rounding() -> None:
    assert pico_usd_per_token("0.15") == 150_000
    assert pico_usd_per_token(Decimal("0.0375")) == 37_500
    assert pico_usd_per_token(2.5) == 2_500_000


def test_one_million_tokens_cost_the_published_price() -> None:
    price = Price(
        input_pico_usd_per_token=pico_usd_per_token("0.15"), output_pico_usd_per_token=pico_usd_per_token("0.60")
    )
    assert cost_nano_usd(price, 1_000_000, 0) == 150_000_000
    assert cost_nano_usd(price, 0, 1_000_000) == 600_000_000


@given(tokens, tokens, tokens, prices, prices, prices)
def test_cost_is_the_exact_sum_rounded_up_once(
    inputs: int, outputs: int, cached: int, price_in: int, price_out: int, price_cached: int
) -> None:
    price = Price(
        input_pico_usd_per_token=price_in,
        output_pico_usd_per_token=price_out,
        cached_input_pico_usd_per_token=price_cached,
    )
    cost = cost_nano_usd(price, inputs, outputs, cached)
    held = min(cached, inputs)
    exact = Fraction((inputs - held) * price_in + held * price_cached + outputs * price_out, 1000)
    assert cost is not None
    assert 0 <= cost - exact < 1


@given(tokens, tokens)
def test_unknown_price_or_usage_gives_an_unknown_cost_never_zero(inputs: int, outputs: int) -> None:
    price = Price(input_pico_usd_per_token=1, output_pico_usd_per_token=1)
    assert cost_nano_usd(None, inputs, outputs) is None
    assert cost_nano_usd(price, None, outputs) is None
    assert cost_nano_usd(price, inputs, None) is None


def test_without_a_cached_price_cached_tokens_cost_like_others() -> None:
    price = Price(input_pico_usd_per_token=1000, output_pico_usd_per_token=0)
    assert cost_nano_usd(price, 10, 0, 10) == 10


def test_amounts_print_with_the_digits_they_need() -> None:
    assert usd_text(None) == "unknown"
    assert usd_text(0) == "$0.00"
    assert usd_text(1) == "$0.000000001"
    assert usd_text(1_500_000_000) == "$1.50"
    assert usd_text(12_345_678_900) == "$12.3456789"


@given(tiered, tokens, tokens, st.none() | tokens, st.none() | tokens, tokens, tokens)
def test_no_call_within_its_tokens_costs_more_than_its_bound(
    price: Price, inputs: int, outputs: int, cached: int | None, written: int | None, more_in: int, more_out: int
) -> None:
    cost = cost_nano_usd(price, inputs, outputs, cached, written)
    assert cost is not None
    assert 0 <= cost <= bound_nano_usd(price, inputs + more_in, outputs + more_out)


def test_a_long_input_is_priced_at_its_tier_and_written_cache_at_its_own_price() -> None:
    price = Price(
        input_pico_usd_per_token=1000,
        output_pico_usd_per_token=5000,
        cache_write_pico_usd_per_token=1250,
        tiers=(PriceTier(above_input_tokens=100, input_pico_usd_per_token=2000, output_pico_usd_per_token=7000),),
    )
    assert cost_nano_usd(price, 100, 10) == 150
    assert cost_nano_usd(price, 101, 10) == 272
    assert cost_nano_usd(price, 100, 0, 0, 40) == 110
