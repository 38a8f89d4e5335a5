"""Where a Snapshot's deployments are called: address, headers and secret of each, made once and kept while nothing of
it changes.
"""

import logging
from collections.abc import Mapping

from tidegate.app.secrets import Opener
from tidegate.gateway.providers.base import Provider
from tidegate.gateway.upstream.pool import Pool
from tidegate.gateway.upstream.resolver import not_allowed
from tidegate.gateway.upstream.target import Target, refusing_target
from tidegate.gateway.world import World
from tidegate.kernel.errors import Invalid, ProviderFailed
from tidegate.live.snapshot import Deployment, Sealed, Snapshot

__all__ = ["Targets"]

log = logging.getLogger(__name__)


class Targets:
    """Makes the targets of one gateway process, and tells its pool where calls may go."""

    def __init__(self, providers: Mapping[str, Provider], opener: Opener, pool: Pool) -> None:
        self._providers = providers
        self._opener = opener
        self._pool = pool

    def of(self, snapshot: Snapshot, before: World | None) -> dict[str, Target]:
        """The target of every deployment, by name; one that is as it was in the World before is that World's."""
        self._pool.allow(snapshot.policy.allowed_hosts)
        if before is not None and before.snapshot.policy.allowed_hosts != snapshot.policy.allowed_hosts:
            before = None
        return {
            name: before.targets[name]
            if before is not None and _unchanged(before, snapshot, name)
            else self._target(deployment, snapshot.sealed)
            for name, deployment in snapshot.deployments.items()
        }

    def settle(self, before: World | None, snapshot: Snapshot) -> None:
        """Once they are served: where the configuration moved a deployment, let every name be resolved anew."""
        if before is not None and _places(before.snapshot) != _places(snapshot):
            self._pool.resolver.unpin()

    def _target(self, deployment: Deployment, sealed: Mapping[str, Sealed]) -> Target:
        """A deployment that cannot be called refuses its own calls; it must not keep the rest from being served."""
        provider = self._providers.get(deployment.provider)
        try:
            if provider is None:
                raise Invalid(
                    f"Model {deployment.name!r} has the provider {deployment.provider!r}, which is not known here.",
                    mend=f"Known: {', '.join(self._providers)}.",
                    code="unknown_provider",
                )
            target = provider.target(*self._opener.opened(deployment, sealed))
            if not self._pool.allows(target.host):
                target.fault = not_allowed(target, "its host is not in policies.allowed_hosts")
            return target
        except Invalid as fault:
            wrong = ProviderFailed(fault.message, mend=fault.mend, code=fault.code)
            log.warning("%s", wrong)
            return refusing_target(deployment.name, wrong)


def _unchanged(before: World, snapshot: Snapshot, name: str) -> bool:
    """Whether the deployment, and its secret if it has one, are as they were."""
    deployment = snapshot.deployments[name]
    secret = deployment.secret
    return before.deployments.get(name) == deployment and (
        secret is None or before.snapshot.sealed.get(secret) == snapshot.sealed.get(secret)
    )


def _places(snapshot: Snapshot) -> dict[str, tuple[object, ...]]:
    """Where the configuration says that its deployments are."""
    return {name: (one.provider, one.base_url, one.options) for name, one in snapshot.deployments.items()}
