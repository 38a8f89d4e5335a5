"""What a route must hold beyond types: one way of naming its models, a known strategy, a shadow with one candidate."""

from typing import Final

from tidegate.control.policies.reading import Complaint, Complaints, name_hint
from tidegate.control.policies.route_shape import STRATEGIES, RetryBlock, RouteBlock, ShadowBlock

__all__ = ["ROUTE_COMPLAINTS"]


def _models(value: dict[str, object]) -> Complaint | None:
    one, several = value.get("model"), value.get("models")
    if one is not None and several:
        return Complaint("two_models", "has `model` and `models`", "Leave one of them out.")
    if one is None and not several:
        return Complaint("missing_field", "has no `model`", "`model`: a name under `models`; or `models`: several.")
    return None


def _twice(value: list[object]) -> Complaint | None:
    names = [one.get("model") if isinstance(one, dict) else one for one in value]
    double = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if double is None:
        return None
    return Complaint("duplicate", f"has {double!r} twice", "Name it once, with a larger weight.")


def _strategy(value: str) -> Complaint | None:
    if value in STRATEGIES:
        return None
    return Complaint(
        "unknown_strategy", f"is {value!r}, which is none", name_hint(value, list(STRATEGIES), "Strategies")
    )


def _shadow(value: dict[str, object]) -> Complaint | None:
    given = [name for name in ("model", "version") if value.get(name) is not None]
    if len(given) == 1:
        return None
    message = "has `model` and `version`" if given else "has no candidate"
    return Complaint("bad_shadow", message, "Give `model` (a name under `models`) or `version` (of the prompt).")


def _waits(value: dict[str, object]) -> Complaint | None:
    base, most = value.get("base_ms", 100), value.get("max_ms", 2000)
    if isinstance(base, int) and isinstance(most, int) and base > most:
        return Complaint("bad_retry", f"has a first wait of {base} ms and a longest of {most} ms", "Raise `max_ms`.")
    return None


def _nothing_to_score(value: dict[str, object]) -> Complaint | None:
    content = value.get("content")
    if value.get("scoring") is None or (isinstance(content, dict) and content.get("percent")):
        return None
    return Complaint(
        "scoring_without_content", "has `scoring`, and keeps no content", "Add `content: {percent: 5}`: see content.md."
    )


ROUTE_COMPLAINTS: Final[Complaints] = {
    (RouteBlock, ""): lambda value: _models(value) or _nothing_to_score(value),
    (RouteBlock, "models"): _twice,
    (RouteBlock, "fallbacks"): _twice,
    (RouteBlock, "strategy"): _strategy,
    (RetryBlock, ""): _waits,
    (ShadowBlock, ""): _shadow,
}
