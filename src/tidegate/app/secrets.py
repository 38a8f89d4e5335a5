"""Where sealed secrets are opened: in the gateway, for the target that carries them, and nowhere else."""

from collections.abc import Mapping

import msgspec

from tidegate.adapters.vault.contents import ContentSeals
from tidegate.adapters.vault.vault import Vault, previous_keys
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment, Sealed
from tidegate.settings import Settings, read_key

__all__ = ["Opener", "open_content_seals", "open_vault"]

TABLE = "secrets"
VARIABLE = "TIDEGATE_SEALED"
"""Stands for the opened secret where a provider looks for the variable that holds its key."""


def open_vault(settings: Settings, environ: Mapping[str, str]) -> Vault:
    """The vault of the workspace's master key; raises Invalid when the key is missing or weak."""
    return Vault(read_key(settings, environ, "master_key"), previous_keys(environ))


def open_content_seals(settings: Settings, environ: Mapping[str, str]) -> ContentSeals:
    """What seals content under the workspace's master key; raises Invalid when the key is missing or weak."""
    return ContentSeals(read_key(settings, environ, "master_key"), previous_keys(environ))


class Opener:
    """Gives a deployment the secret that it names, in the shape in which providers take one."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._vault: Vault | None = None

    def opened(self, deployment: Deployment, sealed: Mapping[str, Sealed]) -> tuple[Deployment, Mapping[str, str]]:
        """The deployment and the variables it is to be called with; raises Invalid when its secret cannot be had."""
        name = deployment.secret
        if name is None:
            return deployment, self._environ
        row = sealed.get(name)
        if row is None:
            raise Invalid(
                f"Model {deployment.name!r} needs the secret {name!r}, which was never set.",
                mend=f"Set it: `tidegate secrets set {name}`.",
                code="secret_missing",
            )
        if self._vault is None:
            self._vault = open_vault(self._settings, self._environ)
        value = self._vault.open(TABLE, name, row).decode()
        return msgspec.structs.replace(deployment, api_key_env=VARIABLE), {**self._environ, VARIABLE: value}
