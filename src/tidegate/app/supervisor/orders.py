"""What a process is told by whom starts it, in one environment variable: settings read once, sockets, lifeline."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings

__all__ = ["VARIABLE", "Orders", "given", "taken"]

VARIABLE = "TIDEGATE_ORDERS"

_OPERATORS = ("TIDEGATE_ADMIN_TOKEN", "TIDEGATE_GIT_TOKEN", "TIDEGATE_TOKEN")
_STORES = ("TIDEGATE_DATABASE_URL", "TIDEGATE_MASTER_KEY", "TIDEGATE_MASTER_KEY_PREVIOUS", "TIDEGATE_REDIS_URL")
_WITHHELD = MappingProxyType({"gateway": _OPERATORS, "model": (*_OPERATORS, *_STORES)})
"""Secrets that a kind of process has no use for."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """One process's orders.

    `settings` as the supervisor read them: a tidegate.yaml that is broken later cannot stop a restart. `first`: make
    the database ready, let the administrator in and apply tidegate.yaml before serving. `lifeline_fd` reaches its end
    when the supervisor is gone; None when nobody supervises.
    """

    process: str
    settings: Settings
    socket_fd: int | None = None
    lifeline_fd: int | None = None
    first: bool = False

    @property
    def supervised(self) -> bool:
        return self.lifeline_fd is not None


def given(orders: Orders, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that tells a process its orders, without Tidegate's own secrets that it has no use for."""
    withheld = _WITHHELD.get(orders.process.partition("-")[0], ())
    kept = {name: value for name, value in environ.items() if name not in withheld}
    return {**kept, VARIABLE: msgspec.json.encode(orders, enc_hook=str).decode()}


def taken(environ: MutableMapping[str, str]) -> Orders | None:
    """Take the orders out of the environment, so that no grandchild sees them; None when there are none."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Orders, dec_hook=_path)
    except msgspec.DecodeError as error:
        raise Invalid(
            f"{VARIABLE} cannot be read: {error}.", mend="Unset it: only `tidegate` itself sets it.", code="bad_orders"
        ) from error


def _path(kind: type, value: Any) -> Any:
    if kind is not Path:
        raise TypeError(f"orders hold no {kind.__name__}")
    return Path(value)
