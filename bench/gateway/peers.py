"""The peers under BENCH_HOME: LiteLLM and TensorZero in virtual environments, Portkey's gateway in an npm folder."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.gateway import canned
from bench.gateway.load import Endpoint
from bench.gateway.targets import Site, Start
from bench.processes import Command

HOME_VARIABLE = "BENCH_HOME"
LITELLM = "1.106.2"  # the versions that the commands below install
PORTKEY = "1.15.2"
TENSORZERO = "2026.6.0"
OPENAI = "3.54.0"
TENSORZERO_TOML = """\
[gateway]
observability.enabled = false

[models."{model}"]
routing = ["upstream"]

[models."{model}".providers.upstream]
type = "openai"
model_name = "{model}"
api_base = "{url}"
api_key_location = "none"
"""
TENSORZERO_SERVER = """\
import pathlib, signal, sys, openai, tensorzero
config, found = sys.argv[1:]
client = tensorzero.patch_openai_client(openai.OpenAI(api_key="unused"), config_file=config, async_setup=False)
pathlib.Path(found).write_text(f"{str(client.base_url).rstrip('/')}/chat/completions")
signal.pause()
"""


def bench_home() -> Path:
    """Where the peers are installed."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "tidegate-bench"


def _shown(home: Path) -> str:
    """The folder as a reader would type it."""
    text = str(home)
    own = f"{Path.home()}{os.sep}"
    return f'"$HOME/{text.removeprefix(own)}"' if text.startswith(own) else f'"{text}"'


@dataclass(frozen=True)
class LiteLLM:
    """LiteLLM's proxy: one worker, its default server, a master key, no database."""

    name: str = field(default="litellm", init=False)

    def missing(self, home: Path) -> str | None:
        if (home / "litellm" / "bin" / "litellm").exists():
            return None
        venv = _shown(home / "litellm")
        return f"python3 -m venv {venv} && {venv}/bin/pip install 'litellm[proxy]=={LITELLM}'"

    def had_on(self, home: Path) -> str:
        return "master key, routing by model name, cost computed; no database, so no virtual keys and no records"

    def versions(self, home: Path) -> Mapping[str, str]:
        return _python_versions(home / "litellm" / "bin" / "python", "litellm", "uvicorn")

    def prepare(self, site: Site, port: int) -> Start:
        upstream = {
            "model": f"openai/{canned.MODEL}",
            "api_base": site.upstream_url,
            "api_key": "sk-upstream",
        }
        settings = {
            "model_list": [{"model_name": canned.MODEL, "litellm_params": upstream}],
            "general_settings": {"master_key": Endpoint(port).key},
            "litellm_settings": {"set_verbose": False, "telemetry": False, "num_retries": 0},
        }
        config = site.run / "litellm.yaml"
        config.write_text(json.dumps(settings, indent=1))  # JSON is YAML
        env = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        argv = [str(site.home / "litellm" / "bin" / "litellm"), "--config", str(config), "--num_workers", "1"]
        argv += ["--host", "127.0.0.1", "--port", str(port)]
        command = Command(argv, site.run / "litellm.log", env, site.run)
        return Start(Endpoint(port), command, ready_s=120, warm_s=6, least_window_s=6)


@dataclass(frozen=True)
class Portkey:
    """Portkey's open gateway on Node: provider and upstream named in the caller's headers."""

    name: str = field(default="portkey", init=False)

    def missing(self, home: Path) -> str | None:
        lacking = []
        if shutil.which("node") is None:
            lacking.append("sudo apt-get install -y nodejs npm")
        if not _portkey_server(home).exists():
            lacking.append(f"npm install --prefix {_shown(home / 'npm')} @portkey-ai/gateway@{PORTKEY}")
        return " && ".join(lacking) or None

    def had_on(self, home: Path) -> str:
        mended = "new Headers(i.headers)" in _portkey_server(home).read_text()
        patch = "; streams mended by a local patch" if mended else ""
        return f"request and answer transformed for the provider; no keys, no metering, no records{patch}"

    def versions(self, home: Path) -> Mapping[str, str]:
        package = json.loads((_portkey_server(home).parent.parent / "package.json").read_text())
        done = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=10, check=True)
        return {"portkey": str(package["version"]), "node": done.stdout.strip().removeprefix("v")}

    def prepare(self, site: Site, port: int) -> Start:
        argv = ["node", str(_portkey_server(site.home)), f"--port={port}", "--headless"]
        command = Command(argv, site.run / "portkey.log", {"NODE_ENV": "production"}, site.run)
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": site.upstream_url}
        return Start(Endpoint(port, headers=headers), command, warm_s=4)


@dataclass(frozen=True)
class TensorZero:
    """TensorZero's gateway in Rust, as its Python package carries it: an HTTP server that Python only starts."""

    name: str = field(default="tensorzero", init=False)

    def missing(self, home: Path) -> str | None:
        if list((home / "tools").glob("lib/python*/site-packages/tensorzero")):
            return None
        venv = _shown(home / "tools")
        packages = f"tensorzero=={TENSORZERO} openai=={OPENAI}"
        return f"python3 -m venv {venv} && {venv}/bin/pip install {packages}"

    def had_on(self, home: Path) -> str:
        return (
            "request and answer transformed for the provider, routing by model name, one tokio worker; observability"
            " off (it needs ClickHouse or PostgreSQL), so no records and no cost; no keys, no limits"
        )

    def versions(self, home: Path) -> Mapping[str, str]:
        return _python_versions(home / "tools" / "bin" / "python", "tensorzero")

    def prepare(self, site: Site, port: int) -> Start:
        """It has no option for its port: it takes a free one and its URL is read from a file."""
        config, url_file = site.run / "tensorzero.toml", site.run / f"tensorzero-{port}.url"
        config.write_text(TENSORZERO_TOML.format(model=canned.MODEL, url=site.upstream_url))
        python = str(site.home / "tools" / "bin" / "python")
        argv = [python, "-c", TENSORZERO_SERVER, str(config), str(url_file)]
        command = Command(argv, site.run / "tensorzero.log", {"TOKIO_WORKER_THREADS": "1"}, site.run)
        model = f"tensorzero::model_name::{canned.MODEL}"
        return Start(Endpoint(port, model=model), command, url_file=url_file)


def _python_versions(python: Path, *packages: str) -> dict[str, str]:
    """The versions of these packages, and of the Python that they are installed in."""
    code = "import json, sys; from importlib.metadata import version; names = sys.argv[1:]; "
    code += "print(json.dumps({**{name: version(name) for name in names}, 'python': sys.version.split()[0]}))"
    done = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, timeout=30, check=True)
    return {name: str(version) for name, version in json.loads(done.stdout).items()}


def _portkey_server(home: Path) -> Path:
    return home / "npm" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
