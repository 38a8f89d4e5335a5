"""A workspace with prompts in Git, and a whole control plane over it, on SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pygit2
from sqlalchemy import select

from tests.support.databases import migrated_bytes
from tidegate.app.control import Control
from tidegate.app.databases import migrate
from tidegate.jobs.snapshots import SNAPSHOTS
from tidegate.live.snapshot import Snapshot, decode_snapshot
from tidegate.settings import Settings

__all__ = [
    "ADMIN_TOKEN",
    "CONFIG",
    "admin_headers",
    "commit",
    "make_workspace",
    "newest_snapshot",
    "prompt_text",
    "running_control",
    "settings_for",
]

ADMIN_TOKEN = "tgt-" + "0a1b2c3d4e" * 4
MASTER_KEY = "m0n1o2p3q4" * 4

CONFIG = """\
apiVersion: tidegate/v1
models:
  local: {provider: openai, base_url: "http://127.0.0.1:8082/v1", model: tiny}
  spare: {provider: openai, base_url: "http://127.0.0.1:8083/v1", model: tiny}
routes:
  fast: {model: local}
environments: {dev: {}, staging: {}, production: {}}
"""

NAMES = ("greeting", "farewell")


def prompt_text(name: str, version: str, *, model: str = "fast", words: str = "Hello") -> str:
    """The file of a small chat prompt."""
    return (
        f"apiVersion: prompts/v1\nname: {name}\nversion: {version}\nmodel: {{model_id: {model}, max_tokens: 16}}\n"
        f'messages:\n  - {{role: user, content: "{words} {{{{ who }}}}, this is {version}."}}\n'
        "params: {type: object, properties: {who: {type: string}}, required: [who]}\n"
    )


def make_workspace(folder: Path, *, config: str = CONFIG) -> Path:
    """Write a workspace: configuration, keys, and two prompts in three versions, each version a commit of its own."""
    (folder / ".tidegate").mkdir(parents=True, mode=0o700)
    (folder / "tidegate.yaml").write_text(config)
    (folder / ".gitignore").write_text(".tidegate/\n")
    keys = folder / ".tidegate" / "keys.env"
    keys.write_text(f"master_key={MASTER_KEY}\nadmin_token={ADMIN_TOKEN}\n")
    keys.chmod(0o600)
    pygit2.init_repository(str(folder), initial_head="main")
    commit(folder, {"tidegate.yaml": config, ".gitignore": ".tidegate/\n"})
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        commit(folder, {f"prompts/{name}/v{version}.yaml": prompt_text(name, version) for name in NAMES})
    return folder


def commit(folder: Path, files: Mapping[str, str | None], message: str = "Change") -> str:
    """Write (or with None remove) files and commit them; returns the commit's id."""
    repository = pygit2.Repository(str(folder))
    for name, text in files.items():
        file = folder / name
        if text is None:
            file.unlink()
            repository.index.remove(name)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        repository.index.add(name)
    repository.index.write()
    author = pygit2.Signature("Test", "test@localhost")
    parents = [] if repository.head_is_unborn else [repository.head.target]
    return str(repository.create_commit("HEAD", author, author, message, repository.index.write_tree(), parents))


def settings_for(folder: Path, database_url: str = "") -> Settings:
    """The settings of a workspace; ports of the kernel's choice."""
    return Settings(workspace=folder, database_url=database_url, control_port=0, gateway_port=0)


@asynccontextmanager
async def running_control(settings: Settings, environ: Mapping[str, str] | None = None) -> AsyncIterator[Control]:
    """A started control plane on a migrated database."""
    if not settings.is_postgres and not settings.control_db_file.exists():
        settings.control_db_file.write_bytes(migrated_bytes())
    await migrate(settings)
    control = Control(settings, environ or {})
    await control.start()
    try:
        yield control
    finally:
        await control.stop()


def admin_headers(token: str = ADMIN_TOKEN) -> dict[str, str]:
    """The headers with which a token comes in."""
    return {"authorization": f"Bearer {token}"}


async def newest_snapshot(control: Control) -> Snapshot:
    """What the gateways are told now."""
    query = select(SNAPSHOTS.c.blob, SNAPSHOTS.c.sha256).order_by(SNAPSHOTS.c.generation.desc()).limit(1)
    async with control.db.read() as tx:
        row = (await tx.execute(query)).one()
    return decode_snapshot(row.blob, row.sha256)
