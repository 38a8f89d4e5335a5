"""Money as whole numbers: prices in pico-dollars a token, amounts in nano-dollars. Unknown is None, never 0.

One dollar per million tokens is exactly 1,000,000 pico-dollars a token, so published prices carry over without
rounding; an amount is rounded up to the next nano-dollar once, at the end.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

__all__ = ["Price", "cost_nano_usd", "pico_usd_per_token", "usd_text"]


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one model charges. `cached_input` None means: cached input tokens cost as much as other input tokens."""

    input_pico_usd_per_token: int
    output_pico_usd_per_token: int
    cached_input_pico_usd_per_token: int | None = None
    source: str = ""


def pico_usd_per_token(usd_per_1m_tokens: Decimal | float | str) -> int:
    """Turn a published price (dollars per million tokens) into pico-dollars a token."""
    exact = Decimal(str(usd_per_1m_tokens)) * 1_000_000
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def cost_nano_usd(
    price: Price | None, input_tokens: int | None, output_tokens: int | None, cached_input_tokens: int | None = None
) -> int | None:
    """The cost of one call in nano-dollars, rounded up; None when the price or a token count is unknown."""
    if price is None or input_tokens is None or output_tokens is None:
        return None
    cached = min(cached_input_tokens or 0, input_tokens)
    cached_price = price.cached_input_pico_usd_per_token
    if cached_price is None:
        cached_price = price.input_pico_usd_per_token
    pico = (
        (input_tokens - cached) * price.input_pico_usd_per_token
        + cached * cached_price
        + output_tokens * price.output_pico_usd_per_token
    )
    return -(-pico // 1000)


def usd_text(nano_usd: int | None) -> str:
    """Print an amount: `$0.000123`, with as many digits as it needs (at least 2, at most 9); `unknown` for None."""
    if nano_usd is None:
        return "unknown"
    text = f"{Decimal(nano_usd).scaleb(-9):.9f}"
    whole, digits = text.split(".")
    return f"${whole}.{digits.rstrip('0').ljust(2, '0')}"
