"""The platform's own keys, by which control's judges ask the gateway: one for each environment.

They are made of the workspace's master key, so that every control process knows them, and no store, file or list holds
them. Gateways know their hashes, with a scope that no key can be made with.
"""

import hashlib
import hmac
from collections.abc import Iterable

from tidegate.live.snapshot import KeyGrant, secret_hash

__all__ = ["internal_grants", "internal_key"]

PURPOSE = "tidegate/internal/1"
NAME = "tidegate"
SCOPES = ("inference", "internal")


def internal_key(master_key: str, environment: str) -> str:
    """The key of an environment: HMAC-SHA256 of its name under the master key."""
    digest = hmac.new(master_key.encode(), f"{PURPOSE}\x1f{environment}".encode(), hashlib.sha256)
    return f"tgi-{digest.hexdigest()}"


def internal_grants(master_key: str, environments: Iterable[str]) -> dict[str, KeyGrant]:
    """What the gateways are told of these keys, by their hashes; nothing without a master key."""
    if not master_key:
        return {}
    return {
        secret_hash(internal_key(master_key, one)): KeyGrant(
            key_id=f"key_internal_{one}", name=NAME, environment=one, scopes=SCOPES
        )
        for one in environments
    }
