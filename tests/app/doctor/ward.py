"""One workspace in the doctor's hands: ways to make it ill, and what the doctor finds."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path

from tidegate.app.doctor.faults import FAULTS, Finding
from tidegate.app.doctor.patient import Machine, this_machine
from tidegate.app.doctor.table import examine_folder
from tidegate.settings import Settings, load_settings

__all__ = ["Ward", "free_ports", "healthy_text"]


class Ward:
    """A workspace's folder, the environment and the machine that it is examined in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}
        self.machine: Machine = this_machine()

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder, self.environ)

    @property
    def config(self) -> Path:
        return self.folder / "tidegate.yaml"

    def rewrite(self, old: str, new: str) -> None:
        """Change the text of tidegate.yaml."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new, 1))

    def examine(self) -> Sequence[Finding]:
        return examine_folder(self.folder, self.environ, machine=self.machine)

    def found(self, code: str) -> Finding:
        """The only finding that is not ok besides what `config_not_applied` tells; it has this code, and its mend."""
        findings = [one for one in self.examine() if one.level != "ok" and one.code != "config_not_applied"]
        assert [one.code for one in findings] == [code], findings
        assert findings[0].level == FAULTS[code].level
        assert findings[0].mend
        assert "{" not in findings[0].mend
        return findings[0]

    def codes(self) -> set[str]:
        """The codes of everything that is not ok."""
        return {one.code for one in self.examine() if one.level != "ok"}


def healthy_text(text: str, model_url: str) -> str:
    """A new workspace's tidegate.yaml, on free ports and with a model that answers."""
    gateway, control, model = free_ports(3)
    text = text.replace("http://127.0.0.1:8082/v1", model_url).replace("smollm2-135m-instruct", "tiny-1")
    text = text.replace("gateway_port: 8080", f"gateway_port: {gateway}")
    return re.sub(r"control_port: 8081", f"control_port: {control}\n  model_port: {model}", text)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
