"""Money as whole numbers: prices in pico-dollars a token, amounts in nano-dollars. Unknown is None, never 0.

One dollar per million tokens is exactly 1,000,000 pico-dollars a token, so published prices carry over without
rounding; an amount is rounded up to the next nano-dollar once, at the end.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

__all__ = ["Price", "PriceTier", "bound_nano_usd", "cost_nano_usd", "pico_usd_per_token", "usd_text"]


class PriceTier(msgspec.Struct, frozen=True, kw_only=True):
    """Prices that hold for the whole call when its input is longer than `above_input_tokens`."""

    above_input_tokens: int
    input_pico_usd_per_token: int
    output_pico_usd_per_token: int
    cached_input_pico_usd_per_token: int | None = None
    cache_write_pico_usd_per_token: int | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one model charges. `cached_input` None means: cached input tokens cost as much as other input tokens;
    likewise `cache_write` (input tokens that were written into the provider's cache). `tiers` in rising order.
    """

    input_pico_usd_per_token: int
    output_pico_usd_per_token: int
    cached_input_pico_usd_per_token: int | None = None
    cache_write_pico_usd_per_token: int | None = None
    tiers: tuple[PriceTier, ...] = ()
    source: str = ""


def pico_usd_per_token(usd_per_1m_tokens: Decimal | float | str) -> int:
    """Turn a published price (dollars per million tokens) into pico-dollars a token."""
    exact = Decimal(str(usd_per_1m_tokens)) * 1_000_000
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def cost_nano_usd(
    price: Price | None,
    input_tokens: int | None,
    output_tokens: int | None,
    cached_input_tokens: int | None = None,
    cache_write_tokens: int | None = None,
) -> int | None:
    """The cost of one call in nano-dollars, rounded up; None when the price or a token count is unknown.

    `input_tokens` counts all input; cached ones and those written to the cache are among them.
    """
    if price is None or input_tokens is None or output_tokens is None:
        return None
    rate: Price | PriceTier = price
    for tier in price.tiers:
        if input_tokens > tier.above_input_tokens:
            rate = tier
    plain = rate.input_pico_usd_per_token
    cached = min(cached_input_tokens or 0, input_tokens)
    written = min(cache_write_tokens or 0, input_tokens - cached)
    pico = input_tokens * plain + output_tokens * rate.output_pico_usd_per_token
    if cached and rate.cached_input_pico_usd_per_token is not None:
        pico += cached * (rate.cached_input_pico_usd_per_token - plain)
    if written and rate.cache_write_pico_usd_per_token is not None:
        pico += written * (rate.cache_write_pico_usd_per_token - plain)
    return -(-pico // 1000)


def bound_nano_usd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call with at most so many tokens can cost, in nano-dollars: at the dearest tier that it can
    reach, every input token at the dearest of its prices.
    """
    if not price.tiers:
        return _at_most(price, input_tokens, output_tokens)
    rates: list[Price | PriceTier] = [price, *(one for one in price.tiers if input_tokens > one.above_input_tokens)]
    return max(_at_most(rate, input_tokens, output_tokens) for rate in rates)


def _at_most(rate: Price | PriceTier, input_tokens: int, output_tokens: int) -> int:
    dearest = rate.input_pico_usd_per_token
    for other in (rate.cached_input_pico_usd_per_token, rate.cache_write_pico_usd_per_token):
        if other is not None and other > dearest:
            dearest = other
    return -(-(input_tokens * dearest + output_tokens * rate.output_pico_usd_per_token) // 1000)


def usd_text(nano_usd: int | None) -> str:
    """Print an amount: `$0.000123`, with as many digits as it needs (at least 2, at most 9); `unknown` for None."""
    if nano_usd is None:
        return "unknown"
    text = f"{Decimal(nano_usd).scaleb(-9):.9f}"
    whole, digits = text.split(".")
    return f"${whole}.{digits.rstrip('0').ljust(2, '0')}"
