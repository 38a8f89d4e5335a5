"""What the doctor looks at: a workspace's settings, the environment, and facts of the machine that tests may invent."""

import resource
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from os import statvfs
from pathlib import Path
from typing import NamedTuple

from tidegate.app.config import check_file
from tidegate.control.policies.model import Config
from tidegate.kernel.documents import Document, check_yaml, decode_text
from tidegate.kernel.errors import InvalidDocument
from tidegate.settings import CONFIG_NAME, Settings

__all__ = ["DiskSpace", "Machine", "Patient", "this_machine"]


class DiskSpace(NamedTuple):
    """What is left on a disk. `free_inodes` is None where the file system counts none."""

    free_bytes: int
    total_bytes: int
    free_inodes: int | None


class Machine(NamedTuple):
    """Facts of this machine."""

    now_ms: int
    python: tuple[int, ...]
    sqlite: tuple[int, ...]
    open_files: int
    disk: Callable[[Path], DiskSpace]


class Patient:
    """One workspace under examination. What costs something to learn is learnt once."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], machine: Machine, *, guessed: bool = False
    ) -> None:
        """`guessed`: the settings could not be read, and are the defaults."""
        self.settings = settings
        self.guessed = guessed
        self.environ = environ
        self.machine = machine

    @cached_property
    def text(self) -> str | None:
        """tidegate.yaml's text, None when it cannot be read as one."""
        try:
            return decode_text(self.settings.config_file.read_bytes(), CONFIG_NAME)
        except (OSError, InvalidDocument):
            return None

    @cached_property
    def checked(self) -> tuple[Config | None, tuple[InvalidDocument, ...]]:
        """The configuration, or all of its faults."""
        try:
            data = self.settings.config_file.read_bytes()
            return check_file(decode_text(data, CONFIG_NAME), CONFIG_NAME)
        except InvalidDocument as error:
            return None, (error,)
        except OSError as error:
            reason = error.strerror or str(error)
            return None, (InvalidDocument(f"It cannot be read: {reason}.", file=CONFIG_NAME, code="unreadable"),)

    @property
    def config(self) -> Config | None:
        """The configuration, None when the file is faulty: then only its faults are told."""
        return self.checked[0]

    @cached_property
    def document(self) -> Document | None:
        """The file as YAML, None when it is none."""
        return check_yaml(self.text, CONFIG_NAME)[0] if self.text is not None else None

    @property
    def has_prompts(self) -> bool:
        """Whether the file says where prompts come from; a bare workspace does not."""
        value = self.document.value if self.document is not None else None
        return isinstance(value, dict) and "prompts" in value

    def shown(self, file: Path) -> str:
        """A file's name as the user knows it: relative to the workspace where it can be."""
        try:
            return file.relative_to(self.settings.workspace).as_posix()
        except ValueError:
            return str(file)


def this_machine() -> Machine:
    """The facts as they are."""
    return Machine(
        now_ms=time.time_ns() // 1_000_000,
        python=sys.version_info[:3],
        sqlite=sqlite3.sqlite_version_info,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        disk=_disk,
    )


def _disk(folder: Path) -> DiskSpace:
    usage = shutil.disk_usage(folder)
    files = statvfs(folder)
    return DiskSpace(usage.free, usage.total, files.f_favail if files.f_files else None)
