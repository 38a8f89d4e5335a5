"""LiteLLM under the harness of `bench.budgets`, without a database: a key's budget held in each worker's memory.

Without PostgreSQL, LiteLLM makes no virtual keys. It does hold `max_budget` for a key that a `custom_auth` function
vouches for, when `custom_auth_run_common_checks` is on: it reserves a call's bound in the memory of the worker. That is
the strictest of its modes without a database, and the one measured here. It settles in a callback that 1.106 installs
only with a database (`proxy_server.cost_tracking`), so here a hold is never given back. Not measured: PostgreSQL,
Redis, and `fail_closed_budget_enforcement`. https://docs.litellm.ai/docs/proxy/custom_auth (read 2026-11)
"""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.costly import MOST_TOKENS, TOKEN_USD, Door
from bench.gateway.peers import LiteLLM, bench_home
from bench.processes import BenchError, Command, free_port, running, tree, until

__all__ = ["LiteLLMSite", "litellm_missing", "litellm_site"]

READY_S = 300.0
MASTER_KEY = "sk-master-of-the-measurement-0123456789"
AUTH = """\
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, max_budget={cap})
"""


@dataclass(frozen=True)
class LiteLLMSite:
    """One proxy. What it has counted itself cannot be asked from outside."""

    door: Door
    workers: int
    backend: str = "litellm-memory"
    is_peer: bool = True

    async def standing(self, run: str) -> None:
        """Unknown."""

    def kill_one(self) -> None:
        raise BenchError("no worker of a peer is killed here")

    async def close(self) -> None:
        """Nothing is open."""


def litellm_missing() -> str | None:
    """The command that installs it, or None when it is installed."""
    return LiteLLM().missing(bench_home())


@contextlib.contextmanager
def litellm_site(workers: int, upstream_port: int, cap_usd: float) -> Iterator[LiteLLMSite]:
    """The proxy with so many workers; each run has a key of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-litellm-") as folder:
        run = Path(folder)
        config = run / "litellm.yaml"
        config.write_text(json.dumps(_settings(upstream_port), indent=1))  # JSON is YAML
        (run / "custom_auth.py").write_text(AUTH.format(cap=cap_usd))
        env = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        argv = [str(bench_home() / "litellm" / "bin" / "litellm"), "--config", str(config)]
        argv += ["--num_workers", str(workers), "--host", "127.0.0.1", "--port", str(port)]
        command = Command(argv, run / "litellm.log", env, run)
        with running(command, min(os.sched_getaffinity(0))) as process:
            os.sched_setaffinity(process.pid, os.sched_getaffinity(0))

            def ready() -> bool:
                started = command.log.read_text(errors="replace").count("Set models")  # each worker says so
                return (started >= workers and _listening(port)) or process.poll() is not None

            if not until(ready, READY_S) or process.poll() is not None:
                raise BenchError(f"LiteLLM is not ready: {command.log.read_text(errors='replace')[-600:]}")
            for pid in tree(process.pid):
                os.sched_setaffinity(pid, os.sched_getaffinity(0))
            yield LiteLLMSite(Door(port, _lines, frozenset({422, 429})), workers)


def _listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _lines(run: str) -> str:
    return f"Authorization: Bearer sk-{run}\r\n"


def _settings(upstream_port: int) -> dict[str, object]:
    """Both models cost the same; of `costly` it is told how long an answer can be, as Tidegate is."""
    price: dict[str, object] = {"input_cost_per_token": 0.0, "output_cost_per_token": TOKEN_USD}
    upstream = {"api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "sk-upstream", "timeout": 5, **price}
    known = {"costly": {**price, "max_output_tokens": MOST_TOKENS}, "unknown": price}
    return {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **upstream}, "model_info": info}
            for name, info in known.items()
        ],
        "general_settings": {
            "master_key": MASTER_KEY,
            "custom_auth": "custom_auth.user_api_key_auth",
            "custom_auth_run_common_checks": True,
        },
        "litellm_settings": {"set_verbose": False, "telemetry": False},
        "router_settings": {"num_retries": 1, "disable_cooldowns": True},
    }
