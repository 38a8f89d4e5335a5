"""The demo's workspace: where it is, which ports it takes, which questions its dataset holds."""

import json
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from tidegate.app.demo.model import Question
from tidegate.app.sockets import free_port
from tidegate.kernel.errors import Conflict
from tidegate.settings import CONFIG_NAME, Settings, load_settings

__all__ = ["DemoFolder", "choose_ports", "questions"]

FOLDER = "shop"
DATASET = "datasets/support-answer.jsonl"
SHOWN = ("repair-price", "pay-how", "address")


class DemoFolder:
    """The folder that the workspace is made in. A temporary one is removed by `close`, unless it is to be kept."""

    def __init__(self, folder: Path | None, *, keep: bool) -> None:
        """Raises Conflict when the folder holds a workspace already."""
        if folder is not None and (folder / CONFIG_NAME).exists():
            raise Conflict(
                f"{folder} holds a workspace already.",
                mend="Name a new folder for the demo, or serve that one: `tidegate up`.",
                code="workspace_exists",
            )
        self.keep = keep or folder is not None
        self._made = Path(tempfile.mkdtemp(prefix="tidegate-demo-")) if folder is None else None
        self.path = (self._made / FOLDER if self._made is not None else folder or Path()).resolve()

    def close(self) -> None:
        """Remove what is temporary."""
        if self._made is not None and not self.keep:
            shutil.rmtree(self._made, ignore_errors=True)


def choose_ports(folder: Path) -> tuple[Settings, tuple[str, ...]]:
    """Write free ports into tidegate.yaml where the usual ones are taken; return the settings and what was changed."""
    settings = load_settings(folder, {})
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name in ("gateway_port", "control_port", "model_port"):
        host = {"gateway_port": settings.gateway_host, "control_port": settings.control_host}.get(name, "127.0.0.1")
        ports[name] = free_port(host, getattr(settings, name), frozenset(taken))
        taken.add(ports[name])
    changed = {name: port for name, port in ports.items() if port != getattr(settings, name)}
    if changed:
        file = folder / CONFIG_NAME
        file.write_text(_with_ports(file.read_text(encoding="utf-8"), settings, changed), encoding="utf-8")
    notes = tuple(f"{name}: {getattr(settings, name)} is taken, {port} is free" for name, port in changed.items())
    return msgspec.structs.replace(settings, **ports), notes


def questions(folder: Path) -> tuple[Question, ...]:
    """Three questions of the dataset."""
    lines = (folder / DATASET).read_text(encoding="utf-8").splitlines()
    rows = {row["id"]: row["variables"] for row in map(json.loads, filter(None, lines))}
    return tuple(Question(rows[name]["facts"], rows[name]["question"]) for name in SHOWN)


def _with_ports(text: str, settings: Settings, ports: dict[str, int]) -> str:
    for name, port in ports.items():
        line = re.compile(rf"(?m)^(  {name}:) \d+")
        text = line.sub(rf"\1 {port}", text) if line.search(text) else _added(text, name, port)
        if name == "model_port":
            text = text.replace(f"http://127.0.0.1:{settings.model_port}/v1", f"http://127.0.0.1:{port}/v1")
    return text


def _added(text: str, name: str, port: int) -> str:
    """The text with one more setting at the head of its `server:` block."""
    return re.sub(r"(?m)^server:.*$", lambda head: f"{head[0]}\n  {name}: {port}", text, count=1)
