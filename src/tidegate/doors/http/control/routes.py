"""The table of everything that the control plane's HTTP API answers to: method, path, handler, right."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tidegate.doors.http.control import (
    access,
    configuration,
    contents,
    datasets,
    evaluations,
    experiments,
    operations,
    prompts,
    records,
    releases,
    rollouts,
    routing,
    sealing,
    spending,
)

__all__ = ["BASE", "ROUTES", "SCHEMA_PATH", "Route"]

BASE = "/api/v1"
SCHEMA_PATH = f"{BASE}/schema"


class Route(NamedTuple):
    """One route. `right` is what the caller's role must have; None means that no token is asked for."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    right: str | None
    status: int = 200

    @property
    def summary(self) -> str:
        """The first sentence of the handler's docstring."""
        text = " ".join((self.handler.__doc__ or "").split())
        return text.partition(". ")[0].rstrip(".")

    @property
    def operation_id(self) -> str:
        """The handler's name, with the group it stands in."""
        group = self.handler.__module__.rpartition(".")[2]
        return f"{group}.{self.handler.__name__}"

    @property
    def takes_body(self) -> bool:
        return "data" in self.handler.__annotations__


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", operations.healthz, None),
    Route("GET", "/readyz", operations.readyz, None),
    Route("GET", "/metrics", operations.metrics, None),
    Route("GET", f"{BASE}/whoami", access.whoami, "read"),
    Route("GET", f"{BASE}/config", configuration.config, "read"),
    Route("PUT", f"{BASE}/config", configuration.apply, "config.apply"),
    Route("GET", f"{BASE}/prompts", prompts.prompts, "read"),
    Route("GET", f"{BASE}/prompts/{{name:str}}", prompts.prompt, "read"),
    Route("GET", f"{BASE}/prompts/{{name:str}}/history", prompts.history, "read"),
    Route("GET", f"{BASE}/prompts/{{name:str}}/diff", prompts.diff, "read"),
    Route("GET", f"{BASE}/prompts/{{name:str}}/{{version:str}}", prompts.version, "read"),
    Route("GET", f"{BASE}/releases", releases.status, "read"),
    Route("POST", f"{BASE}/releases", releases.deploy, "release.deploy", 201),
    Route("GET", f"{BASE}/releases/{{env:str}}/{{prompt:str}}", releases.line, "read"),
    Route("POST", f"{BASE}/releases/{{env:str}}/{{prompt:str}}/rollback", releases.rollback, "release.deploy", 201),
    Route("POST", f"{BASE}/releases/{{env:str}}/{{prompt:str}}/revert", releases.revert, "release.deploy", 201),
    Route("POST", f"{BASE}/releases/{{env:str}}/{{prompt:str}}/withdraw", releases.withdraw, "release.deploy", 201),
    Route("GET", f"{BASE}/rollouts", rollouts.rollouts, "read"),
    Route("POST", f"{BASE}/rollouts", rollouts.start, "release.deploy", 201),
    Route("GET", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}", rollouts.rollout, "read"),
    Route("GET", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/why", rollouts.why, "read"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/approve", rollouts.approve, "release.approve"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/pause", rollouts.pause, "release.deploy"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/resume", rollouts.resume, "release.deploy"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/extend", rollouts.extend, "release.deploy"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/rebalance", rollouts.rebalance, "release.deploy"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/promote", rollouts.promote, "release.deploy"),
    Route("POST", f"{BASE}/rollouts/{{env:str}}/{{prompt:str}}/drill", rollouts.drill, "release.deploy", 201),
    Route("GET", f"{BASE}/evaluations", evaluations.evaluations, "read"),
    Route("POST", f"{BASE}/evaluations", evaluations.record, "eval.record", 201),
    Route("POST", f"{BASE}/evaluations/cases", datasets.cases, "content.read"),
    Route("GET", f"{BASE}/evaluations/scores", datasets.scores, "read"),
    Route("GET", f"{BASE}/experiments", experiments.experiments, "read"),
    Route("POST", f"{BASE}/experiments", experiments.start, "experiment.manage", 201),
    Route("POST", f"{BASE}/experiments/preview", experiments.preview, "experiment.manage"),
    Route("GET", f"{BASE}/experiments/{{name:str}}", experiments.experiment, "read"),
    Route("GET", f"{BASE}/experiments/{{name:str}}/analysis", experiments.analysis, "read"),
    Route("GET", f"{BASE}/experiments/{{name:str}}/assignment", experiments.assignment, "read"),
    Route("POST", f"{BASE}/experiments/{{name:str}}/decide", experiments.decide, "experiment.manage"),
    Route("POST", f"{BASE}/experiments/{{name:str}}/stop", experiments.stop, "experiment.manage"),
    Route("GET", f"{BASE}/calls", records.calls, "read"),
    Route("GET", f"{BASE}/calls/gaps", records.gaps, "read"),
    Route("GET", f"{BASE}/calls/pairs", records.pairs, "read"),
    Route("GET", f"{BASE}/calls/{{call_id:str}}", records.call, "read"),
    Route("GET", f"{BASE}/calls/{{call_id:str}}/explanation", routing.explain_call, "read"),
    Route("GET", f"{BASE}/calls/{{call_id:str}}/content", contents.content, "content.read"),
    Route("POST", f"{BASE}/contents/erase", contents.erase, "content.erase"),
    Route("POST", f"{BASE}/contents/reseal", contents.reseal, "secret.manage"),
    Route("GET", f"{BASE}/routes", routing.routes, "read"),
    Route("GET", f"{BASE}/routes/{{alias:str}}", routing.route, "read"),
    Route("GET", f"{BASE}/routes/{{alias:str}}/plan", routing.plan, "read"),
    Route("GET", f"{BASE}/budgets", spending.budgets, "read"),
    Route("GET", f"{BASE}/budgets/{{name:str}}", spending.budget, "read"),
    Route("POST", f"{BASE}/counters/rebuild", spending.rebuild, "config.apply"),
    Route("GET", f"{BASE}/keys", access.keys, "key.manage"),
    Route("POST", f"{BASE}/keys", access.create_key, "key.manage", 201),
    Route("POST", f"{BASE}/keys/{{key_id:str}}/revoke", access.revoke_key, "key.manage"),
    Route("POST", f"{BASE}/keys/{{key_id:str}}/expire", access.expire_key, "key.manage"),
    Route("GET", f"{BASE}/secrets", sealing.secrets, "secret.manage"),
    Route("PUT", f"{BASE}/secrets/{{name:str}}", sealing.set_secret, "secret.manage"),
    Route("POST", f"{BASE}/secrets/{{name:str}}/remove", sealing.remove_secret, "secret.manage"),
    Route("POST", f"{BASE}/secrets/rotate", sealing.rotate_secrets, "secret.manage"),
    Route("GET", f"{BASE}/users", access.users, "user.manage"),
    Route("POST", f"{BASE}/users", access.create_user, "user.manage", 201),
    Route("POST", f"{BASE}/users/{{name:str}}/roles", access.set_roles, "user.manage"),
    Route("POST", f"{BASE}/users/{{name:str}}/disable", access.disable_user, "user.manage"),
    Route("GET", f"{BASE}/users/{{name:str}}/tokens", access.tokens, "user.manage"),
    Route("POST", f"{BASE}/users/{{name:str}}/tokens", access.issue_token, "user.manage", 201),
    Route("POST", f"{BASE}/tokens/{{token_id:str}}/revoke", access.revoke_token, "user.manage"),
    Route("GET", f"{BASE}/audit", access.audit, "audit.read"),
)
"""Who has which right: `control/identity/model.py`. OpenAPI itself (SCHEMA_PATH) is open."""
