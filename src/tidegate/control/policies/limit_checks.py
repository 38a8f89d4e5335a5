"""What limits and budgets must hold beyond types: one unit, a window that fits it, a time zone that exists."""

from typing import Final
from zoneinfo import available_timezones

from tidegate.control.policies.limit_shape import BudgetBlock, LimitBlock
from tidegate.control.policies.reading import Complaint, Complaints, name_hint
from tidegate.kernel.errors import Invalid
from tidegate.kernel.names import check_name

__all__ = ["LIMIT_COMPLAINTS"]

_UNITS = ("requests", "tokens", "parallel")


def _name(value: str) -> Complaint | None:
    try:
        check_name("limit", value)
    except Invalid as error:
        return Complaint("invalid_name", "cannot be a name", error.mend)
    return None


def _unit(value: dict[str, object]) -> Complaint | None:
    given = [unit for unit in _UNITS if value.get(unit) is not None]
    if len(given) != 1:
        message = f"has {' and '.join(f'`{unit}`' for unit in given)}" if given else "limits nothing"
        return Complaint("bad_limit", message, f"Give one of {', '.join(_UNITS)}.")
    if given == ["parallel"]:
        if value.get("per") is not None:
            return Complaint("bad_limit", "counts calls at a time, which have no window", "Leave `per` out.")
        return None
    if value.get("per") is None:
        return Complaint("missing_field", "has no `per`", "`per`: minute, hour or day.")
    return None


def _zone(value: str) -> Complaint | None:
    zones = available_timezones()
    if value in zones:
        return None
    near = name_hint(value, sorted(zones), "Zones")
    mend = near if near.startswith("Did") else "Write an IANA name, as Europe/Berlin or UTC."
    return Complaint("unknown_time_zone", f"is {value!r}, which is no time zone", mend)


def _each(value: list[str]) -> Complaint | None:
    double = next((word for at, word in enumerate(value) if word in value[:at]), None)
    return Complaint("duplicate", f"has {double!r} twice", "Name it once.") if double is not None else None


LIMIT_COMPLAINTS: Final[Complaints] = {
    (LimitBlock, ""): _unit,
    (LimitBlock, "name"): _name,
    (LimitBlock, "time_zone"): _zone,
    (LimitBlock, "each"): _each,
    (BudgetBlock, "name"): _name,
    (BudgetBlock, "time_zone"): _zone,
    (BudgetBlock, "each"): _each,
}
