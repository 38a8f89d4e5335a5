"""The blocks under `limits` and `budgets`, as their author writes them."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tidegate.control.policies.blocks import Block

__all__ = ["BudgetBlock", "LimitBlock"]

MOST = 2**53 - 1
"""What Redis' Lua can count exactly: IEEE 754 doubles."""

NAME = Annotated[str, Meta(description="Its name, in errors, metrics and `tidegate budget list`.")]
MATCH = Annotated[
    dict[str, Annotated[str, Meta(min_length=1, max_length=256)]],
    Meta(
        description="Whose calls count: {key: NAME}, {model: ALIAS}, {environment: NAME}, or a tag as {team: support}; "
        "'*': any value, but there must be one. Absent: every call."
    ),
]
EACH = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
    Meta(max_length=8, description="A count of its own for each value of these words: [key], [team, model]."),
]
HARD = Annotated[bool, Meta(description="Whether calls are refused; false: only a warning.")]
ZONE = Annotated[
    str,
    Meta(description="Where days and months begin at midnight: an IANA name.", examples=["Europe/Berlin"]),
]


class LimitBlock(Block, frozen=True, kw_only=True):
    """A limit, over all gateway processes together. Give one of `requests`, `tokens` and `parallel`."""

    name: NAME
    match: MATCH = field(default_factory=dict)
    each: EACH = ()
    requests: Annotated[int, Meta(ge=0, le=MOST, description="Requests in each window.")] | None = None
    tokens: Annotated[int, Meta(ge=0, le=MOST, description="Tokens in each window, input and output.")] | None = None
    parallel: Annotated[int, Meta(ge=0, le=1_000_000, description="Calls at a time.")] | None = None
    per: (
        Annotated[
            Literal["minute", "hour", "day"], Meta(description="The window: minute, hour or day; none for `parallel`.")
        ]
        | None
    ) = None
    time_zone: ZONE = "UTC"
    hard: HARD = True


class BudgetBlock(Block, frozen=True, kw_only=True):
    """A budget in US dollars, over all gateway processes together."""

    name: NAME
    match: MATCH = field(default_factory=dict)
    each: EACH = ()
    usd: Annotated[float, Meta(ge=0, le=9_000_000, description="US dollars in each window, at most 9,000,000.")]
    per: Annotated[Literal["day", "month"], Meta(description="The window: day or month.")]
    time_zone: ZONE = "UTC"
    soft_at: Annotated[
        float, Meta(gt=0, le=1, description="From which share on it warns, in a header and to notifiers.")
    ] = 0.8
    hard: HARD = True
