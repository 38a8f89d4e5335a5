"""Tidegate as a target. All that bench/gateway knows of the product's commands and files is here."""

import contextlib
import importlib.metadata
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.gateway.load import Endpoint
from bench.gateway.targets import Site, Start
from bench.processes import BenchError, free_port, running, until
from bench.workspace import Workspace, program

# What is known of the product. The commands run inside the workspace.
ALIAS = "bench-chat"  # the model name that the callers use; the file below routes it to the upstream
INIT = ("init", ".", "--bare")
CONTROL = ("control",)  # only while the workspace is set up: the commands below speak to it
APPLY = ("apply",)
CREATE_KEY = ("bench", "--tag", "team=bench", "--tag", "purpose=measurement")
GATEWAY = ("gateway", "--port")  # and the port
CALLS_DB = Path(".tidegate", "calls.db")
COUNT_CALLS = (
    "SELECT (SELECT count(*) FROM calls) + (SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM call_batches)"
)
CONFIG = """\
apiVersion: tidegate/v1
models:
  upstream:
    provider: openai
    base_url: {upstream}
    model: gpt-4o-mini
    api_key_env: BENCH_UPSTREAM_KEY
    price: {{input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.60}}
"""
ROUTE = "routes:\n  {alias}: {{model: upstream}}\n"
LIMITS = """\
budgets:
  - {name: everything, usd: 1000000, per: month}
  - {name: teams, match: {team: "*"}, each: [team], usd: 1000000, per: day}
limits:
  - {name: per-key, each: [key], requests: 100000000, per: minute}
"""
SHADOWED = "routes:\n  {alias}: {{model: upstream, shadow: {{model: upstream, percent: 5, max_usd_per_day: 1000}}}}\n"
BALANCED = """\
  second:
    provider: openai
    base_url: {upstream}
    model: gpt-4o-mini
    api_key_env: BENCH_UPSTREAM_KEY
    price: {{input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.60}}
routes:
  {alias}: {{models: [upstream, second], strategy: latency}}
"""
ENVIRONMENT = {"BENCH_UPSTREAM_KEY": "sk-upstream"}

CONTROL_READY_S = 30.0


@dataclass(frozen=True)
class Tidegate:
    """One gateway worker of the product, its cache off. `tidegate` has on what the goals ask for; the others show what
    a feature costs.
    """

    name: str = "tidegate"
    config: str = ROUTE + LIMITS.replace("{", "{{").replace("}", "}}")
    on: str = "two budgets and a rate limit held and settled"

    def missing(self, home: Path) -> str | None:
        return None if program().exists() else "python3 -m pip install -e ."

    def had_on(self, home: Path) -> str:
        always = "virtual keys, routing, tags, usage metered, a call record each in SQLite, metrics"
        return f"{always}; {self.on}; cache off"

    def versions(self, home: Path) -> Mapping[str, str]:
        python = ".".join(map(str, sys.version_info[:3]))
        found = {"python": python}
        for package in ("tidegate", "uvloop", "httptools"):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[package] = importlib.metadata.version(package)
        return found

    def prepare(self, site: Site, port: int) -> Start:
        """Makes the workspace and a key, with control up for only as long as that takes."""
        folder = Path(tempfile.mkdtemp(prefix="workspace-", dir=site.run))
        control_port = free_port()
        env = {**ENVIRONMENT, "TIDEGATE_CONTROL_PORT": str(control_port)}
        workspace = Workspace(folder, env)
        workspace.run(*INIT)
        (folder / "tidegate.yaml").write_text((CONFIG + self.config).format(alias=ALIAS, upstream=site.upstream_url))
        with running(workspace.process(*CONTROL), site.cores.load) as control:
            if not until(lambda: _listening(control_port), CONTROL_READY_S) or control.poll() is not None:
                raise BenchError(f"`tidegate control` does not listen on {control_port}")
            workspace.run(*APPLY)
            key = workspace.create_key(*CREATE_KEY)
        gateway = workspace.process(*GATEWAY, str(port))
        return Start(Endpoint(port, key, ALIAS), gateway, proof=partial(_records_kept, folder / CALLS_DB))


VARIANTS = (
    Tidegate(),
    Tidegate("tidegate-plain", ROUTE, "no limits"),
    Tidegate("tidegate-balanced", BALANCED, "two deployments by latency, no limits"),
    Tidegate("tidegate-shadow", SHADOWED, "5% of calls copied, no limits"),
)


def _listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _records_kept(database: Path, answered: int) -> str:
    """How many call records are in SQLite; BenchError when they are fewer than the calls it answered."""
    if not database.exists():
        raise BenchError(f"no call records: {database.name} was not written")
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (kept,) = connection.execute(COUNT_CALLS).fetchone()
    if kept < answered:
        raise BenchError(f"{kept:,} call records for {answered:,} answered calls: some were lost")
    return f"{kept:,} call records in SQLite for {answered:,} calls counted by the load"
