"""The routes of providers' secrets."""

import msgspec
from litestar.params import FromPath, JSONBody

from tidegate.control.policies.model import SecretInfo
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["SecretValue", "remove_secret", "rotate_secrets", "secrets", "set_secret"]


class SecretValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key, as the provider shows it."""

    value: str


async def secrets(control: TheControl, actor: TheActor) -> tuple[SecretInfo, ...]:
    """Every provider's secret by name, without its value."""
    return await control.secrets.list(actor)


async def set_secret(
    control: TheControl, actor: TheActor, name: FromPath[str], data: JSONBody[SecretValue]
) -> SecretInfo:
    """Seal a provider's secret under this name."""
    return await control.secrets.set(actor, name, data.value)


async def remove_secret(control: TheControl, actor: TheActor, name: FromPath[str]) -> SecretInfo:
    """Forget a provider's secret that no model uses."""
    return await control.secrets.remove(actor, name)


async def rotate_secrets(control: TheControl, actor: TheActor) -> tuple[SecretInfo, ...]:
    """Seal every provider's secret anew under the current master key."""
    return await control.secrets.rotate(actor)
