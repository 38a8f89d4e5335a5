"""The World: one Snapshot made ready to serve. Built once for a generation, then only read; a Call keeps the one it
began with.
"""

import asyncio
from collections.abc import Mapping

from tidegate.gateway.upstream.target import Target
from tidegate.kernel.errors import Forbidden, Invalid, NotFound
from tidegate.live.plans import ADAPTER, Plan, adapters_of, make_plan
from tidegate.live.snapshot import KeyGrant, LiveRelease, PromptVersion, Snapshot
from tidegate.templates.compile import CompiledPrompt, compile_prompt

__all__ = ["World"]

MAX_PLANS = 10_000


class World:
    """A Snapshot with its templates compiled and its upstreams' addresses and headers prepared.

    What did not change since `previous` is taken over, so that a rollback costs the gateway microseconds, not
    compilations.
    """

    def __init__(self, snapshot: Snapshot, targets: Mapping[str, Target], previous: "World | None" = None) -> None:
        self.snapshot = snapshot
        self.generation = snapshot.generation
        self.keys = snapshot.keys
        self.routes = snapshot.routes
        self.experiments = snapshot.experiments
        self.deployments = snapshot.deployments
        self.targets = targets
        self.known_senders: dict[bytes, KeyGrant] = {}
        """Whoever sent this `Authorization` was found to have this grant: at most a few spellings for each key."""
        self._plans: dict[tuple[str, str, tuple[str, ...]], Plan] = {}
        self.superseded = asyncio.Event()
        self.successor: World | None = None
        old = previous._compiled if previous else {}
        wanted = {
            version.content_hash: version for versions in snapshot.prompts.values() for version in versions.values()
        }
        self._compiled: dict[str, CompiledPrompt | Invalid] = {
            digest: old.get(digest) or _compiled(version) for digest, version in wanted.items()
        }

    def supersede(self, successor: "World | None") -> None:
        """Tell those who wait for news that there is a newer World (None: that the gateway is shutting down)."""
        self.successor = successor
        self.superseded.set()

    def grant(self, digest: str) -> KeyGrant | None:
        """The grant of a key's hash, None when no such key was ever made."""
        return self.keys.get(digest)

    def plan(self, alias: str, environment: str, regions: tuple[str, ...]) -> Plan:
        """The plan of a call; see `make_plan`. Made once, for known names only: callers can invent others."""
        key = (alias, environment, regions)
        found = self._plans.get(key)
        if found is None:
            found = make_plan(self.snapshot, alias, environment, regions)
            if found.known and len(self._plans) < MAX_PLANS:
                self._plans[key] = found
        return found

    def allowed_plan(self, alias: str, grant: KeyGrant) -> Plan:
        """The plan of a call with this key, which has somewhere to go; raises NotFound for what is not known here, and
        Forbidden where no deployment may take the call.
        """
        plan = self.plan(alias, grant.environment, grant.regions)
        if plan.steps:
            return plan
        if not plan.known:
            known = self.meant(alias, grant.environment)
            raise NotFound("model", alias, known=known, param="model", code="model_not_found")
        why = "; ".join(f"{one.deployment}: {one.why}" for one in plan.excluded)
        raise Forbidden(
            f"No deployment of the model {alias!r} may take this call ({why}).",
            mend="Ask for another model, or ask the operator for a deployment in an allowed region.",
            code="no_deployment_allowed",
            param="model",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every alias and model, adapters left out."""
        return tuple(dict.fromkeys([*self.routes, *self.deployments]))

    def with_adapters(self, name: str, environment: str) -> tuple[str, ...]:
        """An alias or model, and behind it its LoRA adapters as they are asked for in an environment."""
        return name, *(f"{name}{ADAPTER}{one}" for one in adapters_of(self.snapshot, name, environment))

    def meant(self, alias: str, environment: str) -> tuple[str, ...]:
        """The names among which one that is not known may have been meant."""
        base = alias.partition(ADAPTER)[0]
        known = base in self.routes or base in self.deployments
        return self.with_adapters(base, environment) if known else self.names

    def release(self, environment: str, prompt: str) -> LiveRelease:
        """What is live of a prompt; raises NotFound with the nearest names, or telling that it is live elsewhere
        only.
        """
        live = self.snapshot.releases.get(environment, {})
        found = live.get(prompt)
        if found is not None:
            return found
        elsewhere = [name for name, releases in self.snapshot.releases.items() if prompt in releases]
        mend = (
            f"It is live in {', '.join(elsewhere)}, not in {environment}: "
            f"`tidegate release deploy {prompt}@VERSION --env {environment}`."
            if elsewhere
            else f"Deploy one: `tidegate release deploy NAME@VERSION --env {environment}`."
        )
        raise NotFound("prompt", prompt, known=tuple(live), mend=mend, param="model")

    def prompt(self, name: str, version: str) -> tuple[PromptVersion, CompiledPrompt]:
        """A version that this Snapshot carries, with its compiled template; raises NotFound."""
        versions = self.snapshot.prompts.get(name, {})
        found = versions.get(version)
        if found is None:
            raise NotFound(
                "prompt version",
                f"{name}@{version}",
                known=tuple(f"{name}@{known}" for known in versions),
                param="model",
                mend="Only versions that are live, or the way back from them, are served.",
            )
        compiled = self._compiled[found.content_hash]
        if isinstance(compiled, Invalid):
            raise compiled.with_traceback(None)  # it is shared: it must not gather the frames of all its calls
        return found, compiled


def _compiled(version: PromptVersion) -> CompiledPrompt | Invalid:
    """A version that cannot be compiled refuses its own calls; it must not keep the rest of a Snapshot from being
    served.
    """
    try:
        return compile_prompt(version)
    except Invalid as fault:
        return fault
